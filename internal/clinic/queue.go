package clinic

import "slices"

// WalkIn is a patient who comes without an appointment.
type WalkIn struct {
	PatientID      int64
	DoctorID       int64  // 0: a doctor of the specialization
	Specialization string // with DoctorID 0
	Note           *string
}

// Validate refuses a walk-in for nobody, and one for a doctor and a specialization:
// CodeValidationFailed.
func (w *WalkIn) Validate() error {
	switch {
	case w.DoctorID == 0 && w.Specialization == "":
		return Invalid(Violation{Pointer: "#/doctor_id", Code: "required", Detail: "must be given, or specialization"})
	case w.DoctorID != 0 && w.Specialization != "":
		return Invalid(Violation{Pointer: "#/specialization", Code: "combination", Detail: "cannot be combined with doctor_id"})
	}
	return nil
}

// QueuePage is a part of a doctor's queue.
type QueuePage struct {
	Tickets []Ticket
	More    bool // after them
	Waiting int  // in the whole queue
}

// PageOfQueue returns at most limit tickets of a queue, which is sorted by day and
// number: those after a place in it, number 0 for all, that have the status, "" for any.
func PageOfQueue(queue []Ticket, day Date, number int, status TicketStatus, limit int) QueuePage {
	var p QueuePage
	for _, ticket := range queue {
		if ticket.Status == TicketWaiting {
			p.Waiting++
		}
	}
	p.Tickets = slices.DeleteFunc(slices.Clone(queue), func(ticket Ticket) bool {
		seen := number != 0 && (ticket.Day.Before(day) || ticket.Day == day && ticket.Number <= number)
		return seen || status != "" && ticket.Status != status
	})
	if len(p.Tickets) > limit {
		p.Tickets, p.More = p.Tickets[:limit], true
	}
	return p
}
