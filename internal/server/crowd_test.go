package server_test

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
)

// crowd is a set of clients in closed loops: each sends its next request when the last one is
// answered. They check statuses only: other tests validate responses, which would cost more than
// the requests here.
type crowd struct {
	*fixture
	http *http.Client
	pool *sql.DB // the server's
	next atomic.Int64

	mu       sync.Mutex
	statuses map[string]map[int]int // by what was asked
	reads    []time.Duration        // of those that were answered with 200
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{statuses: map[string]map[int]int{}}
	db, at := storetest.New(t), &clock{}
	st, err := store.Open(store.Config{
		DSN: db.DSN, Now: at.now, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
		OpenDB: func(connector driver.Connector) *sql.DB {
			c.pool = sql.OpenDB(connector)
			return c.pool
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	s, err := server.New(server.Config{
		Store: st, Zone: time.UTC, Log: slog.New(slog.DiscardHandler), Now: at.now, Open: true,
		MaxAtOnce: 32, RequestTimeout: 30 * time.Second, // however slow the machine
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	c.fixture = &fixture{Client: contracttest.New(t, h.URL), t: t, db: db, url: h.URL, clock: at}
	transport := &http.Transport{MaxIdleConnsPerHost: 400}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport, Timeout: time.Minute}
	return c
}

// send sends a request and counts its status.
func (c *crowd) send(name, method, path string, body object) int {
	encoded, err := json.Marshal(body)
	if err != nil {
		c.t.Error(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(encoded))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	start := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses[name] == nil {
		c.statuses[name] = map[int]int{}
	}
	c.statuses[name][response.StatusCode]++
	if method == http.MethodGet && response.StatusCode == http.StatusOK {
		c.reads = append(c.reads, time.Since(start))
	}
	return response.StatusCode
}

// book books the next free time of a doctor.
func (c *crowd) book(patients []int64, doctor int64) {
	n := c.next.Add(1)
	start := now.AddDate(0, 0, 1).Add(time.Duration(n) * 20 * time.Minute)
	status := c.send("book", http.MethodPost, "/appointments", object{
		"patient_id": patients[n%int64(len(patients))], "doctor_id": doctor, "start_time": start.Format(time.RFC3339), "duration_minutes": 15,
	})
	if status == http.StatusServiceUnavailable {
		time.Sleep(100 * time.Millisecond) // less than any Retry-After
	}
}

func (c *crowd) people(n int) (ids []int64) {
	for range n {
		ids = append(ids, c.patient())
	}
	return ids
}

// run lets the clients work for a while.
func (c *crowd) run(length time.Duration, clients map[int]func(client int)) {
	end := time.Now().Add(length)
	var all sync.WaitGroup
	for n, work := range clients {
		for client := range n {
			all.Go(func() {
				for time.Now().Before(end) {
					work(client)
				}
			})
		}
	}
	all.Wait()
}

// 64 clients book without a pause, at many doctors: the database can handle that, so none is
// rejected.
func TestManyBookersAreAllServed(t *testing.T) {
	c := newCrowd(t)
	patients := c.people(8)
	var doctors []int64
	for range 20 {
		doctors = append(doctors, c.doctor())
	}
	c.run(2*time.Second, map[int]func(int){64: func(client int) { c.book(patients, doctors[client%len(doctors)]) }})
	t.Logf("%v", c.statuses)
	if got := c.statuses["book"]; len(got) != 1 || got[http.StatusCreated] < 64 {
		t.Errorf("bookings by status = %v, want at least 64 of 201 and no other", got)
	}
}

// An admitted request has a connection: reads and writes together never wait for one in the pool.
func TestPlacesDoNotWaitForConnections(t *testing.T) {
	c := newCrowd(t)
	patients := c.people(8)
	var doctors []int64
	for range 20 {
		doctors = append(doctors, c.doctor())
	}
	c.run(time.Second, map[int]func(int){
		40: func(client int) { c.book(patients, doctors[client%len(doctors)]) },
		30: func(client int) {
			c.send("patient", http.MethodGet, fmt.Sprintf("/patients/%d", patients[client%len(patients)]), nil)
		},
	})
	if stats := c.pool.Stats(); stats.WaitCount > 0 || stats.MaxOpenConnections != store.DefaultMaxOpenConns {
		t.Errorf("pool: %+v, answers %v; want no wait for a connection and at most %d of them",
			stats, c.statuses, store.DefaultMaxOpenConns)
	}
	for name, got := range c.statuses {
		if len(got) != 1 {
			t.Errorf("%s by status = %v, want one status", name, got)
		}
	}
}

// Readers of other doctors are served as usual, however many clients book one doctor. The bound is
// measured here, without the bookers; internal/bench has figures of a quiet machine.
func TestHotDoctorLeavesReadersAlone(t *testing.T) {
	const readers = 20
	for _, bookers := range []int{64, 300} {
		t.Run(fmt.Sprint(bookers), func(t *testing.T) {
			c := newCrowd(t)
			patients, hot, other := c.people(8), c.doctor(), c.doctor()
			c.booked(patients[0], other, "2027-03-02T09:00:00Z", 30)
			read := func(int) {
				c.send("read", http.MethodGet, fmt.Sprintf("/appointments?date=2027-03-02&doctor_id=%d", other), nil)
			}
			measure := func(clients map[int]func(int)) (n int, p99 time.Duration) {
				c.reads = nil
				c.run(1500*time.Millisecond, clients)
				slices.Sort(c.reads)
				if len(c.reads) == 0 {
					t.Fatal("no read was answered, want some")
				}
				return len(c.reads), c.reads[len(c.reads)*99/100]
			}
			alone, usual := measure(map[int]func(int){readers: read})
			beside, p99 := measure(map[int]func(int){readers: read, bookers: func(int) { c.book(patients, hot) }})
			t.Logf("%v; p99 %s alone, %s beside bookers", c.statuses, usual, p99)
			if got := c.statuses["read"]; len(got) != 1 {
				t.Errorf("reads by status = %v, want one status", got)
			}
			if c.statuses["book"][http.StatusCreated] == 0 {
				t.Errorf("no booking was answered 201, want some: %v", c.statuses["book"])
			}
			// The bookers share the same two cores: throughput and latency must stay of the same
			// order.
			if limit := max(300*time.Millisecond, 10*usual); p99 > limit || beside < alone/10 {
				t.Errorf("%d reads with p99 %s beside bookings; alone %d with p99 %s; want p99 of at most %s and a tenth of the reads",
					beside, p99, alone, usual, limit)
			}
		})
	}
}
