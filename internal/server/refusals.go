package server

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// refusedKey is the context key of the rejected caller, set by recordRefusal for the log.
const refusedKey = "refused"

// recordRefusal adds an audit entry for a caller that is not authenticated, not allowed, or
// asks for a record that does not exist within its reach. Neither the entry nor the
// response time reveals whether such a record exists elsewhere.
func (s *Server) recordRefusal(c echo.Context, err error, p api.Problem) {
	r := c.Request()
	access := requestOf(r.Context()).Access
	if access.Operation == "" { // rejected before authentication
		access = clinic.Access{
			Operation: s.operations[r.Method+" "+c.Path()].Operation, RequestID: requestID(c), Address: originOf(r, s.cfg.TrustedProxies).address,
		}
	}
	rule, isRule := errors.AsType[*clinic.Error](err)
	switch {
	case access.Operation == "":
		return
	case p.Status == http.StatusUnauthorized, p.Status == http.StatusForbidden:
	case p.Status == http.StatusNotFound && isRule && !access.Reach.All:
	default:
		return
	}
	access.Subject = cmp.Or(access.Subject, clinic.Anonymous)
	c.Set(refusedKey, access)
	if !s.refusals.first(access, s.cfg.Now()) {
		return
	}
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil || id < 0 || id > maxID {
		id = 0 // the path has no id
	}
	var patient int64
	if isRule {
		patient = rule.Patient
	}
	ctx := r.Context()
	if err := s.cfg.Store.RecordRefusal(ctx, store.Request{Access: access}, attempted(r.Method), strings.TrimPrefix(p.Type, "/problems/"), id, patient); err != nil {
		s.cfg.Log.WarnContext(ctx, "a refused request is not in the audit trail",
			"request_id", access.RequestID, "operation", access.Operation, "cause", err)
	}
}

// maxID is the largest id of the contract: JavaScript's largest exact integer.
const maxID = 1<<53 - 1

// attempted returns the action that a request would have been.
func attempted(method string) clinic.AuditAction {
	switch method {
	case http.MethodPost:
		return clinic.AuditCreated
	case http.MethodPatch, http.MethodPut:
		return clinic.AuditChanged
	case http.MethodDelete:
		return clinic.AuditDeleted
	}
	return clinic.AuditSeen
}

// Bounds of the audit entries for refusals, per process and minute.
const (
	maxRefusals          = 10_000 // of all callers: bounds the memory
	maxAnonymousRefusals = 120    // of unauthenticated callers
	maxRefusalsOfAddress = 10     // of one address among them
)

// refusals limits the entries for refused requests to one per caller, operation and minute.
// Unauthenticated callers are identified by address, for IPv6 by the /64.
type refusals struct {
	mu        sync.Mutex
	minute    time.Time
	seen      map[string]int
	anonymous int
}

// first reports whether a refusal gets an entry.
func (f *refusals) first(a clinic.Access, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) || f.seen == nil {
		f.minute, f.seen, f.anonymous = minute, map[string]int{}, 0
	}
	caller := a.Subject
	if a.Subject == clinic.Anonymous {
		caller += " " + addressName(a.Address.Unmap().WithZone(""))
		if f.anonymous >= maxAnonymousRefusals || f.seen[caller] >= maxRefusalsOfAddress {
			return false
		}
	}
	what := caller + "\n" + a.Operation
	if f.seen[what] > 0 || len(f.seen) >= maxRefusals {
		return false
	}
	f.seen[what] = 1
	if a.Subject == clinic.Anonymous {
		f.seen[caller]++
		f.anonymous++
	}
	return true
}
