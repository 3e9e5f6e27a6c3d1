package server

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"mems/gen/api"
	"mems/internal/contract"
)

// line bounds the requests that run at once. Requests beyond its places wait, first come,
// first served, up to a deadline. One caller gets at most a share of the places and of the
// line: its further requests wait for its own earlier ones, and other callers' requests
// overtake them.
//
// A request that would wait beyond its deadline, estimated from how long places have lately
// been held, is rejected on arrival.
type line struct {
	name        string
	places      int
	bound       int           // of requests that wait or are away
	wait        time.Duration // the deadline; a request's own may be earlier
	placesEach  int           // per caller
	waitingEach int
	observe     LineObserver

	mu      sync.Mutex
	atWork  int
	away    int       // have left their places for a while
	waiting list.List // of *waiter, in order of arrival
	callers map[string]*callerLoad
	held    holdTime
	// tooLong tracks how long requests have been rejected for their estimate. Once that is
	// as long as a request may wait, the line is overloaded: until it has been empty, it is
	// kept short, so that requests are admitted soon or not at all.
	tooLong    struct{ since, last time.Time }
	overloaded bool
}

// anonymous is the caller of requests without a share.
const anonymous = ""

// callerLoad counts a caller's requests in a line.
type callerLoad struct{ atWork, away, waiting int }

type waiter struct {
	caller   string
	admitted chan struct{} // closed when it has a place
	place    *place
}

// newLine returns a line of which one caller may have a third.
func newLine(name string, places, bound int, wait time.Duration, observe LineObserver) *line {
	return &line{
		name: name, places: places, bound: bound, wait: wait, observe: observe,
		placesEach: max(1, places/callersShare), waitingEach: max(1, bound/callersShare), callers: map[string]*callerLoad{},
	}
}

// shedError reports that a line rejected a request.
type shedError struct {
	line, reason string
	wait         time.Duration // estimated time until the line is short
}

// The reasons for rejecting a request.
const (
	ShedFull     = "full"     // the line is full
	ShedEstimate = "estimate" // the request would wait beyond its deadline
	ShedDeadline = "deadline" // the request waited until its deadline
)

// ShedReasons lists all reasons.
var ShedReasons = []string{ShedFull, ShedEstimate, ShedDeadline}

func (e *shedError) Error() string {
	return fmt.Sprintf("too many %s (%s)", e.line, e.reason)
}

// maxRetryAfter bounds Retry-After: an estimate is soon out of date.
const maxRetryAfter = 30 * time.Second

// problem returns the problem for a rejected request.
func (e *shedError) problem() *contract.Error {
	seconds := max(1, int(math.Ceil(min(e.wait, maxRetryAfter).Seconds())))
	return &contract.Error{Slug: api.ProblemSlugUnavailable, Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}, Cause: e}
}

// place is held by a request while it runs.
type place struct {
	line   *line
	caller string
	began  time.Time
	away   bool // it was left
	gone   bool
}

// release passes the place on to the next request. It may be called more than once.
func (p *place) release() {
	held := time.Since(p.began) //nolint:forbidigo // for a duration; no rule of the domain sees it
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.gone {
		return
	}
	p.gone = true
	if p.away {
		l.away--
		l.load(p.caller).away--
		l.forget(p.caller)
		return
	}
	l.held.add(held)
	l.atWork--
	l.load(p.caller).atWork--
	l.forget(p.caller)
	l.observe.working(l.name, -1)
	l.admitWaiting()
}

// leave passes the place on to the next request, while its own waits outside of the line. Until
// it is released, that one still counts among those that may be in the line, so that leaving
// is no way around its bounds.
func (p *place) leave() {
	held := time.Since(p.began) //nolint:forbidigo // as in release
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.gone || p.away {
		return
	}
	p.away = true
	l.held.add(held)
	l.atWork--
	l.away++
	l.load(p.caller).atWork--
	l.load(p.caller).away++
	l.observe.working(l.name, -1)
	l.admitWaiting()
}

// assign counts the place to another caller, unless that one has its share already.
func (p *place) assign(caller string) bool {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if caller == p.caller {
		return true
	}
	if !l.mayWork(caller) {
		return false
	}
	l.load(p.caller).atWork--
	l.forget(p.caller)
	l.load(caller).atWork++
	p.caller = caller
	l.admitWaiting() // another request of the previous caller may run now
	return true
}

// try admits a request if it need not wait.
func (l *line) try(caller string) (p *place, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok = l.admitNow(caller); ok {
		l.observe.admitted(l.name, 0)
	}
	return p, ok
}

// admitAnyway admits a request at once, even if no place is free: others wait for it.
func (l *line) admitAnyway(caller string) *place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin(caller)
}

// check returns the error with which a request arriving now would be rejected, for one that
// first has to wait for something else. Errors: *shedError.
func (l *line) check(ctx context.Context, caller string) error {
	patience := l.wait
	if until, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(until)) //nolint:forbidigo // as in release
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.atWork < l.places && l.mayWork(caller) {
		return nil
	}
	if err := l.shed(caller, patience); err != nil {
		l.observe.shed(l.name, err.reason)
		return err
	}
	return nil
}

// enter waits for a place, which the caller must release. Errors: *shedError,
// context.Canceled.
func (l *line) enter(ctx context.Context, caller string) (*place, error) {
	arrived := time.Now() //nolint:forbidigo // as in release
	until := arrived.Add(l.wait)
	if own, ok := ctx.Deadline(); ok && own.Before(until) {
		until = own
	}
	l.mu.Lock()
	if p, ok := l.admitNow(caller); ok {
		l.mu.Unlock()
		l.observe.admitted(l.name, 0)
		return p, nil
	}
	if err := l.shed(caller, until.Sub(arrived)); err != nil {
		l.mu.Unlock()
		l.observe.shed(l.name, err.reason)
		return nil, err
	}
	w := &waiter{caller: caller, admitted: make(chan struct{})}
	return l.await(ctx, w, l.waiting.PushBack(w), arrived, until.Sub(arrived))
}

