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

// line bounds what is worked on at once. Requests beyond its places wait, first
// come first served, up to one deadline. A caller never takes more than a share
// of the places or of the line: its further requests wait for its own earlier
// ones, and other callers' requests pass them.
//
// A request that would wait beyond the deadline, judging by how long places have
// lately been held, is rejected on arrival rather than after a second in vain.
type line struct {
	name        string
	places      int
	bound       int           // of those who wait
	wait        time.Duration // the deadline; a request's own may be nearer
	placesEach  int           // at most so many of one caller
	waitingEach int
	observe     LineObserver

	mu      sync.Mutex
	atWork  int
	waiting list.List // of *waiter, in order of arrival
	callers map[string]*callerLoad
	held    holdTime
	// tooLong is the time in which requests were shed for their estimate, again and again.
	// When that is as long as a request may wait, more comes than can be served: until
	// the line has been empty, only a short one is allowed, so that requests are admitted
	// soon or not at all.
	tooLong    struct{ since, last time.Time }
	overloaded bool
}

// anonymous is the caller of requests that no share applies to.
const anonymous = ""

// callerLoad is what a caller has of a line.
type callerLoad struct{ atWork, waiting int }

type waiter struct {
	caller   string
	admitted chan struct{} // closed when it has a place
	place    *place
}

// newLine makes a line in which one caller may have a third of everything.
func newLine(name string, places, bound int, wait time.Duration, observe LineObserver) *line {
	return &line{
		name: name, places: places, bound: bound, wait: wait, observe: observe,
		placesEach: max(1, places/callersShare), waitingEach: max(1, bound/callersShare), callers: map[string]*callerLoad{},
	}
}

// shedError says that a line did not admit a request.
type shedError struct {
	line, reason string
	wait         time.Duration // until the line will be short, as far as can be said
}

// The reasons why a line does not admit a request.
const (
	ShedFull     = "full"     // the line is as long as it may be
	ShedEstimate = "estimate" // the request would wait beyond its deadline
	ShedDeadline = "deadline" // the request has waited until its deadline
)

// ShedReasons lists them all.
var ShedReasons = []string{ShedFull, ShedEstimate, ShedDeadline}

func (e *shedError) Error() string {
	return fmt.Sprintf("too many %s (%s)", e.line, e.reason)
}

// maxRetryAfter bounds what a client is asked to wait: an estimate is no better
// than the minute that it was made in.
const maxRetryAfter = 30 * time.Second

// problem is the answer to a request that was not admitted.
func (e *shedError) problem() *contract.Error {
	seconds := max(1, int(math.Ceil(min(e.wait, maxRetryAfter).Seconds())))
	return &contract.Error{Slug: api.ProblemSlugUnavailable, Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}, Cause: e}
}

// place is what a request has in a line while it is worked on.
type place struct {
	line   *line
	caller string
	began  time.Time
	gone   bool
}

// release gives the place back and passes it on; it may be called again.
func (p *place) release() {
	held := time.Since(p.began) //nolint:forbidigo // for a duration; no rule of the domain sees it
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.gone {
		return
	}
	p.gone = true
	l.held.add(held)
	l.atWork--
	l.load(p.caller).atWork--
	l.forget(p.caller)
	l.observe.working(l.name, -1)
	l.admitWaiting()
}

// assign counts the place for another caller, unless that one has its share
// already.
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
	l.admitWaiting() // of the one before, another may work now
	return true
}

// try admits a request only if that needs no waiting.
func (l *line) try(caller string) (p *place, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok = l.admitNow(caller); ok {
		l.observe.admitted(l.name, 0)
	}
	return p, ok
}

// check tells whether a request that came now would be shed, for one that has to wait
// for something else first. Errors: *shedError.
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

// enter waits for a place, which its holder must release. Errors: *shedError,
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
	element := l.waiting.PushBack(w)
	l.load(caller).waiting++
	l.mu.Unlock()
	l.observe.waiting(l.name, 1)

	timer := time.NewTimer(until.Sub(arrived))
	defer timer.Stop()
	select {
	case <-w.admitted:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.observe.waiting(l.name, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place != nil { // perhaps at the same moment as one of the others
		l.observe.admitted(l.name, time.Since(arrived)) //nolint:forbidigo // as in release
		return w.place, nil
	}
	l.waiting.Remove(element)
	l.load(caller).waiting--
	l.forget(caller)
	if l.waiting.Len() == 0 {
		l.overloaded = false
	}
	if errors.Is(ctx.Err(), context.Canceled) { // the client has gone; a deadline is one of ours
		return nil, ctx.Err()
	}
	l.observe.shed(l.name, ShedDeadline)
	_, estimate := l.estimate(caller)
	return nil, &shedError{l.name, ShedDeadline, estimate}
}

// admitNow takes a free place. Whenever a place is free, everybody who waits is of
// a caller who has its share: nobody is passed who could have had the place.
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

// admitWaiting gives free places to the first in the line who may work.
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

// forget drops a caller who has nothing of the line any more.
func (l *line) forget(caller string) {
	if *l.callers[caller] == (callerLoad{}) {
		delete(l.callers, caller)
	}
}

// shed tells why a request must not wait; nil: it may.
func (l *line) shed(caller string, patience time.Duration) *shedError {
	all, own := l.estimate(caller)
	full := l.waiting.Len() >= l.bound
	if c := l.callers[caller]; caller != anonymous && c != nil && c.waiting >= l.waitingEach {
		full = true
	}
	if all > patience {
		now := time.Now() //nolint:forbidigo // as in release
		if now.Sub(l.tooLong.last) > l.wait/2 {
			l.tooLong.since = now // what was before was a pause of the database
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

// estimate tells how long a request that comes now would wait: of any caller who
// has less than its share, and of this one. A request that waits for a place
// of its own caller delays no other caller.
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

// holdTime follows how long places are held. Of a quick mean and a slow one the
// lower counts: a pause of a second is not taken for a slow database, and when a
// slow time is over, that is noticed soon.
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
