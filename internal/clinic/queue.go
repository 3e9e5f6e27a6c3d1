package clinic

import "slices"

// WalkIn is a patient without an appointment.
type WalkIn struct {
	PatientID      int64
	DoctorID       int64  // 0: any doctor of the specialization
	Specialization string // with DoctorID 0
	Note           *string
}

// Validate returns CodeValidationFailed for a walk-in with neither a doctor nor a
// specialization, or with both.
func (w *WalkIn) Validate() error {
	switch {
	case w.DoctorID == 0 && w.Specialization == "":
		return Invalid(Violation{Pointer: "#/doctor_id", Code: "required", Detail: "must be given, or specialization"})
	case w.DoctorID != 0 && w.Specialization != "":
		return Invalid(Violation{Pointer: "#/specialization", Code: "combination", Detail: "cannot be combined with doctor_id"})
	}
	return nil
}

// QueuePage is one page of a doctor's queue.
type QueuePage struct {
	Tickets []Ticket
	More    bool // after them
	Waiting int  // in the whole queue
}

// PageOfQueue returns at most limit tickets of a queue, which is sorted by day and number:
// those after day and number, 0 for the first page, that have the status, "" for any.
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
