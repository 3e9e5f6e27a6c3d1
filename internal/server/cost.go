package server

import (
	"sync"

	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
	"mems/internal/contract"
)

// meter charges a caller's bucket for the work of one request. The first token was taken
// before the request was read; the rest becomes a debt that delays the caller's next
// requests. So a request is never rejected for its own cost, and 429 precedes every other
// error.
type meter struct {
	limits *limits
	bucket *bucket
	cost   *contract.Cost

	mu   sync.Mutex
	paid int // tokens
}

// measure makes the work of the request be charged to the named bucket, and its response
// report what is left. It returns nil if the request is not charged.
func (l *limits) measure(c echo.Context, from *buckets, name string, of *contract.Cost) func(clinic.Work, int) {
	if l.perMinute == 0 || of == nil {
		return nil
	}
	m := &meter{limits: l, bucket: from.get(name, l.perMinute), cost: of, paid: 1}
	c.Response().Before(func() {
		if m.hasCharged() {
			l.state(c.Response().Header(), m.bucket, l.now())
		}
	})
	c.Set(meterKey, m)
	return m.count
}

const meterKey = "meter"

// checkPaid rejects a request of a charged operation if the caller's other requests ran
// into debt while it waited for its place. Otherwise requests that wait together would all
// run before the first one is charged. Errors: api.ProblemSlugRateLimited.
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

// charge takes tokens, down to a debt of at most one minute's tokens.
func (l *limits) charge(b *bucket, tokens int) {
	b.charging.Lock()
	defer b.charging.Unlock()
	now := l.now()
	if n := min(tokens, l.perMinute, int(b.TokensAt(now))+l.perMinute); n > 0 {
		b.ReserveN(now, n)
	}
}
