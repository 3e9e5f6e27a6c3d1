package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/store"
)

const (
	// heartbeat is the longest silence of a stream before it sends a comment.
	heartbeat = 15 * time.Second
	// reauthentication is how often a stream authenticates its caller again: a revoked key,
	// an expired token or a lost role takes effect within this time.
	reauthentication = 15 * time.Second
	// streamLife is when a stream is closed, so that reconnecting clients spread over the
	// servers.
	streamLife = time.Hour
	// streamWrite is how long a client may take to read an event.
	streamWrite = 10 * time.Second
	// maxStreams bounds the streams of one process.
	maxStreams = 1000
	// maxCallerStreams bounds the streams of one caller.
	maxCallerStreams = 20
)

// streams counts the open streams of this process.
type streams struct {
	open atomic.Int64
	mu   sync.Mutex
	// of counts the streams of each caller that has any.
	of map[string]int
	// ending is closed when the process stops.
	ending chan struct{}
}

// enter counts a stream of a caller until leave is called. Without authentication there is
// one caller, which may have all streams. Errors: api.ProblemSlugTooManyStreams,
// clinic.ErrUnavailable.
func (st *streams) enter(caller clinic.Caller) (leave func(), err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.of[caller.Subject] >= maxCallerStreams && caller.Kind() != "open" {
		return nil, &contract.Error{Slug: api.ProblemSlugTooManyStreams, Header: http.Header{"Retry-After": {"15"}}}
	}
	if st.open.Load() >= maxStreams {
		return nil, clinic.ErrUnavailable
	}
	st.open.Add(1)
	if st.of == nil {
		st.of = map[string]int{}
	}
	st.of[caller.Subject]++
	return func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.open.Add(-1)
		if st.of[caller.Subject]--; st.of[caller.Subject] == 0 {
			delete(st.of, caller.Subject)
		}
	}, nil
}

// StreamChanges sends changes as they are committed: GET /stream.
func (s *Server) StreamChanges(ctx context.Context, r api.StreamChangesRequestObject) (api.StreamChangesResponseObject, error) {
	last, err := changePosition("Last-Event-ID", r.Params.LastEventID)
	if err != nil {
		return nil, err
	}
	told, err := store.AccessOf(ctx).VisibleKinds(kinds(r.Params.Objects))
	if err != nil {
		return nil, err
	}
	uncount, err := s.streams.enter(store.AccessOf(ctx).Caller)
	if err != nil {
		return nil, err
	}
	end, data, err := s.feed.join(ctx)
	if err != nil {
		uncount()
		return nil, err
	}
	leave := func() {
		s.feed.leave()
		uncount()
	}
	after, err := clinic.StreamStart(last, end)
	if err != nil {
		leave()
		return nil, err
	}
	// A stream outlives the request's deadline.
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamLife)
	request, ok := ctx.Value(clientKey{}).(*http.Request)
	if !ok {
		cancel()
		leave()
		return nil, errors.New("server: a stream outside of limitTime")
	}
	context.AfterFunc(request.Context(), cancel) //nolint:contextcheck // the client's context, without the request's deadline
	return &stream{
		s: s, ctx: lasting, request: request, after: after, data: data, wanted: kinds(r.Params.Objects), told: told,
		include: deref(r.Params.Include),
		close: func() {
			cancel()
			leave()
		},
	}, nil
}

// clientKey is the context key of the original request, whose context ends when the client
// is gone and not at the deadline.
type clientKey struct{}

// stream is the response of StreamChanges.
type stream struct {
	s       *Server
	ctx     context.Context //nolint:containedctx // the response's own
	request *http.Request
	after   int64
	data    int64         // which data after is a position in
	wanted  []string      // requested kinds; none: all
	told    []clinic.Kind // those of them that it may see
	include api.StreamChangesParamsInclude
	close   func()
}

// VisitStreamChangesResponse writes events until either side ends it.
func (st *stream) VisitStreamChangesResponse(w http.ResponseWriter) error {
	defer st.close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would buffer events
	w.WriteHeader(http.StatusOK)
	if st.send(w, fmt.Sprintf("event: hello\nid: %s\ndata: {}\n\n", changeCursor(st.after))) != nil {
		return nil // the client is gone
	}
	access := store.AccessOf(st.ctx)
	var err error
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	renewal := time.NewTicker(reauthentication) // never reset
	defer renewal.Stop()
	for {
		select {
		case <-renewal.C:
			if access, err = st.renew(access); err != nil {
				return nil
			}
		default:
		}
		var changes []clinic.FeedChange
		var wait <-chan struct{}
		changes, st.after, wait, err = st.s.feed.since(st.ctx, st.after, st.data, st.told, access.Reach)
		if err != nil {
			return nil // the client reconnects
		}
		if len(changes) > 0 {
			events, err := st.events(changes, access)
			if err != nil || st.send(w, events) != nil {
				return nil // the client reconnects
			}
			beat.Reset(heartbeat)
		}
		if wait == nil {
			continue
		}
		select {
		case <-wait:
		case <-beat.C:
			if st.send(w, ": alive\n\n") != nil {
				return nil
			}
		case <-renewal.C:
			if access, err = st.renew(access); err != nil {
				return nil
			}
		case <-st.ctx.Done():
			return nil
		case <-st.s.streams.ending:
			return nil
		}
	}
}

// send writes text, and fails if the client does not read it in time.
func (st *stream) send(w http.ResponseWriter, text string) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) { //nolint:forbidigo // the connection's clock
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	return control.Flush()
}

// events returns the text of changes, with the records that the client asked for.
func (st *stream) events(changes []clinic.FeedChange, access clinic.Access) (string, error) {
	ctx := store.WithAccess(st.ctx, access)
	if st.include != "" {
		if err := st.s.cfg.Store.AddRecords(ctx, changes); err != nil {
			return "", err
		}
	}
	told := items(changes, changeToAPI)
	if st.include == api.StreamChangesParamsIncludeRecordPatient {
		if err := st.s.includePatients(ctx, told); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	for _, c := range withheld(told, access.Clearance()) {
		data, err := json.Marshal(c)
		if err != nil {
			continue // our values cannot fail
		}
		fmt.Fprintf(&b, "event: change\nid: %s\ndata: %s\n\n", c.Cursor, data)
	}
	return b.String(), nil
}

// renew authenticates the caller of a stream again and updates its access. If the database
// or identity provider is unavailable, the stream goes on. Errors:
// clinic.ErrUnauthenticated, clinic.CodeForbidden.
func (st *stream) renew(access clinic.Access) (clinic.Access, error) {
	caller, err := st.s.authenticate(st.request)
	switch {
	case errors.Is(err, clinic.ErrUnauthenticated):
		return access, err
	case err != nil:
		return access, nil //nolint:nilerr // retried at the next renewal
	case !caller.May(clinic.ChangesRead):
		return access, &clinic.Error{Code: clinic.CodeForbidden, Permission: clinic.ChangesRead}
	}
	access.Caller, access.Reach = caller, caller.Reach(clinic.ChangesRead)
	st.told, err = access.VisibleKinds(st.wanted)
	return access, err
}
