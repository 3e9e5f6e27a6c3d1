package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// The first change wakes readers at once; changes during the pause after it wake them together at
// its end, and none is lost.
func TestSignalPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := signal{pause: 75 * time.Millisecond}
		began := time.Now()
		woken := func(want time.Duration, channel <-chan struct{}) {
			t.Helper()
			<-channel
			if at := time.Since(began); at != want {
				t.Errorf("woken at %s, want %s", at, want)
			}
		}
		wait := g.next()
		g.give()
		woken(0, wait)
		for range 3 {
			time.Sleep(20 * time.Millisecond)
			wait = g.next()
			g.give()
		}
		woken(75*time.Millisecond, wait)
		wait = g.next()
		synctest.Wait()
		time.Sleep(time.Second)
		select {
		case <-wait:
			t.Error("a waiting reader was woken without a change, want it to wait")
		default:
		}
		g.give()
		woken(1075*time.Millisecond, wait)
		g.give() // a waiter that begins before the pause ends is woken, too
		wait = g.next()
		woken(1150*time.Millisecond, wait)
		time.Sleep(time.Second)
	})
}
