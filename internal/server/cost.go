package server

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"

	"mems/internal/store"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"mems/internal/clinic"
)

// cost is what a request of an operation takes from the rate limit: one token for
// each begun so many units of work, one at least.
type cost struct {
	unit clinic.Work
	per  int
	// pageSize is the query parameter that states the records of a page; "": the
	// store counts the work.
	pageSize string
}

// costOf reads an operation's x-cost; nil when each request takes one token.
func costOf(op *openapi3.Operation) (*cost, error) {
	stated, ok := op.Extensions["x-cost"]
	if !ok {
		return nil, nil //nolint:nilnil // most take one token
	}
	members, _ := stated.(map[string]any)
	unit, _ := members["unit"].(string)
	per, err := strconv.Atoi(fmt.Sprint(members["per"]))
	if err != nil || per < 1 || len(members) != 2 {
		return nil, fmt.Errorf("contract: the x-cost of %s is not a unit and a positive per: %v", op.OperationID, stated)
	}
	c := &cost{unit: clinic.Work(unit), per: per}
	switch c.unit {
	case clinic.WorkAppointments, clinic.WorkDoctorDays:
	case clinic.WorkRecords:
		c.pageSize = pageSizeOf(op)
	default:
		return nil, fmt.Errorf("contract: the x-cost of %s has an unknown unit: %q", op.OperationID, unit)
	}
	return c, nil
}

// pageSizeOf names the parameter with the size of a page; "" for an operation that
// has no pages.
func pageSizeOf(op *openapi3.Operation) string {
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && (p.Value.Name == "limit" || p.Value.Name == "_count") {
			return p.Value.Name
		}
	}
	return ""
}

const (
	usualPage = 100 // where the request states no size
	largePage = 200 // more is never in a page
	// countedAlone is what a request for the total alone is charged for.
	countedAlone = 2_000
)

// pageCost returns the records that a page may hold, which are counted before they
// are read. query has been validated.
func (c *cost) pageCost(query url.Values) int {
	n, err := strconv.Atoi(query.Get(c.pageSize))
	switch {
	case err != nil:
		return usualPage
	case n == 0:
		return countedAlone
	}
	return min(n, largePage)
}

func (c *cost) tokens(n int) int { return (n + c.per - 1) / c.per }

// meter charges a caller's bucket for the work of one request. The first token was
// taken before anything of the request was looked at; the rest is a debt, for which
// the caller's next requests wait. So a request is never refused for its own cost, and
// 429 always comes before any other answer.
type meter struct {
	limits *limits
	bucket *bucket
	cost   *cost

	mu   sync.Mutex
	paid int // tokens
}

// measure lets the work of the request be charged to the named bucket, and its answer
// tell what is left after that.
func (l *limits) measure(c echo.Context, from *buckets, name string, of *cost) context.Context {
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
	if unit != m.cost.unit {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if more := m.cost.tokens(n) - m.paid; more > 0 {
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
