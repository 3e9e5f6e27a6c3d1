package ical_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	reader "github.com/emersion/go-ical"
	"pgregory.net/rapid"

	"mems/internal/clinic"
	"mems/internal/ical"
)

// parse reads a calendar with another library than the one that wrote it, and
// holds it to what RFC 5545 demands of every component.
func parse(t rapid.TB, text []byte) *reader.Calendar {
	t.Helper()
	calendar, err := reader.NewDecoder(bytes.NewReader(text)).Decode()
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if err := reader.NewEncoder(io.Discard).Encode(calendar); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return calendar
}

var at = time.Date(2027, 3, 28, 1, 15, 0, 123_456_000, time.UTC)

// Whatever names people have, they come out as they went in, on lines of at most
// 75 octets that cut no character in two.
func TestNamesOfAllKinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// What the contract allows: no control characters, no blanks around it.
		names := rapid.Map(rapid.StringOfN(rapid.RuneFrom([]rune("aß診😀 ,;:\\\"<>'nNЖ\u0301\u200d")), 1, 200, -1), clinic.Text)
		name, room := "Dr. "+names.Draw(t, "doctor"), names.Draw(t, "room")
		text, err := ical.Encode(clinic.FeedCalendar{UID: "x", Visits: []clinic.FeedVisit{{
			ID: 1, Doctor: name, Room: room, Time: clinic.Interval{Start: at, End: at.Add(time.Hour)}, Status: clinic.StatusConfirmed, Version: 1, CreatedAt: at, UpdatedAt: at,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n"), "\r\n") {
			if len(line) > 75 || strings.ContainsAny(line, "\r\n") || strings.ToValidUTF8(line, "") != line {
				t.Fatalf("a line of %d octets: %q", len(line), line)
			}
		}
		e := parse(t, text).Events()[0]
		summary, err := e.Props.Text(reader.PropSummary)
		if err != nil || summary != "Booked: "+name {
			t.Fatalf("%q, %v; want %q", summary, err, name)
		}
		if e.Props.Get(reader.PropLocation) == nil {
			if room != "" {
				t.Fatalf("no room, want %q", room)
			}
			return
		}
		if where, err := e.Props.Text(reader.PropLocation); err != nil || where != room {
			t.Fatalf("%q, %v; want %q", where, err, room)
		}
	})
}

// A calendar without events is still one.
func TestEmptyCalendar(t *testing.T) {
	t.Parallel()
	text, err := ical.Encode(clinic.FeedCalendar{UID: "x", Doctor: "Dr. Noor Haddad"})
	if err != nil {
		t.Fatal(err)
	}
	if calendar := parse(t, text); len(calendar.Events()) != 0 || len(calendar.Children) != 1 || calendar.Children[0].Name != reader.CompTimezone {
		t.Errorf("%s", text)
	}
}

// How each status looks, and that the same calendar is the same bytes.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[clinic.Status]string{
		clinic.StatusScheduled:            "Booked TENTATIVE OPAQUE 6",
		clinic.StatusConfirmed:            "Booked CONFIRMED OPAQUE 6",
		clinic.StatusCheckedIn:            "Booked CONFIRMED OPAQUE 6",
		clinic.StatusInProgress:           "Booked CONFIRMED OPAQUE 6",
		clinic.StatusCompleted:            "Booked CONFIRMED OPAQUE 6",
		clinic.StatusCancelled:            "Cancelled CANCELLED TRANSPARENT 6",
		clinic.StatusNoShow:               "Booked CONFIRMED TRANSPARENT 6",
		clinic.StatusLeftWithoutBeingSeen: "Booked CONFIRMED TRANSPARENT 6",
	} {
		c := clinic.FeedCalendar{UID: "here", Doctor: "Dr. Noor Haddad", Visits: []clinic.FeedVisit{{
			ID: 12, Doctor: "Dr. Noor Haddad", Time: clinic.Interval{Start: at, End: at.Add(45 * time.Minute)}, Status: status,
			Version: 7, CreatedAt: at.Add(-time.Hour), UpdatedAt: at.Add(-time.Minute),
		}}}
		text, err := ical.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ical.Encode(c); err != nil || !bytes.Equal(text, again) {
			t.Errorf("%v: other bytes:\n%s\n%s", err, text, again)
		}
		props := parse(t, text).Events()[0].Props
		var got []string
		for _, name := range []string{reader.PropSummary, reader.PropStatus, reader.PropTransparency, reader.PropSequence} {
			got = append(got, props.Get(name).Value)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", status, got, want)
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
