package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// follower is a copy made from the feed: the last state of each record, as JSON.
type follower struct {
	t       *testing.T
	client  *contracttest.Client
	cursor  string
	records map[string]map[int64]string
	order   []string // "type id", of all changes
}

func newFollower(t *testing.T, client *contracttest.Client) *follower {
	t.Helper()
	return &follower{t: t, client: client, records: map[string]map[int64]string{}}
}

// follow reads all new changes, two at a time, and returns their types.
func (f *follower) follow(query ...string) []string {
	f.t.Helper()
	var seen []string
	for more := true; more; {
		parameters := append([]string{"limit", "2", "include", "record"}, query...)
		if f.cursor != "" {
			parameters = append(parameters, "cursor", f.cursor)
		}
		var page api.ChangeList
		r := f.client.Get("/changes", parameters...).Want(f.t, 200, "")
		r.Decode(f.t, &page)
		var raw struct{ Items []map[string]json.RawMessage }
		r.Decode(f.t, &raw)
		for i, c := range page.Items {
			kind := f.records[string(c.Object)]
			if kind == nil {
				kind = map[int64]string{}
				f.records[string(c.Object)] = kind
			}
			delete(kind, c.ObjectID)
			if record := raw.Items[i][string(c.Object)]; record != nil {
				kind[c.ObjectID] = string(record)
			}
			seen = append(seen, c.Type)
			f.order = append(f.order, fmt.Sprint(c.Type, " ", c.ObjectID))
		}
		f.cursor, more = page.NextCursor, page.More
	}
	return seen
}

