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
	"mems/internal/store"
)

// admission bounds the requests that are worked on at once: reads and writes have
// places of their own, so that neither keeps the other waiting, and what would
// wait for one doctor's row in the database waits for its turn at this doctor
// before it takes a place. README.md says why, with figures.
type admission struct {
	reads, writes *line
	doctors       *turns
}

// The lines of an admission, as LineObserver hears of them.
const (
	LineReads   = "reads"
	LineWrites  = "writes"
	LineDoctors = "doctors" // all doctors' together
)

// Lines lists them all.
var Lines = []string{LineReads, LineWrites, LineDoctors}

// LineObserver is told what happens in the lines of requests: for metrics. Any of
// them may be nil. They are called while others wait, so they must be quick.
type LineObserver struct {
	// Waiting and Working: so many more requests wait or work.
	Waiting, Working func(line string, change int)
	// Admitted: a request has a place, after so long.
	Admitted func(line string, waited time.Duration)
	// Shed: a request was rejected, for one of ShedReasons.
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
	waitingPerPlace = 16 // the bound of a line
	callersShare    = 3  // one caller has at most a third of a line
	// connectionsAside are left to what is no request: the audit trail, the change
	// feed, webhooks, maintenance, health checks.
	connectionsAside = 4
	doctorAtOnce     = 3 // writes of one doctor: one has the row, the others come to it
	maxTurns         = 4096
)

// newAdmission shares places among reads and writes. A place is no use without a
// connection to the database: of these there must be more than places. A request
// waits for a place a tenth of the time that it may take in all, for its turn at
// a doctor a fifth.
// placesFor returns how many requests are worked on at once with so many connections, of
// which some are kept aside.
func placesFor(atOnce, connections int) int {
	return max(1, min(atOnce, connections-min(connectionsAside, connections/2)))
}

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

// lookUpKey waits for a place to ask the database whose key a request has. Until
// this is known, its caller is its address, unless the key is known to be good. A read keeps the place for its answer.
func (s *Server) lookUpKey(r *http.Request) (release func(), err error) {
	caller := addressCaller(originOf(r, s.cfg.TrustedProxies).address.String())
	if keys := credentials(r, headerAPIKey); len(keys) == 1 {
		known, err := s.cfg.Store.KnowsKey(r.Context(), keys[0])
		if err != nil {
			return nil, err
		}
		if id, _, ok := clinic.ParseKey(keys[0]); ok && known {
			caller = "key:" + strconv.FormatInt(id, 10) // many share an address
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

// keptPlace is the place of a read, from the moment that it has one.
type keptPlace struct{ place *place }

type keptPlaceKey struct{}

func (k *keptPlace) release() {
	if k.place != nil {
		k.place.release()
	}
}

// keepPlace lets a read enter once: with the look-up of its key, if it has one. The
// place is given back when the answer begins, whatever the answer is.
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

// enter is line.enter with an error for the client.
func (s *Server) enter(ctx context.Context, l *line, caller string) (*place, error) {
	p, err := l.enter(ctx, caller)
	return p, forClient(err)
}

// forClient makes an answer of a request that a line has shed.
func forClient(err error) error {
	if shed := (*shedError)(nil); errors.As(err, &shed) {
		return shed.problem()
	}
	return err
}

func addressCaller(address string) string { return "address " + address }

// callerOf names the caller whose share a request counts in. Where nobody needs to
// authenticate there is one caller, this machine, which may have everything.
func callerOf(a clinic.Access) string {
	switch {
	case a.Subject == "":
		return addressCaller(a.Address.String())
	case a.Kind() == "open":
		return anonymous
	}
	return a.Subject
}

// admit lets a request in whose body has been read, until it begins to answer: a
// client that sends or reads slowly keeps nobody else waiting.
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

// admitRead waits for a place, unless the look-up of the caller's key has had one,
// which then counts for the caller.
func (s *Server) admitRead(c echo.Context, _ *contract.Operation) (release func(), err error) {
	ctx := c.Request().Context()
	caller := callerOf(store.AccessOf(ctx))
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

// admitWrite waits for the request's turn at its doctors, then for a place. Where
// only the database knows whose calendar a record is in, it is asked from the
// place; a request that must wait for its turn then gives the place back.
func (s *Server) admitWrite(c echo.Context, op *contract.Operation) (release func(), err error) {
	ctx := c.Request().Context()
	caller := callerOf(store.AccessOf(ctx))
	doctors := s.doctorsInRequest(c, op.Calendar.Doctor)
	if op.Calendar.Record != (clinic.Kind{}) {
		p, err := s.enter(ctx, s.admission.writes, caller)
		if err != nil {
			return nil, err
		}
		if doctors, err = s.addDoctorsOfRecord(c, op.Calendar.Record, doctors); err != nil {
			p.release()
			return nil, err
		}
		if turn, ok := s.admission.doctors.try(caller, doctors); ok {
			return both(p, turn), nil
		}
		p.release()
	}
	if len(doctors) > 0 {
		if err := s.admission.writes.check(ctx, caller); err != nil {
			return nil, forClient(err) // no turn would help
		}
	}
	turn, err := s.admission.doctors.take(ctx, caller, doctors)
	if err != nil {
		return nil, forClient(err)
	}
	p, err := s.enter(ctx, s.admission.writes, caller)
	if err != nil {
		turn()
		return nil, err
	}
	return both(p, turn), nil
}

func both(p *place, turn func()) func() {
	return func() {
		p.release()
		turn()
	}
}

// turns are the lines of doctors for whom something is being written.
type turns struct {
	bound   int // of requests that have or wait for turns
	wait    time.Duration
	observe LineObserver

	mu      sync.Mutex
	taken   int
	doctors map[int64]*turn
}

// turn is a doctor's line, which is kept as long as somebody is in it.
type turn struct {
	line *line
	in   int
}

// take waits for a turn at each of the doctors, at most for t.wait in all. Ids
// ascend, so that two requests never wait for each other. Errors: those of
// line.enter.
func (t *turns) take(ctx context.Context, caller string, doctors []int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	return t.each(doctors, func(l *line) (*place, error) { return l.enter(ctx, caller) })
}

var errNotNow = errors.New("no turn without waiting")

// try takes a turn at each of the doctors if that needs no waiting.
func (t *turns) try(caller string, doctors []int64) (release func(), ok bool) {
	release, err := t.each(doctors, func(l *line) (*place, error) {
		if p, ok := l.try(caller); ok {
			return p, nil
		}
		return nil, errNotNow
	})
	return release, err == nil
}

// each takes one turn after the other, all or none.
func (t *turns) each(doctors []int64, take func(*line) (*place, error)) (release func(), err error) {
	doctors = slices.Compact(slices.Sorted(slices.Values(doctors)))
	var taken []func()
	release = sync.OnceFunc(func() {
		for _, give := range slices.Backward(taken) {
			give()
		}
	})
	for _, doctor := range doctors {
		l := t.join(doctor)
		if l == nil {
			release()
			t.observe.shed(LineDoctors, ShedFull)
			return nil, &shedError{LineDoctors, ShedFull, t.wait}
		}
		p, err := take(l)
		if err != nil {
			t.leave(doctor)
			release()
			return nil, err
		}
		taken = append(taken, func() {
			p.release()
			t.leave(doctor)
		})
	}
	return release, nil
}

// join finds or makes a doctor's line; nil: there are too many requests in all.
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
