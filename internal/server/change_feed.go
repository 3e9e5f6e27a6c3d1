package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// changeFeed follows the change feed for all streams of this process: one reader of the
// database, however many streams there are.
type changeFeed struct {
	store *store.Store

	mu      sync.Mutex
	readers int
	running bool
	end     int64 // where recent ends
	recent  []clinic.FeedChange
	woken   chan struct{} // closed when end moves
}

const (
	// keepRecent is how many changes are kept for streams; those that are further
	// behind read the database.
	keepRecent = 2000
	// lookInterval is how often other processes' changes are looked for. What this
	// process commits is noticed at once.
	lookInterval = 100 * time.Millisecond
	// lookLimit bounds one look.
	lookLimit = 5 * time.Second
)

func newChangeFeed(st *store.Store) *changeFeed {
	return &changeFeed{store: st, woken: make(chan struct{})}
}

// join adds a reader and returns where the feed ends.
func (f *changeFeed) join(ctx context.Context) (int64, error) {
	end, err := f.store.LastChange(ctx)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers++
	if !f.running {
		f.running, f.end, f.recent = true, end, nil
		go f.follow() //nolint:contextcheck // it serves every reader, not this one
	}
	return end, nil
}

// leave takes a reader away; the last one ends the reading.
func (f *changeFeed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
}

// follow reads what is new until nobody wants it.
func (f *changeFeed) follow() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		f.mu.Lock()
		if f.readers == 0 {
			f.running = false
			f.mu.Unlock()
			return
		}
		end := f.end
		f.mu.Unlock()
		changed := f.store.Changed()
		if f.look(end) {
			continue
		}
		select {
		case <-changed:
		case <-tick.C:
		}
	}
}

// look reads once and reports whether there is more.
func (f *changeFeed) look(end int64) (more bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit) // the server's own, which sees everything
	defer cancel()
	page, err := f.store.ListChanges(ctx, store.ChangesQuery{After: end, Limit: maxSent})
	if err != nil || page.Next == end {
		return false // the next look may do better
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, page.Items...)
	if extra := len(f.recent) - keepRecent; extra > 0 {
		f.recent = slices.Clone(f.recent[extra:])
	}
	f.end = page.Next
	close(f.woken)
	f.woken = make(chan struct{})
	return page.More
}

// maxSent bounds what is read, and sent to a stream, in one go.
const maxSent = 200

// since returns changes after a position that are within reach, with the
// position to go on after, and with what to wait for before asking again, nil when
// there is no need to.
func (f *changeFeed) since(ctx context.Context, after int64, told []clinic.Kind, reach clinic.Reach) ([]clinic.FeedChange, int64, <-chan struct{}, error) {
	f.mu.Lock()
	behind := f.end - after
	if behind <= 0 {
		defer f.mu.Unlock()
		return nil, after, f.woken, nil
	}
	if n := int64(len(f.recent)); behind <= n {
		fresh := f.recent[n-behind:][:min(behind, maxSent)]
		f.mu.Unlock()
		var seen []clinic.FeedChange
		for i := range fresh {
			if slices.Contains(told, fresh[i].Object) && reach.Sees(&fresh[i]) {
				seen = append(seen, fresh[i])
			}
		}
		return seen, fresh[len(fresh)-1].Position, nil, nil
	}
	f.mu.Unlock()
	page, err := f.store.ListChanges(ctx, store.ChangesQuery{After: after, Limit: maxSent, Objects: clinic.KindNames(told)})
	return page.Items, page.Next, nil, err
}
