package clinic

import (
	"context"
	"slices"
	"time"
)

// Action is what was done to an appointment.
type Action string

// The actions; the contract lists the same.
const (
	ActionBook       Action = "book"
	ActionConfirm    Action = "confirm"
	ActionCheckIn    Action = "check_in"
	ActionStart      Action = "start"
	ActionComplete   Action = "complete"
	ActionNoShow     Action = "no_show"
	ActionLeave      Action = "leave"
	ActionCancel     Action = "cancel"
	ActionUndo       Action = "undo"
	ActionReschedule Action = "reschedule"
	ActionMerge      Action = "merge"  // its patient's record was merged into another
	ActionImport     Action = "import" // taken over in whatever status it was
)

// moves are the actions that only change the status.
var moves = map[Action]Status{
	ActionConfirm: StatusConfirmed, ActionCheckIn: StatusCheckedIn, ActionStart: StatusInProgress,
	ActionComplete: StatusCompleted, ActionNoShow: StatusNoShow, ActionLeave: StatusLeftWithoutBeingSeen,
}

// Event is one change of an appointment: who did what when and why, and what it
// was afterwards.
type Event struct {
	Version    int64 // of the appointment after it
	At         time.Time
	Action     Action
	Actor      *string // who; nil: not stated
	FromStatus *Status // nil: it did not exist
	ToStatus   Status
	Reason     *string // coded, with cancel
	Note       *string // in words: why, or why a rule was overridden
	Time       Interval
	DoctorID   int64
	PatientID  int64
	RoomID     *int64
}

// actorKey is the key of an actor in a context.
type actorKey struct{}

// WithActor notes in the context who acts, for the history.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, Text(actor))
}

// Actor is who acts: whoever is authenticated, else what was stated, nil when
// nobody said.
func Actor(ctx context.Context) *string {
	if a := AccessOf(ctx); a.Kind() != "open" {
		subject := a.Subject
		return &subject
	}
	actor, ok := ctx.Value(actorKey{}).(string)
	if !ok || actor == "" {
		return nil
	}
	return &actor
}

// Move makes the appointment go on to the status that an action leads to.
// Errors: CodeInvalidTransition, also for a no-show before the start.
func (a *Appointment) Move(now time.Time, action Action) error {
	to := moves[action]
	if err := a.checkTransition(now, to); err != nil {
		return err
	}
	a.Status = to
	a.changed(now)
	return nil
}

// Undo brings the appointment back to the status before its last move, when
// that was made on the local day of now in the clinic's zone. Moves that were
// undone do not count, and nothing before a reschedule can be undone. Errors:
// CodeInvalidTransition.
//
// The caller sees to it that the time is still free when the new status
// occupies it and the old one did not.
func (a *Appointment) Undo(now time.Time, zone *time.Location, history []Event) error {
	last, ok := lastMove(history)
	if !ok || DateOf(last.At.In(zone)) != DateOf(now.In(zone)) {
		return &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: a.allowed(now)}
	}
	a.Status = *last.FromStatus
	a.Cancellation = nil
	a.changed(now)
	return nil
}

// lastMove finds the last move that has not been undone.
func lastMove(history []Event) (Event, bool) {
	var moves []Event
	for _, e := range history {
		switch {
		case e.Action == ActionMerge: // of the patient's records; the visit went nowhere
		case e.Action == ActionUndo:
			if len(moves) > 0 {
				moves = moves[:len(moves)-1]
			}
		case e.FromStatus != nil && e.Action != ActionReschedule:
			moves = append(moves, e)
		default:
			moves = nil
		}
	}
	if len(moves) == 0 {
		return Event{}, false
	}
	return moves[len(moves)-1], true
}

// checkTransition refuses a move that the state machine does not have now.
func (a *Appointment) checkTransition(now time.Time, to Status) error {
	allowed := a.allowed(now)
	if slices.Contains(allowed, to) {
		return nil
	}
	return &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: allowed}
}

// allowed lists the statuses that may follow now: nobody is a no-show before
// the appointment has begun.
func (a *Appointment) allowed(now time.Time) []Status {
	return slices.DeleteFunc(slices.Clone(transitions[a.Status]), func(s Status) bool {
		return s == StatusNoShow && now.Before(a.Time.Start)
	})
}

// CheckReschedule refuses to move an appointment that has begun or ended:
// CodeInvalidTransition.
func (a *Appointment) CheckReschedule(now time.Time) error {
	if a.Status == StatusScheduled || a.Status == StatusConfirmed {
		return nil
	}
	return &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: a.allowed(now)}
}

// changed counts a change.
func (a *Appointment) changed(now time.Time) {
	a.Version++
	a.UpdatedAt = now
}

// Event describes the last change of the appointment.
func (a *Appointment) Event(ctx context.Context, action Action, from *Status) Event {
	e := Event{
		Version: a.Version, At: a.UpdatedAt, Action: action, Actor: Actor(ctx), FromStatus: from, ToStatus: a.Status,
		Time: a.Time, DoctorID: a.DoctorID, PatientID: a.PatientID, RoomID: a.RoomID,
	}
	if c := a.Cancellation; c != nil && action == ActionCancel {
		reason := string(c.Reason)
		e.Reason, e.Note = &reason, c.Note
	}
	if a.OverrideReason != nil && (action == ActionBook || action == ActionReschedule) {
		e.Note = a.OverrideReason
	}
	return e
}
