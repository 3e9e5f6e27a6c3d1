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
	// heartbeat is how long a stream stays silent before it says that it is alive.
	heartbeat = 15 * time.Second
	// reauthentication is how often a stream, silent or not, authenticates its caller
	// anew: a revoked key, an expired token or a lost role ends within this time.
	reauthentication = 15 * time.Second
	// streamLife is when a client is asked to come again, so that connections spread
	// over the servers.
	streamLife = time.Hour
	// streamWrite is how long a client may take to read what it was sent.
	streamWrite = 10 * time.Second
	// maxStreams bounds the streams of one process.
	maxStreams = 1000
	// maxCallerStreams bounds those of one caller.
	maxCallerStreams = 20
)

// streams are the open streams of this process.
type streams struct {
	open atomic.Int64
	mu   sync.Mutex
	// of counts the streams of each caller who has any.
	of map[string]int
	// ending is closed when the process stops.
	ending chan struct{}
}

// enter counts a stream of a caller; leave ends it. Where nobody authenticates there
// is one caller, who may have them all. Errors: api.ProblemSlugTooManyStreams,
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
	end, err := s.feed.join(ctx)
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
	// The request's deadline is for answers that end.
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamLife)
	request, ok := ctx.Value(clientKey{}).(*http.Request)
	if !ok {
		cancel()
		leave()
		return nil, errors.New("server: a stream outside of limitTime")
	}
	context.AfterFunc(request.Context(), cancel) //nolint:contextcheck // the client's, which the request's deadline does not end
	return &stream{s: s, ctx: lasting, request: request, after: after, wanted: kinds(r.Params.Objects), told: told, close: func() {
		cancel()
		leave()
	}}, nil
}

// clientKey is the key of the request as it came, whose context ends when the client
// goes and not when the answer has taken too long.
type clientKey struct{}

// stream is the answer of StreamChanges.
type stream struct {
	s       *Server
	ctx     context.Context //nolint:containedctx // the answer's own
	request *http.Request
	after   int64
	wanted  []string      // kinds that the client asked for; none: all
	told    []clinic.Kind // those of them that it may see
	close   func()
}

// VisitStreamChangesResponse writes events until either side ends it.
func (st *stream) VisitStreamChangesResponse(w http.ResponseWriter) error {
	defer st.close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx would keep events back
	w.WriteHeader(http.StatusOK)
	if st.send(w, fmt.Sprintf("event: hello\nid: %s\ndata: {}\n\n", changeCursor(st.after))) != nil {
		return nil // the client is gone
	}
	access := store.AccessOf(st.ctx)
	var err error
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	renewal := time.NewTicker(reauthentication) // nothing resets it
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
		changes, st.after, wait, err = st.s.feed.since(st.ctx, st.after, st.told, access.Reach)
		if err != nil {
			return nil // the client comes again
		}
		if len(changes) > 0 {
			if st.send(w, eventsOf(changes, access.Clearance())) != nil {
				return nil
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

// send writes and waits for no client that does not read.
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

func eventsOf(changes []clinic.FeedChange, clearance clinic.Clearance) string {
	var b strings.Builder
	for _, c := range changes {
		a := withheld(changeToAPI(c), clearance)
		data, err := json.Marshal(a)
		if err != nil {
			continue // no value of ours does that
		}
		fmt.Fprintf(&b, "event: change\nid: %s\ndata: %s\n\n", a.Cursor, data)
	}
	return b.String()
}

// renew authenticates the caller of a stream anew, with the rights that they have
// now. That it cannot be found out at this moment is no reason to end the stream.
// Errors: clinic.ErrUnauthenticated, clinic.CodeForbidden.
func (st *stream) renew(access clinic.Access) (clinic.Access, error) {
	caller, err := st.s.authenticate(st.request)
	switch {
	case errors.Is(err, clinic.ErrUnauthenticated):
		return access, err
	case err != nil:
		return access, nil //nolint:nilerr // asked again at the next turn
	case !caller.May(clinic.ChangesRead):
		return access, &clinic.Error{Code: clinic.CodeForbidden, Permission: clinic.ChangesRead}
	}
	access.Caller, access.Reach = caller, caller.Reach(clinic.ChangesRead)
	st.told, err = access.VisibleKinds(st.wanted)
	return access, err
}
