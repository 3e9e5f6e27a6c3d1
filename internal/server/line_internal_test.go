package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newTestLine makes a line of four places for sixty-four who wait up to a second.
func newTestLine() *line { return newLine("test", 4, 64, time.Second, LineObserver{}) }

// fill takes all free places that callers of their own can have.
func fill(t *testing.T, l *line) (places []*place) {
	t.Helper()
	for i := range l.places {
		p, err := l.enter(t.Context(), fmt.Sprint("filler ", i))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	return places
}

// empty gives places back and reports an error unless then nobody is in the line and
// nobody is remembered.
func empty(t *testing.T, l *line, places ...*place) {
	t.Helper()
	for _, p := range places {
		p.release()
	}
	if l.atWork != 0 || l.away != 0 || l.waiting.Len() != 0 || len(l.callers) != 0 || l.overloaded {
		t.Errorf("left: %d at work, %d away, %d waiting, callers %v, overloaded %t", l.atWork, l.away, l.waiting.Len(), l.callers, l.overloaded)
	}
}

func shedFor(err error) string {
	if shed, ok := errors.AsType[*shedError](err); ok {
		return shed.reason
	}
	return fmt.Sprint(err)
}

func TestLineIsFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLine()
		places := fill(t, l)
		var mu sync.Mutex
		var order []int
		for i := range 20 {
			go func() {
				p, err := l.enter(t.Context(), fmt.Sprint("caller ", i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				p.release()
			}()
			synctest.Wait()
		}
		places[0].release() // one place, which goes from hand to hand
		time.Sleep(time.Second / 2)
		synctest.Wait()
		if !slices.IsSorted(order) || len(order) != 20 {
			t.Errorf("served in the order %v", order)
		}
		for _, p := range places {
			p.release()
			p.release() // again does nothing
		}
		empty(t, l)
	})
}

func TestLineEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLine()
		places := fill(t, l)
		for _, c := range []struct {
			own, want time.Duration
		}{{time.Minute, time.Second}, {300 * time.Millisecond, 300 * time.Millisecond}} {
			ctx, cancel := context.WithTimeout(t.Context(), c.own)
			start := time.Now()
			if _, err := l.enter(ctx, "late"); shedFor(err) != ShedDeadline {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != c.want {
				t.Errorf("after %s, not %s", took, c.want)
			}
			cancel()
		}
		empty(t, l, places...)
	})
}

func TestCancelledRequestLeavesTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLine()
		places := fill(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := l.enter(ctx, "gone")
			gone <- err
		}()
		synctest.Wait()
		next := make(chan func(), 1)
		go func() {
			p, err := l.enter(t.Context(), "next")
			if err != nil {
				t.Error(err)
			}
			next <- p.release
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		places[0].release()
		(<-next)() // at once: nobody holds the place of who is gone
		empty(t, l, places...)
	})
}

func TestLineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLine()
		places := fill(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range l.bound {
			go func() { _, _ = l.enter(ctx, fmt.Sprint("caller ", i)) }()
		}
		synctest.Wait()
		start := time.Now()
		if _, err := l.enter(ctx, "one too many"); shedFor(err) != ShedFull || time.Since(start) != 0 {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
		cancel()
		synctest.Wait()
		empty(t, l, places...)
	})
}

// A caller that sends everything at once has its share; another one goes past what
// waits for it.
func TestOneCallerHasAThird(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 12, 192, time.Second, LineObserver{})
		ctx, cancel := context.WithCancel(t.Context())
		full, admitted := 0, 0
		var mu sync.Mutex
		for range 200 {
			go func() {
				_, err := l.enter(ctx, "greedy")
				mu.Lock()
				defer mu.Unlock()
				if shedFor(err) == ShedFull {
					full++
				} else if err == nil {
					admitted++
				}
			}()
		}
		synctest.Wait()
		if admitted != 4 || full != 200-4-64 {
			t.Errorf("%d at work, %d refused", admitted, full)
		}
		var others []*place
		for i := range 8 {
			p, ok := l.try(fmt.Sprint("other ", i))
			if !ok {
				t.Fatal("another caller waits behind the greedy one")
			}
			others = append(others, p)
		}
		waited := make(chan error, 1)
		go func() {
			_, err := l.enter(ctx, "last")
			waited <- err
		}()
		synctest.Wait()
		if l.waiting.Len() != 65 {
			t.Errorf("%d wait", l.waiting.Len())
		}
		others[4].release()
		if err := <-waited; err != nil {
			t.Errorf("a place went to another than who could have it: %v", err)
		}
		for range 20 { // one machine's own open API is no such caller
			if _, ok := newTestLine().try(anonymous); !ok {
				t.Error("an anonymous caller was held to a share")
			}
		}
		cancel()
	})
}

