package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// Bounds of one search: doctor-days, and how far ahead. A later time is found once it is
// nearer and a time is freed.
const (
	waitlistDoctorDays = 2_000
	waitlistAhead      = clinic.MaxSeriesYears * 366 * 24 * time.Hour
)

// matcher searches times for one entry.
type matcher struct {
	s *Store
	e clinic.WaitlistEntry
	r *reader
	// never: the times of a doctor that the patient gave up or let expire.
	never map[int64][]clinic.Interval
	// partner: the entry is of a partner, who books within the booking window only.
	partner bool
}

// matcherOf reads what does not depend on the window: the type and the active
// doctors among those given, or with none all whom the entry would see.
func (s *Store) matcherOf(ctx context.Context, q sqlx.QueryerContext, now time.Time, e clinic.WaitlistEntry, doctors []int64) (*matcher, error) {
	m := &matcher{s: s, e: e, r: &reader{q: q, now: now, patient: e.PatientID}, never: map[int64][]clinic.Interval{}}
	m.r.slot.Duration = e.Duration
	if e.TypeID != nil {
		kind, state, err := readTypeForBooking(ctx, q, *e.TypeID)
		if err != nil || state != clinic.Active {
			return m, err
		}
		m.r.kind, m.r.slot.Buffers, m.r.slot.NeedsRoom = &kind, kind.Buffers, kind.NeedsRoom
	}
	if s.partners != (clinic.PartnerWindow{}) {
		var err error
		if m.partner, err = entryOfPartner(ctx, q, e.MadeBy); err != nil {
			return m, err
		}
	}
	specialization := ""
	if len(doctors) == 0 {
		doctors = e.DoctorIDs
		if e.Specialization != nil && len(doctors) == 0 {
			specialization = *e.Specialization
		}
	}
	err := m.r.readDoctors(ctx, doctors, specialization)
	if errors.Is(err, clinic.ErrDoctorNotFound) {
		return m, nil // one of them was deleted; none is left in m.r.doctors
	}
	m.r.doctors = slices.DeleteFunc(m.r.doctors, func(id int64) bool { return !e.Wants(id, m.r.facts[id].Specialization) })
	return m, err
}

// entryOfPartner reports whether a partner who books within the booking window only
// made an entry, by the key that made it. Primary key.
func entryOfPartner(ctx context.Context, q sqlx.QueryerContext, madeBy *int64) (bool, error) {
	if madeBy == nil {
		return false, nil
	}
	var partners int
	err := sqlx.GetContext(ctx, q, &partners, `
		SELECT COUNT(*)
		FROM api_keys
		WHERE id = ? AND role = ? AND NOT JSON_CONTAINS(scopes, JSON_QUOTE(?))`, *madeBy, clinic.RolePartner, clinic.ScopeRecordsAll)
	return partners > 0, err
}

// search returns the first time of each doctor in the entry's window after from. It searches
// growing parts of the window and stops after the first part with a time; for doctors
// without working hours it tries the usual hours first. It searches no farther ahead than
// waitlistAhead. If the doctor-days run out, searched is where it stopped, otherwise zero.
func (m *matcher) search(ctx context.Context, req Request, from time.Time, left *int) (slots []clinic.Slot, searched time.Time, err error) {
	window := m.e.Starts(m.r.now)
	if from.After(window.Start) {
		window.Start = from
	}
	if ahead := m.r.now.Add(waitlistAhead); ahead.Before(window.End) {
		window.End = ahead
	}
	if *left == waitlistDoctorDays {
		*left = max(*left, len(m.r.doctors)) // a day of all of them
	}
	budget := *left
	defer func() { req.CountWork(clinic.WorkDoctorDays, budget-*left) }()
	for _, usual := range []bool{true, false} {
		*left = budget // both search the same days
		searched, err = walk(window, left, func() int { return len(m.r.doctors) }, func(part clinic.Interval) error {
			var err error
			slots, err = m.first(ctx, part, usual)
			if err == nil && len(slots) > 0 {
				err = errFound
			}
			return err
		})
		if err != nil || len(slots) > 0 {
			return slots, time.Time{}, err
		}
	}
	if searched.Before(window.End) {
		return nil, searched, nil
	}
	return nil, time.Time{}, nil
}

