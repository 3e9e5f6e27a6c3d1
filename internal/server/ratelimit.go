package server

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"mems/gen/api"
	"mems/internal/contract"
)

// limits holds the rate limits of this process. An authenticated caller has its own bucket,
// independent of its address. An address is charged only for requests with a wrong
// credential or none and, separately, for public reads, so that no client behind a clinic's
// NAT can use up the others' limit.
type limits struct {
	perMinute int // tokens per minute of each bucket; 0: no limit
	now       func() time.Time

	callers   buckets
	strangers buckets // addresses, for a wrong credential or none
	public    buckets // addresses, for public operations
}

func newLimits(perMinute int, now func() time.Time) *limits {
	return &limits{
		perMinute: perMinute, now: now,
		callers: newBuckets(), strangers: newBuckets(), public: newBuckets(),
	}
}

// maxBuckets bounds the memory of one kind of bucket to about 15 MB.
const maxBuckets = 50_000

// buckets is an LRU cache of token buckets by name.
type buckets struct {
	mu     sync.Mutex
	most   int
	byName map[string]*list.Element
	recent *list.List // of *bucket, the most recently used in front
}

type bucket struct {
	*rate.Limiter

	name     string
	charging sync.Mutex // so that two charges see each other's debt
}

func newBuckets() buckets {
	return buckets{most: maxBuckets, byName: map[string]*list.Element{}, recent: list.New()}
}

func (bs *buckets) get(name string, perMinute int) *bucket {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if e := bs.byName[name]; e != nil {
		bs.recent.MoveToFront(e)
		return e.Value.(*bucket) //nolint:forcetypeassert // only buckets are put in
	}
	if bs.recent.Len() >= bs.most {
		oldest := bs.recent.Back()
		delete(bs.byName, oldest.Value.(*bucket).name) //nolint:forcetypeassert // as above
		bs.recent.Remove(oldest)
	}
	b := &bucket{Limiter: rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute), name: name}
	bs.byName[name] = bs.recent.PushFront(b)
	return b
}

// addressName returns the name of an address's bucket. An IPv6 /64 shares one bucket,
// because it usually belongs to one customer.
func addressName(address netip.Addr) string {
	if address.Is6() {
		network, _ := address.Prefix(64) // fails for more bits than an address has
		return network.String()
	}
	return address.String()
}

// take counts a request in the named bucket and sets the RateLimit headers. Errors:
// api.ProblemSlugRateLimited when nothing was left.
func (l *limits) take(c echo.Context, from *buckets, name string) error {
	if l.perMinute == 0 {
		return nil
	}
	b, now := from.get(name, l.perMinute), l.now()
	allowed := b.AllowN(now, 1)
	left := l.state(c.Response().Header(), b, now)
	if allowed {
		return nil
	}
	return l.refuse(left)
}

// refuse returns the 429 for a bucket with left tokens, with the time until it has one
// again.
func (l *limits) refuse(left float64) error {
	wait := max(1, int(math.Ceil((1-left)/l.perSecond())))
	return &contract.Error{Slug: api.ProblemSlugRateLimited, Header: http.Header{"Retry-After": {strconv.Itoa(wait)}}}
}

func (l *limits) perSecond() float64 { return float64(l.perMinute) / 60 }

// state sets the headers of draft-ietf-httpapi-ratelimit-headers-10, and returns the tokens
// left; negative for a debt.
func (l *limits) state(h http.Header, b *bucket, now time.Time) float64 {
	left := b.TokensAt(now)
	full := int(math.Ceil((float64(l.perMinute) - left) / l.perSecond()))
	h.Set("RateLimit-Policy", fmt.Sprintf(`"caller";q=%d;w=60`, l.perMinute))
	h.Set("RateLimit", fmt.Sprintf(`"caller";r=%d;t=%d`, max(0, int(left)), full))
	return left
}
