package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"mems/internal/clinic"
)

// Several processes send, each message once; one that dies while it sends does not
// take the message with it.
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
			t.Errorf("%s came twice", id)
		}
		seen[id] = true
	}
	select {
	case m := <-r.got:
		t.Errorf("one too many: %s", m.body)
	default:
	}
	f.room("The last one")
	for { // claimed by one that does not go on
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

// A receiver that is slow has at most eight messages at a time; when it answers again,
// what waits follows by itself, without waiting for the next look.
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

func (f *fixture) pending(w clinic.Webhook) []clinic.Delivery {
	f.t.Helper()
	if _, err := f.st.AssignPositions(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	p, err := f.st.ListDeliveries(f.t.Context(), w.ID, clinic.DeliveryPending, 0, 10)
	if err != nil {
		f.t.Fatal(err)
	}
	return p.Items
}
