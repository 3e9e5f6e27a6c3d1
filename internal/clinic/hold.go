package clinic

import "time"

// MaxHold is the longest life of a hold.
const MaxHold = 600 * time.Second

// HoldVersion is the version of every hold: none is ever changed.
const HoldVersion = 1

// Hold reserves a time of a doctor, and of a room, for the bearer of its token. It expires
// at ExpiresAt by itself.
type Hold struct {
	ID        int64
	Token     string
	DoctorID  int64
	PatientID *int64 // nil: any
	TypeID    *int64
	RoomID    *int64
	Time      Interval
	Buffers   Buffers
	ExpiresAt time.Time
	CreatedAt time.Time
	MadeBy    *int64 // the API key it was created with; nil: by staff
}

// Busy returns the time that the hold occupies of its doctor and room: its own, with the
// buffers.
func (h Hold) Busy() Interval { return h.Buffers.around(h.Time) }

// CheckUse returns ErrHoldNotUsable unless the hold is live and for the booking's doctor,
// time, type, room and patient.
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
