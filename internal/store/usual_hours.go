package store

import (
	"context"
	"strings"
	"time"

	"mems/internal/clinic"
)

// How many appointments tell a doctor's usual hours, and how far back.
const (
	usualSample = 200
	usualSince  = 90 * 24 * time.Hour
)

// readUsualHours fills in the hours of doctors who have none, after readRules, from the
// last appointments up to the end of a window, so that no proposal is at midnight for a
// doctor who can be booked at any time. Index appointments_doctor, a
// bounded range of it for each doctor.
func (r *reader) readUsualHours(ctx context.Context, window clinic.Interval, zone *time.Location) error {
	var ids []int64
	for _, id := range r.doctors {
		if h := r.hours[id]; !h.Given() && r.facts[id].HoursTimeZone == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	sample := usualSample
	if r.usualSample > 0 {
		sample = r.usualSample
	}
	of := make([]string, len(ids))
	var args []any
	for i, id := range ids {
		of[i] = `(
			SELECT doctor_id, start_time, end_time, 0, 0
			FROM appointments
			WHERE doctor_id = ? AND start_time > ? AND start_time < ? AND status <> 'cancelled'
			ORDER BY start_time DESC
			LIMIT ?)`
		args = append(args, id, window.Start.Add(-usualSince), window.End, sample)
	}
	// Safety: the text is one constant, repeated.
	times, err := timesByParty(ctx, r.q, strings.Join(of, ` UNION ALL `), args...)
	if err != nil {
		return err
	}
	if r.hours == nil {
		r.hours = map[int64]clinic.WorkingHours{}
	}
	for _, id := range ids {
		r.hours[id] = clinic.UsualHours(times[id], zone)
	}
	return nil
}