// A client that follows the feed from the beginning, however slowly, ends with the clinic's
// records: of every kind, after everything that can happen to them.
func TestChangesRebuildTheClinic(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	feed := newFollower(t, f.Client)
	told := func(step string, want ...string) {
		t.Helper()
		got := feed.follow()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	told("empty")
	patient, other, doctor := f.patient(), f.patient(), f.doctor()
	told("records", "patient.created", "patient.created", "doctor.created")
	colleague := f.doctor()
	f.hours(doctor, "Europe/Zurich", "06:00-20:00")
	f.hours(colleague, "Europe/Zurich", "06:00-20:00")
	room, kind := f.room(), f.kind(object{})
	told("house", "doctor.created", "working_hours.updated", "working_hours.updated", "room.created", "appointment_type.created")
	a := f.booked(patient, doctor, "2027-03-02T09:00:00Z", 30)
	told("book", "appointment.booked")
	f.act(a.ID, "confirm").Want(t, 200, "")
	f.Post(fmt.Sprintf("/appointments/%d/reschedule", a.ID), object{"doctor_id": colleague}).Want(t, 200, "")
	f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "patient_request"}).Want(t, 200, "")
	f.act(a.ID, "undo").Want(t, 200, "")
	told("moves", "appointment.confirmed", "appointment.rescheduled", "appointment.cancelled", "appointment.confirmed")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor), object{"start_time": "2027-04-02T09:00:00Z", "end_time": "2027-04-02T12:00:00Z", "reason": "training"}).Want(t, 201, "")
	f.Post("/closures", object{"start_time": "2027-05-01T00:00:00Z", "end_time": "2027-05-02T00:00:00Z", "name": "Holiday"}).Want(t, 201, "")
	told("absences", "time_off.created", "closure.created")
	held := f.held(doctor, "2027-03-03T09:00:00Z", object{})
	f.Post("/appointments", object{"patient_id": other, "doctor_id": doctor, "start_time": "2027-03-03T09:00:00Z", "duration_minutes": 30, "hold_token": held.Token}).Want(t, 201, "")
	told("a hold that is used", "hold.created", "hold.deleted", "appointment.booked")
	_, path := f.bookedSeries(patient, doctor, object{})
	told("series", "series.created", "appointment.booked", "appointment.booked", "appointment.booked", "appointment.booked")
	var s api.Series
	f.Get(path).Want(t, 200, "").Decode(t, &s)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", s.Appointments[0].ID), object{"reason": "patient_request"}).Want(t, 200, "")
	told("one date of the series", "appointment.cancelled", "series.updated")
	f.Post(path+"/cancel", object{"reason": "patient_request"}).Want(t, 200, "")
	feed.follow()
	var ticket api.Ticket
	f.walkIn(doctor).Want(t, 201, "").Decode(t, &ticket)
	feed.follow()
	f.Post(fmt.Sprintf("/tickets/%d/leave", ticket.ID), nil).Want(t, 200, "")
	told("ticket", "ticket.updated")
	// A freed time is offered, which changes the entry and creates a hold.
	waiting := f.waits(object{"patient_id": patient, "doctor_ids": []int64{doctor}, "from": "2027-03-03T09:00:00Z", "to": "2027-03-03T09:15:00Z", "duration_minutes": 30})
	b := f.booked(other, colleague, "2027-03-04T09:00:00Z", 30)
	feed.follow()
	var list api.AppointmentList
	f.Get("/appointments", "date", "2027-03-03").Want(t, 200, "").Decode(t, &list)
	f.cancel(list.Items[0].ID)
	told("an offer", "appointment.cancelled", "waitlist_entry.updated", "hold.created")
	f.Post(fmt.Sprintf("/waitlist/%d/decline", waiting.ID), nil).Want(t, 200, "")
	told("declined", "waitlist_entry.updated", "hold.deleted")
	// All records of a merged patient are reassigned.
	f.held(doctor, "2027-03-05T09:00:00Z", object{"patient_id": other})
	feed.follow()
	f.Post(fmt.Sprintf("/patients/%d/merge", patient), object{"duplicate_id": other}).Want(t, 200, "")
	told("merge", "patient.updated", "patient.updated", "appointment.updated", "appointment.updated", "hold.updated")
	// The feed has no data of an erased patient.
	lonely := f.patient()
	f.Post("/walk-ins", object{"patient_id": lonely, "doctor_id": colleague, "note": "limps"}).Want(t, 201, "").Decode(t, &ticket)
	f.Post(fmt.Sprintf("/tickets/%d/leave", ticket.ID), nil).Want(t, 200, "")
	feed.follow()
	f.Post(fmt.Sprintf("/patients/%d/erase", lonely), object{"reason": "asked"}).Want(t, 200, "")
	told("erase", "patient.updated", "ticket.updated")
	// Deleting a record deletes its dependent records.
	gone, guest := f.doctor(), f.patient()
	f.hours(gone, "Europe/Zurich", "06:00-20:00")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", gone), object{"start_time": "2027-04-02T09:00:00Z", "end_time": "2027-04-02T12:00:00Z", "reason": "training"}).Want(t, 201, "")
	f.held(gone, "2027-03-05T09:00:00Z", object{"patient_id": guest})
	feed.follow()
	f.Delete(fmt.Sprintf("/patients/%d", guest)).Want(t, 204, "")
	f.Delete(fmt.Sprintf("/doctors/%d", gone)).Want(t, 204, "")
	told("deleted", "patient.deleted", "hold.deleted", "doctor.deleted", "working_hours.deleted", "time_off.deleted")
	f.Patch(fmt.Sprintf("/rooms/%d", room), object{"name": "Renamed"}).Want(t, 200, "")
	f.Patch(fmt.Sprintf("/appointment-types/%d", kind), object{"colour": "#112233"}).Want(t, 200, "")
	f.act(b.ID, "confirm").Want(t, 200, "")
	// The waitlist entry expires by itself.
	f.waits(object{"patient_id": patient, "from": "2027-03-01T09:00:00Z", "to": "2027-03-01T10:00:00Z", "duration_minutes": 30})
	feed.follow()
	f.pass(5 * 3600e9)
	f.Get("/waitlist").Want(t, 200, "")
	feed.follow()
	compareWithClinic(t, f, feed)

	again := newFollower(t, f.Client) // all at once
	again.follow()
	for kind := range feed.records {
		if diff := cmp.Diff(again.records[kind], feed.records[kind]); diff != "" {
			t.Errorf("%s, followed (+) and replayed (-):\n%s", kind, diff)
		}
	}
	if !slices.Equal(again.order, feed.order) {
		t.Errorf("order of a second reading of the feed:\n%q\nwant that of the first:\n%q",
			again.order, feed.order)
	}
}

