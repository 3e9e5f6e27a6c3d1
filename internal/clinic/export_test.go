package clinic

import "time"

// MaxSeriesDays bounds the days that a recurrence examines.
const MaxSeriesDays = maxSeriesDays

// Examined returns how many days Starts examines.
func (r *Recurrence) Examined(first time.Time, zone *time.Location) int {
	_, days, _ := r.starts(first, zone)
	return days
}
