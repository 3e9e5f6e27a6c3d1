package server

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"mems/gen/api"
	"mems/internal/clinic"
)

// limits bounds the requests of each caller, and of each address that is not
// authenticated: a bucket of a minute's requests that fills steadily. Each
// process counts for itself.
type limits struct {
	perMinute int // 0: no limit
	now       func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// maxBuckets bounds the memory that many addresses can take. Beyond it, those
// that are full are forgotten, which changes nothing for anybody.
const maxBuckets = 100_000

func (l *limits) bucket(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[name]; b != nil {
		return b
	}
	if len(l.buckets) >= maxBuckets {
		now := l.now()
		for other, b := range l.buckets {
			if b.TokensAt(now) >= float64(l.perMinute) {
				delete(l.buckets, other)
			}
		}
		if len(l.buckets) >= maxBuckets { // all of them busy: start anew rather than grow
			clear(l.buckets)
		}
	}
	b := rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
	l.buckets[name] = b
	return b
}

// take counts a request, or refuses it.
func (l *limits) take(c echo.Context, name string) error {
	if l.perMinute == 0 {
		return nil
	}
	b, now := l.bucket(name), l.now()
	allowed := b.AllowN(now, 1)
	return l.tell(c, b, now, allowed)
}

// peek refuses a request whose bucket is empty, and does not count it.
func (l *limits) peek(c echo.Context, name string) error {
	if l.perMinute == 0 {
		return nil
	}
	b, now := l.bucket(name), l.now()
	if b.TokensAt(now) >= 1 {
		return nil
	}
	return l.tell(c, b, now, false)
}

// tell writes what is left, as draft-ietf-httpapi-ratelimit-headers-10 says.
func (l *limits) tell(c echo.Context, b *rate.Limiter, now time.Time, allowed bool) error {
	left := max(0, b.TokensAt(now))
	perSecond := float64(l.perMinute) / 60
	full := int(math.Ceil((float64(l.perMinute) - left) / perSecond))
	h := c.Response().Header()
	h.Set("RateLimit-Policy", fmt.Sprintf(`"caller";q=%d;w=60`, l.perMinute))
	h.Set("RateLimit", fmt.Sprintf(`"caller";r=%d;t=%d`, int(left), full))
	if allowed {
		return nil
	}
	wait := max(1, int(math.Ceil((1-left)/perSecond)))
	return &problem{slug: api.ProblemSlugRateLimited, header: http.Header{"Retry-After": {strconv.Itoa(wait)}}}
}

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
