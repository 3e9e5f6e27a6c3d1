package clinic

import "time"

// MaxSeriesDays is the maximum number of days that a recurrence examines.
const MaxSeriesDays = maxSeriesDays

// Examined returns the number of days that Starts examines.
func (r *Recurrence) Examined(first time.Time, zone *time.Location) int {
	_, days, _ := r.starts(first, zone)
	return days
}
