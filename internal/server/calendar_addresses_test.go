package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/server"
	"mems/internal/storetest"
)

// A feed's URL works until it is revoked or expires, in every process at once; afterwards it is
// indistinguishable from one that never worked.
func TestCalendarFeedAddresses(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := setupSecured(t, func(c *server.Config) { c.Log = jsonLog(log) })
	// The other process has exactly the rights of db/grants.sql.
	nobody, elsewhere := contracttest.New(t, s.url), contracttest.New(t, setupOn(t, storetest.Grant(t, s.db), "UTC").url)
	doctor := s.doctor()
	kept, gone := s.feed(doctor), s.feed(doctor)
	var short api.CalendarFeedCreated
	s.Post("/calendar-feeds", object{"doctor_id": doctor, "name": "Locum", "expires_at": now.Add(time.Hour)}).Want(t, 201, "").Decode(t, &short)
	for _, client := range []*contracttest.Client{elsewhere, nobody} {
		for _, feed := range []api.CalendarFeedCreated{kept, gone, short} {
			answer := client.Get(feed.URL).Want(t, 200, "")
			if h := answer.Header; h.Get("Content-Type") != "text/calendar; charset=utf-8" || h.Get("Cache-Control") != "private, no-cache" ||
				strings.Contains(h.Get("Content-Disposition"), "memscal") {
				t.Errorf("headers of the calendar: %v, want a calendar that is private, not cached and without its secret",
					h)
			}
		}
	}
	record := s.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", gone.ID), nil).Want(t, 200, "")
	again := s.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", gone.ID), nil).Want(t, 200, "")
	if !bytes.Equal(record.Body, again.Body) || strings.Contains(string(record.Body), "memscal") {
		t.Errorf("feed read twice: %s, then %s; want the same, without the secret", record.Body, again.Body)
	}
	s.pass(time.Hour) // the short one has ended; elsewhere has its own clock
	secretOf := func(feed api.CalendarFeedCreated) string { return feed.URL[len("/calendars/memscal_1_"):] }
	var refusal map[string]any
	for _, url := range []string{
		gone.URL, short.URL, "/calendars/memscal_1_" + secretOf(gone), "/calendars/memscal_1_" + strings.Repeat("A", 43) + ".ics",
		"/calendars/memscal_2_" + secretOf(kept), "/calendars/memscal_999_" + strings.Repeat("A", 43) + ".ics", "/calendars/x", "/calendars/.ics",
		strings.TrimSuffix(kept.URL, ".ics"), kept.URL + ".ics", strings.ToUpper(kept.URL[11:12]) + kept.URL[12:],
		strings.Replace(kept.URL, "memscal_1_", "memscal_01_", 1), strings.Replace(kept.URL, "memscal_1_", "memscal_+1_", 1),
	} {
		if !strings.HasPrefix(url, "/calendars/") {
			url = "/calendars/" + url
		}
		var p map[string]any
		nobody.Get(url).Want(t, 404, "calendar-feed-not-found").Decode(t, &p)
		delete(p, "instance")
		delete(p, "request_id")
		if refusal == nil {
			refusal = p
		}
		if fmt.Sprint(p) != fmt.Sprint(refusal) {
			t.Errorf("GET %s = %v, want the same refusal as others get, %v", url, p, refusal)
		}
	}
	elsewhere.Get(gone.URL).Want(t, 404, "calendar-feed-not-found")
	var passing api.CalendarFeedCreated
	elsewhere.Post("/calendar-feeds", object{"doctor_id": nil, "name": "Wall"}).Want(t, 201, "").Decode(t, &passing)
	nobody.Get(passing.URL).Want(t, 200, "")
	elsewhere.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", passing.ID), nil).Want(t, 200, "")
	nobody.Get(passing.URL).Want(t, 404, "calendar-feed-not-found")
	nobody.Get(kept.URL).Want(t, 200, "") // the other is none of its business
	// An API key does not work as a feed's URL, nor the reverse.
	nobody.With("X-API-Key", strings.TrimSuffix(strings.TrimPrefix(kept.URL, "/calendars/"), ".ics")).Get("/patients").Want(t, 401, "unauthenticated")

	for name, body := range map[string]object{
		"Expired":       {"doctor_id": doctor, "name": "x", "expires_at": "2020-01-01T00:00:00Z"},
		"Blank":         {"doctor_id": doctor, "name": " \t"},
		"WithoutDoctor": {"name": "x"},
	} {
		if r := s.Post("/calendar-feeds", body); r.Status != 422 {
			t.Errorf("POST /calendar-feeds with %s = %d %s, want 422", name, r.Status, r.Body)
		}
	}
	s.Post("/calendar-feeds", object{"doctor_id": 999, "name": "x"}).Want(t, 404, "doctor-not-found")
	s.Get("/calendar-feeds/999").Want(t, 404, "calendar-feed-not-found")

	// The secret is stored neither in the database nor in the log.
	secret := strings.TrimSuffix(secretOf(kept), ".ics")
	var dump []string
	if err := s.db.DB.Select(&dump, `SELECT CONCAT_WS(' ', id, name, HEX(secret_hash), created_by) FROM calendar_feeds
		UNION ALL SELECT CONCAT_WS(' ', subject, operation, object, details) FROM audit_entries`); err != nil {
		t.Fatal(err)
	}
	if len(dump) < 10 || strings.Contains(strings.Join(dump, " "), secret) {
		t.Errorf("dump of %d rows: %v, want at least 10, without the feed's secret", len(dump), dump)
	}
	if text := log.String(); !strings.Contains(text, "/calendars/:token") || strings.Contains(text, secret) || strings.Contains(text, "memscal") {
		t.Errorf("log: %s, want the address as /calendars/:token, without the secret", text)
	}
	// The trail has every read of the feed, and the feed has the time of the last one.
	read := s.trail("subject", fmt.Sprintf("feed:%d", kept.ID))
	if len(read) != 3 || read[0].Operation != "getCalendar" || read[0].Action != "read" || read[0].Object != "calendar_feed" ||
		read[0].ObjectID.MustGet() != kept.ID || len(read[0].PatientIds) > 0 || !read[0].PatientID.IsNull() || read[0].Address.IsNull() {
		t.Errorf("audit entries of the reads = %+v, want 3 of getCalendar, each for the feed, without patients, with an address",
			read)
	}
	var told api.CalendarFeed
	s.Get(fmt.Sprintf("/calendar-feeds/%d", kept.ID)).Want(t, 200, "").Decode(t, &told)
	if used, err := told.LastUsedAt.Get(); err != nil || !used.Equal(now) {
		t.Errorf("used %v, %v; want %v, to the hour", used, err, now)
	}
}