// compareWithClinic compares a follower's records with the database and with the API's responses.
func compareWithClinic(t *testing.T, f *fixture, feed *follower) {
	t.Helper()
	for kind, where := range map[string]struct{ ids, path string }{
		"appointment":      {`SELECT id FROM appointments`, "/appointments/%d"},
		"series":           {`SELECT id FROM appointment_series`, "/appointment-series/%d"},
		"hold":             {`SELECT id FROM holds WHERE expires_at > '2027-03-01 13:00:00'`, "/holds/%d"},
		"ticket":           {`SELECT id FROM tickets`, "/tickets/%d"},
		"waitlist_entry":   {`SELECT id FROM waitlist`, "/waitlist/%d"},
		"patient":          {`SELECT id FROM patients`, "/patients/%d"},
		"doctor":           {`SELECT id FROM doctors`, "/doctors/%d"},
		"room":             {`SELECT id FROM rooms`, "/rooms/%d"},
		"appointment_type": {`SELECT id FROM appointment_types`, "/appointment-types/%d"},
		"working_hours":    {`SELECT id FROM doctors WHERE hours_version > 1`, "/doctors/%d/working-hours"},
		"time_off":         {`SELECT id FROM time_off`, ""},
		"closure":          {`SELECT id FROM closures`, ""},
	} {
		var ids []int64
		if err := f.db.DB.Select(&ids, where.ids+` ORDER BY 1`); err != nil {
			t.Fatal(err)
		}
		if kind == "hold" { // one that has expired stays with its followers, who see until when it was
			for id := range feed.records[kind] {
				if !slices.Contains(ids, id) {
					delete(feed.records[kind], id)
				}
			}
		}
		if got := slices.Sorted(maps.Keys(feed.records[kind])); !slices.Equal(got, ids) {
			t.Errorf("%s: ids from the feed = %v, want those in the database: %v", kind, got, ids)
		}
		for _, id := range ids {
			if where.path == "" {
				continue
			}
			r := f.Get(fmt.Sprintf(where.path, id))
			if r.Status == http.StatusMovedPermanently || r.Status == http.StatusPermanentRedirect {
				continue
			}
			var want, got any
			r.Want(t, 200, "").Decode(t, &want)
			if err := json.Unmarshal([]byte(feed.records[kind][id]), &got); err != nil {
				t.Errorf("decode %s %d from the feed: %v, want no error", kind, id, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %d (-read +followed):\n%s", kind, id, diff)
			}
		}
	}
}

// Many clients write through two servers while two others read: every reader gets every change
// once, all in the same order, and a dependent change after the one that it depends on.
func TestChangesMissNothing(t *testing.T) {
	t.Parallel()
	one := setup(t, "UTC")
	two := setupOn(t, one.db, "UTC")
	const writers, each = 8, 12
	patients, doctors := make([]int64, writers), make([]int64, writers)
	for i := range writers {
		patients[i], doctors[i] = one.patient(), one.doctor()
	}
	readers := []*follower{newFollower(t, one.Client), newFollower(t, two.Client)}
	written, stop := make(chan struct{}), sync.WaitGroup{}
	for _, r := range readers {
		stop.Go(func() {
			for {
				select {
				case <-written:
					r.follow()
					return
				default:
					r.follow()
				}
			}
		})
	}
	var mu sync.Mutex
	var want []string
	together(writers, func(i int) {
		f := []*fixture{one, two}[i%2]
		for n := range each {
			a := f.booked(patients[i], doctors[i], fmt.Sprintf("2027-03-%02dT09:00:00Z", n+2), 30)
			f.act(a.ID, "confirm").Want(t, 200, "")
			f.cancel(a.ID)
			mu.Lock()
			for _, what := range []string{"booked", "confirmed", "cancelled"} {
				want = append(want, fmt.Sprintf("appointment.%s %d", what, a.ID))
			}
			mu.Unlock()
		}
	})
	close(written)
	stop.Wait()
	if !slices.Equal(readers[0].order, readers[1].order) {
		t.Errorf("two readers of the feed:\n%q\n%q\nwant the same order", readers[0].order, readers[1].order)
	}
	place := map[string]int{}
	for i, c := range readers[0].order {
		if before, twice := place[c]; twice {
			t.Errorf("change %s is at %d and at %d in the feed, want it once", c, before, i)
		}
		place[c] = i
	}
	last := map[string]int{}
	for _, c := range want { // of one appointment in the order in which it happened
		at, seen := place[c]
		_, id, _ := strings.Cut(c, " ")
		if !seen || at < last[id] {
			t.Errorf("change %s at %d (seen: %t), want it after the change at %d", c, at, seen, last[id])
		}
		last[id] = at
	}
}

// Ids are assigned when a row is written, not when it is committed, so a client that reads by id
// misses changes. Positions in the feed are assigned after the commit.
func TestChangesInOrderOfIDsWouldBeMissed(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	slow, err := f.db.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback() }()
	const insert = `INSERT INTO changes (at, type, object, object_id) VALUES ('2027-03-01', 'room.updated', 'room', ?)`
	if _, err := slow.Exec(insert, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.DB.Exec(insert, 2); err != nil {
		t.Fatal(err)
	}
	feed := newFollower(t, f.Client)
	feed.follow()
	var lastID int64
	if err := f.db.DB.Get(&lastID, `SELECT MAX(id) FROM changes`); err != nil {
		t.Fatal(err)
	}
	if err := slow.Commit(); err != nil {
		t.Fatal(err)
	}
	var byID []int64
	if err := f.db.DB.Select(&byID, `SELECT object_id FROM changes WHERE id > ?`, lastID); err != nil || len(byID) != 0 {
		t.Fatalf("changes after id %d = %v (%v), want none: a client that reads by id must miss one, or this test shows nothing",
			lastID, byID, err)
	}
	feed.follow()
	if want := []string{"room.updated 2", "room.updated 1"}; !slices.Equal(feed.order, want) {
		t.Errorf("feed = %q, want %q", feed.order, want)
	}
}

// Which callers see which changes: by permission, by calendar, by creator.
func TestChangesReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, theirs := s.doctor(), s.doctor()
	own, _ := s.key("doctor", object{"doctor_id": mine})
	partner, _ := s.key("partner", object{"scopes": []string{"changes:read", "appointments:read", "appointments:write", "patients:write", "patients:read"}})
	blind, _ := s.key("partner", object{"scopes": []string{"changes:read"}})
	none, _ := s.key("partner", object{})
	none.Get("/changes").Want(t, 403, "forbidden")
	var guest api.Patient
	partner.Post("/patients", object{"first_name": "Pia", "last_name": "Partner"}).Want(t, 201, "").Decode(t, &guest)
	patient := s.patient()
	a := s.booked(patient, mine, "2027-03-02T09:00:00Z", 30)
	b := s.booked(patient, theirs, "2027-03-02T10:00:00Z", 30)
	var c api.Appointment
	partner.Post("/appointments", object{"patient_id": guest.ID, "doctor_id": theirs, "start_time": "2027-03-02T11:00:00Z", "duration_minutes": 30}).Want(t, 201, "").Decode(t, &c)
	s.Post(fmt.Sprintf("/appointments/%d/reschedule", a.ID), object{"doctor_id": theirs, "start_time": "2027-03-02T12:00:00Z"}).Want(t, 200, "")
	appointments := func(client *contracttest.Client) []string {
		feed := newFollower(t, client)
		feed.follow()
		var seen []string
		for _, line := range feed.order {
			if !strings.HasPrefix(line, "doctor.") {
				seen = append(seen, line)
			}
		}
		return seen
	}
	booked := func(what string, id int64) string { return "appointment." + what + " " + strconv.FormatInt(id, 10) }
	for name, tc := range map[string]struct {
		client *contracttest.Client
		want   []string
	}{
		"Doctor":  {own, []string{booked("booked", a.ID), booked("rescheduled", a.ID)}},
		"Partner": {partner, []string{booked("booked", c.ID)}},
		"Blind":   {blind, nil},
		"Admin": {s.admin, []string{
			fmt.Sprint("patient.created ", guest.ID), fmt.Sprint("patient.created ", patient),
			booked("booked", a.ID), booked("booked", b.ID), booked("booked", c.ID), booked("rescheduled", a.ID),
		}},
	} {
		if got := appointments(tc.client); !slices.Equal(got, tc.want) {
			t.Errorf("appointments in the feed of %s = %q, want %q", name, got, tc.want)
		}
	}
	// The appointment has left the doctor's calendar, so the doctor cannot see it any more.
	feed := newFollower(t, own)
	feed.follow("objects", "appointment")
	if len(feed.records["appointment"]) != 0 {
		t.Errorf("appointments in the feed = %v, want none", feed.records)
	}
	s.Get("/changes", "objects", "appointment,secret").Want(t, 422, "validation-failed")
	s.Get("/changes", "cursor", "AAAA").Want(t, 422, "validation-failed")
	// After a restore from a backup, the feed is shorter than the cursor.
	all := newFollower(t, s.admin)
	all.follow()
	s.db.DB.MustExec(`UPDATE change_head SET position = 1`)
	p := s.problem(s.Get("/changes", "cursor", all.cursor), 422, "validation-failed")
	if len(p.Errors) != 1 || p.Errors[0].Code != "expired" {
		t.Errorf("errors = %+v, want one with the code %q", p.Errors, "expired")
	}
}

