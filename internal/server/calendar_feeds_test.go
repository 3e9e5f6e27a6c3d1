package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	reader "github.com/emersion/go-ical" // not the library that writes them

	"mems/gen/api"
	"mems/internal/contracttest"
)

// feed creates a feed and returns its record and URL; doctor 0 is the whole clinic.
func (f *fixture) feed(doctor int64) api.CalendarFeedCreated {
	f.t.Helper()
	body := object{"doctor_id": doctor, "name": "Phone"}
	if doctor == 0 {
		body["doctor_id"] = nil
	}
	var made api.CalendarFeedCreated
	f.Post("/calendar-feeds", body).Want(f.t, 201, "").Decode(f.t, &made)
	return made
}

// subscribed reads a calendar as a calendar program does: with a parser independent of the encoder,
// which also checks what RFC 5545 requires of every component.
func subscribed(t *testing.T, answer *contracttest.Response) (calendar *reader.Calendar, events map[string]reader.Event) {
	t.Helper()
	answer.Want(t, 200, "")
	for line := range strings.SplitSeq(strings.TrimSuffix(string(answer.Body), "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") || strings.ToValidUTF8(line, "") != line {
			t.Errorf("line of %d octets: %q, want at most 75, valid UTF-8, without a bare CR or LF", len(line), line)
		}
	}
	d := reader.NewDecoder(bytes.NewReader(answer.Body))
	calendar, err := d.Decode()
	if err != nil {
		t.Fatalf("decode calendar: %v, want no error:\n%s", err, answer.Body)
	}
	if _, err := d.Decode(); !errors.Is(err, io.EOF) {
		t.Errorf("decode after the first calendar: %v, want EOF", err)
	}
	if err := reader.NewEncoder(io.Discard).Encode(calendar); err != nil {
		t.Errorf("encode what was decoded: %v, want no error:\n%s", err, answer.Body)
	}
	events = map[string]reader.Event{}
	for _, e := range calendar.Events() {
		uid := e.Props.Get(reader.PropUID).Value
		if _, twice := events[uid]; twice {
			t.Errorf("UID %s is that of two events, want it unique", uid)
		}
		events[uid] = e
	}
	return calendar, events
}

// value returns a property of the event, unescaped; "" if it is missing.
func value(t *testing.T, e reader.Event, name string) string {
	t.Helper()
	text, err := e.Props.Text(name)
	if err != nil {
		t.Error(err)
	}
	return text
}

// span returns the event's start and end.
func span(t *testing.T, e reader.Event) string {
	t.Helper()
	start, err := e.DateTimeStart(time.UTC)
	if err != nil {
		t.Error(err)
	}
	end, err := e.DateTimeEnd(time.UTC)
	if err != nil {
		t.Error(err)
	}
	return start.Format(time.RFC3339) + "/" + end.Format(time.RFC3339)
}

// kinds counts events by the prefix of their UID.
func kinds(events map[string]reader.Event) map[string]int {
	n := map[string]int{}
	for uid := range events {
		kind, _, _ := strings.Cut(uid, "@")
		n[kind[:strings.LastIndex(kind, "-")]]++
	}
	return n
}

// find returns the event of an appointment.
func find(t *testing.T, events map[string]reader.Event, id int64) reader.Event {
	t.Helper()
	for uid, e := range events {
		if strings.HasPrefix(uid, fmt.Sprintf("appointment-%d@", id)) {
			return e
		}
	}
	t.Fatalf("appointment %d is not among the %d events, want it there", id, len(events))
	return reader.Event{}
}

// A feed has the appointments that GET /appointments lists for the same days, at the same times,
// also around both clock changes.
func TestCalendarFeedIsTheCalendar(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, other := f.doctor(), f.doctor()
	for _, at := range []string{
		"2027-03-01T20:00:00Z", "2027-03-28T00:30:00Z", "2027-03-28T01:15:00Z", // the clocks go from 02:00 to 03:00
		"2027-08-28T21:00:00Z", "2027-08-28T22:00:00Z", // the last day in the window, and the first that is not
		"2027-10-31T00:10:00Z", "2027-10-31T01:10:00Z", // 02:10 at the clinic, twice
		"2028-02-28T10:00:00Z", "2029-01-01T10:00:00Z",
	} {
		f.booked(f.patient(), doctor, at, 45)
	}
	f.booked(f.patient(), other, "2027-03-02T09:00:00Z", 15)
	mine, all := f.feed(doctor), f.feed(0)
	compare := func(url string, from, to string, query ...string) int {
		t.Helper()
		_, events := subscribed(t, f.Get(url))
		var page api.AppointmentList
		f.Get("/appointments", append(query, "from", from, "to", to, "limit", "200")...).Want(t, 200, "").Decode(t, &page)
		if len(events) != len(page.Items) {
			t.Errorf("feed has %d events, want one for each of %d appointments", len(events), len(page.Items))
		}
		for _, a := range page.Items {
			want := a.StartTime.Format(time.RFC3339) + "/" + a.EndTime.Format(time.RFC3339)
			if e := find(t, events, a.ID); span(t, e) != want || value(t, e, reader.PropSummary) == "" {
				t.Errorf("event of appointment %d: %s, summary %q; want %s and a summary",
					a.ID, span(t, e), value(t, e, reader.PropSummary), want)
			}
		}
		return len(events)
	}
	id := fmt.Sprint(doctor)
	if n := compare(mine.URL, "2027-01-29T23:00:00Z", "2027-08-28T22:00:00Z", "doctor_id", id); n != 4 {
		t.Errorf("%d events, want 4", n)
	}
	if n := compare(all.URL, "2027-02-21T23:00:00Z", "2027-04-30T22:00:00Z"); n != 4 {
		t.Errorf("%d events of the clinic, want 4", n)
	}
	f.pass(184 * 24 * time.Hour) // 2027-09-01
	if n := compare(mine.URL, "2027-08-01T22:00:00Z", "2028-02-28T23:00:00Z", "doctor_id", id); n != 5 {
		t.Errorf("%d events in autumn, want 5", n)
	}
}

