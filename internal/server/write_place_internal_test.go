package server

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mems/gen/api"
	"mems/internal/contract"
)

// newTestWrite waits for the turn at a doctor and a place.
func newTestWrite(ctx context.Context, t *testing.T, a *admission, caller string, doctor int64) *writePlace {
	t.Helper()
	w := &writePlace{admission: a, caller: caller, doctors: []int64{doctor}}
	if err := w.enter(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// Requests that wait for others of the process keep neither a doctor's turns nor places.
func TestWaitingWritesLeaveTheirTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(32, 64, 10*time.Second, LineObserver{})
		var waiting []*writePlace
		for range 50 {
			w := newTestWrite(t.Context(), t, a, "desk", 7)
			w.Leave()
			waiting = append(waiting, w)
		}
		leader := waiting[0]
		leader.Resume()
		if a.writes.atWork != 1 {
			t.Errorf("%d at work, want the leader", a.writes.atWork)
		}
		var turns []*writePlace
		for _, caller := range []string{"a", "b", "c"} {
			turns = append(turns, newTestWrite(t.Context(), t, a, caller, 7))
		}
		entered := make(chan error, 1)
		go func() { entered <- waiting[1].Enter(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-entered:
			t.Errorf("a request that had left its turn went on without one: %v", err)
		default:
		}
		turns[0].release()
		if err := <-entered; err != nil {
			t.Error(err)
		}
		if err := waiting[1].Enter(t.Context()); err != nil {
			t.Errorf("a second time: %v", err)
		}
		for _, w := range append(waiting, turns...) {
			w.release()
		}
		if a.doctors.taken != 0 || len(a.doctors.doctors) != 0 {
			t.Errorf("%d turns of %d doctors are left, want none", a.doctors.taken, len(a.doctors.doctors))
		}
		empty(t, a.writes)
	})
}

// A request that comes back is served before others that wait, and not turned away before its
// own deadline; then it holds nothing.
func TestComingBackWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(32, 64, 10*time.Second, LineObserver{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		w, late := newTestWrite(t.Context(), t, a, "desk", 7), newTestWrite(ctx, t, a, "portal", 7)
		w.Leave()
		late.Leave()
		var turns []*writePlace
		for _, caller := range []string{"a", "b", "c"} {
			turns = append(turns, newTestWrite(t.Context(), t, a, caller, 7))
		}
		err, _ := errors.AsType[*contract.Error](late.Enter(ctx))
		if err == nil || err.Slug != api.ProblemSlugUnavailable || err.Header.Get("Retry-After") == "" {
			t.Errorf("at the deadline of a request that came back: %v, want %s with Retry-After", err, api.ProblemSlugUnavailable)
		}
		var order []string
		other := &writePlace{admission: a, caller: "d", doctors: []int64{7}}
		go func() {
			if err := other.enter(t.Context()); err != nil {
				t.Error(err)
			}
			order = append(order, "other")
		}()
		synctest.Wait()
		go func() {
			if err := w.Enter(t.Context()); err != nil {
				t.Error(err)
			}
			order = append(order, "came back")
		}()
		synctest.Wait()
		for _, turn := range turns[:2] {
			turn.release()
			synctest.Wait()
		}
		if got, want := fmt.Sprint(order), "[came back other]"; got != want {
			t.Errorf("served %s, want %s", got, want)
		}
		for _, w := range append(turns, w, late, other) {
			w.release()
		}
		if a.doctors.taken != 0 {
			t.Errorf("%d turns are left", a.doctors.taken)
		}
		empty(t, a.writes)
	})
}
