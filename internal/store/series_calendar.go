package store

import (
	"context"
	"slices"
	"time"

	"mems/internal/clinic"
)

// seriesCalendar has what all dates of a series are decided on, except rooms.
type seriesCalendar struct {
	hasHours                bool
	hours                   clinic.WorkingHours
	off, held               []clinic.Interval
	doctorBusy, patientBusy []clinic.Interval
}

// readSeriesCalendar reads the parties of a series and its calendar, under the guards
// of the doctor and the patient, with as many statements as one booking: a series holds the
// guards for its inserts, not for its reads. Nil without parties.
//
// With stop, reading ends at the doctor's conflicts, which refuse the series anyway: the rows
// found stay locked, and reading the patient's could deadlock with another series.
func (s *Store) readSeriesCalendar(ctx context.Context, q *queries, c clinic.Calendar, b clinic.Booking, starts []time.Time, stop bool) (parties, *seriesCalendar, error) {
	if c.Patient != clinic.Active || c.Doctor != clinic.Active {
		_, err := clinic.CanBook(c, b)
		return parties{}, nil, err
	}
	p, err := readParties(ctx, q, b)
	if err != nil {
		return p, nil, err
	}
	b.Apply(p.kind)
	whole := b
	whole.Start, whole.Duration = starts[0], starts[len(starts)-1].Add(b.Duration).Sub(starts[0])
	series := &seriesCalendar{hasHours: p.doctor.HoursTimeZone != nil}
	if series.hasHours {
		hours, err := readHours(ctx, q, map[int64]string{b.DoctorID: *p.doctor.HoursTimeZone}, whole.Time())
		if err != nil {
			return p, nil, err
		}
		series.hours = hours[b.DoctorID]
	}
	blocked, err := readBlockedTimes(ctx, q, whole, q.now)
	if err != nil {
		return p, nil, err
	}
	series.off, series.held = blocked.off, blocked.held
	ofDoctor, ofPatient := occupiedOnDates(b, starts, q.locking)
	times, err := ofDoctor.read(ctx, q)
	if err != nil {
		return p, nil, err
	}
	series.doctorBusy = times[b.DoctorID]
	mayOverlap := slices.Contains(b.Override.Rules, clinic.RuleDoctorOverlap)
	if len(series.doctorBusy) > 0 && stop && !mayOverlap {
		return p, series, nil
	}
	times, err = ofPatient.read(ctx, q)
	series.patientBusy = times[b.PatientID]
	return p, series, err
}

// openTimes fills in when the doctor works near a date, and what blocks the time.
func (s *seriesCalendar) openTimes(c *clinic.Calendar, b clinic.Booking) {
	if s.hasHours {
		c.HasHours, c.Open = true, s.hours.Open(b.Time())
	}
	c.Off, c.DoctorBusy = s.off, s.held
}

// add adds an accepted date to the occupied times: where the clocks skip a day, the next date
// can overlap it.
func (s *seriesCalendar) add(b clinic.Booking) {
	s.doctorBusy, s.patientBusy = append(s.doctorBusy, b.Busy()), append(s.patientBusy, b.Time())
}

// occupiedOnDates asks for the times of the doctor and of the patient that overlap a date
// of a series: a bounded range of the index for each date.
func occupiedOnDates(b clinic.Booking, starts []time.Time, locking bool) (ofDoctor, ofPatient occupiedTimes) {
	ofDoctor = occupiedTimes{party: doctorParty, ids: []int64{b.DoctorID}, locking: locking, forced: true}
	ofPatient = occupiedTimes{party: patientParty, ids: []int64{b.PatientID}, locking: locking, forced: true}
	for _, start := range starts {
		b.Start = start
		ofDoctor.overlapping = append(ofDoctor.overlapping, b.Busy())
		ofPatient.overlapping = append(ofPatient.overlapping, b.Time())
	}
	return ofDoctor, ofPatient
}
