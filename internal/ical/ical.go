// Package ical writes calendars as iCalendar (RFC 5545) for calendar programs that poll
// them. It knows neither the clinic's records nor requests: server maps a calendar feed to
// a Calendar. The README beside this file says what a feed shows and how to subscribe to
// one.
package ical

import (
	"bytes"
	"strconv"
	"time"

	ics "github.com/arran4/golang-ical"
)

// Refresh is the polling interval that programs are asked to use.
const Refresh = 15 * time.Minute

// MediaType is the media type of what Encode returns.
const MediaType = "text/calendar; charset=utf-8"

// Calendar is a named list of events.
type Calendar struct {
	// Name is the calendar's title in programs.
	Name   string
	Events []Event
}

// Event is a calendar entry.
type Event struct {
	// UID identifies the event permanently, in every calendar that has it.
	UID      string
	Title    string
	Location string // "" for none
	Start    time.Time
	End      time.Time
	Status   Status
	// Free reports whether the event leaves its time free.
	Free bool
	// Sequence is the number of changes of the event (RFC 5545 section 3.8.7.4).
	Sequence  int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Status is the STATUS of an event (RFC 5545 section 3.8.1.11).
type Status int

// The statuses of events; the zero value is StatusConfirmed.
const (
	StatusConfirmed Status = iota
	StatusTentative
	StatusCancelled
)

// property returns the value of STATUS.
func (s Status) property() ics.ObjectStatus {
	switch s {
	case StatusTentative:
		return ics.ObjectStatusTentative
	case StatusCancelled:
		return ics.ObjectStatusCancelled
	default:
		return ics.ObjectStatusConfirmed
	}
}

// Encode returns a calendar as iCalendar. Equal calendars have equal encodings, so that
// conditional requests get 304: DTSTAMP is an event's last change, not the time of
// encoding.
func Encode(c Calendar) ([]byte, error) {
	cal := ics.NewCalendar()
	cal.SetProductId("-//MEMS//Calendar feeds//EN")
	cal.SetMethod(ics.MethodPublish)
	cal.SetXWRCalName(c.Name)
	every := "PT" + strconv.Itoa(int(Refresh/time.Minute)) + "M"
	cal.SetRefreshInterval(every) // RFC 7986
	cal.SetXPublishedTTL(every)   // the same, for Outlook
	for _, e := range c.Events {
		cal.AddVEvent(event(e))
	}
	if len(cal.Components) == 0 {
		addZone(cal)
	}
	var text bytes.Buffer
	err := cal.SerializeTo(&text, ics.WithNewLineWindows) // RFC 5545 section 3.1, on every operating system
	return text.Bytes(), err
}

// addZone adds a time zone that no event uses: a calendar must have a component (RFC 5545
// section 3.6), and some programs reject one without.
func addZone(cal *ics.Calendar) {
	standard := cal.AddTimezone("UTC").AddStandard()
	standard.SetProperty(ics.ComponentPropertyDtStart, "19700101T000000")
	standard.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), "+0000")
	standard.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), "+0000")
}

func event(from Event) *ics.VEvent {
	e := ics.NewEvent(from.UID)
	e.SetSequence(from.Sequence)
	e.SetDtStampTime(from.UpdatedAt)
	e.SetCreatedTime(from.CreatedAt)
	e.SetModifiedAt(from.UpdatedAt)
	e.SetStartAt(from.Start)
	e.SetEndAt(from.End)
	e.SetSummary(from.Title)
	e.SetStatus(from.Status.property())
	transparency := ics.TransparencyOpaque
	if from.Free {
		transparency = ics.TransparencyTransparent
	}
	e.SetTimeTransparency(transparency)
	if from.Location != "" {
		e.SetLocation(from.Location)
	}
	return e
}
