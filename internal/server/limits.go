package server

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"mems/gen/api"
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
