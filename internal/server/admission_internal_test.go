package server

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mems/gen/api"
	"mems/internal/contract"
)

// Turns at several doctors are taken all or none, and a doctor for whom nothing is
// written is forgotten.
func TestTurnsNeverLeak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := &turns{bound: 40, wait: 2 * time.Second, doctors: map[int64]*turn{}}
		var mu sync.Mutex
		of := map[int64]int{}
		random := rand.New(rand.NewPCG(7, 7))
		served := 0
		for range 3000 {
			doctors := []int64{random.Int64N(5), random.Int64N(5), 100 + random.Int64N(1000)}[:1+random.IntN(3)]
			patience := time.Duration(random.Int64N(int64(3 * time.Second)))
			work := time.Duration(random.Int64N(int64(20 * time.Millisecond)))
			now, away := random.IntN(5) == 0, max(0, time.Duration(random.Int64N(int64(40*time.Millisecond)))-20*time.Millisecond)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var taken *takenTurns
				var err error
				if now {
					var ok bool
					if taken, ok = turns.try(anonymous, doctors); !ok {
						return
					}
				} else if taken, err = turns.take(ctx, anonymous, doctors); err != nil {
					return
				}
				count := func(by int) {
					mu.Lock()
					defer mu.Unlock()
					for _, d := range slices.Compact(slices.Sorted(slices.Values(doctors))) {
						if of[d] += by; of[d] > doctorAtOnce {
							t.Errorf("%d write for doctor %d", of[d], d)
						}
					}
				}
				count(1)
				time.Sleep(work)
				count(-1)
				if away > 0 {
					taken.leave()
					time.Sleep(away)
				}
				taken.release()
				mu.Lock()
				served++
				mu.Unlock()
			}()
			time.Sleep(time.Duration(random.Int64N(int64(4 * time.Millisecond))))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if turns.taken != 0 || len(turns.doctors) != 0 {
			t.Errorf("%d turns and %d doctors are left", turns.taken, len(turns.doctors))
		}
		if served < 1000 {
			t.Errorf("%d served", served)
		}
	})
}

// Places are fewer than connections, so that what is no request finds one.
func TestPlacesLeaveConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ atOnce, connections, reads, writes int }{
		{32, 32, 14, 14}, {32, 100, 16, 16}, {64, 36, 16, 16}, {32, 8, 2, 2}, {32, 3, 1, 1}, {32, 1, 1, 1}, {1, 32, 1, 1}, {5, 32, 3, 2},
	} {
		a := newAdmission(c.atOnce, c.connections, 10*time.Second, LineObserver{})
		if a.reads.places != c.reads || a.writes.places != c.writes || a.reads.wait != time.Second || a.doctors.wait != 2*time.Second {
			t.Errorf("%d at once, %d connections: %d reads, %d writes", c.atOnce, c.connections, a.reads.places, a.writes.places)
		}
	}
}

// Every operation that changes something either takes turns at doctors or is known
// to write no doctor's row that could be told before.
func TestEveryWriteHasItsTurnOrNone(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operations, err := contract.OperationsOf(doc, 1000)
	if err != nil {
		t.Fatal(err)
	}
	none := []string{
		// No calendar of a doctor.
		"createPatient", "updatePatient", "deletePatient", "createDoctor", "createRoom", "updateRoom", "deleteRoom",
		"createAppointmentType", "updateAppointmentType", "deleteAppointmentType",
		"createApiKey", "revokeApiKey", "createWebhook", "updateWebhook", "deleteWebhook", "rotateWebhookSecret", "testWebhook",
		"redeliverWebhook", "createCalendarFeed", "revokeCalendarFeed",
		"createPlan", // which locks nothing
		// Those of many.
		"createClosure", "deleteClosure", "mergePatients", "erasePatient",
	}
	for id, op := range operations {
		takes := op.Calendar != contract.Calendar{}
		if op.Method == http.MethodGet {
			if takes {
				t.Errorf("%s only reads", id)
			}
			continue
		}
		if takes == slices.Contains(none, id) {
			t.Errorf("%s %s: say of %s in x-calendar whose calendar it writes, or here that it is nobody's", op.Method, op.Path, id)
		}
	}
}
