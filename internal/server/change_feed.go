package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// changeFeed reads the change feed once for all streams of this process.
type changeFeed struct {
	store *store.Store

	mu      sync.Mutex
	readers int
	running bool
	end     int64 // where recent ends
	recent  []clinic.FeedChange
	woken   chan struct{} // closed when end advances
	// replaced is store.Replacements of the data that end is of.
	replaced int64
}

const (
	// keepRecent is how many changes are cached for streams; streams that are further behind
	// read the database.
	keepRecent = 2000
	// lookInterval is how often the database is polled for changes of other processes. This
	// process's own commits signal at once.
	lookInterval = 100 * time.Millisecond
	// lookLimit bounds one poll.
	lookLimit = 5 * time.Second
)

func newChangeFeed(st *store.Store) *changeFeed {
	return &changeFeed{store: st, woken: make(chan struct{})}
}

// errFeedReplaced ends a stream whose position is of data that are gone.
var errFeedReplaced = errors.New("server: the database was reset or restored")

// join adds a reader and returns the end of the feed, and what since is to be told of
// the data that it is of.
func (f *changeFeed) join(ctx context.Context) (end, data int64, err error) {
	data = f.store.Replacements()
	end, err = f.store.LastChange(ctx)
	if err != nil {
		return 0, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers++
	if !f.running {
		f.running, f.end, f.recent, f.replaced = true, end, nil, data
		go f.follow() //nolint:contextcheck // it serves every reader
	}
	return end, data, nil
}

// leave removes a reader; the last one stops follow.
func (f *changeFeed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
}

// follow polls for new changes until there are no readers.
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
		end, data := f.end, f.replaced
		f.mu.Unlock()
		changed := f.store.Changed()
		if f.store.Replacements() != data {
			f.restart()
		} else if f.look(end) {
			continue
		}
		tick.Reset(lookInterval)
		select {
		case <-changed:
		case <-tick.C:
		}
	}
}

// restart begins at the end of the feed that is there after a reset or a restore, and
// wakes the streams of the former one, which end.
func (f *changeFeed) restart() {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	data := f.store.Replacements()
	end, err := f.store.LastChange(ctx)
	if err != nil {
		return // the next poll retries
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end, f.recent, f.replaced = end, nil, data
	f.wake()
}

// wake tells the streams that there is something new. f.mu is held.
func (f *changeFeed) wake() {
	close(f.woken)
	f.woken = make(chan struct{})
}

// look polls once and reports whether there is more.
func (f *changeFeed) look(end int64) (more bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit) // the server's own access, to everything
	defer cancel()
	page, err := f.store.ListChanges(ctx, store.ChangesQuery{After: end, Limit: maxSent})
	if err != nil || page.Next == end {
		return false // the next poll retries
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, page.Items...)
	if extra := len(f.recent) - keepRecent; extra > 0 {
		f.recent = slices.Clone(f.recent[extra:])
	}
	f.end = page.Next
	f.wake()
	return page.More
}

// maxSent bounds the changes that are read, and sent to a stream, at once.
const maxSent = 200

// since returns the changes after a position that are within reach, the position after
// which to continue, and a channel to wait on before the next call, nil if there is more
// already. data is what join returned. Errors: errFeedReplaced.
func (f *changeFeed) since(
	ctx context.Context, after, data int64, told []clinic.Kind, reach clinic.Reach,
) ([]clinic.FeedChange, int64, <-chan struct{}, error) {
	f.mu.Lock()
	if f.store.Replacements() != data {
		f.mu.Unlock()
		return nil, after, nil, errFeedReplaced
	}
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
