package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// reservedFiles is the number of file descriptors for everything but clients and the
// database: logs, certificates, webhooks, DNS.
const reservedFiles = 24

// fewConnections is the bound below which a warning is logged.
const fewConnections = 128

// connections bounds clients' connections by the limit of open files. At the bound, a new
// connection closes the one that has been idle longest.
type connections struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]*connection
}

type connection struct {
	requests int       // being answered
	since    time.Time // when it was opened, or last became idle
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// newConnections derives the bound from the limit of open files, less those for the
// database; 0 is no limit.
func newConnections(files, database int) *connections {
	c := &connections{most: 1 << 20, open: map[net.Conn]*connection{}}
	if files > 0 {
		c.most = max(8, files-database-reservedFiles)
	}
	return c
}

// serve makes s observe the bound.
func (c *connections) serve(s *http.Server) {
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.answering(known, 1)
			defer c.answering(known, -1)
		}
		next.ServeHTTP(w, r)
	})
	s.ConnContext = c.opened
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.open, conn)
		}
	}
}

// opened counts a new connection and, at the bound, closes an idle one.
func (c *connections) opened(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	added := &connection{since: time.Now()}
	c.open[conn] = added
	if len(c.open) > c.most {
		var silent net.Conn
		for other, known := range c.open {
			if known.requests == 0 && (silent == nil || known.since.Before(c.open[silent].since)) {
				silent = other
			}
		}
		delete(c.open, silent)
		go func() { _ = silent.Close() }() // TLS first sends close_notify
	}
	return context.WithValue(ctx, connectionKey{}, added)
}

func (c *connections) answering(known *connection, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known.requests += n
	known.since = time.Now()
}
