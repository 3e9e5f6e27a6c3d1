package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// told is a change as clients get it.
type told struct {
	Cursor   string `json:"cursor"`
	Type     string `json:"type"`
	Object   string `json:"object"`
	ObjectID int64  `json:"object_id"`
	Deleted  bool   `json:"deleted"`
}

// feed is one server's feed, and the records of a client that applies each change in turn.
type feed struct {
	server       int
	changes      []told
	appointments map[int64]appointment
	tickets      map[int64]ticket
	entries      map[int64]string // status
	others       map[string]map[int64]bool
}

// readFeeds waits until every change has its position, and reads the feed from the
// beginning on every server.
func (f *field) readFeeds(ctx context.Context) ([]feed, error) {
	err := f.await(ctx, 30*time.Second, `SELECT COUNT(*) FROM changes WHERE position IS NULL`, "")
	if err != nil {
		return nil, err
	}
	feeds := make([]feed, len(f.servers))
	errs := make([]error, len(f.servers))
	var reading sync.WaitGroup
	for i, s := range f.servers {
		reading.Go(func() { feeds[i], errs[i] = f.readFeed(ctx, i, s.address) })
	}
	reading.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	f.catchUp(ctx, feeds[0])
	return feeds, nil
}

func (f *field) readFeed(ctx context.Context, server int, address string) (feed, error) {
	all := feed{
		server: server, appointments: map[int64]appointment{}, tickets: map[int64]ticket{}, entries: map[int64]string{},
		others: map[string]map[int64]bool{},
	}
	for cursor := ""; ; {
		path := "/changes?limit=200&include=record"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		response, err := f.get(ctx, address, path)
		if err != nil {
			return all, err
		}
		var page struct {
			Items []struct {
				told
				Appointment *appointment               `json:"appointment"`
				Ticket      *ticket                    `json:"ticket"`
				Entry       *struct{ Status string }   `json:"waitlist_entry"`
				Rest        map[string]json.RawMessage `json:"-"`
			} `json:"items"`
			Next string `json:"next_cursor"`
			More bool   `json:"more"`
		}
		err = json.NewDecoder(response.Body).Decode(&page)
		_ = response.Body.Close()
		if err != nil {
			return all, err
		}
		for _, item := range page.Items {
			all.changes = append(all.changes, item.told)
			switch {
			case item.Appointment != nil:
				all.appointments[item.ObjectID] = *item.Appointment
			case item.Ticket != nil:
				all.tickets[item.ObjectID] = *item.Ticket
			case item.Entry != nil:
				all.entries[item.ObjectID] = item.Entry.Status
			case item.Deleted:
				delete(all.others[item.Object], item.ObjectID)
			default:
				if all.others[item.Object] == nil {
					all.others[item.Object] = map[int64]bool{}
				}
				all.others[item.Object][item.ObjectID] = true
			}
		}
		if cursor = page.Next; !page.More {
			return all, nil
		}
	}
}

// feedComplete compares the feed of every server with the tables.
func feedComplete(t *tables, feeds []feed) check {
	c := check{name: "feed: no gaps, replayed equals the tables"}
	if t.unplaced > 0 {
		c.fault("%d changes have no position", t.unplaced)
	}
	for i, row := range t.changes {
		if row.position != int64(i+1) {
			c.fault("the %d. change has position %d", i+1, row.position)
			break
		}
	}
	for _, f := range feeds {
		c.examined += len(f.changes)
		if len(f.changes) != len(t.changes) {
			c.fault("server %d shows %d changes, the table has %d", f.server, len(f.changes), len(t.changes))
			continue
		}
		for i, shown := range f.changes {
			if row := t.changes[i]; shown.Type != row.kind || shown.Object != row.object || shown.ObjectID != row.id {
				c.fault("server %d shows %+v at position %d, the table has %+v", f.server, shown, i+1, row)
				break
			}
		}
		f.replayed(&c, t)
	}
	return c
}

