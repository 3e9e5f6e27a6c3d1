package clinic

import (
	"slices"
	"time"
)

// Status is the status of an appointment.
type Status string

// The statuses; the contract and a CHECK constraint list the same.
const (
	StatusScheduled            Status = "scheduled"
	StatusConfirmed            Status = "confirmed"
	StatusCheckedIn            Status = "checked_in"
	StatusInProgress           Status = "in_progress"
	StatusCompleted            Status = "completed"
	StatusCancelled            Status = "cancelled"
	StatusNoShow               Status = "no_show"
	StatusLeftWithoutBeingSeen Status = "left_without_being_seen"
)

// transitions lists, for each status, those that may follow it, in the usual order of a
// day, which clients see.
var transitions = map[Status][]Status{
	StatusScheduled:            {StatusConfirmed, StatusCheckedIn, StatusCancelled, StatusNoShow},
	StatusConfirmed:            {StatusCheckedIn, StatusCancelled, StatusNoShow},
	StatusCheckedIn:            {StatusInProgress, StatusLeftWithoutBeingSeen},
	StatusInProgress:           {StatusCompleted, StatusLeftWithoutBeingSeen},
	StatusCompleted:            {},
	StatusCancelled:            {},
	StatusNoShow:               {},
	StatusLeftWithoutBeingSeen: {},
}

// Occupies reports whether an appointment in this status occupies the doctor's and the
// patient's time. An unknown status does: a refused booking is better than a double one.
func (s Status) Occupies() bool {
	switch s {
	case StatusCancelled, StatusNoShow, StatusLeftWithoutBeingSeen:
		return false
	default:
		return true
	}
}

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
	ActionUpdate     Action = "update" // of its reason or note
	ActionMerge      Action = "merge"  // its patient was merged into another
	ActionImport     Action = "import" // imported in the status that it had
)

// statusAfter lists the actions that change only the status.
var statusAfter = map[Action]Status{
	ActionConfirm: StatusConfirmed, ActionCheckIn: StatusCheckedIn, ActionStart: StatusInProgress,
	ActionComplete: StatusCompleted, ActionNoShow: StatusNoShow, ActionLeave: StatusLeftWithoutBeingSeen,
}

// Event is one change of an appointment: who did what, when and why, and the appointment's
// state afterwards.
type Event struct {
	Version    int64 // of the appointment after it
	At         time.Time
	Action     Action
	Actor      *string // nil: not stated
	FromStatus *Status // nil: the booking itself
	ToStatus   Status
	Reason     *string // coded, for cancel
	Note       *string // free text: the reason, or the override's
	Time       Interval
	DoctorID   int64
	PatientID  int64
	RoomID     *int64
	// Broken and OverrideReason are the appointment's after the change, so that undoing the
	// next one restores them.
	Broken         Broken
	OverrideReason *string
}

// CheckInWindow is how long before its start an appointment can be checked in on the
// previous day.
const CheckInWindow = 4 * time.Hour

// UndoWindow is how long a change can be undone on the next day.
const UndoWindow = 4 * time.Hour

// UndoRefusal is why an appointment has no change that can be undone; "" is no reason.
type UndoRefusal string

// The reasons.
const (
	UndoNothing UndoRefusal = "nothing"  // there is no change that has not been undone
	UndoTooLate UndoRefusal = "too late" // the last change is neither of today nor within UndoWindow
)

// ChangeStatus applies the transition of an action. Errors: CodeInvalidTransition, also for a
// no-show before the start; CodeTooEarly before EarliestVisit.
func (a *Appointment) ChangeStatus(now time.Time, zone *time.Location, action Action) error {
	to := statusAfter[action]
	if err := a.checkTransition(now, to); err != nil {
		return err
	}
	isVisit := to == StatusCheckedIn || to == StatusInProgress || to == StatusCompleted
	if earliest := a.EarliestVisit(zone); isVisit && now.Before(earliest) {
		return &Error{Code: CodeTooEarly, Earliest: earliest}
	}
	a.Status = to
	a.changed(now)
	return nil
}

// EarliestVisit returns the earliest time at which the patient can be checked in: the
// beginning of the appointment's day in the clinic's zone, or CheckInWindow before its
// start if that is earlier.
func (a *Appointment) EarliestVisit(zone *time.Location) time.Time {
	earliest := Day(DateOf(a.Time.Start.In(zone)), zone).Start
	if before := a.Time.Start.Add(-CheckInWindow); before.Before(earliest) {
		return before
	}
	return earliest
}

