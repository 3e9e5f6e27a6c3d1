package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
	"mems/internal/contract"
)

// admission bounds the requests that run at once. Reads and writes have separate places, so
// that neither blocks the other, and writes of one doctor's calendar, which the database
// would serialise, wait for their turn before they take a place. README.md gives the
// reasons and figures.
type admission struct {
	reads, writes *line
	doctors       *turns
}

// The lines of an admission, as passed to LineObserver.
const (
	LineReads   = "reads"
	LineWrites  = "writes"
	LineDoctors = "doctors" // of all doctors together
)

// Lines lists all lines.
var Lines = []string{LineReads, LineWrites, LineDoctors}

// LineObserver has hooks for metrics of the lines, each of which may be nil. They are
// called while a line is locked, so they must be quick.
type LineObserver struct {
	// Waiting and Working are called with the change in waiting or running requests.
	Waiting, Working func(line string, change int)
	// Admitted is called with the wait of an admitted request.
	Admitted func(line string, waited time.Duration)
	// Shed is called for a rejected request with one of ShedReasons.
	Shed func(line, reason string)
}

func (o LineObserver) waiting(line string, change int) {
	if o.Waiting != nil {
		o.Waiting(line, change)
	}
}

func (o LineObserver) working(line string, change int) {
	if o.Working != nil {
		o.Working(line, change)
	}
}

func (o LineObserver) admitted(line string, waited time.Duration) {
	if o.Admitted != nil {
		o.Admitted(line, waited)
	}
}

func (o LineObserver) shed(line, reason string) {
	if o.Shed != nil {
		o.Shed(line, reason)
	}
}

const (
	waitingPerPlace = 16 // bounds a line
	callersShare    = 3  // one caller gets at most a third of a line
	// connectionsAside are reserved for everything but requests: the audit trail, the change
	// feed, webhooks, maintenance, health checks.
	connectionsAside = 4
	doctorAtOnce     = 3 // writes of one doctor: one holds the guard, the others prepare
	maxTurns         = 4096
)

// placesFor returns how many requests are worked on at once with so many connections, of
// which some are kept aside.
func placesFor(atOnce, connections int) int {
	return max(1, min(atOnce, connections-min(connectionsAside, connections/2)))
}

// newAdmission divides the places between reads and writes. Each place needs a connection
// to the database, so there must be more connections than places. A request waits for a
// place for at most a tenth of its time limit, and for its turn at a doctor for a fifth.
func newAdmission(atOnce, connections int, requestTimeout time.Duration, observe LineObserver) *admission {
	places := placesFor(atOnce, connections)
	writes := max(1, places/2)
	reads := max(1, places-writes)
	return &admission{
		reads:   newLine(LineReads, reads, waitingPerPlace*reads, requestTimeout/10, observe),
		writes:  newLine(LineWrites, writes, waitingPerPlace*writes, requestTimeout/10, observe),
		doctors: &turns{bound: maxTurns, wait: requestTimeout / 5, observe: observe, doctors: map[int64]*turn{}},
	}
}

// lookUpKey waits for a place in which the database can be asked for a request's API key.
// Until then the address counts as the caller, unless the key is known to be good. A read
// keeps the place until its response.
func (s *Server) lookUpKey(r *http.Request) (release func(), err error) {
	caller := addressCaller(originOf(r, s.cfg.TrustedProxies).address.String())
	if keys := credentials(r, headerAPIKey); len(keys) == 1 {
		known, err := s.cfg.Store.KnowsAPIKey(r.Context(), keys[0])
		if err != nil {
			return nil, err
		}
		if id, _, ok := clinic.ParseKey(keys[0]); ok && known {
			caller = "key:" + strconv.FormatInt(id, 10) // many callers share an address
		}
	}
	p, err := s.enter(r.Context(), s.admission.reads, caller)
	if err != nil {
		return nil, err
	}
	if kept, ok := r.Context().Value(keptPlaceKey{}).(*keptPlace); ok {
		kept.place = p
		return func() {}, nil
	}
	return p.release, nil
}

// keptPlace is the place of a read, once it has one.
type keptPlace struct{ place *place }

type keptPlaceKey struct{}

func (k *keptPlace) release() {
	if k.place != nil {
		k.place.release()
	}
}

// keepPlace makes a read enter the line only once, for the look-up of its key if it has
// one. The place is released when the response begins.
func keepPlace(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method != http.MethodGet {
			return next(c)
		}
		kept := &keptPlace{}
		defer kept.release()
		c.Response().Before(kept.release)
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), keptPlaceKey{}, kept)))
		return next(c)
	}
}

// enter is line.enter with its error translated for the client.
func (s *Server) enter(ctx context.Context, l *line, caller string) (*place, error) {
	p, err := l.enter(ctx, caller)
	return p, forClient(err)
}