// A doctor can create and see feeds of their own calendar; those of the clinic are for managers.
func TestCalendarFeedReach(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, nil)
	mine, other := s.doctor(), s.doctor()
	doctor, _ := s.key("doctor", object{"doctor_id": mine})
	manager, _ := s.key("manager", nil)
	auditor, _ := s.key("auditor", nil)
	foreign, clinics := s.feed(other), s.feed(0)
	var own api.CalendarFeedCreated
	doctor.Post("/calendar-feeds", object{"doctor_id": mine, "name": "Mine"}).Want(t, 201, "").Decode(t, &own)
	doctor.Post("/calendar-feeds", object{"doctor_id": other, "name": "Not mine"}).Want(t, 403, "forbidden")
	doctor.Post("/calendar-feeds", object{"doctor_id": nil, "name": "Everybody's"}).Want(t, 403, "forbidden")
	manager.Post("/calendar-feeds", object{"doctor_id": nil, "name": "Wall"}).Want(t, 201, "")
	auditor.Post("/calendar-feeds", object{"doctor_id": nil, "name": "Wall"}).Want(t, 403, "forbidden")
	for _, id := range []int64{foreign.ID, clinics.ID} {
		doctor.Get(fmt.Sprintf("/calendar-feeds/%d", id)).Want(t, 404, "calendar-feed-not-found")
		doctor.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", id), nil).Want(t, 404, "calendar-feed-not-found")
	}
	ids := func(c *contracttest.Client) []int64 {
		t.Helper()
		var all []int64
		for cursor := ""; ; {
			query := []string{"limit", "1"}
			if cursor != "" {
				query = append(query, "cursor", cursor)
			}
			answer := c.Get("/calendar-feeds", query...).Want(t, 200, "")
			if strings.Contains(string(answer.Body), "memscal") {
				t.Errorf("list of feeds: %s, want it without secrets", answer.Body)
			}
			var page api.CalendarFeedList
			answer.Decode(t, &page)
			for _, feed := range page.Items {
				all = append(all, feed.ID)
			}
			next, err := page.NextCursor.Get()
			if err != nil {
				return all
			}
			cursor = next
		}
	}
	if got := ids(doctor); !slices.Equal(got, []int64{own.ID}) {
		t.Errorf("feeds that the doctor lists = %v, want their own, [%d]", got, own.ID)
	}
	for _, client := range []*contracttest.Client{manager, auditor} {
		if got := ids(client); len(got) != 4 {
			t.Errorf("feeds that the administrator lists = %v, want all 4", got)
		}
	}
	doctor.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", own.ID), nil).Want(t, 200, "")
	s.Get(clinics.URL).Want(t, 200, "")
	// The trail has who created the feed and who revoked it.
	var actions []string
	for _, e := range slices.Backward(s.trail("subject", own.CreatedBy)) {
		if e.Object == "calendar_feed" {
			actions = append(actions, e.Operation+" "+string(e.Action))
		}
	}
	if want := []string{"createCalendarFeed create", "revokeCalendarFeed update"}; !slices.Equal(actions, want) {
		t.Errorf("%q, want %q", actions, want)
	}
	// A feed is deleted with its doctor.
	s.Delete(fmt.Sprintf("/doctors/%d", other)).Want(t, 204, "")
	s.Get(foreign.URL).Want(t, 404, "calendar-feed-not-found")
}