// Old changes are pruned, except the last one of each record: a replay still returns every record.
func TestChangesArePruned(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient, doctor := f.patient(), f.doctor()
	a := f.booked(patient, doctor, "2027-03-02T09:00:00Z", 30)
	f.act(a.ID, "confirm").Want(t, 200, "")
	f.cancel(a.ID)
	// A change that took a record out of a calendar is kept: the calendar's doctor sees no later
	// one.
	left := f.booked(patient, f.doctor(), "2027-03-03T09:00:00Z", 30)
	f.Post(fmt.Sprintf("/appointments/%d/reschedule", left.ID), object{"doctor_id": doctor}).Want(t, 200, "")
	f.act(left.ID, "confirm").Want(t, 200, "")
	feed := newFollower(t, f.Client)
	feed.follow()
	st := f.db.Open(t, f.clock.now, nil)
	if n, err := st.PruneChanges(t.Context(), now); err != nil || n != 0 {
		t.Errorf("pruned %d changes that are not old enough (%v), want none", n, err)
	}
	if n, err := st.PruneChanges(t.Context(), now.Add(time.Hour)); err != nil || n != 3 {
		t.Errorf("pruned %d changes (%v), want 3", n, err)
	}
	again := newFollower(t, f.Client)
	again.follow()
	if diff := cmp.Diff(feed.records, again.records); diff != "" {
		t.Errorf("records after pruning (-followed +read again):\n%s", diff)
	}
	want := []string{
		fmt.Sprint("appointment.cancelled ", a.ID), fmt.Sprint("appointment.rescheduled ", left.ID), fmt.Sprint("appointment.confirmed ", left.ID),
	}
	for _, line := range again.order {
		if strings.HasPrefix(line, "appointment.") != slices.Contains(want, line) {
			t.Errorf("appointment change %s in a feed of %q, want exactly %q", line, again.order, want)
		}
	}
	feed.follow()
	if len(feed.order) != len(again.order)+3 {
		t.Errorf("client that followed before the pruning has %d changes, want the %d that are left and the 3 pruned: %q",
			len(feed.order), len(again.order), feed.order)
	}
}
