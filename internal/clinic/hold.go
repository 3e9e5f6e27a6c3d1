package clinic

import "time"

// MaxHold is the longest that a hold lasts.
const MaxHold = 600 * time.Second

// HoldVersion is the version of every hold: none is ever changed.
const HoldVersion = 1

// Hold keeps a time of a doctor, and of a room, for the bearer of its token,
// until it expires. Nothing needs to end it: once ExpiresAt has come it counts
// no more.
type Hold struct {
	ID        int64
	Token     string
	DoctorID  int64
	PatientID *int64 // only for this patient; nil: for any
	TypeID    *int64
	RoomID    *int64
	Time      Interval
	Buffers   Buffers
	ExpiresAt time.Time
	CreatedAt time.Time
	MadeBy    *int64 // the API key it was made with; nil: by somebody of the clinic
}

// Busy is what the hold keeps of the doctor and the room: its time with the buffers.
func (h Hold) Busy() Interval { return h.Buffers.around(h.Time) }

// CheckUse decides whether a booking may use the hold: it is live, and for this
// doctor, time, type, room and patient. Errors: ErrHoldNotUsable.
func (h Hold) CheckUse(now time.Time, b Booking) error {
	same := h.ExpiresAt.After(now) && h.DoctorID == b.DoctorID && h.Time == b.Time() && h.Buffers == b.Buffers &&
		equal(h.TypeID, b.TypeID) && (h.RoomID == nil || equal(h.RoomID, b.RoomID)) &&
		(h.PatientID == nil || *h.PatientID == b.PatientID)
	if !same {
		return ErrHoldNotUsable
	}
	return nil
}

func equal(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}
