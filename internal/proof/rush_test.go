package main

import (
	"slices"
	"sync"
	"testing"
)

// Concurrent clients attempt the same time as often as a rush is long, then the next.
func TestRushIsForOneTime(t *testing.T) {
	var r rush
	var wanted int64 // times asked for; r.mu is held
	var mu sync.Mutex
	attempts := map[int64]int{}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 3 * rushed / 4 {
				in, body := r.next(func() (input, map[string]any) {
					wanted++
					return input{Doctor: wanted}, map[string]any{"doctor_id": wanted}
				})
				body["patient_id"] = in.Doctor // its own
				mu.Lock()
				attempts[in.Doctor]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if len(attempts) != 3 || attempts[1] != rushed || attempts[2] != rushed || attempts[3] != rushed {
		t.Errorf("attempts by time: %v, want 3 times %d", attempts, rushed)
	}
	if _, shared := r.body["patient_id"]; shared {
		t.Error("two attempts share a body, want one each")
	}
}

func TestShareOfRush(t *testing.T) {
	for _, percent := range []int{0, 20, 90, 100} {
		all := withRush(slices.Clone(weights), percent)
		rushes := 0
		for n := range 5000 {
			if planned(7, all, 3, n).kind == "rush" {
				rushes++
			}
		}
		if got := rushes / 50; got < percent-3 || got > percent+3 {
			t.Errorf("%d %% of the steps are in a rush, want %d", got, percent)
		}
	}
}
