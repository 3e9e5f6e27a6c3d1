package clinic

import "context"

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

type meterKey struct{}

// WithMeter returns a context whose request reports its work to count.
func WithMeter(ctx context.Context, count func(Work, int)) context.Context {
	return context.WithValue(ctx, meterKey{}, count)
}

// CountWork reports that the request takes n units of work in all. Of several reports
// the greatest counts, so that a transaction may run again after a deadlock. Where the
// amount is known, it is reported before the work is done.
func CountWork(ctx context.Context, unit Work, n int) {
	if count, ok := ctx.Value(meterKey{}).(func(Work, int)); ok {
		count(unit, n)
	}
}