// forClient translates the error of a rejected request into a problem.
func forClient(err error) error {
	if shed := (*shedError)(nil); errors.As(err, &shed) {
		return shed.problem()
	}
	return err
}

func addressCaller(address string) string { return "address " + address }

// callerOf returns the caller to whose share a request counts. Without authentication there
// is one caller, this machine, without a share.
func callerOf(a clinic.Access) string {
	switch {
	case a.Subject == "":
		return addressCaller(a.Address.String())
	case a.Kind() == "open":
		return anonymous
	}
	return a.Subject
}

// admit holds a place from the time at which the body has been read until the response
// begins, so that slow clients do not block others.
func (s *Server) admit(c echo.Context, op *contract.Operation, next echo.HandlerFunc) error {
	admit := s.admitWrite
	if c.Request().Method == http.MethodGet {
		admit = s.admitRead
	}
	release, err := admit(c, op)
	if err != nil {
		return err
	}
	defer release()
	c.Response().Before(release)
	return next(c)
}

// admitRead waits for a place, unless the look-up of the caller's key already took one,
// which is then counted to the caller.
func (s *Server) admitRead(c echo.Context, _ *contract.Operation) (release func(), err error) {
	ctx := c.Request().Context()
	caller := callerOf(requestOf(ctx).Access)
	if kept, ok := ctx.Value(keptPlaceKey{}).(*keptPlace); ok && kept.place != nil {
		if kept.place.assign(caller) {
			return kept.release, nil
		}
		kept.release()
	}
	p, err := s.enter(ctx, s.admission.reads, caller)
	if err != nil {
		return nil, err
	}
	return p.release, nil
}

// turns holds the lines of doctors whose calendars are being written.
type turns struct {
	bound   int // of requests with or waiting for turns
	wait    time.Duration
	observe LineObserver

	mu      sync.Mutex
	taken   int
	doctors map[int64]*turn
}

// turn is a doctor's line, which exists while requests are in it.
type turn struct {
	line *line
	in   int
}

// take waits for a turn at each of the doctors, at most t.wait in all. The ids are
// ascending, so that two requests never wait for each other. Errors: those of line.enter.
func (t *turns) take(ctx context.Context, caller string, doctors []int64) (*takenTurns, error) {
	ctx, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	return t.each(doctors, func(l *line) (*place, error) { return l.enter(ctx, caller) })
}

// takeAgain is take for a request that has left its turns: see line.enterAgain.
func (t *turns) takeAgain(ctx context.Context, caller string, doctors []int64) (*takenTurns, error) {
	return t.each(doctors, func(l *line) (*place, error) { return l.enterAgain(ctx, caller) })
}

var errNotNow = errors.New("no turn without waiting")

// try takes a turn at each of the doctors if it need not wait.
func (t *turns) try(caller string, doctors []int64) (taken *takenTurns, ok bool) {
	taken, err := t.each(doctors, func(l *line) (*place, error) {
		if p, ok := l.try(caller); ok {
			return p, nil
		}
		return nil, errNotNow
	})
	return taken, err == nil
}

// each takes the turns in order, all or none.
func (t *turns) each(doctors []int64, take func(*line) (*place, error)) (*takenTurns, error) {
	taken := &takenTurns{turns: t}
	for _, doctor := range slices.Compact(slices.Sorted(slices.Values(doctors))) {
		l := t.join(doctor)
		if l == nil {
			taken.release()
			t.observe.shed(LineDoctors, ShedFull)
			return nil, &shedError{LineDoctors, ShedFull, t.wait}
		}
		p, err := take(l)
		if err != nil {
			t.leave(doctor)
			taken.release()
			return nil, err
		}
		taken.doctors, taken.places = append(taken.doctors, doctor), append(taken.places, p)
	}
	return taken, nil
}

// takenTurns are a request's turns at its doctors.
type takenTurns struct {
	turns   *turns
	doctors []int64
	places  []*place
}

// release passes the turns on, the last one first. It may be called more than once.
func (t *takenTurns) release() {
	for i, p := range slices.Backward(t.places) {
		p.release()
		t.turns.leave(t.doctors[i])
	}
	t.places = nil
}

// leave lets other requests have the turns, while this one waits for something else.
func (t *takenTurns) leave() {
	for _, p := range slices.Backward(t.places) {
		p.leave()
	}
}

// join returns a doctor's line, creating it if necessary; nil if there are too many
// requests in all.
func (t *turns) join(doctor int64) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken >= t.bound {
		return nil
	}
	t.taken++
	of := t.doctors[doctor]
	if of == nil {
		of = &turn{line: newLine(LineDoctors, doctorAtOnce, t.bound/4, t.wait, t.observe)}
		t.doctors[doctor] = of
	}
	of.in++
	return of.line
}

func (t *turns) leave(doctor int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	of := t.doctors[doctor]
	if of.in--; of.in == 0 {
		delete(t.doctors, doctor)
	}
}
