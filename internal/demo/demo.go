// Package demo invents a believable clinic (doctors, patients, and weeks of past and future
// appointments) and writes it to an empty database through the store's methods.
//
// No person in it exists. Names are drawn from lists of many origins, e-mail addresses end
// in reserved domains (RFC 2606), and phone numbers come from ranges that regulators
// reserve for fiction. The same Options give the same clinic.
package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// Options has the size of the clinic, its current time and zone.
type Options struct {
	Doctors    int
	Patients   int
	WeeksBack  int
	WeeksAhead int
	Seed       uint64
	Now        time.Time
	Zone       *time.Location
}

// Summary reports what was written to the database.
type Summary struct {
	Doctors      int
	Patients     int
	Appointments int
	ByStatus     map[clinic.Status]int
	// From and To are the first and the last day with appointments.
	From, To clinic.Date
	// Day is today or, when today has no appointment, the next day that has.
	Day clinic.Date
	// DoctorID has an appointment on Day.
	DoctorID int64
}

// Progress is called after each batch with the number of records of a kind.
type Progress func(what string, done, total int)

const (
	// patientBatch patients are registered in one transaction.
	patientBatch = 250
	// calendarBatch appointments of one doctor are imported in one transaction: few enough
	// for a smooth progress bar and short locks.
	calendarBatch = store.MaxImport / 2
)

// Fill writes the clinic of o to st. The store's clock should be at o.Now, so that the
// records are of that time. Fill is not one transaction: if it fails, what it has written
// so far stays.
//
// Errors: those of the store.
func Fill(ctx context.Context, st *store.Store, o Options, progress Progress) (Summary, error) {
	c := invent(o)
	s := Summary{Doctors: len(c.doctors), Patients: len(c.patients), ByStatus: map[clinic.Status]int{}}
	doctorIDs, err := createDoctors(ctx, st, c.doctors, progress)
	if err != nil {
		return s, err
	}
	h, err := furnish(ctx, st, o, c, doctorIDs, progress)
	if err != nil {
		return s, err
	}
	patientIDs, err := createPatients(ctx, st, c.patients, progress)
	if err != nil {
		return s, err
	}
	total := 0
	for _, d := range c.doctors {
		total += len(d.calendar)
	}
	for i, d := range c.doctors {
		for start := 0; start < len(d.calendar); start += calendarBatch {
			batch := d.calendar[start:min(start+calendarBatch, len(d.calendar))]
			for j := range batch {
				a := &batch[j]
				a.PatientID, a.RoomID = patientIDs[a.PatientID], &h.rooms[i]
				if id, found := h.types[a.Time.End.Sub(a.Time.Start)]; found {
					a.TypeID = &id
				}
			}
			n, err := st.ImportAppointments(ctx, store.SystemRequest(), doctorIDs[i], batch)
			if err != nil {
				return s, fmt.Errorf("appointments of doctor %d: %w", doctorIDs[i], err)
			}
			if n != len(batch) {
				return s, fmt.Errorf("appointments of doctor %d: %d of %d times were taken already", doctorIDs[i], len(batch)-n, len(batch))
			}
			s.add(o, doctorIDs[i], batch)
			progress("appointments", s.Appointments, total)
		}
	}
	if err := begin(ctx, st, o, doctorIDs, patientIDs); err != nil {
		return s, err
	}
	return s, nil
}

func createDoctors(ctx context.Context, st *store.Store, doctors []doctor, progress Progress) ([]int64, error) {
	ids := make([]int64, len(doctors))
	for i, d := range doctors {
		created, err := st.CreateDoctor(ctx, store.SystemRequest(), d.record)
		if err != nil {
			return nil, fmt.Errorf("create doctor: %w", err)
		}
		ids[i] = created.ID
		progress("doctors", i+1, len(doctors))
	}
	return ids, nil
}

func createPatients(ctx context.Context, st *store.Store, patients []clinic.Patient, progress Progress) ([]int64, error) {
	ids := make([]int64, 0, len(patients))
	for start := 0; start < len(patients); start += patientBatch {
		batch, err := st.CreatePatients(ctx, store.SystemRequest(), patients[start:min(start+patientBatch, len(patients))])
		if err != nil {
			return nil, fmt.Errorf("create patients: %w", err)
		}
		ids = append(ids, batch...)
		progress("patients", len(ids), len(patients))
	}
	return ids, nil
}

func (s *Summary) add(o Options, doctorID int64, as []clinic.Appointment) {
	today := clinic.DateOf(o.Now.In(o.Zone))
	for _, a := range as {
		day := clinic.DateOf(a.Time.Start.In(o.Zone))
		if s.Appointments == 0 || day.Before(s.From) {
			s.From = day
		}
		if s.Appointments == 0 || s.To.Before(day) {
			s.To = day
		}
		if !day.Before(today) && (s.DoctorID == 0 || day.Before(s.Day)) {
			s.Day, s.DoctorID = day, doctorID
		}
		s.Appointments++
		s.ByStatus[a.Status]++
	}
}

// invention is an invented clinic before it is stored.
type invention struct {
	doctors  []doctor
	patients []clinic.Patient
}

// invent invents everything. Every part has its own random sequence, so that more patients
// do not change the doctors.
func invent(o Options) invention {
	first := firstDay(o)
	c := invention{
		doctors:  inventDoctors(source(o.Seed, 1), o.Doctors),
		patients: inventPatients(source(o.Seed, 2), o.Patients, first),
	}
	fillCalendars(source(o.Seed, 3), o, &c)
	return c
}

func source(seed, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part)) //nolint:gosec // G404: invented data must be repeatable, not secret
}

// firstDay returns the first day with appointments.
func firstDay(o Options) clinic.Date {
	today := clinic.DateOf(o.Now.In(o.Zone))
	return clinic.DateOf(time.Date(today.Year, today.Month, today.Day-7*o.WeeksBack, 12, 0, 0, 0, time.UTC))
}

// weighted is a choice and its relative frequency.
type weighted[T any] struct {
	what   T
	weight int
}

func draw[T any](r *rand.Rand, from []weighted[T]) T {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.what
		}
	}
	return from[len(from)-1].what // not reached
}
