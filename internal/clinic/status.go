package clinic

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
