package clinic

import (
	"slices"
	"time"
)

// Ticket is a patient's place in a doctor's queue: a walk-in, or a visit that
// was checked in.
type Ticket struct {
	ID            int64
	DoctorID      int64
	Day           Date // the clinic's
	Number        int  // of this doctor and day, from 1 without gaps, never used again
	PatientID     int64
	AppointmentID *int64 // nil: a walk-in
	Status        TicketStatus
	Note          *string
	TransferredTo *int64 // the ticket that goes on for this one
	CalledAt      *time.Time
	Position      int   // among those who wait, from 1; 0: does not wait
	Version       int64 // counts changes; the record's ETag
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// TicketStatus is where a patient in a queue stands.
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

var ticketMoves = map[TicketStatus][]TicketStatus{
	TicketWaiting:    {TicketCalled, TicketInProgress, TicketLeft, TicketTransferred},
	TicketCalled:     {TicketCalled, TicketInProgress, TicketLeft, TicketTransferred},
	TicketInProgress: {TicketDone, TicketLeft},
}

// Open reports whether the patient is still here.
func (s TicketStatus) Open() bool {
	return s == TicketWaiting || s == TicketCalled || s == TicketInProgress
}

// Move brings the ticket to a status. Errors: CodeInvalidTicketTransition.
func (k *Ticket) Move(now time.Time, to TicketStatus) error {
	if !slices.Contains(ticketMoves[k.Status], to) {
		return &Error{Code: CodeInvalidTicketTransition, Ticket: k.Status, AllowedTicket: slices.Clone(ticketMoves[k.Status])}
	}
	k.become(now, to)
	return nil
}

// become makes the change, whatever may follow what.
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

// Follow keeps the ticket of a visit in step with the visit: a patient who was
// called stays so until the visit begins.
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

// Absorb makes k, which is earlier, the one ticket of a patient who had two for one
// doctor: it is as far as the further of the two. The other one leads to it.
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

// VisitAction is what a move of the ticket means for its visit; "" for nothing.
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

// Normalize puts the note into the form in which it is kept.
func (k *Ticket) Normalize() { k.Note = optionalText(k.Note) }

// Validate refuses a note that has grown too long by being normalised
// (CodeValidationFailed). k must be normalised.
func (k *Ticket) Validate() error {
	return invalid(checkOptional(nil, "#/note", k.Note, 500))
}
