package telemetry_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/store"
	"mems/internal/storetest"
	"mems/internal/telemetry"
)

// now returns the time at which this package's tests take place.
func now() time.Time { return time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC) }

type object = map[string]any

// fixture is an instrumented clinic behind HTTP.
type fixture struct {
	*contracttest.Client
	t          *testing.T
	db         *storetest.Database
	url        string
	status     string // directory of status files
	watch      *telemetry.Telemetry
	exporter   *tracetest.InMemoryExporter
	log        lockedBuffer
	loseCommit atomic.Bool // drop the connection of the next COMMIT
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, db: storetest.New(t), exporter: tracetest.NewInMemoryExporter()}
	log := f.logger()
	var err error
	f.watch, err = telemetry.New(t.Context(), telemetry.Config{Version: "v9", Commit: "c0ffee", Schema: "9", Log: log, Exporter: f.exporter})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(store.Config{
		DSN: f.db.DSN, Now: now, Zone: time.UTC, Log: log, Observe: f.watch.Store(),
		OpenDB: func(c driver.Connector) *sql.DB { return f.watch.OpenDB(frail{c, &f.loseCommit}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	s, err := server.New(server.Config{Store: st, Zone: time.UTC, Open: true, Version: "test", Commit: "test", Log: log, Observe: f.watch.Answered, Lines: f.watch.Lines()})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(f.watch.Handler(s))
	t.Cleanup(h.Close)
	f.status = t.TempDir()
	f.watch.Watch(telemetry.State{
		Store: st, CertificateExpires: func() time.Time { return now().AddDate(0, 0, 90) }, StatusDir: f.status, Now: now,
	})
	f.url, f.Client = h.URL, contracttest.New(t, h.URL)
	return f
}

func (f *fixture) logger() *slog.Logger {
	return slog.New(telemetry.LogHandler(slog.NewJSONHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// nowhere returns a store whose database is unreachable.
func (f *fixture) nowhere() *store.Store {
	f.t.Helper()
	st, err := store.Open(store.Config{DSN: "root@tcp(127.0.0.1:1)/mems", Now: now, Zone: time.UTC, Log: f.logger()})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = st.Close() })
	return st
}

func parse(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (f *fixture) patient(last string) int64 {
	f.t.Helper()
	var p api.Patient
	f.Post("/patients", object{"first_name": "Ann", "last_name": last}).Want(f.t, 201, "").Decode(f.t, &p)
	return p.ID
}

func (f *fixture) doctor() int64 {
	f.t.Helper()
	var d api.Doctor
	f.Post("/doctors", object{"full_name": "Dr. Noor Haddad", "specialization": "Dermatology"}).Want(f.t, 201, "").Decode(f.t, &d)
	return d.ID
}

func booking(patient, doctor int64, start string) object {
	return object{"patient_id": patient, "doctor_id": doctor, "start_time": start, "duration_minutes": 30}
}

// hold holds the guard of a doctor, as a booking would, until free is called.
func (f *fixture) hold(doctor int64) (free func()) {
	f.t.Helper()
	tx, err := f.db.DB.Begin()
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := tx.Exec(`UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, doctor); err != nil {
		f.t.Fatal(err)
	}
	free = sync.OnceFunc(func() { _ = tx.Rollback() })
	f.t.Cleanup(free)
	return free
}

// everything generates traffic that changes every metric; it takes some seconds.
func (f *fixture) everything() {
	f.t.Helper()
	patient, other, doctor := f.patient("Muster"), f.patient("Beispiel"), f.doctor()
	f.Post("/appointments", booking(patient, doctor, "2027-03-02T09:00:00Z")).Want(f.t, 201, "")
	f.Post("/appointments", booking(other, doctor, "2027-03-02T09:15:00Z")).Want(f.t, 409, "doctor-overlap")
	f.Get("/nowhere").Want(f.t, 404, "not-found")
	free := f.hold(doctor)
	var waits sync.WaitGroup
	waits.Go(func() { f.Post("/appointments", booking(patient, doctor, "2027-03-02T10:00:00Z")) })
	f.eventually(`mems_tx_retries_total{cause="lock-wait"}`, 1) // innodb_lock_wait_timeout is 3 s
	free()
	waits.Wait()
	f.Allow5xx = true
	f.loseCommit.Store(true)
	f.Post("/appointments", booking(patient, doctor, "2027-03-02T11:00:00Z")).Want(f.t, 503, "outcome-unknown")
}

// scrape returns the metrics as Prometheus reads them: series to value.
func (f *fixture) scrape() map[string]float64 {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.watch.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		f.t.Fatalf("GET /metrics = %d, want 200", w.Code)
	}
	series := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		series[line[:i]] = parse(f.t, line[i+1:])
	}
	return series
}

// want checks the values of series.
func (f *fixture) want(series map[string]float64) {
	f.t.Helper()
	got := f.scrape()
	for name, value := range series {
		if v, ok := got[name]; !ok || v != value {
			f.t.Errorf("%s is %v (there: %t), want %v", name, v, ok, value)
		}
	}
}

// eventually waits until a series has a value: the server counts a response after sending
// it.
func (f *fixture) eventually(name string, value float64) {
	f.t.Helper()
	var got float64
	for range 1000 {
		if got = f.scrape()[name]; got == value {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("%s is %v, want %v", name, got, value)
}

// spans returns the exported spans.
func (f *fixture) spans() tracetest.SpanStubs {
	f.t.Helper()
	if err := f.watch.Flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return f.exporter.GetSpans()
}

// frail is a driver that drops the connection during COMMIT on request.
type frail struct {
	driver.Connector

	lose *atomic.Bool
}

func (c frail) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return frailConn{conn.(fullConn), c.lose}, nil
}

// fullConn has the methods that database/sql uses of a driver's connection.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type frailConn struct {
	fullConn

	lose *atomic.Bool
}

func (c frailConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.fullConn.BeginTx(ctx, o)
	return frailTx{tx, c.lose}, err
}

type frailTx struct {
	driver.Tx

	lose *atomic.Bool
}

func (t frailTx) Commit() error {
	if t.lose.CompareAndSwap(true, false) {
		return fmt.Errorf("%w: %w", driver.ErrBadConn, t.Rollback())
	}
	return t.Tx.Commit()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