// enterAgain is enter for a request that has been admitted before and left its place: it is
// the next, and not turned away before its own deadline.
func (l *line) enterAgain(ctx context.Context, caller string) (*place, error) {
	arrived := time.Now() //nolint:forbidigo // as in release
	l.mu.Lock()
	if p, ok := l.admitNow(caller); ok {
		l.mu.Unlock()
		return p, nil
	}
	w := &waiter{caller: caller, admitted: make(chan struct{})}
	return l.await(ctx, w, l.waiting.PushFront(w), arrived, math.MaxInt64)
}

// await waits for the admission of one that has been put into the line, which is locked, and
// unlocks it.
func (l *line) await(ctx context.Context, w *waiter, element *list.Element, arrived time.Time, patience time.Duration) (*place, error) {
	caller := w.caller
	l.load(caller).waiting++
	l.mu.Unlock()
	l.observe.waiting(l.name, 1)

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.admitted:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.observe.waiting(l.name, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place != nil { // perhaps at the same moment as the other case
		l.observe.admitted(l.name, time.Since(arrived)) //nolint:forbidigo // as in release
		return w.place, nil
	}
	l.waiting.Remove(element)
	l.load(caller).waiting--
	l.forget(caller)
	if l.waiting.Len() == 0 {
		l.overloaded = false
	}
	if errors.Is(ctx.Err(), context.Canceled) { // the client has gone; deadlines are our own
		return nil, ctx.Err()
	}
	l.observe.shed(l.name, ShedDeadline)
	_, estimate := l.estimate(caller)
	return nil, &shedError{l.name, ShedDeadline, estimate}
}

// admitNow takes a free place. If a place is free, all waiting requests are from callers
// that have their share, so none of them is overtaken unfairly.
func (l *line) admitNow(caller string) (p *place, ok bool) {
	if l.atWork >= l.places || !l.mayWork(caller) {
		return nil, false
	}
	return l.begin(caller), true
}

func (l *line) mayWork(caller string) bool {
	return caller == anonymous || l.callers[caller] == nil || l.callers[caller].atWork < l.placesEach
}

func (l *line) begin(caller string) *place {
	l.atWork++
	l.load(caller).atWork++
	l.observe.working(l.name, 1)
	return &place{line: l, caller: caller, began: time.Now()} //nolint:forbidigo // as in release
}

// admitWaiting gives free places to the first waiting requests whose callers are within
// their share.
func (l *line) admitWaiting() {
	for e := l.waiting.Front(); e != nil && l.atWork < l.places; {
		next := e.Next()
		if w, _ := e.Value.(*waiter); l.mayWork(w.caller) {
			l.waiting.Remove(e)
			l.load(w.caller).waiting--
			w.place = l.begin(w.caller)
			close(w.admitted)
		}
		e = next
	}
	if l.waiting.Len() == 0 {
		l.overloaded = false
	}
}

func (l *line) load(caller string) *callerLoad {
	c := l.callers[caller]
	if c == nil {
		c = &callerLoad{}
		l.callers[caller] = c
	}
	return c
}

// forget drops a caller without requests in the line.
func (l *line) forget(caller string) {
	if *l.callers[caller] == (callerLoad{}) {
		delete(l.callers, caller)
	}
}

// shed returns why a request must not wait, nil if it may.
func (l *line) shed(caller string, patience time.Duration) *shedError {
	all, own := l.estimate(caller)
	full := l.waiting.Len()+l.away >= l.bound
	if c := l.callers[caller]; caller != anonymous && c != nil && c.waiting+c.away >= l.waitingEach {
		full = true
	}
	if all > patience {
		now := time.Now() //nolint:forbidigo // as in release
		if now.Sub(l.tooLong.last) > l.wait/2 {
			l.tooLong.since = now // the previous period was a pause of the database
		}
		l.tooLong.last = now
		l.overloaded = l.overloaded || now.Sub(l.tooLong.since) > l.wait
	}
	if l.overloaded {
		patience = min(patience, l.wait/4)
	}
	switch {
	case full:
		return &shedError{l.name, ShedFull, own}
	case own > patience:
		return &shedError{l.name, ShedEstimate, own}
	}
	return nil
}

// estimate returns how long a request arriving now would wait: one of any caller below its
// share, and one of this caller. A request that waits for its own caller's places delays no
// other caller.
func (l *line) estimate(caller string) (all, own time.Duration) {
	held := l.held.estimate()
	places, ahead := l.places, l.waiting.Len()
	for name, c := range l.callers {
		if name != anonymous && c.atWork >= l.placesEach {
			places -= c.atWork
			ahead -= c.waiting
		}
	}
	turn := func(ahead, places int) time.Duration {
		return time.Duration(float64(held) * float64(ahead+1) / float64(max(1, places)))
	}
	all = turn(ahead, places)
	if !l.mayWork(caller) {
		return all, turn(l.callers[caller].waiting, l.placesEach)
	}
	return all, all
}

// holdTime estimates how long places are held, as the lower of a fast and a slow moving
// average: a pause of a second does not count as a slow database, and the end of a slow
// period is noticed soon.
type holdTime struct{ quick, slow float64 }

func (h *holdTime) add(d time.Duration) {
	if h.slow == 0 {
		h.quick, h.slow = float64(d), float64(d)
		return
	}
	h.quick += (float64(d) - h.quick) / 8
	h.slow += (float64(d) - h.slow) / 128
}

func (h *holdTime) estimate() time.Duration { return time.Duration(min(h.quick, h.slow)) }
