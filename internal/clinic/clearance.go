package clinic

import "slices"

// Clearance is the staff's free text that a caller may read: members that the contract
// marks `x-audience: staff`. No scope of a partner's key extends it.
type Clearance struct {
	Staff bool // false: none
	// AllDoctors includes texts about every doctor (`x-audience-doctor`).
	AllDoctors bool
	DoctorID   int64 // without AllDoctors: texts about this doctor, 0 for none
}

// Clearance returns the caller's clearance. Texts about a doctor are for roles that read
// every calendar, and for that doctor.
func (c Caller) Clearance() Clearance {
	staff := c
	staff.Roles = slices.DeleteFunc(slices.Clone(c.Roles), func(r Role) bool { return r == RolePartner })
	if len(staff.Roles) == 0 {
		return Clearance{}
	}
	reach := staff.Reach(CalendarRead)
	return Clearance{Staff: true, AllDoctors: reach.All, DoctorID: reach.DoctorID}
}

// Everything reports whether nothing is withheld.
func (c Clearance) Everything() bool { return c.Staff && c.AllDoctors }

// About reports whether texts about a doctor may be read.
func (c Clearance) About(doctorID int64) bool {
	return c.Staff && (c.AllDoctors || c.DoctorID != 0 && c.DoctorID == doctorID)
}
