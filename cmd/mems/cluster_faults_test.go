//go:build cluster

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// inbox receives a webhook's messages and records their numbers per record in order of
// arrival. Messages are numbered by position in the feed.
type inbox struct {
	mu       sync.Mutex
	came     map[string][]int64
	messages int
}

func (b *inbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var message struct {
		Data struct {
			Object   string `json:"object"`
			ObjectID int64  `json:"object_id"`
		} `json:"data"`
	}
	var webhook, id int64
	_, err := fmt.Sscanf(r.Header.Get("webhook-id"), "msg_%d_%d", &webhook, &id)
	if err := errors.Join(err, json.NewDecoder(r.Body).Decode(&message)); err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	record := fmt.Sprintf("%s %d", message.Data.Object, message.Data.ObjectID)
	b.came[record] = append(b.came[record], id)
	b.messages++
}

// verify reports changes of appointments that never arrived, or arrived after a later one
// of the same record.
func (b *inbox) verify(t *testing.T, db *sqlx.DB, from int64) {
	t.Helper()
	var made []int64
	if err := db.Select(&made, `SELECT d.id FROM changes AS c LEFT JOIN webhook_deliveries AS d ON d.position = c.position
		WHERE c.type LIKE 'appointment.%' AND c.position > ?`, from); err != nil {
		t.Fatal(err) // NULL: a change without a message
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	came := map[int64]bool{}
	for record, ids := range b.came {
		for _, id := range ids {
			came[id] = true
		}
		if !slices.IsSorted(ids) {
			t.Errorf("messages about %s came in the order %v, want them sorted", record, ids)
		}
	}
	for _, id := range made {
		if !came[id] {
			t.Errorf("message %d did not come, want it delivered", id)
		}
	}
	if len(made) == 0 || len(made) != len(came) {
		t.Errorf("%d changes and %d different messages, want as many of both, and some", len(made), len(came))
	}
	t.Logf("%d messages about %d changes", b.messages, len(made))
}

// readers reads from any server what any server acknowledged: a missing record is a stale
// read.
func (l *clusterLoad) readers(t *testing.T, clients ...*contracttest.Client) (reads *atomic.Int64) {
	reads = new(atomic.Int64)
	for n, client := range clients {
		l.statuses.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(n)))
			for !l.stop.Load() {
				l.mu.Lock()
				known := len(l.record.booked)
				id := int64(0)
				if known > 0 {
					id = l.record.booked[max(0, known-1-random.IntN(5))].ID // new records are the likeliest to be stale
				}
				l.mu.Unlock()
				if id == 0 {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				switch r := client.Get(fmt.Sprintf("/appointments/%d", id)); r.Status {
				case http.StatusOK:
					reads.Add(1)
				case http.StatusServiceUnavailable:
					time.Sleep(20 * time.Millisecond)
				default:
					t.Errorf("read of appointment %d, which was answered as booked = %d %s, want 200 or 503",
						id, r.Status, r.Type())
				}
			}
		})
	}
	return reads
}

// The primary freezes for 20 s under load, with two servers and a webhook: the group
// replaces it, both servers continue on its successor, and when it is back no acknowledged
// booking is missing from any read, and no message is lost or out of order.
func TestClusterFrozenPrimary(t *testing.T) {
	cluster := startCluster(t)
	env := []string{"MEMS_DATABASE_URL=" + cluster.URL("mems"), "MEMS_WEBHOOK_NETWORKS=127.0.0.0/8", "MEMS_RATE_LIMIT=0"}
	if code, said := runMEMS(t, []string{"migrate", "up"}, env[0]); code != 0 {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, 0, said)
	}
	var clients []*contracttest.Client
	for range 2 {
		clients = append(clients, contracttest.New(t, startMEMS(t, env...).URL))
		clients[len(clients)-1].Allow5xx = true
	}
	c := &clinicForRace{Database: &storetest.Database{}}
	c.fill(t, clients[0], 4, 20)
	messages := &inbox{came: map[string][]int64{}}
	receiver := httptest.NewServer(messages)
	t.Cleanup(receiver.Close)
	clients[0].Post("/webhooks", map[string]any{"url": receiver.URL, "types": []string{"appointment.*"}}).Want(t, http.StatusCreated, "")
	db := connectNode(t, cluster, 0, "mems")
	var from int64
	if err := db.Get(&from, `SELECT position FROM change_head`); err != nil {
		t.Fatal(err)
	}

	var load clusterLoad
	load.run(t, clients[0], c)
	load.run(t, clients[1], c)
	reads := load.readers(t, clients...)
	t.Cleanup(func() { load.stop.Store(true); load.statuses.Wait() })
	load.goOn(t)

	if err := cluster.Servers[0].Suspend(); err != nil {
		t.Fatal(err)
	}
	frozen := time.Now()
	t.Cleanup(func() { _ = cluster.Servers[0].Resume() })
	t.Logf("primary frozen: no booking for %s", load.goOn(t))
	if stood := time.Since(frozen); stood < 20*time.Second {
		time.Sleep(20*time.Second - stood)
	}
	if err := cluster.Servers[0].Resume(); err != nil {
		t.Fatal(err)
	}
	load.longest.Store(0)
	time.Sleep(10 * time.Second) // it learns that it was expelled
	t.Logf("back after %s: no booking for %s", time.Since(frozen).Round(time.Second), load.goOn(t))
	load.stop.Store(true)
	load.statuses.Wait()
	t.Logf("answers: %v, %d reads of what was just booked", load.record.statuses, reads.Load())

	primary := cluster.Primary(t.Context())
	if primary < 1 {
		t.Fatalf("primary is node %d, want another than the first", primary+1)
	}
	c.DB = connectNode(t, cluster, primary, "mems")
	c.verify(t, &load.record)
	if kept, answered, unknown := c.count(t), len(load.record.booked), load.record.statuses["503 outcome-unknown"]; kept < answered || kept > answered+unknown {
		t.Errorf("%d appointments are kept, want at least the %d answered and at most %d of unknown outcome more",
			kept, answered, unknown)
	}
	poll(t, "every message", func() bool {
		var left int
		return c.DB.Get(&left, `SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'`) == nil && left == 0
	})
	messages.verify(t, c.DB, from)
}

