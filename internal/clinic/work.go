package clinic

// Work is a unit in which the work of a request is counted: the unit of x-cost.
type Work string

// The units of work; the contract lists the same.
const (
	// WorkAppointments are appointments that are written or decided on.
	WorkAppointments Work = "appointments"
	// WorkDoctorDays are calendars of one doctor for one day.
	WorkDoctorDays Work = "doctor-days"
	// WorkRecords are records that are read.
	WorkRecords Work = "records"
)
