package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay is a proxy between the servers and the database. At times it drops the response to
// a COMMIT that the database has executed: the one moment after which a server cannot know
// whether it changed anything. A crash hits it once in thousands of times.
type relay struct {
	listener net.Listener
	socket   string // of the database
	losing   atomic.Bool
	commits  atomic.Int64 // while it was losing
	lost     atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
	open  sync.WaitGroup
}

// commitPacket is COM_QUERY "COMMIT" as the driver sends it, in a packet of its own.
var commitPacket = append([]byte{7, 0, 0, 0, 3}, "COMMIT"...)

// loseEvery is the interval of COMMITs whose response is lost.
const loseEvery = 3

// newRelay listens on a socket at path for clients of the database at socket.
func newRelay(ctx context.Context, path, socket string) (*relay, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, socket: socket, conns: map[net.Conn]bool{}}
	r.open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			r.open.Go(func() { r.serve(ctx, client) })
		}
	})
	return r, nil
}

func (r *relay) serve(ctx context.Context, client net.Conn) {
	defer r.forget(client)
	if !r.keep(client) {
		return
	}
	var dialer net.Dialer
	database, err := dialer.DialContext(ctx, "unix", r.socket)
	if err != nil {
		return // it is down
	}
	defer r.forget(database)
	if !r.keep(database) {
		return
	}
	var lose atomic.Bool
	r.open.Go(func() {
		defer func() { _ = client.Close() }()
		_ = pass(client, database, func([]byte) bool { return !lose.Load() })
	})
	_ = pass(database, client, func(text []byte) bool {
		if r.losing.Load() && bytes.Equal(text, commitPacket) && r.commits.Add(1)%loseEvery == 0 {
			r.lost.Add(1)
			lose.Store(true)
		}
		return true
	})
}

// pass copies from one side to the other until may returns false.
func pass(to io.Writer, from io.Reader, may func([]byte) bool) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !may(buffer[:n]) {
				return errCutOff
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// keep registers a connection for close; false after close.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		return false
	}
	r.conns[c] = true
	return true
}

func (r *relay) forget(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	_ = c.Close()
}

// loseAnswers is the fault.
func (r *relay) loseAnswers(ctx context.Context, plan *rand.Rand) (string, error) {
	during, before := between(plan, time.Second, 3*time.Second), r.lost.Load()
	r.losing.Store(true)
	pause(ctx, during)
	r.losing.Store(false)
	return fmt.Sprintf("%d COMMITs in %s", r.lost.Load()-before, during), nil
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.open.Wait()
}
