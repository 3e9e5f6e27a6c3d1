package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
)

// admission bounds the requests that are worked on at once, and those that wait
// for their turn. A short burst waits; when there has been a line for longer,
// there is more to do than can be done, and whoever cannot begin nearly at once is
// refused: one who is told at once to come again costs less than one whom
// everybody waits behind. (The idea is CoDel's, RFC 8289.)
type admission struct {
	slots   chan struct{}
	waiting atomic.Int64
	// lineSince is the moment since when there is a line, in nanoseconds; 0: none.
	lineSince atomic.Int64
}

const (
	burstWait   = time.Second            // how long a request waits in a burst
	longLine    = 100 * time.Millisecond // a line that is older than this is no burst
	crowdedWait = 10 * time.Millisecond  // how long a request waits then
)

func newAdmission(atOnce int) *admission { return &admission{slots: make(chan struct{}, atOnce)} }

// enter waits for a turn; release ends it, and may be called again. Errors:
// clinic.ErrUnavailable.
func (a *admission) enter(ctx context.Context) (release func(), err error) {
	release = sync.OnceFunc(func() { <-a.slots })
	select {
	case a.slots <- struct{}{}:
		if len(a.slots) <= cap(a.slots)/2 {
			a.lineSince.Store(0)
		}
		return release, nil
	default:
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > 2*int64(cap(a.slots)) {
		return nil, clinic.ErrUnavailable
	}
	now := time.Now().UnixNano() //nolint:forbidigo // for a duration; no rule of the domain sees it
	wait := burstWait
	if !a.lineSince.CompareAndSwap(0, now) && time.Duration(now-a.lineSince.Load()) > longLine {
		wait = crowdedWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case a.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, clinic.ErrUnavailable
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// admit lets a request in whose body has been read, until it begins to answer: a
// client that sends or reads slowly keeps nobody else waiting.
func (s *Server) admit(c echo.Context, next echo.HandlerFunc) error {
	release, err := s.admission.enter(c.Request().Context())
	if err != nil {
		return err
	}
	defer release()
	c.Response().Before(release)
	return next(c)
}
