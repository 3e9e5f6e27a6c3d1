package clinic

import "time"

// Doctor is a practitioner with a calendar.
type Doctor struct {
	ID             int64
	FullName       string
	Specialization string
	IsActive       bool  // takes new bookings
	OverbookCap    int   // how many others an overbooked appointment may overlap
	Version        int64 // counts changes; the record's ETag
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Normalize puts the texts into their stored form.
func (d *Doctor) Normalize() {
	d.FullName, d.Specialization = Text(d.FullName), Text(d.Specialization)
}

// DoctorPatch is a merge patch of a doctor: members that are not Set stay.
type DoctorPatch struct {
	FullName       Change[string]
	Specialization Change[string]
	IsActive       Change[bool]
	OverbookCap    Change[int]
}

// Apply applies the patch to d.
func (c DoctorPatch) Apply(d *Doctor) {
	c.FullName.apply(&d.FullName)
	c.Specialization.apply(&d.Specialization)
	c.IsActive.apply(&d.IsActive)
	c.OverbookCap.apply(&d.OverbookCap)
	d.Normalize()
}

// Validate returns CodeValidationFailed, with all violations, for texts that are too long
// once normalised. d must be normalised.
func (d *Doctor) Validate() error {
	var vs []Violation
	vs = checkLength(vs, "#/full_name", d.FullName, 200)
	vs = checkLength(vs, "#/specialization", d.Specialization, 100)
	return invalid(vs)
}
