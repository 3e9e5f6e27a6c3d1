package server

import (
	"context"
	"sync"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/store"
)

// meter charges a caller's bucket for the work of one request. The first token was
// taken before anything of the request was looked at; the rest is a debt, for which
// the caller's next requests wait. So a request is never refused for its own cost, and
// 429 always comes before any other answer.
type meter struct {
	limits *limits
	bucket *bucket
	cost   *contract.Cost

	mu   sync.Mutex
	paid int // tokens
}

// measure lets the work of the request be charged to the named bucket, and its answer
// tell what is left after that.
func (l *limits) measure(c echo.Context, from *buckets, name string, of *contract.Cost) context.Context {
	ctx := c.Request().Context()
	if l.perMinute == 0 || of == nil {
		return ctx
	}
	m := &meter{limits: l, bucket: from.get(name, l.perMinute), cost: of, paid: 1}
	c.Response().Before(func() {
		if m.hasCharged() {
			l.state(c.Response().Header(), m.bucket, l.now())
		}
	})
	c.Set(meterKey, m)
	return store.WithMeter(ctx, m.count)
}

const meterKey = "meter"

// checkPaid refuses a request of an operation that is charged for its work when, while
// it waited for its place, the caller's other requests ran into debt: those that wait
// together would else all be worked on before the first one is charged.
// Errors: api.ProblemSlugRateLimited.
func checkPaid(c echo.Context) error {
	m, ok := c.Get(meterKey).(*meter)
	if !ok {
		return nil
	}
	left := m.limits.state(c.Response().Header(), m.bucket, m.limits.now())
	if left >= 0 {
		return nil
	}
	return m.limits.refuse(left)
}

func (m *meter) count(unit clinic.Work, n int) {
	if unit != m.cost.Unit {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if more := m.cost.Tokens(n) - m.paid; more > 0 {
		m.paid += more
		m.limits.charge(m.bucket, more)
	}
}

func (m *meter) hasCharged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.paid > 1
}

// charge takes tokens that may not be there. A debt is one minute's tokens at most,
// whatever was asked for at once.
func (l *limits) charge(b *bucket, tokens int) {
	b.charging.Lock()
	defer b.charging.Unlock()
	now := l.now()
	if n := min(tokens, l.perMinute, int(b.TokensAt(now))+l.perMinute); n > 0 {
		b.ReserveN(now, n)
	}
}
