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
	unknown bool            // there are several; the snapshot is asked at once
}

// wantedOf returns what a booking wants, nothing where it may overlap other
// appointments of the doctor.
func wantedOf(b clinic.Booking) wantedTime {
	if slices.Contains(b.Override.Rules, clinic.RuleDoctorOverlap) {
		return wantedTime{}
	}
	end := b.Start.Add(max(b.Duration, clinic.MinDuration))
	return wantedTime{doctor: b.DoctorID, time: clinic.Interval{Start: b.Start, End: end}, hold: b.Hold}
}

// wantedByReschedule returns what moving an appointment wants, nothing where that is
// not known. Primary key.
func (s *Store) wantedByReschedule(ctx context.Context, id int64, r clinic.Reschedule) wantedTime {
	var row struct {
		DoctorID  int64     `db:"doctor_id"`
		StartTime time.Time `db:"start_time"`
		Duration  minutes   `db:"duration_minutes"`
		Over      bool      `db:"doctor_overbooked"`
	}
	err := s.db.GetContext(ctx, &row, `SELECT doctor_id, start_time, duration_minutes, doctor_overbooked FROM appointments WHERE id = ?`, id)
	if err != nil || row.Over {
		return wantedTime{} // the transaction says what is wrong
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

// recentlyRefused remembers for which doctors a time was taken when it was asked for.
// Only for these is a read before the guards worth what it costs: an eighth of a
// booking. It is a hint; each process has its own.
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

// refuseEarly explains without guards, on one snapshot, what a plain read shows to be
// refused: the time was taken at a moment of this call. So the many who want a time
// that is gone neither wait for the doctor's guard nor hold it; the first of them in a
// minute does. What the read does not show, or the snapshot does not confirm, is decided
// under the guards.
//
// A request that was carried out before is answered as then; one that is carried out
// at this moment, by inTx, which keeps the refusal under its key.
func (s *Store) refuseEarly(ctx context.Context, req Request, u useCase, answer []any) (refused bool, err error) {
	wanted, taken := u.wanted, u.wanted.unknown
	if now := clinic.Instant(s.now()); wanted.doctor != 0 && s.refused.includes(wanted.doctor, now) {
		statement, args := takenSQL(wanted, now)
		if err := s.db.GetContext(ctx, &taken, statement, args...); err != nil {
			return false, nil // the transaction meets the same and knows what to do
		}
	}
	if !taken {
		return false, nil
	}
	if len(answer) > 0 {
		if replayed, err := s.replayedAnswer(ctx, req, answer...); replayed {
			return true, err
		}
	}
	begun := stopwatch()
	if err = s.explain(ctx, req, u.explain); !isSlotConflict(err) {
		return false, nil
	}
	s.observe.transaction(begun, &err)
	return true, translate(ctx, u.act, err)
}

// takenSQL tells whether an appointment or a live hold overlaps the wanted time: a
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