// A client that has the current calendar gets 304 until something changes.
func TestCalendarFeedIsCached(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	feed := f.feed(doctor)
	f.booked(f.patient(), doctor, "2027-03-02T09:00:00Z", 30)
	first := f.Get(feed.URL).Want(t, 200, "")
	tag := first.Header.Get("ETag")
	ask := func(method string, tags ...string) *contracttest.Response {
		return f.Send(contracttest.Request{Method: method, Path: feed.URL, Header: http.Header{"If-None-Match": tags}})
	}
	f.pass(3 * time.Hour) // the same bytes all day
	for _, known := range [][]string{{tag}, {"W/" + tag}, {`"other", ` + tag}, {`"other"`, tag}, {"*"}} {
		answer := ask("GET", known...).Want(t, 304, "")
		if len(answer.Body) > 0 || answer.Header.Get("ETag") != tag || answer.Header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("If-None-Match %q: headers %v, body %q; want no body and the tag %s",
				known, answer.Header, answer.Body, tag)
		}
	}
	for _, other := range []string{"", `"other"`, strings.Trim(tag, `"`), "W/"} {
		if answer := ask("GET", other).Want(t, 200, ""); !bytes.Equal(answer.Body, first.Body) {
			t.Errorf("If-None-Match %q: %s, want the calendar as before: %s", other, answer.Body, first.Body)
		}
	}
	if head := ask("HEAD").Want(t, 200, ""); len(head.Body) > 0 || head.Header.Get("ETag") != tag || head.Header.Get("Content-Length") != fmt.Sprint(len(first.Body)) {
		t.Errorf("HEAD: %d bytes, headers %v; want no body, the tag %s and Content-Length %d",
			len(head.Body), head.Header, tag, len(first.Body))
	}
	f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
	if answer := ask("GET", tag).Want(t, 200, ""); answer.Header.Get("ETag") == tag {
		t.Errorf("ETag after a change = %s, want another than before", tag)
	}
	f.Post(fmt.Sprintf("/calendar-feeds/%d/revoke", feed.ID), nil).Want(t, 200, "")
	ask("GET", "*").Want(t, 404, "calendar-feed-not-found")
}

// Guessing feed URLs is limited like guessing keys, and a feed that is read too often gets 429.
func TestCalendarFeedIsRateLimited(t *testing.T) {
	t.Parallel()
	s := setupSecured(t, func(c *server.Config) { c.RateLimit = 10 })
	nobody := contracttest.New(t, s.url)
	answers := map[int]int{}
	for i := range 15 {
		answer := nobody.Get(fmt.Sprintf("/calendars/memscal_%d_%s.ics", i+1, strings.Repeat("A", 43)))
		answers[answer.Status]++
		if answer.Status == 429 && !json.Valid(answer.Body) {
			t.Errorf("body of a 429: %s, want valid JSON", answer.Body)
		}
	}
	if answers[404] != 10 || answers[429] != 5 {
		t.Errorf("statuses of unknown addresses = %v, want 10 of 404 and 5 of 429", answers)
	}
}
