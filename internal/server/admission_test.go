package server_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"mems/internal/contracttest"
	"mems/internal/server"
)

// Clients who send slowly keep nobody waiting, however many they are.
func TestSlowClientsHoldNothing(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.MaxAtOnce, c.Open = 1, true })
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /patients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"first"); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		s.Get("/patients").Want(t, 200, "")
	}
}

// When there is more to do than can be done, some are told at once to come again,
// and what had begun is finished.
func TestOverloadIsShed(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.MaxAtOnce = 2 })
	patient, doctor := s.patient(), s.doctor()
	feed := s.feed(doctor)
	holder, err := s.db.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback() }()
	if _, err := holder.Exec(`UPDATE doctors SET calendar_rev = calendar_rev + 1 WHERE id = ?`, doctor); err != nil {
		t.Fatal(err)
	}
	client := *s.Client
	client.Allow5xx = true
	answers := make(chan *contracttest.Response, 2)
	for i := range 2 {
		go func() {
			answers <- client.Post("/appointments", object{
				"patient_id": patient, "doctor_id": doctor, "start_time": fmt.Sprintf("2027-03-0%dT09:00:00Z", 3+i), "duration_minutes": 30,
			})
		}()
	}
	s.db.WaitForStatements(t, 2)
	together(12, func(int) {
		if r := client.Get("/patients").Want(t, 503, "unavailable"); r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
	client.Get(feed.URL).Want(t, 503, "unavailable") // public, and as much work as any other
	client.Get("/healthz").Want(t, 200, "")          // whoever watches is answered
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		(<-answers).Want(t, 201, "")
	}
	s.Get("/patients").Want(t, 200, "")
}