// Undo restores the appointment's state before its last change that has not been undone:
// the status and, after a reschedule, also the time, the doctor and the room. That change
// must have been made on the same local day as now in the clinic's zone, or within
// UndoWindow. It returns the restored appointment as a booking; decide is true when it
// occupies time that the appointment did not occupy until now, so that the caller must
// decide on it again. Errors: CodeInvalidTransition.
func (a *Appointment) Undo(now time.Time, zone *time.Location, history []Event) (b Booking, decide bool, err error) {
	last, before, ok := lastChange(history)
	if !ok || !recent(last.At, now, zone) {
		why := UndoTooLate
		if !ok {
			why = UndoNothing
		}
		return b, false, &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: a.allowed(now), Undo: why}
	}
	decide = last.FromStatus.Occupies() && !a.Status.Occupies()
	a.Status = *last.FromStatus
	a.Cancellation = nil
	if last.Action == ActionReschedule && before != nil {
		a.Time, a.DoctorID, a.RoomID = before.Time, before.DoctorID, before.RoomID
		a.Broken, a.OverrideReason = before.Broken, before.OverrideReason
		decide = true
	}
	a.changed(now)
	return a.AsBooking(), decide, nil
}

// DoctorBefore returns the appointment's doctor before its last change that has not been
// undone, 0 when there is none.
func DoctorBefore(history []Event) int64 {
	if _, before, ok := lastChange(history); ok && before != nil {
		return before.DoctorID
	}
	return 0
}

// WasAt reports whether the appointment was once with a doctor at a time, or at one that
// contains it.
func WasAt(history []Event, doctorID int64, time Interval) bool {
	return slices.ContainsFunc(history, func(e Event) bool {
		return e.DoctorID == doctorID && !e.Time.Start.After(time.Start) && !e.Time.End.Before(time.End)
	})
}

// recent reports whether a change can still be undone.
func recent(at, now time.Time, zone *time.Location) bool {
	return DateOf(at.In(zone)) == DateOf(now.In(zone)) || !now.After(at.Add(UndoWindow))
}

// lastChange returns the last change that has not been undone, and the event before it,
// which has the appointment's state at that time; nil when there is none.
func lastChange(history []Event) (last Event, before *Event, ok bool) {
	var open []int // indices of changes that have not been undone
	for i, e := range history {
		switch {
		case e.Action == ActionMerge, e.Action == ActionUpdate: // its status, time and place did not change
		case e.Action == ActionUndo:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case e.FromStatus != nil && (e.Action != ActionReschedule || i > 0):
			open = append(open, i)
		default:
			open = nil
		}
	}
	if len(open) == 0 {
		return Event{}, nil, false
	}
	i := open[len(open)-1]
	if i > 0 {
		before = &history[i-1]
	}
	return history[i], before, true
}

// checkTransition returns CodeInvalidTransition unless the state machine has the transition
// at now.
func (a *Appointment) checkTransition(now time.Time, to Status) error {
	allowed := a.allowed(now)
	if slices.Contains(allowed, to) {
		return nil
	}
	return &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: allowed}
}

// allowed lists the statuses that may follow at now: before its start an appointment cannot
// become a no-show.
func (a *Appointment) allowed(now time.Time) []Status {
	return slices.DeleteFunc(slices.Clone(transitions[a.Status]), func(s Status) bool {
		return s == StatusNoShow && now.Before(a.Time.Start)
	})
}

// CheckReschedule returns CodeInvalidTransition for an appointment that has begun or ended.
func (a *Appointment) CheckReschedule(now time.Time) error {
	if a.Status == StatusScheduled || a.Status == StatusConfirmed {
		return nil
	}
	return &Error{Code: CodeInvalidTransition, Current: a.Status, Allowed: a.allowed(now)}
}

// changed increments the version.
func (a *Appointment) changed(now time.Time) {
	a.Version++
	a.UpdatedAt = now
}

// Event returns the event of the appointment's last change; actor is nil when not known.
func (a *Appointment) Event(actor *string, action Action, from *Status) Event {
	e := Event{
		Version: a.Version, At: a.UpdatedAt, Action: action, Actor: actor, FromStatus: from, ToStatus: a.Status,
		Time: a.Time, DoctorID: a.DoctorID, PatientID: a.PatientID, RoomID: a.RoomID,
		Broken: a.Broken, OverrideReason: a.OverrideReason,
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