// cable forwards to a server until it is cut: then nothing arrives in either direction,
// without any error.
type cable struct {
	address string
	cut     atomic.Bool
}

func layCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := &cable{address: listener.Addr().String()}
	carry := func(to, from net.Conn) {
		defer func() { _ = to.Close() }()
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			for c.cut.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go carry(far, near)
			go carry(near, far)
		}
	}()
	return c
}

// A server that loses its connection to the primary, without a network error, reports
// within a second that it is not ready, and each of its requests ends with 503 within the
// database read timeout; the other servers continue, and so does it once the connection is
// back.
func TestClusterWayToThePrimaryIsCut(t *testing.T) {
	cluster := startCluster(t)
	if code, said := runMEMS(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+cluster.URL("mems")); code != 0 {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, 0, said)
	}
	address, err := url.Parse(cluster.NodeURL(0, "mems"))
	if err != nil {
		t.Fatal(err)
	}
	way := layCable(t, address.Host)
	t.Cleanup(func() { way.cut.Store(false) })
	whole := contracttest.New(t, startMEMS(t, "MEMS_DATABASE_URL="+cluster.URL("mems")).URL)
	cut := contracttest.New(t, startMEMS(t, "MEMS_DATABASE_URL="+strings.Replace(cluster.URL("mems"), address.Host, way.address, 1)).URL)
	cut.Allow5xx = true
	c := &clinicForRace{Database: &storetest.Database{}}
	c.fill(t, whole, 1, 1)
	at := tomorrow()
	book := func(client *contracttest.Client) *contracttest.Response {
		at = at.Add(time.Hour)
		return client.Post("/appointments", booking(c.patients[0], c.doctors[0], at, 15))
	}
	book(cut).Want(t, http.StatusCreated, "")

	way.cut.Store(true)
	var ended sync.WaitGroup
	times := [3]time.Time{at.Add(400 * time.Hour), at.Add(401 * time.Hour), at.Add(402 * time.Hour)}
	for _, start := range times {
		ended.Go(func() {
			began := time.Now()
			r := cut.Post("/appointments", booking(c.patients[0], c.doctors[0], start, 15))
			if took := time.Since(began); r.Status != http.StatusServiceUnavailable || took > 20*time.Second {
				t.Errorf("request without a majority = %d %s after %s, want 503 within 20 s", r.Status, r.Type(), took)
			} else {
				t.Logf("cut off: %s after %s", r.Type(), took.Round(10*time.Millisecond))
			}
		})
	}
	poll(t, "not ready", func() bool { return cut.Get("/readyz").Status == http.StatusServiceUnavailable })
	book(whole).Want(t, http.StatusCreated, "")
	ended.Wait()
	healed := time.Now()
	way.cut.Store(false)
	poll(t, "ready again", func() bool { return cut.Get("/readyz").Status == http.StatusOK })
	poll(t, "booking again", func() bool { return book(cut).Status == http.StatusCreated })
	t.Logf("healed: books again after %s", time.Since(healed).Round(10*time.Millisecond))
}

