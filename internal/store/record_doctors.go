package store

import (
	"context"
	"slices"
	"strings"
)

// Record is a kind of record that is in a doctor's calendar.
type Record string

// The kinds that DoctorsOf knows.
const (
	RecordAppointment   Record = "appointment"
	RecordSeries        Record = "series"
	RecordHold          Record = "hold"
	RecordPlan          Record = "plan"
	RecordTicket        Record = "ticket"
	RecordWaitlistEntry Record = "waitlist_entry"
)

// doctorsOfSQL reads the doctors whose guards a change of a record takes. Primary
// keys, and appointments_series for the dates of a series.
var doctorsOfSQL = map[Record]string{
	RecordAppointment: `SELECT doctor_id FROM appointments WHERE id = ?`,
	RecordSeries: `SELECT doctor_id FROM appointment_series WHERE id = ?
		UNION SELECT doctor_id FROM appointments WHERE series_id = ?`,
	RecordHold: `SELECT doctor_id FROM holds WHERE id = ?`,
	RecordPlan: `SELECT doctor_id FROM plans WHERE id = ?
		UNION SELECT doctor_id FROM plan_items WHERE plan_id = ? AND doctor_id IS NOT NULL`,
	RecordTicket: `SELECT doctor_id FROM tickets WHERE id = ?
		UNION SELECT a.doctor_id FROM tickets AS k JOIN appointments AS a ON a.id = k.appointment_id WHERE k.id = ?`,
	RecordWaitlistEntry: `SELECT offered_doctor FROM waitlist WHERE id = ? AND offered_doctor IS NOT NULL`,
}

// DoctorsOf returns the doctors in whose calendars a record is, so that changes of
// one doctor can be queued; none for a record that does not exist. It tells nothing
// to callers and locks nothing: the change itself asks again.
func (s *Store) DoctorsOf(ctx context.Context, kind Record, id int64) ([]int64, error) {
	statement := doctorsOfSQL[kind]
	var doctors []int64
	err := s.db.SelectContext(ctx, &doctors, statement, slices.Repeat([]any{id}, strings.Count(statement, "?"))...)
	return doctors, translate(ctx, err)
}

// Connections returns how many connections the pool has at most.
func (s *Store) Connections() int { return s.db.Stats().MaxOpenConnections }
