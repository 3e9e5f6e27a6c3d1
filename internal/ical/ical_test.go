package ical_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	reader "github.com/emersion/go-ical"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"mems/internal/ical"
)

// parse parses a calendar with a different library and checks what RFC 5545 requires of
// every component.
func parse(t rapid.TB, text []byte) *reader.Calendar {
	t.Helper()
	calendar, err := reader.NewDecoder(bytes.NewReader(text)).Decode()
	if err != nil {
		t.Fatalf("decode: %v, want no error:\n%s", err, text)
	}
	if err := reader.NewEncoder(io.Discard).Encode(calendar); err != nil {
		t.Fatalf("encode again: %v, want no error:\n%s", err, text)
	}
	return calendar
}

var at = time.Date(2027, 3, 28, 1, 15, 0, 123_456_000, time.UTC)

// Any text survives encoding and parsing, in lines of at most 75 octets that split no
// character.
func TestTextsOfAllKinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// What the contract allows: no control characters, no surrounding whitespace.
		texts := rapid.Map(rapid.StringOfN(rapid.RuneFrom([]rune("aß診😀 ,;:\\\"<>'nNЖ\u0301\u200d")), 1, 200, -1),
			func(s string) string { return norm.NFC.String(strings.TrimSpace(s)) })
		title, room := "Booked: Dr. "+texts.Draw(t, "doctor"), texts.Draw(t, "room")
		text, err := ical.Encode(ical.Calendar{Name: "Clinic", Events: []ical.Event{{
			UID: "appointment-1@x", Title: title, Location: room, Start: at, End: at.Add(time.Hour), CreatedAt: at, UpdatedAt: at,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n"), "\r\n") {
			if len(line) > 75 || strings.ContainsAny(line, "\r\n") || strings.ToValidUTF8(line, "") != line {
				t.Fatalf("line of %d octets: %q, want at most 75, valid UTF-8, without a bare CR or LF", len(line), line)
			}
		}
		e := parse(t, text).Events()[0]
		summary, err := e.Props.Text(reader.PropSummary)
		if err != nil || summary != title {
			t.Fatalf("%q, %v; want %q", summary, err, title)
		}
		if e.Props.Get(reader.PropLocation) == nil {
			if room != "" {
				t.Fatalf("no location, want %q", room)
			}
			return
		}
		if location, err := e.Props.Text(reader.PropLocation); err != nil || location != room {
			t.Fatalf("%q, %v; want %q", location, err, room)
		}
	})
}

// A calendar without events is valid.
func TestEmptyCalendar(t *testing.T) {
	t.Parallel()
	text, err := ical.Encode(ical.Calendar{Name: "Dr. Noor Haddad"})
	if err != nil {
		t.Fatal(err)
	}
	if calendar := parse(t, text); len(calendar.Events()) != 0 || len(calendar.Children) != 1 || calendar.Children[0].Name != reader.CompTimezone {
		t.Errorf("empty calendar = %s, want no events and one time zone", text)
	}
}

// An event has the right properties in each status; equal calendars have equal encodings.
func TestEvents(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status ical.Status
		free   bool
		want   string
	}{
		{ical.StatusTentative, false, "Booked TENTATIVE OPAQUE 6"},
		{ical.StatusConfirmed, false, "Booked CONFIRMED OPAQUE 6"},
		{ical.StatusConfirmed, true, "Booked CONFIRMED TRANSPARENT 6"},
		{ical.StatusCancelled, true, "Booked CANCELLED TRANSPARENT 6"},
	}
	for _, test := range tests {
		c := ical.Calendar{Name: "Dr. Noor Haddad", Events: []ical.Event{{
			UID: "appointment-12@here", Title: "Booked", Start: at, End: at.Add(45 * time.Minute), Status: test.status, Free: test.free,
			Sequence: 6, CreatedAt: at.Add(-time.Hour), UpdatedAt: at.Add(-time.Minute),
		}}}
		text, err := ical.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ical.Encode(c); err != nil || !bytes.Equal(text, again) {
			t.Errorf("encoded again (%v):\n%s\nwant the same bytes:\n%s", err, again, text)
		}
		calendar := parse(t, text)
		if name, err := calendar.Props.Text("X-WR-CALNAME"); err != nil || name != "Dr. Noor Haddad" {
			t.Errorf("X-WR-CALNAME = %q (%v), want %q", name, err, "Dr. Noor Haddad")
		}
		props := calendar.Events()[0].Props
		var got []string
		for _, name := range []string{reader.PropSummary, reader.PropStatus, reader.PropTransparency, reader.PropSequence} {
			got = append(got, props.Get(name).Value)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("status %d, free %t: %v, want %s", test.status, test.free, got, test.want)
		}
		for name, want := range map[string]string{
			reader.PropUID: "appointment-12@here", reader.PropDateTimeStart: "20270328T011500Z", reader.PropDateTimeEnd: "20270328T020000Z",
			reader.PropCreated: "20270328T001500Z", reader.PropLastModified: "20270328T011400Z", reader.PropDateTimeStamp: "20270328T011400Z",
		} {
			if got := props.Get(name).Value; got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
	}
}
