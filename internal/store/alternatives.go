package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"mems/internal/clinic"
)

// How many free times a refusal offers, of the same doctor and of colleagues of
// the specialization, and how far from the wanted time they may be.
const (
	alternativesEach   = 3
	alternativesBefore = 4 * time.Hour
	alternativesNear   = 24 * time.Hour
	alternativesFar    = 15 * 24 * time.Hour
)

// withAlternatives adds to a refusal for want of time the nearest times that
// could be booked instead: the same doctor's first, then those of active
// colleagues of the same specialization, all on quarter hours of the clinic's
// clock, and of doctors without working hours within the usual ones. It reads in the transaction that decided, so they were free when it
// did, and only in one that holds no guards (inTx). Other errors come back as
// they are.
func (s *Store) withAlternatives(ctx context.Context, t *tx, err error, specialization string, kind clinic.AppointmentType, b clinic.Booking, except int64) error {
	var refusal *clinic.Error
	if !t.looks || !errors.As(err, &refusal) || refusal.Conflict.Start.IsZero() {
		return err
	}
	r := &reader{
		q: t, now: t.now, hold: b.Hold, except: except, patient: b.PatientID,
		slot: clinic.SlotQuery{
			Duration: b.Duration, Buffers: b.Buffers, Step: 15 * time.Minute, Zone: s.zone,
			NeedsRoom: b.AnyRoom || b.RoomID != nil,
		},
	}
	if b.TypeID != nil {
		r.kind = &kind
	}
	if b.Moving {
		r.kept = b.Kept.DoctorID
	}
	if err := r.readDoctors(ctx, nil, specialization); err != nil {
		return err
	}
	if !slices.Contains(r.doctors, b.DoctorID) {
		return refusal
	}
	// First around the wanted time; only when that is not enough, what comes after.
	near := clinic.Interval{Start: b.Start.Add(-alternativesBefore), End: b.Start.Add(alternativesNear)}
	if !near.Start.After(t.now) {
		near.Start = t.now.Add(time.Microsecond)
	}
	far := clinic.Interval{Start: near.End, End: b.Start.Add(alternativesFar)}
	r.countFrom = b.Start // of those before it, the last are the nearest
	var slots []clinic.Slot
	for _, window := range []clinic.Interval{near, far} {
		found, err := r.alternatives(ctx, window, b)
		if err != nil {
			return err
		}
		slots = append(slots, found...)
		var same, others []clinic.Slot
		for _, slot := range slots {
			if slot.DoctorID == b.DoctorID {
				same = append(same, slot)
			} else {
				others = append(others, slot)
			}
		}
		refusal.Alternatives = append(clinic.Nearest(same, b.Start, alternativesEach), clinic.Nearest(others, b.Start, alternativesEach)...)
		if len(same) >= alternativesEach && (len(others) >= alternativesEach || len(r.doctors) == 1) {
			break
		}
	}
	return refusal
}

// alternatives finds free slots of a window for the booking.
func (r *reader) alternatives(ctx context.Context, window clinic.Interval, b clinic.Booking) ([]clinic.Slot, error) {
	if r.kind == nil {
		r.kind = &clinic.AppointmentType{} // any doctor, any room
	}
	if err := r.readRules(ctx, window); err != nil {
		return nil, err
	}
	if err := r.readUsualHours(ctx, window, r.slot.Zone); err != nil {
		return nil, err
	}
	if b.RoomID != nil && !b.AnyRoom {
		r.rooms = []int64{*b.RoomID}
	}
	return r.slots(ctx, window, r.doctors, alternativesEach)
}