// With tls=mems each host needs a certificate for its own name in the list: one without is
// not used, even if it becomes the primary.
func TestClusterTLS(t *testing.T) {
	cluster := startCluster(t)
	if code, said := runMEMS(t, []string{"migrate", "up"}, "MEMS_DATABASE_URL="+cluster.URL("mems")); code != 0 {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, 0, said)
	}
	dir := t.TempDir()
	var authorities strings.Builder
	for i := range cluster.Servers {
		cert, key := filepath.Join(dir, fmt.Sprintf("cert%d.pem", i)), filepath.Join(dir, fmt.Sprintf("key%d.pem", i))
		writePair(t, cert, key, int64(i+1)) // for 127.0.0.1
		text, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		authorities.Write(text)
		node := connectNode(t, cluster, i, "")
		for variable, file := range map[string]string{"ssl_ca": cert, "ssl_cert": cert, "ssl_key": key} {
			node.MustExec(`SET GLOBAL `+variable+` = ?`, file)
		}
		node.MustExec(`ALTER INSTANCE RELOAD TLS`)
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte(authorities.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	third, err := url.Parse(cluster.NodeURL(2, "mems"))
	if err != nil {
		t.Fatal(err)
	}
	// The third host has a name that is not in its certificate.
	address := strings.Replace(cluster.URL("mems"), third.Host, "localhost:"+third.Port(), 1) + "?tls=mems"
	client := contracttest.New(t, startMEMS(t, "MEMS_DATABASE_URL="+address, "MEMS_DATABASE_CA_FILE="+ca).URL)
	client.Allow5xx = true
	c := &clinicForRace{Database: &storetest.Database{}}
	c.fill(t, client, 1, 1)
	var encrypted int
	if err := connectNode(t, cluster, 0, "").Get(&encrypted, `
		SELECT COUNT(*) FROM performance_schema.threads
		WHERE processlist_db = 'mems' AND connection_type = 'SSL/TLS'`); err != nil || encrypted == 0 {
		t.Errorf("%d connections are encrypted (%v), want some", encrypted, err)
	}
	at := tomorrow()
	book := func() int {
		at = at.Add(time.Hour)
		return client.Post("/appointments", booking(c.patients[0], c.doctors[0], at, 15)).Status
	}
	for _, step := range []struct {
		primary int
		want    int
	}{{1, http.StatusCreated}, {2, http.StatusServiceUnavailable}, {0, http.StatusCreated}} {
		if err := cluster.SetPrimary(t.Context(), step.primary); err != nil {
			t.Fatal(err)
		}
		poll(t, fmt.Sprintf("%d with node %d as the primary", step.want, step.primary+1), func() bool { return book() == step.want })
		if step.want != http.StatusCreated {
			for range 5 { // and it stays that way
				time.Sleep(300 * time.Millisecond)
				if got := book(); got != step.want {
					t.Errorf("booking while node %d is the primary = %d, want %d", step.primary+1, got, step.want)
				}
			}
		}
	}
}

// Measures bookings per second at each level of group_replication_consistency, for the
// table in .deploy/cluster/README.md. It only asserts that every level books.
func TestClusterConsistency(t *testing.T) {
	cluster := startCluster(t)
	env := "MEMS_DATABASE_URL=" + cluster.URL("mems")
	if code, said := runMEMS(t, []string{"migrate", "up"}, env); code != 0 {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, 0, said)
	}
	levels := []string{"EVENTUAL", "BEFORE_ON_PRIMARY_FAILOVER", "BEFORE", "AFTER", "BEFORE_AND_AFTER"}
	c := &clinicForRace{Database: &storetest.Database{}}
	rates := map[string][]string{}
	for round := range 3 {
		for n, level := range levels {
			// Else the first commits at AFTER wait for all that the level before left behind.
			if err := cluster.AwaitApplied(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			for i := range cluster.Servers {
				connectNode(t, cluster, i, "").MustExec(`SET GLOBAL group_replication_consistency = '` + level + `'`)
			}
			server := startMEMS(t, env) // sessions adopt the level when they begin
			client := contracttest.New(t, server.URL)
			if c.doctors == nil {
				c.fill(t, client, 8, 40)
			}
			var booked atomic.Int64
			var workers sync.WaitGroup
			const window = 8 * time.Second
			end := time.Now().Add(window)
			for worker := range 8 {
				workers.Go(func() {
					random := rand.New(rand.NewPCG(uint64(round*len(levels)+n), uint64(worker))) // different times than before
					for time.Now().Before(end) {
						r := client.Post("/appointments", booking(c.patients[random.IntN(len(c.patients))], c.doctors[random.IntN(len(c.doctors))],
							tomorrow().Add(time.Duration(random.IntN(3*365*24*4))*15*time.Minute), 15))
						if r.Status == http.StatusCreated {
							booked.Add(1)
						}
					}
				})
			}
			workers.Wait()
			if booked.Load() == 0 {
				t.Errorf("%s: nothing was booked, want some bookings", level)
			}
			rates[level] = append(rates[level], fmt.Sprintf("%.0f", float64(booked.Load())/window.Seconds()))
			server.Signal(syscall.SIGINT)
			server.Wait()
		}
	}
	for _, level := range levels {
		t.Logf("%-28s bookings/s in three rounds: %s", level, strings.Join(rates[level], ", "))
	}
}
