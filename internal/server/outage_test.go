package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/storetest"
)

// lines is a log that many goroutines may write to.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// setupLogged starts a server whose log can be read and whose requests time out after timeout.
func setupLogged(t *testing.T, db *storetest.Database, timeout time.Duration) (*fixture, *lines) {
	t.Helper()
	log := &lines{}
	s, err := server.New(server.Config{
		Store: db.Open(t, func() time.Time { return now }, time.UTC), Zone: time.UTC, Open: true,
		Log: slog.New(slog.NewJSONHandler(log, nil)), RequestTimeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &fixture{Client: contracttest.New(t, h.URL), t: t, db: db, url: h.URL}, log
}

// wantUnavailable calls every operation that needs the database.
func wantUnavailable(t *testing.T, f *fixture) {
	t.Helper()
	f.Allow5xx = true
	for _, r := range []contracttest.Request{
		{Method: "GET", Path: "/readyz"},
		{Method: "GET", Path: "/patients?name=Muster"},
		{Method: "GET", Path: "/doctors"},
		{Method: "GET", Path: "/appointments?date=2027-03-02"},
		{Method: "GET", Path: "/appointments/1"},
		{Method: "DELETE", Path: "/patients/1"},
		{Method: "PATCH", Path: "/doctors/1", Body: object{"is_active": false}},
		{Method: "POST", Path: "/patients", Body: object{"first_name": "Ann", "last_name": "Muster", "email": "ann@example.org"}},
		{Method: "POST", Path: "/appointments/1/cancel", Body: object{"reason": "other"}},
		{Method: "POST", Path: "/appointments", Body: object{
			"patient_id": 1, "doctor_id": 1, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30,
		}},
	} {
		if answer := f.Send(r).Want(t, 503, "unavailable"); answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s during the outage: headers %v, want a Retry-After", r.Method, r.Path, answer.Header)
		}
	}
	f.Get("/healthz").Want(t, 200, "")
	f.Get("/docs").Want(t, 200, "")
}

// A request that takes too long is aborted with 503.
func TestDeadline(t *testing.T) {
	t.Parallel()
	f, log := setupLogged(t, storetest.New(t), time.Nanosecond)
	wantUnavailable(t, f)
	if !strings.Contains(log.String(), `"request failed"`) {
		t.Errorf("log = %s, want the failed request in it", log.String())
	}
}

// A database without migrations is unavailable.
func TestNotMigrated(t *testing.T) {
	t.Parallel()
	f, _ := setupLogged(t, storetest.Empty(t), time.Minute)
	wantUnavailable(t, f)
}

// /readyz says why the database cannot be used.
func TestReadinessSaysWhy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, says string }{
		"old schema": {`DELETE FROM goose_db_version ORDER BY version_id DESC LIMIT 1`, `The schema is older than this program needs: run "mems migrate up".`},
		"no schema":  {`DROP TABLE goose_db_version`, `The database has no schema of this program yet: run "mems migrate up".`},
		"other zone": {`INSERT INTO clinic_zone (id, name) VALUES (1, 'Europe/Lisbon')`, `The clinic's time zone was changed: set MEMS_CLINIC_TIME_ZONE to what "mems zone" shows, and restart this server.`},
		"restoring":  {`UPDATE goose_db_version SET id = 0, is_applied = 0 WHERE version_id = 0`, "A backup is being restored into the database: finish that first."},
		"not there":  {`DROP DATABASE `, "The database does not exist on its server: check the name in MEMS_DATABASE_URL."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			f, _ := setupLogged(t, d, time.Minute)
			f.Allow5xx = true
			if test.change == `DROP DATABASE ` {
				var database string
				if err := d.DB.Get(&database, `SELECT DATABASE()`); err != nil {
					t.Fatal(err)
				}
				test.change += database
			}
			d.DB.MustExec(test.change)
			var problem api.Problem
			f.Get("/readyz").Want(t, 503, "unavailable").Decode(t, &problem)
			if problem.Detail != test.says {
				t.Errorf("says %s, want %s", problem.Detail, test.says)
			}
		})
	}
}

// The log has every request with its id, and no data of patients.
func TestLog(t *testing.T) {
	t.Parallel()
	f, log := setupLogged(t, storetest.New(t), time.Minute)
	person := object{"first_name": "Ann", "last_name": "Geheim", "email": "geheim@example.org", "phone": "0171 5550123"}
	path := f.Post("/patients", person).Want(t, 201, "").Header.Get("Location")
	f.Post("/patients", person).Want(t, 409, "email-taken")
	f.Patch(path, object{"last_name": "Geheim", "zz": "Geheim"}).Want(t, 422, "validation-failed")
	f.Get("/patients", "name", "Geheim", "email", "geheim@example.org").Want(t, 200, "")
	f.Get("/patients", "Geheim", "1").Want(t, 422, "validation-failed")
	f.Get("/patients/Geheim").Want(t, 422, "validation-failed")
	f.Get("/Geheim").Want(t, 404, "not-found")
	f.Post("/patients", `{"last_name":"Geheim"`).Want(t, 400, "malformed-request")
	last := f.Get(path).Want(t, 200, "")

	text := log.String()
	if strings.Contains(strings.ToLower(text), "geheim") || strings.Contains(text, "5550123") {
		t.Errorf("the log has data of patients, want none:\n%s", text)
	}
	want := fmt.Sprintf(`"request_id":%q,"method":"GET","route":"/patients/:id","status":200`, last.Header.Get("X-Request-ID"))
	if !strings.Contains(text, want) {
		t.Errorf("the log lacks %s:\n%s", want, text)
	}
	for _, want := range []string{
		`"method":"POST","route":"/patients","status":409,"bytes":`, `"problem":"email-taken"`,
		`"problem":"validation-failed"`, `"problem":"not-found"`, `"problem":"malformed-request"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, `"msg":"request"`) && strings.Contains(line, `"problem"`) == strings.Contains(line, `"status":20`) {
			t.Errorf("log line = %s, want a problem exactly if the request was refused", line)
		}
	}
	if n := strings.Count(text, `"msg":"request"`); n != 9 {
		t.Errorf("%d lines of requests, want 9:\n%s", n, text)
	}
}

// HEAD returns what GET does without the body, errors included.
func TestHead(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for path, status := range map[string]int{
		fmt.Sprintf("/patients/%d", f.patient()): 200, "/patients/999999": 404, "/patients/0": 422, "/none": 404,
		"/appointments/1/cancel": 405, "/docs": 200, "/docs/scalar.js": 200, "/openapi.yaml": 200, "/problems/not-found": 200,
	} {
		head := f.Send(contracttest.Request{Method: http.MethodHead, Path: path})
		get := f.Get(path)
		if head.Status != status || get.Status != status || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") ||
			head.Header.Get("ETag") != get.Header.Get("ETag") {
			t.Errorf("HEAD %s = %d %v, GET = %d %v; want %d and the same Content-Type and ETag",
				path, head.Status, head.Header, get.Status, get.Header, status)
		}
	}
}
