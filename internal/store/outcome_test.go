package store_test

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// cutter stands between a store and the database and cuts the connection at COMMIT.
type cutter struct {
	net.Listener

	network, address string
	// forward lets COMMIT through and withholds its response; otherwise COMMIT itself is lost.
	forward bool
	// refuse is the number of the error that the client gets for its COMMIT in place of the
	// database's response; 0 cuts the connection.
	refuse uint16
	armed  atomic.Bool
}

// refusal is an ERR packet of the MySQL protocol: the first response to a command.
func refusal(number uint16) []byte {
	body := append([]byte{0xff, byte(number), byte(number >> 8)}, "#HY000refused by the test"...)
	return append([]byte{byte(len(body)), 0, 0, 1}, body...)
}

// open opens a store whose connections pass through c.
func (c *cutter) open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.network, c.address = config.Net, config.Addr
	go c.serve()
	config.Net, config.Addr = "tcp", c.Addr().String()
	through := (&storetest.Database{DSN: config.FormatDSN()}).Open(t, fixedClock, nil)
	// The first write begins the process's chain of the audit trail.
	if _, err := through.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: "1", IsActive: true}); err != nil {
		t.Fatal(err)
	}
	return through
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
	var replace atomic.Bool // the database's next answer, by refusal
	go func() {
		defer func() { _ = client.Close() }()
		answer := make([]byte, 64<<10)
		for {
			n, err := database.Read(answer)
			if err != nil {
				return
			}
			out := answer[:n]
			if replace.Swap(false) {
				out = refusal(c.refuse)
			}
			if _, err := client.Write(out); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if c.refuse != 0 && bytes.Contains(buffer[:n], []byte("COMMIT")) && c.armed.Swap(false) {
			replace.Store(true)
			command := buffer[:n]
			if !c.forward {
				command = append([]byte{9, 0, 0, 0, 3}, "ROLLBACK"...)
			}
			if _, err := database.Write(command); err != nil {
				return
			}
			continue
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

// When the connection is lost around COMMIT, the outcome is reported as unknown, whether the
// booking was made or not, and it is never retried silently.
func TestConnectionLostAroundCommit(t *testing.T) {
	t.Parallel()
	for name, forward := range map[string]bool{"CommitLost": false, "AnswerLost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 1, 1)
			c := &cutter{forward: forward}
			through := c.open(t, f.DSN)
			c.armed.Store(true)

			_, err := through.BookAppointment(t.Context(), store.SystemRequest(), f.booking(60, 30))
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

// The database returns an error for COMMIT. Only an error that means "rolled back" may be retried
// or reported as unavailable; any other leaves the outcome unknown, whatever happened to the
// transaction.
func TestErrorAtCommit(t *testing.T) {
	t.Parallel()
	type commitCase struct {
		number    uint16
		committed bool
		want      *clinic.Error // nil: retried until it succeeds
		kept      int
	}
	var cases []commitCase
	for _, number := range []uint16{3100, 1105, 1026, 1158, 1317, 3024, 1053, 1047, 1114, 1062} {
		cases = append(cases,
			commitCase{number, true, clinic.ErrOutcomeUnknown, 1},
			commitCase{number, false, clinic.ErrOutcomeUnknown, 0})
	}
	for _, number := range []uint16{1213, 1205, 3101, 1180, 1020, 1467} {
		cases = append(cases, commitCase{number, false, nil, 1})
	}
	for _, number := range []uint16{1290, 1792, 1836} {
		cases = append(cases, commitCase{number, false, clinic.ErrUnavailable, 0})
	}
	f := newFixture(t, 1, 1)
	for i, tc := range cases {
		t.Run(fmt.Sprintf("%d committed %t", tc.number, tc.committed), func(t *testing.T) {
			if _, err := f.DB.Exec(`UPDATE rooms SET name = CONCAT('former ', id)`); err != nil {
				t.Fatal(err)
			}
			booking := f.booking(60*(i+1), 30)
			c := &cutter{forward: tc.committed, refuse: tc.number}
			through := c.open(t, f.DSN)
			c.armed.Store(true)
			_, err := through.BookAppointment(t.Context(), store.SystemRequest(), booking)
			if tc.want == nil && err != nil {
				t.Errorf("booking: %v, want none after a retry", err)
			} else if tc.want != nil {
				wantErr(t, err, tc.want)
			}
			var kept int
			if err := f.DB.Get(&kept, `SELECT COUNT(*) FROM appointments WHERE start_time = ?`, booking.Start); err != nil {
				t.Fatal(err)
			}
			if kept != tc.kept {
				t.Errorf("%d appointments are kept, want %d", kept, tc.kept)
			}
		})
	}
}
