package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// AppointmentHistory returns all changes of an appointment, oldest first. Errors:
// clinic.ErrAppointmentNotFound.
func (s *Store) AppointmentHistory(ctx context.Context, req Request, id int64) ([]clinic.Event, error) {
	if _, err := s.Appointment(ctx, req, id); err != nil {
		return nil, err
	}
	events, err := readHistory(ctx, s.db, id)
	return events, translate(ctx, "read history of appointment", err)
}

// insertEvent inserts the event of a change. The key is the appointment's version, which
// its row's lock makes unique.
func insertEvent(ctx context.Context, t *tx, appointmentID int64, e clinic.Event) error {
	err := insertEvents(ctx, t, []int64{appointmentID}, []clinic.Event{e})
	if err != nil || !e.Broken.Any() {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO appointment_event_overrides (appointment_id, version, doctor_overbooked, patient_overbooked, outside_hours, reason)
		VALUES (?, ?, ?, ?, ?, ?)`,
		appointmentID, e.Version, e.Broken.DoctorOverlap, e.Broken.PatientOverlap, e.Broken.OutsideHours, e.OverrideReason)
	return err
}

// insertEvents writes down changes that break no rule, of one appointment each.
func insertEvents(ctx context.Context, t *tx, appointments []int64, events []clinic.Event) error {
	args := make([]any, 0, 14*len(events))
	for i, e := range events {
		args = append(args, appointments[i], e.Version, e.At, string(e.Action), e.Actor, (*string)(e.FromStatus), string(e.ToStatus),
			e.Reason, e.Note, e.Time.Start, e.Time.End.Sub(e.Time.Start)/time.Minute, e.DoctorID, e.PatientID, e.RoomID)
	}
	// Safety: the text is a constant and placeholders.
	_, err := t.exec(ctx, `
		INSERT INTO appointment_events (appointment_id, version, at, action, actor, from_status, to_status, reason, note,
		                                start_time, duration_minutes, doctor_id, patient_id, room_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+
		strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(events)-1), args...)
	return err
}

// readHistory reads the events of an appointment. Primary keys (appointment_id, version), one
// range of each table.
func readHistory(ctx context.Context, q sqlx.QueryerContext, appointmentID int64) ([]clinic.Event, error) {
	var rows []eventRow
	err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT e.version, at, action, actor, from_status, to_status, e.reason, note,
		       start_time, duration_minutes, doctor_id, patient_id, room_id,
		       COALESCE(doctor_overbooked, 0) AS doctor_overbooked, COALESCE(patient_overbooked, 0) AS patient_overbooked,
		       COALESCE(outside_hours, 0) AS outside_hours, o.reason AS override_reason
		FROM appointment_events AS e
		LEFT JOIN appointment_event_overrides AS o ON o.appointment_id = e.appointment_id AND o.version = e.version
		WHERE e.appointment_id = ?
		ORDER BY e.version`, appointmentID)
	events := make([]clinic.Event, len(rows))
	for i, r := range rows {
		events[i] = clinic.Event{
			Version: r.Version, At: r.At, Action: clinic.Action(r.Action), Actor: r.Actor,
			FromStatus: (*clinic.Status)(r.FromStatus), ToStatus: clinic.Status(r.ToStatus), Reason: r.Reason, Note: r.Note,
			Time:     clinic.Interval{Start: r.StartTime, End: r.StartTime.Add(r.Duration.duration())},
			DoctorID: r.DoctorID, PatientID: r.PatientID, RoomID: r.RoomID,
			Broken: clinic.Broken{
				OutsideHours: r.OutsideHours, DoctorOverlap: r.DoctorOverbooked, PatientOverlap: r.PatientOverbooked,
			},
			OverrideReason: r.OverrideReason,
		}
	}
	return events, err
}

type eventRow struct {
	Version    int64     `db:"version"`
	At         time.Time `db:"at"`
	Action     string    `db:"action"`
	Actor      *string   `db:"actor"`
	FromStatus *string   `db:"from_status"`
	ToStatus   string    `db:"to_status"`
	Reason     *string   `db:"reason"`
	Note       *string   `db:"note"`
	StartTime  time.Time `db:"start_time"`
	Duration   minutes   `db:"duration_minutes"`
	DoctorID   int64     `db:"doctor_id"`
	PatientID  int64     `db:"patient_id"`
	RoomID     *int64    `db:"room_id"`

	DoctorOverbooked  bool    `db:"doctor_overbooked"`
	PatientOverbooked bool    `db:"patient_overbooked"`
	OutsideHours      bool    `db:"outside_hours"`
	OverrideReason    *string `db:"override_reason"`
}
