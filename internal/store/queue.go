package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// maxQueue bounds a doctor's queue of one day.
const maxQueue = 1000

// openTickets is the condition for an open ticket. A waiting patient stays in the queue until
// served or gone, even past midnight.
const openTickets = `status IN ('waiting', 'called', 'in_progress')`

// CreateWalkIn adds a walk-in to the queue of a doctor who works now: the given one, or the
// one of the specialization with the shortest queue. It occupies no calendar time.
//
// Statements, in lock order: find the doctor (no lock), write the guard rows of the doctor
// and the patient, read hours and time off, assign the next number, insert.
//
// Errors: clinic.ErrPatientNotFound, clinic.ErrDoctorNotFound,
// clinic.ErrDoctorInactive, clinic.CodeOutsideWorkingHours, clinic.CodeTimeOff,
// clinic.ErrAlreadyInQueue, clinic.ErrNobodyWorks, clinic.CodeValidationFailed.
func (s *Store) CreateWalkIn(ctx context.Context, req Request, w clinic.WalkIn) (clinic.Ticket, error) {
	if err := w.Validate(); err != nil {
		return clinic.Ticket{}, err
	}
	k := clinic.Ticket{PatientID: w.PatientID, Note: w.Note, Status: clinic.TicketWaiting}
	k.Normalize()
	if err := k.Validate(); err != nil {
		return k, err
	}
	if err := req.Access.Reach.CheckCalendar(w.DoctorID); err != nil {
		return k, err // a doctor may not have another one chosen, either
	}
	err := s.inTx(ctx, req, "create ticket", func(t *tx) error {
		k.DoctorID, k.Day = w.DoctorID, clinic.DateOf(t.now.In(s.zone))
		if k.DoctorID == 0 {
			var err error
			if k.DoctorID, err = s.leastBusy(ctx, t, w.Specialization); err != nil {
				return err
			}
		}
		// "Now" is the minute that begins now.
		b := clinic.Booking{PatientID: w.PatientID, DoctorID: k.DoctorID, Start: t.now, Duration: time.Minute}
		c, err := t.guardParties(ctx, b)
		if err != nil {
			return err
		}
		if c.Patient == clinic.Active && c.Doctor == clinic.Active {
			doctor, err := readDoctorFacts(ctx, t, k.DoctorID)
			if err != nil {
				return err
			}
			if !doctor.IsActive {
				c.Doctor = clinic.Inactive
			}
			if err := readOpenTimes(ctx, &t.queries, &c, b, doctor); err != nil {
				return err
			}
			c.DoctorBusy = nil // walk-ins wait for the doctor
		}
		if _, err := clinic.CanBook(c, b); err != nil {
			return err
		}
		if err := refuseSecondTicket(ctx, t, k.PatientID, k.DoctorID); err != nil {
			return err
		}
		return s.insertTicket(ctx, t, &k)
	}, &k)
	return k, err
}

// refuseSecondTicket returns an error for a patient who is already in the doctor's queue. The
// caller holds the doctor's guard. Index tickets_patient. Errors: clinic.ErrAlreadyInQueue.
func refuseSecondTicket(ctx context.Context, t *tx, patientID, doctorID int64) error {
	var waits bool
	err := t.GetContext(ctx, &waits, `
		SELECT COUNT(*) > 0
		FROM tickets
		WHERE patient_id = ? AND doctor_id = ? AND `+openTickets, patientID, doctorID)
	if err == nil && waits {
		return clinic.ErrAlreadyInQueue
	}
	return err
}