// first returns the first time of each doctor in a window, by start and doctor.
func (m *matcher) first(ctx context.Context, window clinic.Interval, usual bool) ([]clinic.Slot, error) {
	if m.partner {
		window = m.s.partners.Within(m.r.now, window)
	}
	if len(m.r.doctors) == 0 || !window.Start.Before(window.End) {
		return nil, nil
	}
	if err := m.r.readRules(ctx, window); err != nil {
		return nil, err
	}
	if usual {
		if err := m.r.readUsualHours(ctx, window, m.s.zone); err != nil {
			return nil, err
		}
	}
	reach := clinic.Interval{Start: window.Start.Add(-clinic.MaxBuffer), End: window.End.Add(clinic.MaxDuration + clinic.MaxBuffer)}
	busy, err := m.r.occupied(ctx, doctorParty, m.r.doctors, reach)
	if err != nil {
		return nil, err
	}
	ask := m.r.slot
	ask.Window = window
	if ask.NeedsRoom && len(m.r.rooms) > 0 {
		rooms, err := m.r.occupied(ctx, roomParty, m.r.rooms, reach)
		if err != nil {
			return nil, err
		}
		for _, id := range m.r.rooms {
			ask.Rooms = append(ask.Rooms, rooms[id])
		}
	}
	own, err := m.r.patientOccupied(ctx, reach)
	if err != nil {
		return nil, err
	}
	var slots []clinic.Slot
	for _, id := range m.r.doctors {
		schedule := clinic.Schedule{DoctorID: id, Hours: m.r.hours[id], Busy: busy[id], Off: slices.Concat(m.r.off[id], m.r.off[0])}
		ask.PatientBusy = own
		if _, free := schedule.First(ask); !free {
			continue
		}
		never, err := m.neverAgain(ctx, id, reach)
		if err != nil {
			return nil, err
		}
		ask.PatientBusy = slices.Concat(own, never)
		if start, free := schedule.First(ask); free {
			slots = append(slots, clinic.Slot{DoctorID: id, Time: clinic.Interval{Start: start, End: start.Add(ask.Duration)}})
		}
	}
	slices.SortFunc(slots, func(a, b clinic.Slot) int {
		if c := a.Time.Start.Compare(b.Time.Start); c != 0 {
			return c
		}
		return int(a.DoctorID - b.DoctorID)
	})
	return slots, nil
}

// neverAgain reads the times of a doctor that must not be offered to this entry: all that the
// patient's appointments ever had, so that patients are not offered what they gave up, even
// if another patient had it in between, and the offers that expired or were declined.
//
// Indexes appointments_patient and the primary keys of appointment_events and
// waitlist_missed. A merge reassigns the appointments, and so this.
func (m *matcher) neverAgain(ctx context.Context, doctor int64, window clinic.Interval) ([]clinic.Interval, error) {
	from, to := reach(window)
	times, err := timesByParty(ctx, m.r.q, `
		SELECT 0, e.start_time, e.start_time + INTERVAL e.duration_minutes MINUTE, 0, 0
		FROM appointments AS a
		JOIN appointment_events AS e ON e.appointment_id = a.id
		WHERE a.patient_id = ? AND e.doctor_id = ? AND e.start_time > ? AND e.start_time < ?
		UNION ALL
		SELECT 0, start_time, start_time + INTERVAL ? MINUTE, 0, 0
		FROM waitlist_missed
		WHERE waitlist_id = ? AND doctor_id = ? AND start_time > ? AND start_time < ?`,
		m.e.PatientID, doctor, from, to, m.e.Duration/time.Minute, m.e.ID, doctor, from, to)
	return times[0], err
}