// replayed compares the records of a client that applied every change with the tables.
func (f *feed) replayed(c *check, t *tables) {
	if len(f.appointments) != len(t.appointments) || len(f.tickets) != len(t.tickets) || len(f.entries) != len(t.entries) {
		c.fault("server %d: replayed, there are %d appointments, %d tickets, %d entries of the waitlist; the tables have %d, %d, %d",
			f.server, len(f.appointments), len(f.tickets), len(f.entries), len(t.appointments), len(t.tickets), len(t.entries))
	}
	for id, a := range f.appointments {
		row := t.appointments[id].appointment
		same := row.Start.Equal(a.Start) && row.End.Equal(a.End)
		row.Start, row.End = a.Start, a.End
		if !same || row != a {
			c.fault("server %d: replayed, appointment %d is %+v; the table has %+v", f.server, id, a, t.appointments[id])
		}
	}
	for id, k := range f.tickets {
		if t.tickets[id].ticket != k {
			c.fault("server %d: replayed, ticket %d is %+v; the table has %+v", f.server, id, k, t.tickets[id])
		}
	}
	for id, status := range f.entries {
		if t.entries[id].status != status {
			c.fault("server %d: replayed, entry %d of the waitlist is %s; the table has %s", f.server, id, status, t.entries[id].status)
		}
	}
	for id := range t.timeOff {
		if !f.others["time_off"][id] {
			c.fault("server %d: time off %d is not in the feed", f.server, id)
		}
	}
	for id := range f.others["time_off"] {
		if !t.timeOff[id] {
			c.fault("server %d: replayed, there is time off %d, which is gone", f.server, id)
		}
	}
	for id := range t.patients {
		if !f.others["patient"][id] {
			c.fault("server %d: patient %d is not in the feed", f.server, id)
		}
	}
	for id := range t.holds {
		if !f.others["hold"][id] {
			c.fault("server %d: hold %d is not in the feed", f.server, id)
		}
	}
}

// follower reads the stream of one server, and reconnects when it is closed.
type follower struct {
	server int

	mu      sync.Mutex
	begin   string // the cursor of the first hello
	last    string
	changes []told
	breaks  int
}

// follow starts a follower for each server.
func (f *field) follow(ctx context.Context) {
	ctx, f.unfollow = context.WithCancel(ctx)
	for i, s := range f.servers {
		one := &follower{server: i}
		f.followers = append(f.followers, one)
		f.following.Go(func() {
			for ctx.Err() == nil {
				one.read(ctx, s.address)
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

func (l *follower) read(ctx context.Context, address string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/stream", nil)
	if err != nil {
		return
	}
	l.mu.Lock()
	if l.last != "" {
		r.Header.Set("Last-Event-ID", l.last)
	}
	l.breaks++
	l.mu.Unlock()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return // down; it is opened again
	}
	defer func() { _ = response.Body.Close() }()
	var kind, id string
	var data string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			kind = value
		case name == "id":
			id = value
		case name == "data":
			data = value
		case lines.Text() == "" && id != "":
			l.take(kind, id, data)
			kind, id, data = "", "", ""
		}
	}
}

// take stores an event.
func (l *follower) take(kind, id, data string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begin == "" {
		l.begin = id
	}
	l.last = id
	if kind != "change" {
		return
	}
	var t told
	_ = json.Unmarshal([]byte(data), &t) // an invalid one is missing in the check
	l.changes = append(l.changes, t)
}

// catchUp waits until every follower has the last change.
func (f *field) catchUp(ctx context.Context, all feed) {
	if len(all.changes) == 0 {
		return
	}
	end := all.changes[len(all.changes)-1].Cursor
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if !slices.ContainsFunc(f.followers, func(l *follower) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.last != end
		}) {
			return
		}
	}
}

// followed compares each follower's changes with the feed: all since its start, each once,
// in order.
func followed(feeds []feed, followers []*follower) check {
	c := check{name: "streams: nothing left out or twice"}
	if len(feeds) == 0 {
		return c
	}
	all := feeds[0].changes
	for _, l := range followers {
		l.mu.Lock()
		got, begin := l.changes, l.begin
		l.mu.Unlock()
		c.examined += len(got)
		first := 1 + slices.IndexFunc(all, func(t told) bool { return t.Cursor == begin }) // 0: before all
		want := all[first:]
		if len(got) != len(want) {
			c.fault("the stream of server %d brought %d changes of %d", l.server, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				c.fault("the stream of server %d brought %+v as its %d. change, the feed has %+v", l.server, got[i], i+1, want[i])
				break
			}
		}
	}
	return c
}

// waitForMessages waits until all messages were delivered, and returns them. It makes
// waiting retries due, because their pauses grow to hours, and messages that a server whose
// clock was ahead has created or claimed: the servers' clocks stand still.
func (f *field) waitForMessages(ctx context.Context) ([]message, []string, error) {
	now := "TIMESTAMP'" + f.frozen.Format("2006-01-02 15:04:05.000000") + "'"
	err := f.await(ctx, 90*time.Second, `SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'`, `
		UPDATE webhook_deliveries SET next_at = LEAST(created_at, `+now+`)
		WHERE status = 'pending' AND next_at > LEAST(created_at, `+now+`)
		  AND (COALESCE(last_at, created_at) < UTC_TIMESTAMP(6) - INTERVAL 3 SECOND OR COALESCE(last_at, created_at) > `+now+`)`)
	messages, wrong := f.receiver.snapshot()
	return messages, wrong, err
}

