package main

import (
	"slices"
	"testing"
	"time"
)

func TestWaitingFindsFaults(t *testing.T) {
	offered := func(s *story, until time.Time) {
		s.tables.entries[1] = entryRow{status: "offered", offer: 5, expires: until}
		s.tables.holds[5] = holdRow{doctor: 1, expires: until}
		s.tables.trail = append(s.tables.trail, entry{action: "update", object: "waitlist_entry", id: 1, offer: offer{HoldID: 5}})
	}
	ends := func(outcome string) func(w *world) check {
		return func(w *world) check { return w.waitingEnds(outcome) }
	}
	tryCheck(t, ends("booked"), []tale{
		{"Offered", func(s *story) { offered(s, nine.Add(time.Minute)) }, true},
		{"OverLongAgo", func(s *story) { offered(s, nine.Add(-time.Minute)) }, false},
		{"WithoutItsHold", func(s *story) { offered(s, nine.Add(time.Minute)); delete(s.tables.holds, 5) }, false},
		{"HeldForLonger", func(s *story) {
			offered(s, nine.Add(time.Minute))
			s.tables.holds[5] = holdRow{expires: nine.Add(time.Hour)}
		}, false},
		{"LeftItsHold", func(s *story) { offered(s, nine.Add(time.Minute)); s.tables.entries[1] = entryRow{status: "waiting"} }, false},
	})
	tryCheck(t, ends("POST /appointments: 409"), []tale{{"NeverFree", func(*story) {}, false}})

	held := func(s *story) {
		s.op("hold", 0, 1, op{In: input{Doctor: 1, Start: nine, Minutes: 30}, Out: output{ID: 5, Expires: nine}})
	}
	tryCheck(t, (*world).holdsRespected, []tale{
		{"Kept", held, true},
		{"BookedAtOnce", func(s *story) { held(s); s.book(1, 0, 3) }, true},
		{"BookedAfterRelease", func(s *story) { held(s); s.op("release", 2, 3, op{In: input{Hold: 5}}); s.book(1, 2, 4) }, true},
		{"Taken", func(s *story) { held(s); s.book(1, 2, 3) }, false},
	})
}

func TestFeedFindsFaults(t *testing.T) {
	made := func() (*story, []feed) {
		s := newStory()
		s.book(1, 0, 1)
		s.cancel(1, 2, 3)
		s.tables.patients = map[int64]int64{}
		f := feed{appointments: map[int64]appointment{1: visit(1, 1, "cancelled")}, tickets: map[int64]ticket{}, entries: map[int64]string{}}
		for i, c := range s.tables.changes {
			f.changes = append(f.changes, told{Cursor: string(rune('a' + i)), Type: c.kind, Object: c.object, ObjectID: c.id})
		}
		return s, []feed{f}
	}
	for name, c := range map[string]struct {
		spoil func(t *tables, f *feed)
		sound bool
	}{
		"Whole":       {func(*tables, *feed) {}, true},
		"Gap":         {func(t *tables, _ *feed) { t.changes[1].position = 3 }, false},
		"NoPosition":  {func(t *tables, _ *feed) { t.unplaced = 1 }, false},
		"LeftOut":     {func(_ *tables, f *feed) { f.changes = f.changes[:1] }, false},
		"OtherOrder":  {func(_ *tables, f *feed) { f.changes[0], f.changes[1] = f.changes[1], f.changes[0] }, false},
		"OldRecord":   {func(_ *tables, f *feed) { f.appointments[1] = visit(1, 1, "scheduled") }, false},
		"NoRecord":    {func(_ *tables, f *feed) { delete(f.appointments, 1) }, false},
		"NoTicket":    {func(t *tables, _ *feed) { t.tickets[1] = ticketRow{} }, false},
		"OldTicket":   {func(t *tables, f *feed) { t.tickets[1] = ticketRow{}; f.tickets[1] = ticket{ID: 1} }, false},
		"OldEntry":    {func(t *tables, f *feed) { t.entries[1] = entryRow{status: "booked"}; f.entries[1] = "waiting" }, false},
		"NoTimeOff":   {func(t *tables, _ *feed) { t.timeOff[1] = true }, false},
		"TimeOffGone": {func(_ *tables, f *feed) { f.others = map[string]map[int64]bool{"time_off": {1: true}} }, false},
		"NoPatient":   {func(t *tables, _ *feed) { t.patients[1] = 0 }, false},
		"NoHold":      {func(t *tables, _ *feed) { t.holds[1] = holdRow{} }, false},
	} {
		s, feeds := made()
		c.spoil(s.tables, &feeds[0])
		verdict(t, name, feedComplete(s.tables, feeds), c.sound)
	}

	_, feeds := made()
	all := feeds[0].changes
	for name, c := range map[string]struct {
		begin string
		got   []told
		sound bool
	}{
		"All":      {"0", all, true},
		"FromHere": {"a", all[1:], true},
		"LeftOut":  {"0", all[1:], false},
		"Twice":    {"0", slices.Concat(all[:1], all), false},
		"Broken":   {"0", all[:1], false},
	} {
		verdict(t, name, followed(feeds, []*follower{{begin: c.begin, changes: c.got}}), c.sound)
	}

	arrive := func(cursor string, taken bool) message {
		return message{id: "msg-" + cursor, cursor: cursor, object: "appointment", objectID: 1, taken: taken}
	}
	for name, c := range map[string]struct {
		messages []message
		faults   []string
		sound    bool
	}{
		"InOrder":        {[]message{arrive("a", true), arrive("b", true)}, nil, true},
		"Again":          {[]message{arrive("a", false), arrive("a", true), arrive("b", true), arrive("a", true)}, nil, true},
		"Missing":        {[]message{arrive("a", true)}, nil, false},
		"NeverTaken":     {[]message{arrive("a", true), arrive("b", false)}, nil, false},
		"Overtaken":      {[]message{arrive("b", true), arrive("a", true)}, nil, false},
		"PassedARefused": {[]message{arrive("a", false), arrive("b", true), arrive("a", true), arrive("b", true)}, nil, false},
		"OfNothing":      {[]message{arrive("a", true), arrive("b", true), arrive("z", true)}, nil, false},
		"OneIDForTwo":    {[]message{arrive("a", true), {id: "msg-a", cursor: "b", object: "appointment", objectID: 1, taken: true}}, nil, false},
		"WrongSignature": {[]message{arrive("a", true), arrive("b", true)}, []string{"signature"}, false},
	} {
		verdict(t, name, hooksComplete(feeds, c.messages, c.faults), c.sound)
	}
}

func TestAuditedFindsFaults(t *testing.T) {
	without := func(s *story, n int) { s.tables.trail = slices.Delete(s.tables.trail, n, n+1) }
	tryCheck(t, (*world).audited, []tale{
		{"Each", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3) }, true},
		{"OneMissing", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3); without(s, 1) }, false},
		{"UnderAnotherName", func(s *story) { s.book(1, 0, 1); s.cancel(1, 2, 3); s.tables.trail[1].request = "op-1" }, false},
		{"TicketWithout", func(s *story) {
			s.tables.changes = append(s.tables.changes, change{1, "ticket.created", "ticket", 1})
		}, false},
		{"HoldWithout", func(s *story) {
			s.tables.changes = append(s.tables.changes, change{1, "hold.created", "hold", 1})
		}, false},
	})
}
