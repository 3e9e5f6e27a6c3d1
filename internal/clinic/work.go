package clinic

// Work is a unit of a request's cost, the unit of x-cost.
type Work string

// The units of work; the contract lists the same.
const (
	// WorkAppointments counts appointments that are written or decided on.
	WorkAppointments Work = "appointments"
	// WorkDoctorDays counts calendars of one doctor for one day.
	WorkDoctorDays Work = "doctor-days"
	// WorkRecords counts records that are read.
	WorkRecords Work = "records"
)