// A request that would wait too long is rejected at once, with the length of the wait.
func TestHopelessWaitIsRejectedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 4, 1000, time.Second, LineObserver{})
		work := func(ctx context.Context) error {
			p, err := l.enter(ctx, anonymous)
			if err == nil {
				time.Sleep(110 * time.Millisecond)
				p.release()
			}
			return err
		}
		for range 10 { // it learns that a place is held for 110 ms
			if err := work(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		refused, served := 0, 0
		for range 100 {
			go func() {
				start := time.Now()
				err := work(t.Context())
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					served++
				case shedFor(err) != ShedEstimate || time.Since(start) != 0:
					t.Errorf("%v after %s", err, time.Since(start))
				default:
					refused++
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if served != 40 || served+refused != 100 { // 4 at work and 36, of whom the last wait 990 ms
			t.Errorf("%d served, %d refused", served, refused)
		}
		empty(t, l)
		for seconds, wait := range map[string]time.Duration{"1": 0, "2": 1100 * time.Millisecond, "30": time.Hour} {
			if got := (&shedError{wait: wait}).problem().Header.Get("Retry-After"); got != seconds {
				t.Errorf("Retry-After %s for %s", got, wait)
			}
		}
	})
}

// At three times what can be served, what is admitted waits a quarter of the
// deadline and not all of it, and as much is served as can be.
func TestOverloadKeepsTheLineShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 4, 1000, time.Second, LineObserver{})
		const held = 20 * time.Millisecond // 200 a second
		var mu sync.Mutex
		var waits []time.Duration
		for range 10 * 600 {
			go func() {
				start := time.Now()
				p, err := l.enter(t.Context(), anonymous)
				if err != nil {
					return
				}
				mu.Lock()
				waits = append(waits, time.Since(start))
				mu.Unlock()
				time.Sleep(held)
				p.release()
			}()
			time.Sleep(time.Second / 600)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(waits) < 1950 {
			t.Errorf("%d served in ten seconds, which have time for 2000", len(waits))
		}
		late := waits[len(waits)*2/5:] // after the line was long for the first time
		if longest := slices.Max(late); longest > 300*time.Millisecond {
			t.Errorf("an admitted request has waited %s", longest)
		}
		empty(t, l)
	})
}

// Closed-loop clients keep a line for ever, and all of them are served.
func TestSteadyLineIsNoOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 14, 224, time.Second, LineObserver{})
		end := time.Now().Add(5 * time.Second)
		for client := range 64 {
			go func() {
				random := rand.New(rand.NewPCG(1, uint64(client)))
				for time.Now().Before(end) {
					p, err := l.enter(t.Context(), anonymous)
					if err != nil {
						t.Errorf("refused: %v", err)
						return
					}
					time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(150*time.Millisecond))))
					p.release()
				}
			}()
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		empty(t, l)
	})
}

// When the database stands still for a moment, some are refused; when it goes on,
// all are served again.
func TestPauseIsNoOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine("test", 14, 224, time.Second, LineObserver{})
		start := time.Now()
		refused := map[time.Duration]int{} // by second
		var mu sync.Mutex
		for range 200 {
			go func() {
				for time.Since(start) < 8*time.Second {
					p, err := l.enter(t.Context(), anonymous)
					if err != nil {
						mu.Lock()
						refused[time.Since(start)/time.Second]++
						mu.Unlock()
						time.Sleep(100 * time.Millisecond)
						continue
					}
					pause := 3*time.Second - time.Since(start) // all that is under way ends when the pause does
					time.Sleep(20 * time.Millisecond)
					if 0 < pause && pause < 1500*time.Millisecond {
						time.Sleep(pause)
					}
					p.release()
				}
			}()
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if refused[2] == 0 || refused[5]+refused[6]+refused[7] > 0 {
			t.Errorf("refused %v", refused)
		}
		empty(t, l)
	})
}

// Requests that come in any order, leave a place and come back at once: in the end nothing is
// left; and never more than there are places are admitted, nor of one caller more than its
// share.
func TestLineNeverLeaks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			l := newLine("test", 5, 20, time.Second, LineObserver{})
			var mu sync.Mutex
			atWork, of := 0, map[string]int{}
			random := rand.New(rand.NewPCG(7, seed))
			for range 2000 {
				caller := fmt.Sprint(random.IntN(6))
				if caller == "0" {
					caller = anonymous
				}
				patience, work := time.Duration(random.Int64N(int64(2*time.Second))), time.Duration(random.Int64N(int64(30*time.Millisecond)))
				cancelled, leaves, resumes := random.IntN(4) == 0, random.IntN(3) == 0, random.IntN(2) == 0
				go func() {
					ctx, cancel := context.WithCancel(t.Context())
					if !cancelled {
						ctx, cancel = context.WithTimeout(t.Context(), patience)
					} else {
						time.AfterFunc(patience/20, cancel)
					}
					defer cancel()
					p, err := l.enter(ctx, caller)
					if err != nil {
						return
					}
					mu.Lock()
					atWork++
					of[caller]++
					if atWork > 5 || caller != anonymous && of[caller] > 1 {
						t.Errorf("%d at work, of them %v", atWork, of)
					}
					mu.Unlock()
					time.Sleep(work)
					mu.Lock()
					atWork--
					of[caller]--
					mu.Unlock()
					if leaves {
						p.leave()
						time.Sleep(work)
					}
					p.release()
					if leaves && resumes {
						p = l.admitAnyway(caller)
						time.Sleep(work / 4)
						p.release()
					}
				}()
				time.Sleep(time.Duration(random.Int64N(int64(6 * time.Millisecond))))
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			empty(t, l)
		})
	}
}
