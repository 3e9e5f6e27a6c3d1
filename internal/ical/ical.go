// Package ical writes a clinic's calendar as iCalendar (RFC 5545), for calendar
// programs that read it from time to time. It knows nothing of requests or of the
// database; the README beside this file says what a feed shows and how to
// subscribe to one.
package ical

import (
	"bytes"
	"strconv"
	"time"

	ics "github.com/arran4/golang-ical"

	"mems/internal/clinic"
)

// Refresh is how often programs are asked to look again.
const Refresh = 15 * time.Minute

// MediaType is that of what Encode writes.
const MediaType = "text/calendar; charset=utf-8"

// Encode writes a calendar. The same calendar is always the same bytes, so that
// a client that has them can get 304: DTSTAMP is the moment of
// the last change, not of the writing.
func Encode(c clinic.FeedCalendar) ([]byte, error) {
	cal := ics.NewCalendar()
	cal.SetProductId("-//MEMS//Calendar feeds//EN")
	cal.SetMethod(ics.MethodPublish)
	name := "Clinic"
	if c.Doctor != "" {
		name = c.Doctor
	}
	cal.SetXWRCalName(name)
	every := "PT" + strconv.Itoa(int(Refresh/time.Minute)) + "M"
	cal.SetRefreshInterval(every) // RFC 7986
	cal.SetXPublishedTTL(every)   // the same, for Outlook
	for _, v := range c.Visits {
		title, status, takesTime := visit(v.Status)
		e := event(c, "appointment", v.ID, v.Time, v.Version, v.CreatedAt, v.UpdatedAt)
		e.SetSummary(titleOf(c, title, v.Doctor))
		e.SetStatus(status)
		e.SetTimeTransparency(takesTime)
		if v.Room != "" {
			e.SetLocation(v.Room)
		}
		cal.AddVEvent(e)
	}
	for _, a := range c.Away {
		e := event(c, "time-off", a.ID, a.Time, a.Version, a.CreatedAt, a.UpdatedAt)
		e.SetSummary(titleOf(c, "Away", a.Doctor))
		e.SetStatus(ics.ObjectStatusConfirmed)
		e.SetTimeTransparency(ics.TransparencyOpaque)
		cal.AddVEvent(e)
	}
	if len(cal.Components) == 0 {
		addZone(cal)
	}
	var text bytes.Buffer
	err := cal.SerializeTo(&text, ics.WithNewLineWindows) // RFC 5545 section 3.1, whatever the machine
	return text.Bytes(), err
}

// addZone puts in a time zone that no event needs: a calendar must not be empty
// (RFC 5545 section 3.6), and some programs do not take one that is.
func addZone(cal *ics.Calendar) {
	standard := cal.AddTimezone("UTC").AddStandard()
	standard.SetProperty(ics.ComponentPropertyDtStart, "19700101T000000")
	standard.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), "+0000")
	standard.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), "+0000")
}

// event is what every event has. SEQUENCE counts the changes: records begin with
// version 1, events with sequence 0 (RFC 5545 section 3.8.7.4).
func event(c clinic.FeedCalendar, kind string, id int64, when clinic.Interval, version int64, created, updated time.Time) *ics.VEvent {
	e := ics.NewEvent(kind + "-" + strconv.FormatInt(id, 10) + "@" + c.UID)
	e.SetSequence(int(version - 1))
	e.SetDtStampTime(updated)
	e.SetCreatedTime(created)
	e.SetModifiedAt(updated)
	e.SetStartAt(when.Start)
	e.SetEndAt(when.End)
	return e
}

// visit is how an appointment in a status looks. One that is not confirmed yet is
// tentative; one that did not take place leaves the time free.
func visit(s clinic.Status) (title string, status ics.ObjectStatus, takesTime ics.TimeTransparency) {
	title, status, takesTime = "Booked", ics.ObjectStatusConfirmed, ics.TransparencyOpaque
	switch s {
	case clinic.StatusScheduled:
		status = ics.ObjectStatusTentative
	case clinic.StatusCancelled:
		title, status = "Cancelled", ics.ObjectStatusCancelled // in words for programs that show it all the same
	default: // confirmed, or on from there
	}
	if !s.Occupies() {
		takesTime = ics.TransparencyTransparent
	}
	return title, status, takesTime
}

// titleOf names the doctor where there are several.
func titleOf(c clinic.FeedCalendar, what, doctor string) string {
	if c.Doctor != "" {
		return what
	}
	return what + ": " + doctor
}
