package clinic

import (
	"encoding/json"
	"time"
)

// Series is a recurring appointment. Each of its dates is an appointment.
type Series struct {
	ID           int64
	Rule         string
	Zone         *time.Location
	PatientID    int64
	DoctorID     int64
	Start        time.Time // of the first date
	Duration     time.Duration
	Appointments []Appointment // by start
	Version      int64         // counts changes; the record's ETag
	CreatedAt    time.Time
	UpdatedAt    time.Time
	MadeBy       *int64 // the API key it was created with; nil: by staff
}

// MarshalJSON writes the zone's name.
func (s Series) MarshalJSON() ([]byte, error) {
	type plain Series
	return json.Marshal(struct {
		plain
		Zone string
	}{plain(s), zoneName(s.Zone)})
}

// UnmarshalJSON parses what MarshalJSON writes.
func (s *Series) UnmarshalJSON(text []byte) error {
	type plain Series
	read := struct {
		*plain
		Zone string
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	var err error
	s.Zone, err = LoadZone(read.Zone)
	return err
}

func zoneName(zone *time.Location) string {
	if zone == nil {
		return "UTC"
	}
	return zone.String()
}

// SeriesBooking is a request for a series: the booking of its first date, repeated by
// a rule.
type SeriesBooking struct {
	Booking
	Rule string
	Zone *string // in whose wall time the dates recur; nil: the clinic's
	Skip bool    // book the free dates instead of all or none
}

// Parse parses the rule and the zone. Errors: CodeValidationFailed.
func (b *SeriesBooking) Parse(clinicZone *time.Location) (Recurrence, *time.Location, error) {
	zone := clinicZone
	if b.Zone != nil {
		var err error
		if zone, err = ParseZone(*b.Zone); err != nil {
			return Recurrence{}, nil, err
		}
	}
	rule, err := ParseRecurrence(b.Rule)
	return rule, zone, err
}

// SeriesDate is the outcome of one date of a series: booked or rescheduled with an
// Appointment, refused with a Refusal. With neither it is free, but the series was refused
// because of other dates.
type SeriesDate struct {
	Start       time.Time
	Appointment *Appointment
	Refusal     *Error
}

// SeriesScope selects dates of a series that are in the future and neither checked in nor
// cancelled: from one of them on, or all.
type SeriesScope struct {
	From *int64 // an appointment of the series; nil: all
}

// SeriesChange is the change of each date: zero values stay.
type SeriesChange struct {
	Days        int  // later; negative: earlier
	MinuteOfDay *int // on the wall clock of the series' zone
	Reschedule  Reschedule
	Skip        bool // skip dates that cannot be rescheduled
}

// later reports whether every date is rescheduled to a later time, so that the last has to
// go first to free time for the others.
func (c SeriesChange) later(first Appointment, zone *time.Location) bool {
	return c.RescheduleOf(first, zone).Start.After(first.Time.Start)
}

// Order sorts the dates of a series, which are by start, so that they can be rescheduled
// without conflicting with each other.
func (c SeriesChange) Order(dates []Appointment, zone *time.Location) []int {
	order := make([]int, len(dates))
	for i := range order {
		order[i] = i
		if len(dates) > 0 && c.later(dates[0], zone) {
			order[i] = len(dates) - 1 - i
		}
	}
	return order
}

// RescheduleOf returns the reschedule of one date.
func (c SeriesChange) RescheduleOf(a Appointment, zone *time.Location) Reschedule {
	r := c.Reschedule
	minute := -1
	if c.MinuteOfDay != nil {
		minute = *c.MinuteOfDay
	}
	start := Shift(a.Time.Start, c.Days, minute, zone)
	r.Start = &start
	return r
}