// await waits until a query's count is 0, as long as it decreases within limit; meanwhile
// executes a statement, unless it is empty. What is missing then is for the checks to
// report.
func (f *field) await(ctx context.Context, limit time.Duration, count, meanwhile string) error {
	db, err := f.ground.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	least, end := -1, time.Now().Add(limit)
	for time.Now().Before(end) && ctx.Err() == nil {
		var open int
		if err := db.QueryRowContext(ctx, count).Scan(&open); err != nil || open == 0 {
			return err
		}
		if least < 0 || open < least {
			least, end = open, time.Now().Add(limit)
		}
		if meanwhile != "" {
			if _, err := db.ExecContext(ctx, meanwhile); err != nil {
				return err
			}
		}
		pause(ctx, 300*time.Millisecond)
	}
	return ctx.Err()
}

// hooksComplete finds changes whose message did not arrive, and messages that overtook an
// undelivered earlier one about the same record.
func hooksComplete(feeds []feed, messages []message, faults []string) check {
	c := check{name: "webhooks: at least once, in order", examined: len(messages), faults: faults}
	if len(feeds) == 0 {
		return c
	}
	type record struct {
		object string
		id     int64
	}
	due := map[record][]string{} // cursors in order
	for _, t := range feeds[0].changes {
		if slices.Contains(hookedTypes, t.Object+".*") || slices.Contains(hookedTypes, t.Type) {
			r := record{t.Object, t.ObjectID}
			due[r] = append(due[r], t.Cursor)
		}
	}
	ids, taken, next := map[string]string{}, map[string]bool{}, map[record]int{}
	for _, m := range messages {
		r := record{m.object, m.objectID}
		if known, again := ids[m.id]; again && known != m.cursor {
			c.fault("message %s came with %s and with %s", m.id, known, m.cursor)
		}
		ids[m.id] = m.cursor
		if taken[m.cursor] {
			continue // again
		}
		if n := next[r]; n >= len(due[r]) || due[r][n] != m.cursor {
			c.fault("message %s (%s of %s %d) came before an earlier one was taken, or tells of no change", m.id, m.kind, m.object, m.objectID)
			continue
		}
		if m.taken {
			taken[m.cursor] = true
			next[r]++
		}
	}
	for r, cursors := range due {
		if n := next[r]; n < len(cursors) {
			c.fault("of %s %d, %d of %d messages were taken", r.object, r.id, n, len(cursors))
		}
	}
	return c
}

// audited finds changes without an entry in the audit trail.
func (w *world) audited() check {
	c := check{name: "an audit entry for each change"}
	type record struct {
		object string
		id     int64
	}
	entries, changes := map[record]int{}, map[record]int{}
	for _, e := range w.tables.trail {
		entries[record{e.object, e.id}]++
	}
	for _, ch := range w.tables.changes {
		changes[record{ch.object, ch.id}]++
	}
	offered := map[int64]bool{}
	for _, e := range w.tables.trail {
		offered[e.offer.HoldID] = true
	}
	for r, n := range changes {
		c.examined += n
		got := entries[r]
		switch r.object {
		case "appointment":
			for _, e := range w.tables.events[r.id] {
				if e.action == "merge" {
					got++ // covered by the patient's entry
				}
			}
			if got != n {
				c.fault("appointment %d has %d changes and %d entries", r.id, n, got)
			}
		case "hold":
			if got == 0 && !offered[r.id] {
				c.fault("hold %d has %d changes and no entry", r.id, n)
			}
		default:
			if got == 0 || got < n && w.merges == 0 {
				c.fault("%s %d has %d changes and %d entries", r.object, r.id, n, got)
			}
		}
	}
	for _, o := range w.ops {
		for _, t := range w.done[o.ID] {
			if !slices.ContainsFunc(w.effects[o.ID], func(e entry) bool {
				return e.object == "appointment" && e.id == t.appointment || t.after.action == "merge" && e.object == "patient" && e.id == t.after.patient
			}) {
				c.fault("op %d (%s) changed appointment %d without an entry", o.ID, o.Kind, t.appointment)
			}
		}
	}
	return c
}