// leastBusy returns the doctor of a specialization who works now and has the shortest queue;
// among equals, the one with the lowest id. Errors: clinic.ErrNobodyWorks.
func (s *Store) leastBusy(ctx context.Context, t *tx, specialization string) (int64, error) {
	r := &reader{q: t, now: t.now}
	if err := r.readDoctors(ctx, nil, specialization); err != nil {
		return 0, err
	}
	now := clinic.Interval{Start: t.now, End: t.now.Add(time.Minute)}
	if err := r.readRules(ctx, now); err != nil {
		return 0, err
	}
	var waiting []struct {
		DoctorID int64 `db:"doctor_id"`
		N        int   `db:"n"`
	}
	// Index tickets_open.
	query, args, err := sqlx.In(`
		SELECT doctor_id, COUNT(*) AS n
		FROM tickets
		WHERE doctor_id IN (?) AND status IN ('waiting', 'called')
		GROUP BY doctor_id`, append([]int64{0}, r.doctors...)) // no doctor has id 0; IN () is not valid SQL
	if err != nil {
		return 0, err
	}
	if err := t.SelectContext(ctx, &waiting, query, args...); err != nil {
		return 0, err
	}
	best, fewest := int64(0), 0
	for _, id := range r.doctors {
		c := clinic.Calendar{Patient: clinic.Active, Doctor: clinic.Active, Off: slices.Concat(r.off[id], r.off[0])}
		if h := r.hours[id]; h.Given() {
			c.HasHours, c.Open = true, h.Open(now)
		}
		if _, err := clinic.CanBook(c, clinic.Booking{Start: t.now, Duration: time.Minute}); err != nil {
			continue
		}
		n := 0
		for _, w := range waiting {
			if w.DoctorID == id {
				n = w.N
			}
		}
		if best == 0 || n < fewest {
			best, fewest = id, n
		}
	}
	if best == 0 {
		return 0, clinic.ErrNobodyWorks
	}
	return best, nil
}

// Queue returns a doctor's tickets of a day by number, nil for today, with the positions of
// waiting patients. Today's list begins with open tickets of earlier days. Indexes tickets_number and tickets_open.
//
// Errors: clinic.ErrDoctorNotFound.
func (s *Store) Queue(ctx context.Context, req Request, doctorID int64, day *clinic.Date) (clinic.Date, []clinic.Ticket, error) {
	today := s.today()
	if day == nil {
		day = &today
	}
	if _, err := s.Doctor(ctx, doctorID); err != nil {
		return *day, nil, err
	}
	if err := req.Access.Reach.CheckCalendar(doctorID); err != nil {
		return *day, nil, err
	}
	var before, rows []ticketRow
	err := s.db.SelectContext(ctx, &before, `
		SELECT `+ticketColumns+`
		FROM tickets
		WHERE doctor_id = ? AND day < ? AND `+openTickets+`
		ORDER BY day, number
		LIMIT ?`, doctorID, day.String(), maxQueue)
	if err != nil {
		return *day, nil, translate(ctx, "read queue", err)
	}
	err = s.db.SelectContext(ctx, &rows, `
		SELECT `+ticketColumns+`
		FROM tickets
		WHERE doctor_id = ? AND day = ?
		ORDER BY number
		LIMIT ?`, doctorID, day.String(), maxQueue)
	if err != nil {
		return *day, nil, translate(ctx, "read queue", err)
	}
	waiting := 0
	positioned := func(r ticketRow) clinic.Ticket {
		k := r.ticket()
		if k.Status == clinic.TicketWaiting {
			waiting++
			k.Position = waiting
		}
		return k
	}
	var tickets []clinic.Ticket
	for _, r := range before {
		if k := positioned(r); *day == today {
			tickets = append(tickets, k)
		}
	}
	for _, r := range rows {
		tickets = append(tickets, positioned(r))
	}
	return *day, tickets, s.recordRead(ctx, req, clinic.KindTicket, 0, idsOf(tickets, func(k clinic.Ticket) int64 { return k.PatientID })...)
}

// CallNext calls the patient who has waited longest for a doctor, including from before
// midnight. Concurrent calls get different patients: each takes the doctor's guard first. Index tickets_open.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrQueueEmpty.
func (s *Store) CallNext(ctx context.Context, req Request, doctorID int64) (clinic.Ticket, error) {
	var k clinic.Ticket
	if err := req.Access.Reach.CheckCalendar(doctorID); err != nil {
		return k, err
	}
	err := s.inTx(ctx, req, "call the next ticket", func(t *tx) error {
		if exists, err := t.guardDoctor(ctx, doctorID); err != nil || !exists {
			return firstError(err, clinic.ErrDoctorNotFound)
		}
		var row ticketRow
		err := t.GetContext(ctx, &row, `
			SELECT `+ticketColumns+`
			FROM tickets
			WHERE doctor_id = ? AND status = 'waiting'
			ORDER BY day, number
			LIMIT 1
			FOR UPDATE`, doctorID)
		if errors.Is(err, sql.ErrNoRows) {
			return clinic.ErrQueueEmpty
		}
		if err != nil {
			return err
		}
		k = row.ticket()
		before := k
		if err := k.ChangeStatus(t.now, clinic.TicketCalled); err != nil {
			return err
		}
		return updateTicket(ctx, t, before, k)
	}, &k)
	return k, err
}

