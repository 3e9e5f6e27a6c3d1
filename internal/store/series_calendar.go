package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"mems/internal/clinic"
)

// seriesCalendar is what decides of all dates of a series, rooms excepted.
type seriesCalendar struct {
	hasHours                bool
	hours                   clinic.WorkingHours
	off, held               []clinic.Interval
	doctorBusy, patientBusy []clinic.Interval
}

// readSeriesCalendar reads the parties of a series and its calendar, under the guards
// of the doctor and the patient, with as many statements as one booking: so a series
// holds the guards for its inserts, not for its reads. Nil without parties.
//
// Unless skip, the doctor's conflicts end the reading, as they will end the series:
// what is found stays locked, and going on to the patient's could meet another series
// doing the same crosswise.
func (s *Store) readSeriesCalendar(ctx context.Context, t *tx, c clinic.Calendar, b clinic.Booking, starts []time.Time, skip bool) (parties, *seriesCalendar, error) {
	if c.Patient != clinic.Active || c.Doctor != clinic.Active {
		_, err := clinic.CanBook(c, b)
		return parties{}, nil, err
	}
	p, err := readParties(ctx, t, b)
	if err != nil {
		return p, nil, err
	}
	b.Apply(p.kind)
	whole := b
	whole.Start, whole.Duration = starts[0], starts[len(starts)-1].Add(b.Duration).Sub(starts[0])
	series := &seriesCalendar{hasHours: p.doctor.HoursTimeZone != nil}
	if series.hasHours {
		hours, err := readHours(ctx, t, map[int64]string{b.DoctorID: *p.doctor.HoursTimeZone}, whole.Time())
		if err != nil {
			return p, nil, err
		}
		series.hours = hours[b.DoctorID]
	}
	blocked, err := readBlockedTimes(ctx, t, whole, t.now)
	if err != nil {
		return p, nil, err
	}
	series.off, series.held = blocked.off, blocked.held
	statement, args := busyOfDoctorOnDatesSQL(b, starts)
	if series.doctorBusy, err = intervals(ctx, t, t.locking(statement), args...); err != nil {
		return p, nil, err
	}
	mayOverlap := slices.Contains(b.Override.Rules, clinic.RuleDoctorOverlap)
	if len(series.doctorBusy) > 0 && !skip && !t.looks && !mayOverlap {
		return p, series, nil
	}
	statement, args = busyOfPatientOnDatesSQL(b, starts)
	series.patientBusy, err = intervals(ctx, t, t.locking(statement), args...)
	return p, series, err
}

// openTimes fills in when the doctor works near a date, and what blocks the time.
func (s *seriesCalendar) openTimes(c *clinic.Calendar, b clinic.Booking) {
	if s.hasHours {
		c.HasHours, c.Open = true, s.hours.Open(b.Time())
	}
	c.Off, c.DoctorBusy = s.off, s.held
}

// add counts a date that was decided to be fine: where the clocks leave out a day, the
// next can overlap it.
func (s *seriesCalendar) add(b clinic.Booking) {
	s.doctorBusy, s.patientBusy = append(s.doctorBusy, b.Busy()), append(s.patientBusy, b.Time())
}

// busyOfDoctorOnDatesSQL is busyTimesOfDoctorSQL for every date of a series: a bounded
// range of appointments_doctor for each. Only what overlaps a date stays locked.
func busyOfDoctorOnDatesSQL(b clinic.Booking, starts []time.Time) (statement string, args []any) {
	args = []any{b.DoctorID}
	for _, start := range starts {
		b.Start = start
		busy := b.Busy()
		from, to := reach(busy)
		args = append(args, from, to, busy.End, busy.Start)
	}
	// Safety: the text is one constant, repeated.
	return `
	SELECT start_time, end_time, buffer_before_minutes, buffer_after_minutes
	FROM appointments FORCE INDEX (appointments_doctor)
	WHERE doctor_id = ?
	  AND (` + oneOf(`start_time > ? AND start_time < ?
	    AND start_time - INTERVAL buffer_before_minutes MINUTE < ?
	    AND end_time + INTERVAL buffer_after_minutes MINUTE > ?`, len(starts)) + `)
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`, args
}

// busyOfPatientOnDatesSQL is busyTimesOfPatientSQL for every date of a series, by
// ranges of appointments_patient.
func busyOfPatientOnDatesSQL(b clinic.Booking, starts []time.Time) (statement string, args []any) {
	args = []any{b.PatientID}
	for _, start := range starts {
		args = append(args, start.Add(-clinic.MaxDuration), start.Add(b.Duration), start)
	}
	// Safety: the text is one constant, repeated.
	return `
	SELECT start_time, end_time, 0, 0
	FROM appointments FORCE INDEX (appointments_patient)
	WHERE patient_id = ?
	  AND (` + oneOf(`start_time > ? AND start_time < ? AND end_time > ?`, len(starts)) + `)
	  AND status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
	FOR UPDATE`, args
}

// oneOf is a condition that one of n must hold.
func oneOf(condition string, n int) string {
	return strings.Join(slices.Repeat([]string{condition}, n), ` OR `)
}
