package clinic

// Status is where an appointment stands.
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

// transitions lists, for each status, those that may follow it. The order of
// each list is the order in which a day unfolds, and is shown to clients.
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

// Occupies reports whether an appointment in this status takes the doctor's
// and the patient's time. An unknown status does: better a refused booking
// than a doubled one.
func (s Status) Occupies() bool {
	switch s {
	case StatusCancelled, StatusNoShow, StatusLeftWithoutBeingSeen:
		return false
	default:
		return true
	}
}
