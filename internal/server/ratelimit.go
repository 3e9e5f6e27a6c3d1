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

// limits holds the rate limits of this process. A caller who is known has a bucket
// of their own, whatever address they come from; an address pays only for requests
// with a wrong credential or none, and for public reads, which are counted apart: no
// client behind a clinic's NAT can use up what the others need.
type limits struct {
	perMinute int // tokens a minute of each bucket; 0: no limit
	now       func() time.Time

	callers   buckets
	strangers buckets // addresses, for a wrong credential or none
	public    buckets // addresses, for what needs no credential
}

func newLimits(perMinute int, now func() time.Time) *limits {
	return &limits{
		perMinute: perMinute, now: now,
		callers: newBuckets(), strangers: newBuckets(), public: newBuckets(),
	}
}

// maxBuckets bounds the memory that one kind of bucket takes, about 15 MB.
const maxBuckets = 50_000

// buckets holds a token bucket for each name, and forgets the one that was used
// least recently when there are too many.
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

// addressName names the bucket of an address: an IPv6 network of 64 bits is one
// customer's, who has 2^64 addresses to choose from.
func addressName(address netip.Addr) string {
	if address.Is6() {
		network, _ := address.Prefix(64) // fails for more bits than an address has
		return network.String()
	}
	return address.String()
}

// take counts a request in the named bucket and writes to the answer what is left.
// Errors: api.ProblemSlugRateLimited when nothing was left.
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

// refuse tells when the bucket in which so much is left has a token again.
func (l *limits) refuse(left float64) error {
	wait := max(1, int(math.Ceil((1-left)/l.perSecond())))
	return &contract.Error{Slug: api.ProblemSlugRateLimited, Header: http.Header{"Retry-After": {strconv.Itoa(wait)}}}
}

func (l *limits) perSecond() float64 { return float64(l.perMinute) / 60 }

// state writes what is left in a bucket, as draft-ietf-httpapi-ratelimit-headers-10
// says, and returns it; less than 0 where more was spent than there was.
func (l *limits) state(h http.Header, b *bucket, now time.Time) float64 {
	left := b.TokensAt(now)
	full := int(math.Ceil((float64(l.perMinute) - left) / l.perSecond()))
	h.Set("RateLimit-Policy", fmt.Sprintf(`"caller";q=%d;w=60`, l.perMinute))
	h.Set("RateLimit", fmt.Sprintf(`"caller";r=%d;t=%d`, max(0, int(left)), full))
	return left
}
