package clinic

import "slices"

// Clearance is which words of the clinic's staff a caller may read: those that the
// contract marks `x-audience: staff`. No scope of a partner's key widens it.
type Clearance struct {
	Staff bool // false: none
	// AllDoctors is whether words about any doctor (`x-audience-doctor`) are included.
	AllDoctors bool
	DoctorID   int64 // otherwise those about this doctor, 0 for none
}

// Clearance returns the caller's clearance. Words about a doctor are for roles that
// read every calendar and for the doctor.
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

// About reports whether words about a doctor may be read.
func (c Clearance) About(doctorID int64) bool {
	return c.Staff && (c.AllDoctors || c.DoctorID != 0 && c.DoctorID == doctorID)
}