// Every change of an appointment increases SEQUENCE and keeps the UID, in every feed that has it.
func TestCalendarFeedSequence(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, colleague := f.doctor(), f.doctor()
	feed, second, clinics, colleagues := f.feed(doctor), f.feed(doctor), f.feed(0), f.feed(colleague)
	a := f.booked(f.patient(), doctor, "2027-03-01T20:00:00Z", 30)
	path := fmt.Sprintf("/appointments/%d", a.ID)
	last, uid, tag := -1, "", ""
	step := func(name, status, transparency, when string) {
		t.Helper()
		answer := f.Get(feed.URL)
		_, events := subscribed(t, answer)
		e := find(t, events, a.ID)
		sequence, err := e.Props.Get(reader.PropSequence).Int()
		if err != nil || sequence <= last {
			t.Errorf("%s: SEQUENCE %d (%v), want more than %d", name, sequence, err, last)
		}
		if got := value(t, e, reader.PropStatus) + " " + value(t, e, reader.PropTransparency) + " " + span(t, e); got != status+" "+transparency+" "+when {
			t.Errorf("%s: %s, want %s %s %s", name, got, status, transparency, when)
		}
		if id := value(t, e, reader.PropUID); uid != "" && id != uid {
			t.Errorf("%s: UID %s, want it unchanged: %s", name, id, uid)
		}
		if answer.Header.Get("ETag") == tag {
			t.Errorf("%s: ETag %s is that of before, want another", name, tag)
		}
		if _, installation, _ := strings.Cut(value(t, e, reader.PropUID), "@"); len(installation) != 32 {
			t.Errorf("%s: UID of installation %q, want 32 characters", name, installation)
		}
		last, uid, tag = sequence, value(t, e, reader.PropUID), answer.Header.Get("ETag")
		for _, other := range []api.CalendarFeedCreated{second, clinics} {
			_, events := subscribed(t, f.Get(other.URL))
			if same := find(t, events, a.ID); value(t, same, reader.PropUID) != uid || same.Props.Get(reader.PropSequence).Value != fmt.Sprint(sequence) {
				t.Errorf("%s: event in another feed: %v, want UID %s and SEQUENCE %d", name, same.Props, uid, sequence)
			}
		}
	}
	at := "2027-03-01T20:00:00Z/2027-03-01T20:30:00Z"
	step("booked", "TENTATIVE", "OPAQUE", at)
	f.act(a.ID, "confirm").Want(t, 200, "")
	step("confirmed", "CONFIRMED", "OPAQUE", at)
	f.Post(path+"/reschedule", object{"start_time": "2027-03-01T21:00:00Z"}).Want(t, 200, "")
	at = "2027-03-01T21:00:00Z/2027-03-01T21:30:00Z"
	step("moved", "TENTATIVE", "OPAQUE", at)
	f.Post(path+"/cancel", object{"reason": "other"}).Want(t, 200, "")
	step("cancelled", "CANCELLED", "TRANSPARENT", at)
	f.act(a.ID, "undo").Want(t, 200, "")
	step("undone", "TENTATIVE", "OPAQUE", at)
	f.act(a.ID, "check-in").Want(t, 200, "")
	f.act(a.ID, "leave").Want(t, 200, "")
	step("left", "CONFIRMED", "TRANSPARENT", at)

	// An appointment rescheduled to a colleague leaves the first calendar and enters the other.
	b := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
	f.Post(fmt.Sprintf("/appointments/%d/reschedule", b.ID), object{"doctor_id": colleague}).Want(t, 200, "")
	_, events := subscribed(t, f.Get(colleagues.URL))
	if e := find(t, events, b.ID); len(events) != 1 || e.Props.Get(reader.PropSequence).Value != "1" {
		t.Errorf("%d events, appointment %d: %v; want one event with SEQUENCE 1", len(events), b.ID, e.Props)
	}
	if _, events = subscribed(t, f.Get(feed.URL)); len(events) != 1 {
		t.Errorf("%d events, want the one that stayed", len(events))
	}
}