// ChangeTicketStatus calls, starts or completes a ticket, or records that the patient left.
// Its appointment, if any, changes status in the same transaction.
//
// Statements, in lock order: read the parties (no lock), write the guard rows of the doctors
// and the patient, read both records again, update them.
//
// Errors: clinic.ErrTicketNotFound, clinic.ErrPreconditionFailed,
// clinic.CodeInvalidTicketTransition, clinic.CodeInvalidTransition.
func (s *Store) ChangeTicketStatus(ctx context.Context, req Request, id int64, to clinic.TicketStatus, match Versions) (clinic.Ticket, error) {
	var k clinic.Ticket
	err := s.inTx(ctx, req, "change status of ticket", func(t *tx) error {
		var visit *clinic.Appointment
		var err error
		if k, visit, err = lockTicket(ctx, t, id, 0); err != nil {
			return err
		}
		if err := match.check(k.Version); err != nil {
			return err
		}
		was := k
		if err := k.ChangeStatus(t.now, to); err != nil {
			return err
		}
		if err := updateTicket(ctx, t, was, k); err != nil {
			return err
		}
		action := to.VisitAction()
		if visit == nil || action == "" {
			return nil
		}
		from, before := visit.Status, *visit
		if err := visit.ChangeStatus(t.now, s.zone, action); err != nil {
			return err
		}
		if err := updateAppointment(ctx, t, *visit); err != nil {
			return err
		}
		t.freeOf(before, *visit)
		t.record(clinic.Changed(clinic.KindAppointment, visit.ID, before, *visit))
		return insertEvent(ctx, t, visit.ID, visit.Event(req.actor(), action, &from))
	}, &k)
	return k, err
}

// TicketTransfer says to which doctor's queue a ticket is transferred.
type TicketTransfer struct {
	DoctorID int64
	Note     *string // nil: unchanged
}

// TransferTicket transfers a patient to the end of another doctor's queue and returns the
// new ticket. The appointment, if any, stays in its calendar and is linked to the new ticket.
//
// Errors: those of ChangeTicketStatus, clinic.ErrDoctorNotFound,
// clinic.ErrDoctorInactive, clinic.ErrAlreadyInQueue (the same doctor, or the
// patient is in the other one's queue already).
func (s *Store) TransferTicket(ctx context.Context, req Request, id int64, to TicketTransfer, match Versions) (clinic.Ticket, error) {
	onward := clinic.Ticket{DoctorID: to.DoctorID, Note: to.Note, Status: clinic.TicketWaiting}
	onward.Normalize()
	if err := onward.Validate(); err != nil {
		return onward, err
	}
	err := s.inTx(ctx, req, "transfer ticket", func(t *tx) error {
		k, _, err := lockTicket(ctx, t, id, to.DoctorID)
		if err != nil {
			return err
		}
		if err := match.check(k.Version); err != nil {
			return err
		}
		var active bool
		err = t.GetContext(ctx, &active, `SELECT is_active FROM doctors WHERE id = ?`, to.DoctorID)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return clinic.ErrDoctorNotFound
		case err != nil:
			return err
		case !active:
			return clinic.ErrDoctorInactive
		case to.DoctorID == k.DoctorID:
			return clinic.ErrAlreadyInQueue
		}
		was := k
		if err := k.ChangeStatus(t.now, clinic.TicketTransferred); err != nil {
			return err
		}
		if err := refuseSecondTicket(ctx, t, k.PatientID, to.DoctorID); err != nil {
			return err
		}
		onward.Day, onward.PatientID, onward.AppointmentID = clinic.DateOf(t.now.In(s.zone)), k.PatientID, k.AppointmentID
		if onward.Note == nil {
			onward.Note = k.Note
		}
		if err := s.insertTicket(ctx, t, &onward); err != nil {
			return err
		}
		k.TransferredTo = &onward.ID
		return updateTicket(ctx, t, was, k)
	}, &onward)
	return onward, err
}
