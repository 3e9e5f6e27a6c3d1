package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// RescheduleAppointment changes an appointment's time, duration, doctor or room. The
// appointment keeps its id and history; a refusal changes nothing. If the start changes, a
// confirmed appointment becomes scheduled again, because the patient confirmed another time.
//
// It takes the guards of both doctors by ascending id, so that two appointments that swap
// doctors wait for each other and do not deadlock.
//
// Errors: those of ChangeAppointmentStatus, clinic.ErrStartInPast and those of decide.
func (s *Store) RescheduleAppointment(ctx context.Context, req Request, id int64, r clinic.Reschedule, match Versions) (clinic.Appointment, error) {
	if err := r.Override.CheckAccess(req.Access); err != nil {
		return clinic.Appointment{}, err
	}
	r.Normalize()
	if err := r.Validate(); err != nil {
		return clinic.Appointment{}, err
	}
	var a clinic.Appointment
	err := s.runUseCase(ctx, req, useCase{
		act:    "reschedule appointment",
		wanted: s.wantedByReschedule(ctx, id, r),
		body: func(t *tx) error {
			var err error
			if a, err = lockAppointment(ctx, t, id, r.DoctorID); err != nil {
				return err
			}
			if err := match.check(a.Version); err != nil {
				return err
			}
			return s.reschedule(ctx, t, &a, r)
		},
		explain: func(q *snapshot) error {
			return s.explainReschedule(ctx, q, id, r, match)
		},
	}, &a)
	return a, err
}

// reschedule applies a reschedule to a locked appointment. The caller also holds the guard
// of the new doctor.
func (s *Store) reschedule(ctx context.Context, t *tx, a *clinic.Appointment, r clinic.Reschedule) error {
	b, c, err := s.bookingOf(ctx, &t.queries, *a, r)
	if err != nil {
		return err
	}
	if err := withdrawOffers(ctx, t, b, wasAt(ctx, t, a.ID, b)); err != nil {
		return err
	}
	broken, err := s.decide(ctx, t, c, &b, a.ID)
	if err != nil {
		return err
	}
	from, before := a.Status, *a
	a.ApplyReschedule(t.now, b, broken)
	t.record(clinic.Changed(clinic.KindAppointment, a.ID, before, *a))
	t.freeOf(before, *a)
	if err := updateAppointment(ctx, t, *a); err != nil {
		return err
	}
	return insertEvent(ctx, t, a.ID, a.Event(t.req.actor(), clinic.ActionReschedule, &from))
}

// bookingOf returns the booking that an appointment becomes by a reschedule, and the state
// of its parties. Errors: those of clinic.Reschedule.BookingFor, and
// clinic.CodeOutsideBookingWindow.
func (s *Store) bookingOf(ctx context.Context, q *queries, a clinic.Appointment, r clinic.Reschedule) (clinic.Booking, clinic.Calendar, error) {
	c := clinic.Calendar{Doctor: clinic.Missing, Patient: clinic.Active} // the foreign key keeps the patient
	b, err := r.BookingFor(a, q.now)
	if err == nil && !b.Start.Equal(a.Time.Start) {
		err = s.partners.Check(q.now, q.req.Access, b.Start)
	}
	if err != nil {
		return b, c, err
	}
	var exists bool
	if err := q.GetContext(ctx, &exists, `SELECT COUNT(*) FROM doctors WHERE id = ?`, b.DoctorID); err != nil {
		return b, c, err
	}
	if exists {
		c.Doctor = clinic.Active
	}
	return b, c, q.req.Access.Reach.CheckCalendar(b.DoctorID)
}

// wasAt reports whether an appointment once had the doctor and time of a booking.
func wasAt(ctx context.Context, q sqlx.QueryerContext, id int64, b clinic.Booking) func() (bool, error) {
	return func() (bool, error) {
		history, err := readHistory(ctx, q, id)
		return clinic.WasAt(history, b.DoctorID, b.Time()), err
	}
}

// explainReschedule returns what prevents a reschedule.
func (s *Store) explainReschedule(ctx context.Context, q *snapshot, id int64, r clinic.Reschedule, match Versions) error {
	a, err := q.findAppointment(ctx, id)
	if err != nil {
		return err
	}
	if err := match.check(a.Version); err != nil {
		return err
	}
	b, c, err := s.bookingOf(ctx, &q.queries, a, r)
	if err != nil {
		return err
	}
	if _, err := q.offersInTheWay(ctx, b, wasAt(ctx, q, a.ID, b)); err != nil {
		return err
	}
	return s.explainBooking(ctx, q, c, b, a.ID)
}