// No calendar has the patient, the reason or a note; it has the place and the doctor.
func TestCalendarFeedShowsNoPatient(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	const name = "Профессор Анна-Мария Конституционная; урождённая Превосходительная, \\ из Владивостока"
	var doctor api.Doctor
	f.Post("/doctors", object{"full_name": name, "specialization": "Zzplanted Oncology"}).Want(t, 201, "").Decode(t, &doctor)
	f.hours(doctor.ID, "UTC", "08:00-12:00")
	var patient api.Patient
	f.Post("/patients", object{
		"first_name": "Zzplantedann", "last_name": "Zzplantedmuster", "email": "zzplanted@example.org", "phone": "+41 44 555 98 76", "birth_date": "1971-12-13",
	}).Want(t, 201, "").Decode(t, &patient)
	var room api.Room
	f.Post("/rooms", object{"name": "診察室 3, 2nd floor"}).Want(t, 201, "").Decode(t, &room)
	var kind api.AppointmentType
	f.Post("/appointment-types", object{"name": "Zzplanted biopsy", "duration_minutes": 30}).Want(t, 201, "").Decode(t, &kind)
	f.Post(fmt.Sprintf("/doctors/%d/time-off", doctor.ID), object{
		"start_time": "2027-03-03T00:00:00Z", "end_time": "2027-03-05T00:00:00Z", "reason": "illness", "note": "Zzplanted flu",
	}).Want(t, 201, "")
	var a, overbooked api.Appointment
	f.Post("/appointments", object{
		"patient_id": patient.ID, "doctor_id": doctor.ID, "type_id": kind.ID, "room_id": room.ID, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30,
	}).Want(t, 201, "").Decode(t, &a)
	f.Post("/appointments", object{
		"patient_id": patient.ID, "doctor_id": doctor.ID, "start_time": "2027-03-02T20:00:00Z", "duration_minutes": 30,
		"override": object{"rules": []string{"outside-working-hours"}, "reason": "Zzplanted pain"},
	}).Want(t, 201, "").Decode(t, &overbooked)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", a.ID), object{"reason": "patient_request", "note": "Zzplanted in hospital"}).Want(t, 200, "")

	for _, c := range []struct {
		feed                     api.CalendarFeedCreated
		calendar, booked, absent string
	}{
		{f.feed(doctor.ID), name, "Booked", "Away"},
		{f.feed(0), "Clinic", "Booked: " + name, "Away: " + name},
	} {
		answer := f.Get(c.feed.URL)
		calendar, events := subscribed(t, answer)
		if got, err := calendar.Props.Text("X-WR-CALNAME"); got != c.calendar || err != nil {
			t.Errorf("X-WR-CALNAME = %q (%v), want %q", got, err, c.calendar)
		}
		if method, every := calendar.Props.Get(reader.PropMethod), calendar.Props.Get("REFRESH-INTERVAL"); method.Value != "PUBLISH" ||
			every.Value != "PT15M" || !slices.Equal(every.Params.Values("VALUE"), []string{"DURATION"}) || calendar.Props.Get("X-PUBLISHED-TTL").Value != "PT15M" {
			t.Errorf("properties of the calendar: %v, want METHOD PUBLISH and a refresh interval of PT15M",
				calendar.Props)
		}
		if n := kinds(events); n["appointment"] != 2 || n["time-off"] != 1 {
			t.Errorf("events by kind = %v, want 2 appointments and 1 time off", n)
		}
		if e := find(t, events, overbooked.ID); value(t, e, reader.PropSummary) != c.booked || value(t, e, reader.PropLocation) != "" {
			t.Errorf("overbooked appointment: %v, want summary %q and no location", e.Props, c.booked)
		}
		if e := find(t, events, a.ID); value(t, e, reader.PropLocation) != room.Name {
			t.Errorf("appointment in a room: %v, want location %q", e.Props, room.Name)
		}
		for uid, e := range events {
			if strings.HasPrefix(uid, "time-off-") && (value(t, e, reader.PropSummary) != c.absent || span(t, e) != "2027-03-03T00:00:00Z/2027-03-05T00:00:00Z") {
				t.Errorf("time off: %v, want summary %q from 2027-03-03 to 2027-03-05", e.Props, c.absent)
			}
		}
		// The text is unfolded before it is searched.
		text := strings.ToLower(strings.ReplaceAll(string(answer.Body), "\r\n ", ""))
		for _, planted := range []string{"zzplanted", "5559876", "555 98 76", "1971", "illness", "patient", "outside", "oncology", "+41"} {
			if strings.Contains(text, planted) {
				t.Errorf("feed contains %q, want it without:\n%s", planted, text)
			}
		}
	}
}
