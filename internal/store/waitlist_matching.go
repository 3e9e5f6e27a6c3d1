package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"mems/internal/clinic"
)

// Bounds of one call, which is part of a request: rows of freed_times, entries that one
// transaction reads, and entries whose calendars it reads under the doctor's guard. The rest
// is left to the next request or to maintenance.
const (
	maxFreed      = 100
	maxOffers     = 20 // transactions for one freed time
	maxCandidates = 200
	maxTried      = 10
)

// freedRow is a row of freed_times.
type freedRow struct {
	ID     int64     `db:"id"`
	Doctor *int64    `db:"doctor_id"`
	Entry  *int64    `db:"waitlist_id"`
	Start  time.Time `db:"start_time"`
	End    time.Time `db:"end_time"`
	// Through is the last entry examined or, in an entry's row, the Unix second up to which
	// its window was searched.
	Through int64 `db:"after_entry"`
}

// offerAfterCommit offers the times that a transaction has freed. Failures are not reported:
// the next reader or maintenance retries.
func (s *Store) offerAfterCommit(ctx context.Context, req Request) {
	if err := s.offerFreedTimes(ctx, req); err != nil {
		s.log.DebugContext(ctx, "freed times were not offered to the waitlist; will retry", "cause", err)
	}
}

// offerFreedTimes offers the times in freed_times that are due to the entries of the
// waitlist that they fit, in the order of the list, at most maxFreed of them. Any
// number of processes may do so at once: a time is offered under its doctor's guard.
// Index freed_times_due.
func (s *Store) offerFreedTimes(ctx context.Context, req Request) error {
	var rows []freedRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT id, doctor_id, waitlist_id, start_time, end_time, after_entry
		FROM freed_times
		WHERE due_at <= ?
		ORDER BY due_at, id
		LIMIT ?`, clinic.Instant(s.now()), maxFreed)
	if err != nil {
		return translate(ctx, "offer freed times", err)
	}
	left := waitlistDoctorDays
	for _, f := range rows {
		if f.Entry != nil {
			err = s.searchForEntry(ctx, req, f, &left)
		} else {
			err = s.offerToEntries(ctx, req, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxUnderGuard bounds the offers that a transaction makes of what it has freed.
const maxUnderGuard = 4

// offerUnderGuard offers the times that a transaction has freed before a request that waits
// for the doctor's guard can book them. It takes no guards, so it stops at an entry that
// needs a room, and reads the patient's time without the patient's guard: accepting decides
// again. The rest is offered after the commit.
func (s *Store) offerUnderGuard(ctx context.Context, t *tx) error {
	offers := 0
	for _, f := range t.freed {
		if f.entries || f.entry != 0 || f.room || f.patient != 0 || !f.due.IsZero() || !f.time.End.After(t.now) {
			continue
		}
		row := freedRow{Doctor: &f.doctor, Start: f.time.Start, End: f.time.End}
		for {
			if offers++; offers > maxUnderGuard {
				return nil
			}
			through, err := s.offerToNext(ctx, t, row, true)
			if err != nil {
				return err
			}
			if through == 0 {
				break
			}
			row.Through = through
		}
	}
	return nil
}

// offerToEntries offers a doctor's freed time to each entry that it fits, one
// transaction an offer, so that each takes its guards in order: the doctor's, the
// patient's, the room's; at most maxOffers of them.
func (s *Store) offerToEntries(ctx context.Context, req Request, f freedRow) error {
	done := false
	for offers := 0; !done && offers < maxOffers; offers++ {
		err := s.runUseCase(ctx, req, useCase{
			act:        "offer freed time",
			offerLater: true,
			body: func(t *tx) error {
				t.bookkeeping = true
				if _, err := t.guardDoctor(ctx, *f.Doctor); err != nil {
					return err
				}
				err := t.GetContext(ctx, &f.Through, `SELECT after_entry FROM freed_times WHERE id = ? FOR UPDATE`, f.ID)
				if errors.Is(err, sql.ErrNoRows) {
					done = true // another process offered it
					return nil
				}
				if err != nil {
					return err
				}
				through, err := s.offerToNext(ctx, t, f, false)
				if err != nil {
					return err
				}
				if done = through == 0; done {
					_, err = t.exec(ctx, `DELETE FROM freed_times WHERE id = ?`, f.ID)
					return err
				}
				_, err = t.exec(ctx, `UPDATE freed_times SET after_entry = ? WHERE id = ?`, through, f.ID)
				return err
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// offerToNext offers a doctor's freed time to the next matching entry and returns the last
// entry examined, 0 if there are no more. freeing: within the transaction that freed it.
func (s *Store) offerToNext(ctx context.Context, t *tx, f freedRow, freeing bool) (int64, error) {
	doctor, err := readDoctorFacts(ctx, t, *f.Doctor)
	if err != nil || !doctor.IsActive {
		return 0, err
	}
	freed := clinic.Interval{Start: f.Start, End: f.End}
	var rows []waitlistRow
	// Index waitlist_open (status, id).
	err = t.SelectContext(ctx, &rows, `
		SELECT `+waitlistColumns+`
		FROM waitlist
		WHERE status = 'waiting' AND id > ? AND from_time < ? AND to_time > ?
		ORDER BY id
		LIMIT ?`, f.Through, freed.End, freed.Start.Add(-clinic.MaxDuration-clinic.MaxBuffer), maxCandidates)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	tried := 0
	for i := range rows {
		e, err := rows[i].entry()
		if err != nil {
			return 0, err
		}
		if !e.Wants(doctor.ID, doctor.Specialization) {
			continue
		}
		if tried++; tried > maxTried {
			return rows[i-1].ID, nil
		}
		m, err := s.matcherOf(ctx, t, t.now, e, []int64{doctor.ID})
		if err != nil {
			return 0, err
		}
		inside, before := e.Around(freed, m.r.slot.Buffers, t.now)
		for _, window := range []clinic.Interval{inside, before} {
			slots, err := m.first(ctx, window, false)
			if err != nil {
				return 0, err
			}
			if len(slots) == 0 {
				continue
			}
			b := e.Booking(doctor.ID, slots[0].Time.Start, m.r.slot.Buffers)
			switch {
			case freeing && m.r.slot.NeedsRoom:
				return 0, nil // it comes first, after the commit
			case freeing:
				_, err = s.offerDecided(ctx, t, &e, b)
			default:
				_, err = s.offer(ctx, t, &e, b)
			}
			return e.ID, err
		}
	}
	if len(rows) == maxCandidates {
		return rows[len(rows)-1].ID, nil
	}
	return 0, nil
}

// searchForEntry offers the first free time of any doctor, or of the row's doctor, to the row's
// entry, within the doctor-days left.
func (s *Store) searchForEntry(ctx context.Context, req Request, f freedRow, left *int) error {
	var row waitlistRow
	err := s.db.GetContext(ctx, &row, `SELECT `+waitlistColumns+` FROM waitlist WHERE id = ? AND status = 'waiting'`, *f.Entry)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return translate(ctx, "search for waitlist entry", err)
	}
	if err == nil {
		e, err := row.entry()
		if err != nil {
			return err
		}
		var doctors []int64
		if f.Doctor != nil {
			doctors = []int64{*f.Doctor}
		}
		m, err := s.matcherOf(ctx, s.db, clinic.Instant(s.now()), e, doctors)
		if err != nil {
			return translate(ctx, "search for waitlist entry", err)
		}
		from := time.Unix(f.Through, 0).UTC()
		slots, searched, err := m.search(ctx, req, from, left)
		if err != nil {
			return translate(ctx, "search for waitlist entry", err)
		}
		if len(slots) == 0 && !searched.IsZero() {
			// The next call continues from there.
			_, err = s.db.ExecContext(ctx, `UPDATE freed_times SET after_entry = ? WHERE id = ?`, searched.Unix(), f.ID)
			return translate(ctx, "search for waitlist entry", err)
		}
		for _, slot := range slots {
			offered := false
			err := s.runUseCase(ctx, req, useCase{
				act:        "search for waitlist entry",
				offerLater: true,
				body: func(t *tx) error {
					t.bookkeeping = true
					if _, err := t.guardDoctor(ctx, slot.DoctorID); err != nil {
						return err
					}
					var err error
					offered, err = s.offerAgain(ctx, t, &e, slot)
					return err
				},
			})
			if err != nil {
				return err
			}
			if offered {
				break
			}
		}
	}
	_, err = s.db.ExecContext(ctx, `DELETE FROM freed_times WHERE id = ?`, f.ID)
	return translate(ctx, "search for waitlist entry", err)
}

// offerAgain repeats the search for a doctor's first time under the doctor's guard, on the day
// on which the search without the guard found it, and offers the time.
func (s *Store) offerAgain(ctx context.Context, t *tx, e *clinic.WaitlistEntry, found clinic.Slot) (bool, error) {
	m, err := s.matcherOf(ctx, t, t.now, *e, []int64{found.DoctorID})
	if err != nil {
		return false, err
	}
	window := e.Starts(t.now)
	if found.Time.Start.After(window.Start) {
		window.Start = found.Time.Start
	}
	if day := window.Start.Add(24 * time.Hour); day.Before(window.End) {
		window.End = day
	}
	slots, err := m.first(ctx, window, false)
	if err != nil || len(slots) == 0 {
		return false, err
	}
	return s.offer(ctx, t, e, e.Booking(found.DoctorID, slots[0].Time.Start, m.r.slot.Buffers))
}
