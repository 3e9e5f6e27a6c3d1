package store_test

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/storetest"
)

// cutter stands between a store and the database and cuts the connection when
// COMMIT comes by.
type cutter struct {
	net.Listener

	network, address string
	// forward lets COMMIT through and keeps its answer back; otherwise COMMIT
	// itself is lost.
	forward bool
	armed   atomic.Bool
}

func (c *cutter) serve() {
	for {
		client, err := c.Accept()
		if err != nil {
			return // closed
		}
		go c.relay(client)
	}
}

func (c *cutter) relay(client net.Conn) {
	defer func() { _ = client.Close() }()
	database, err := net.Dial(c.network, c.address)
	if err != nil {
		return
	}
	defer func() { _ = database.Close() }()
	go func() {
		_, _ = io.Copy(client, database)
		_ = client.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if c.armed.Load() && bytes.Contains(buffer[:n], []byte("COMMIT")) {
			_ = client.Close() // first, so that no answer gets through
			if c.forward {
				_, _ = database.Write(buffer[:n])
				time.Sleep(200 * time.Millisecond) // the database works on it; nobody listens
			}
			return
		}
		if _, err := database.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// The connection is lost around COMMIT. Whether the booking was made or not,
// the answer is that it is not known, and it is never tried again behind the
// caller's back.
func TestConnectionLostAroundCommit(t *testing.T) {
	t.Parallel()
	for name, forward := range map[string]bool{"CommitLost": false, "AnswerLost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 1, 1)
			config, err := mysql.ParseDSN(f.DSN)
			if err != nil {
				t.Fatal(err)
			}
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			c := &cutter{Listener: listener, network: config.Net, address: config.Addr, forward: forward}
			go c.serve()
			config.Net, config.Addr = "tcp", listener.Addr().String()
			through := (&storetest.Database{DSN: config.FormatDSN()}).Open(t, fixedClock, nil)
			// The process has begun its chain of the audit trail.
			if _, err := through.CreateRoom(t.Context(), clinic.Room{Name: "1", IsActive: true}); err != nil {
				t.Fatal(err)
			}
			c.armed.Store(true)

			_, err = through.BookAppointment(t.Context(), f.booking(60, 30))
			wantErr(t, err, clinic.ErrOutcomeUnknown)
			var kept int
			for range 100 { // the database notices the lost connection a little later
				if err := f.DB.Get(&kept, `SELECT COUNT(*) FROM appointments`); err != nil {
					t.Fatal(err)
				}
				if !forward || kept == 1 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if want := map[bool]int{true: 1, false: 0}[forward]; kept != want {
				t.Errorf("%d appointments, want %d", kept, want)
			}
		})
	}
}
