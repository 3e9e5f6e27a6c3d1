package clinic

import "time"

// Room is a place for appointments, with its own calendar.
type Room struct {
	ID        int64
	Name      string // unique, without regard to case
	IsActive  bool   // takes new bookings
	Version   int64  // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Normalize puts the name into its stored form.
func (r *Room) Normalize() { r.Name = Text(r.Name) }

// Validate returns CodeValidationFailed for a name that is too long once normalised. r must
// be normalised.
func (r *Room) Validate() error {
	return invalid(checkLength(nil, "#/name", r.Name, 100))
}

// RoomPatch is a merge patch of a room: members that are not Set stay.
type RoomPatch struct {
	Name     Change[string]
	IsActive Change[bool]
}

// Apply applies the patch to r.
func (c RoomPatch) Apply(r *Room) {
	c.Name.apply(&r.Name)
	c.IsActive.apply(&r.IsActive)
	r.Normalize()
}
