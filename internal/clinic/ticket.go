package clinic

import (
	"slices"
	"time"
)

// Ticket is a patient's place in a doctor's queue: a walk-in, or an appointment that was
// checked in.
type Ticket struct {
	ID            int64
	DoctorID      int64
	Day           Date // the clinic's
	Number        int  // per doctor and day, from 1 without gaps, never reused
	PatientID     int64
	AppointmentID *int64 // nil: a walk-in
	Status        TicketStatus
	Note          *string
	TransferredTo *int64 // the ticket that replaces this one
	CalledAt      *time.Time
	Position      int   // among the waiting, from 1; 0: not waiting
	Version       int64 // counts changes; the record's ETag
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// TicketStatus is the status of a ticket.
type TicketStatus string

// The statuses; the contract and a CHECK constraint list the same.
const (
	TicketWaiting     TicketStatus = "waiting"
	TicketCalled      TicketStatus = "called"
	TicketInProgress  TicketStatus = "in_progress"
	TicketDone        TicketStatus = "done"
	TicketLeft        TicketStatus = "left"
	TicketTransferred TicketStatus = "transferred"
	TicketWithdrawn   TicketStatus = "withdrawn" // the check-in was undone
)

var ticketTransitions = map[TicketStatus][]TicketStatus{
	TicketWaiting:    {TicketCalled, TicketInProgress, TicketLeft, TicketTransferred},
	TicketCalled:     {TicketCalled, TicketInProgress, TicketLeft, TicketTransferred},
	TicketInProgress: {TicketDone, TicketLeft},
}

// Open reports whether the patient is still in the clinic.
func (s TicketStatus) Open() bool {
	return s == TicketWaiting || s == TicketCalled || s == TicketInProgress
}

// ChangeStatus changes the ticket's status. Errors: CodeInvalidTicketTransition.
func (k *Ticket) ChangeStatus(now time.Time, to TicketStatus) error {
	if !slices.Contains(ticketTransitions[k.Status], to) {
		return &Error{Code: CodeInvalidTicketTransition, Ticket: k.Status, AllowedTicket: slices.Clone(ticketTransitions[k.Status])}
	}
	k.become(now, to)
	return nil
}

// become changes the status without checking the transition.
func (k *Ticket) become(now time.Time, to TicketStatus) {
	if k.Status == to && to != TicketCalled {
		return
	}
	k.Status = to
	if to == TicketCalled {
		k.CalledAt = &now
	}
	k.Version++
	k.UpdatedAt = now
}

// Follow updates the ticket of an appointment to the appointment's status: a patient who
// was called stays called until the appointment starts.
func (k *Ticket) Follow(now time.Time, visit Status) {
	switch visit {
	case StatusCheckedIn:
		if k.Status != TicketCalled {
			k.become(now, TicketWaiting)
		}
	case StatusInProgress:
		k.become(now, TicketInProgress)
	case StatusCompleted:
		k.become(now, TicketDone)
	case StatusLeftWithoutBeingSeen:
		k.become(now, TicketLeft)
	default:
		k.become(now, TicketWithdrawn)
	}
}

// Absorb merges another ticket of the same patient and doctor into k, the earlier one: k
// takes the more advanced status, and the other refers to it.
func (k *Ticket) Absorb(now time.Time, other *Ticket) {
	progress := []TicketStatus{TicketWaiting, TicketCalled, TicketInProgress}
	if slices.Index(progress, other.Status) > slices.Index(progress, k.Status) {
		k.Status, k.CalledAt = other.Status, other.CalledAt
	}
	if k.AppointmentID == nil {
		k.AppointmentID = other.AppointmentID
	}
	if k.Note == nil {
		k.Note = other.Note
	}
	other.Status, other.TransferredTo = TicketTransferred, &k.ID
	for _, changed := range []*Ticket{k, other} {
		changed.Version++
		changed.UpdatedAt = now
	}
}

// VisitAction returns the appointment's action that goes with the ticket's status, "" for
// none.
func (s TicketStatus) VisitAction() Action {
	switch s {
	case TicketInProgress:
		return ActionStart
	case TicketDone:
		return ActionComplete
	case TicketLeft:
		return ActionLeave
	default:
		return ""
	}
}

// Normalize puts the note into its stored form.
func (k *Ticket) Normalize() { k.Note = optionalText(k.Note) }

// Validate returns CodeValidationFailed for a note that is too long once normalised. k must
// be normalised.
func (k *Ticket) Validate() error {
	return invalid(checkOptional(nil, "#/note", k.Note, 500))
}
