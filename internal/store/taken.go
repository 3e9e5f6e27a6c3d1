package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"mems/internal/clinic"
)

// wantedTime is the time of a doctor that a use case is about to take. The zero
// value is none.
type wantedTime struct {
	doctor  int64           // 0: none
	time    clinic.Interval // without buffers: these are the type's, which is not read yet
	hold    string          // token of a hold that does not count; "": none
	except  int64           // an appointment that does not count; 0: none
	unknown bool            // there are several; decide on the snapshot immediately
}

// wantedOf returns the time that a booking would take; none if the booking may overlap other
// appointments of the doctor.
func wantedOf(b clinic.Booking) wantedTime {
	if slices.Contains(b.Override.Rules, clinic.RuleDoctorOverlap) {
		return wantedTime{}
	}
	end := b.Start.Add(max(b.Duration, clinic.MinDuration))
	return wantedTime{doctor: b.DoctorID, time: clinic.Interval{Start: b.Start, End: end}, hold: b.Hold}
}

// wantedByReschedule returns the time that a reschedule would take; none if unknown. Primary
// key.
func (s *Store) wantedByReschedule(ctx context.Context, id int64, r clinic.Reschedule) wantedTime {
	var row struct {
		DoctorID  int64     `db:"doctor_id"`
		StartTime time.Time `db:"start_time"`
		Duration  minutes   `db:"duration_minutes"`
		Over      bool      `db:"doctor_overbooked"`
	}
	err := s.db.GetContext(ctx, &row, `SELECT doctor_id, start_time, duration_minutes, doctor_overbooked FROM appointments WHERE id = ?`, id)
	if err != nil || row.Over {
		return wantedTime{} // the transaction returns the error
	}
	b := clinic.Booking{DoctorID: row.DoctorID, Start: row.StartTime, Duration: row.Duration.duration(), Override: r.Override}
	if r.DoctorID != 0 {
		b.DoctorID = r.DoctorID
	}
	if r.Start != nil {
		b.Start = clinic.Instant(*r.Start)
	}
	if r.Duration != 0 {
		b.Duration = r.Duration
	}
	w := wantedOf(b)
	w.except = id
	return w
}

// recentlyRefused remembers the doctors for whom a request was refused because the time was
// taken. Only for these is a read before the guards worth its cost, an eighth of a booking.
// It is a hint; each process has its own.
type recentlyRefused struct {
	mu sync.Mutex
	at map[int64]time.Time // by doctor
}

const (
	refusalRemembered = time.Minute
	maxRemembered     = 4096 // doctors
)

func (r *recentlyRefused) note(doctor int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil || len(r.at) >= maxRemembered {
		r.at = map[int64]time.Time{}
	}
	r.at[doctor] = now
}

func (r *recentlyRefused) includes(doctor int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.at[doctor]
	return known && now.Sub(at) < refusalRemembered
}

// refuseEarly refuses a request without guards, on one snapshot, if a plain read shows that
// the time is taken. So many requests for a taken time neither wait for the doctor's guard
// nor hold it, except for the first in a minute; equal ones share both reads. What the read does
// not show, or the snapshot does not confirm, is decided under the guards.
//
// A repeated request gets its stored answer. One whose first execution is still running is
// left to inTx, which stores the refusal under its key.
func (s *Store) refuseEarly(ctx context.Context, req Request, u useCase, answer []any) (refused bool, err error) {
	contended := u.wanted.doctor != 0 && s.refused.includes(u.wanted.doctor, clinic.Instant(s.now()))
	if !contended && !u.wanted.unknown {
		return false, nil
	}
	if len(answer) > 0 {
		if replayed, err := s.replayedAnswer(ctx, req, answer...); replayed {
			return true, err
		}
	}
	begun := stopwatch()
	if err = s.explainUseCase(ctx, req, u, contended); !isSlotConflict(err) {
		return false, nil // the transaction meets and handles the same
	}
	s.observe.transaction(begun, &err)
	return true, translate(ctx, u.act, err)
}

// isTaken reports whether a plain read shows a wanted time taken.
func (s *Store) isTaken(ctx context.Context, w wantedTime) (taken bool, err error) {
	statement, args := takenSQL(w, clinic.Instant(s.now()))
	err = s.db.GetContext(ctx, &taken, statement, args...)
	return taken, err
}

// takenSQL selects whether an appointment or a live hold overlaps the wanted time: a
// bounded range of appointments_doctor (doctor_id, start_time) and one of holds_doctor
// (doctor_id, start_time), which end with the first row found; forced, because a small
// clinic's statistics suggest others.
func takenSQL(w wantedTime, now time.Time) (statement string, args []any) {
	condition, args := occupiedTimes{
		party: doctorParty, ids: []int64{w.doctor}, overlapping: []clinic.Interval{w.time}, except: []int64{w.except},
		holds: &liveHolds{now, w.hold}, forced: true,
	}.takenSQL()
	return `SELECT ` + condition, args
}
