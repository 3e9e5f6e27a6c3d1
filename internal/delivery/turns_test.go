package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// Several processes send each message once; if one dies while sending, the message is not
// lost.
func TestSenders(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	w, _ := f.hook(r.URL, "room.*")
	for range 3 {
		f.send(loopback)
	}
	const n = 40
	for i := range n {
		f.room(fmt.Sprint("Room ", i))
	}
	f.settled(w, clinic.DeliveryDelivered, n)
	seen := map[string]bool{}
	for range n {
		id := r.next(t).header.Get("webhook-id")
		if seen[id] {
			t.Errorf("message %s came twice, want once", id)
		}
		seen[id] = true
	}
	select {
	case m := <-r.got:
		t.Errorf("another message came after all %d: %s, want none", n, m.body)
	default:
	}
	f.room("The last one")
	for { // claimed by a process that does not continue
		claimed, err := f.st.ClaimDeliveries(t.Context(), 10, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(claimed) > 0 || len(f.pending(w)) == 0 {
			break
		}
	}
	f.passed.Add(int64(2 * time.Minute))
	r.next(t)
	f.settled(w, clinic.DeliveryDelivered, n+1)
}

// A slow receiver gets at most eight messages at a time; once it responds again, the
// waiting ones follow without waiting for the next poll.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	f, r := setup(t), newReceiver(t)
	arrived, release := make(chan struct{}, 200), make(chan struct{})
	r.answers(func(message) int {
		arrived <- struct{}{}
		<-release
		return 204
	})
	w, _ := f.hook(r.URL, "room.*")
	s := f.sender(f.st, loopback)
	s.LookRarely()
	f.run(s)
	const n = 60
	for i := range n {
		f.room(fmt.Sprint("Room ", i))
	}
	for range 8 {
		<-arrived
	}
	claimed := 0
	for _, d := range f.settled(w, clinic.DeliveryPending, n) {
		if d.Attempts > 0 {
			claimed++
		}
	}
	if claimed != 8 {
		t.Errorf("%d under way, want 8", claimed)
	}
	close(release)
	f.settled(w, clinic.DeliveryDelivered, n)
}

// Under a stream of changes, a process assigns positions to many of them in one turn, not
// in one turn each: every turn costs a flush.
func TestChangesShareTurns(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 3} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			t.Parallel()
			f, r := setup(t), newReceiver(t)
			f.hook(r.URL, "room.*")
			var stores []*store.Store
			for range processes {
				st := f.db.Open(t, f.now, time.UTC)
				s := f.sender(st, loopback)
				s.LookRarely()
				f.run(s)
				stores = append(stores, st)
			}
			create := func(i int) {
				room := clinic.Room{Name: fmt.Sprint("Room ", i), IsActive: true}
				if _, err := stores[i%processes].CreateRoom(t.Context(), store.SystemRequest(), room); err != nil {
					t.Fatal(err)
				}
			}
			create(0)
			r.next(t)
			const n = 60
			before, began := f.turns(), time.Now()
			for i := range n {
				create(i + 1)
			}
			took := time.Since(began)
			for range n {
				r.next(t)
			}
			// One immediately, one per pause, and one after the last change.
			most := processes * (2 + int(took/(75*time.Millisecond)))
			if turns := f.turns() - before; turns > most {
				t.Errorf("%d turns for %d changes in %s, want at most %d", turns, n, took, most)
			}
		})
	}
}

// turns returns the number of turns that assigned positions.
func (f *fixture) turns() (n int) {
	f.t.Helper()
	if err := f.db.DB.Get(&n, `SELECT turns FROM change_head`); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *fixture) pending(w clinic.Webhook) []clinic.Delivery {
	f.t.Helper()
	if _, err := f.st.AssignPositions(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	p, err := f.st.ListWebhookDeliveries(f.t.Context(), w.ID, clinic.DeliveryPending, 0, 10)
	if err != nil {
		f.t.Fatal(err)
	}
	return p.Items
}
