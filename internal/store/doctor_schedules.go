package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

const (
	// schedulePage is how many appointments a page of a schedule has at most.
	schedulePage = 1000
	// maxAbsences bounds the time off, and the closures, of one schedule.
	maxAbsences = 2000
)

// ScheduleQuery selects a page of several doctors' schedule.
type ScheduleQuery struct {
	Window    clinic.Interval
	DoctorIDs []int64
	Patients  bool // include the appointments' patients
	Doctors   bool // include the appointments' doctors
	After     After
}

// Schedule is a page of several doctors' schedule. Calendars and Closures are those of the
// first page, nil on others and for callers without clinic.CalendarRead.
type Schedule struct {
	Calendars    []DoctorCalendar
	Closures     []clinic.Closure
	Appointments Page[clinic.Appointment]
	Patients     map[int64]clinic.Patient
	Doctors      map[int64]clinic.Doctor
}

// DoctorCalendar is when a doctor works and is away.
type DoctorCalendar struct {
	DoctorID int64
	Hours    clinic.WorkingHours
	TimeOff  []clinic.TimeOff
}

// Schedule returns the hours, time off, closures and appointments of doctors in a window,
// read from one snapshot with one statement each.
//
// Errors: clinic.ErrDoctorNotFound, clinic.CodeValidationFailed (more time off or closures
// than maxAbsences).
func (s *Store) Schedule(ctx context.Context, q ScheduleQuery) (Schedule, error) {
	t, err := s.snapshot(ctx)
	if err != nil {
		return Schedule{}, translate(ctx, "read schedule", err)
	}
	defer t.end()
	found, err := readSchedule(ctx, t, q)
	if err != nil {
		return Schedule{}, translate(ctx, "read schedule", err)
	}
	t.end() // before the entry is written: a reader must not hold a connection while it waits for one
	records := len(found.Calendars) + len(found.Closures) + len(found.Appointments.Items)
	for _, c := range found.Calendars {
		records += len(c.TimeOff)
	}
	CountWork(ctx, clinic.WorkRecords, records)
	ids := idsOf(found.Appointments.Items, func(a clinic.Appointment) int64 { return a.PatientID })
	if q.Patients && len(ids) > 0 {
		if err := s.recordRead(ctx, clinic.KindPatient, 0, ids...); err != nil {
			return Schedule{}, err
		}
	}
	return found, s.recordRead(ctx, clinic.KindAppointment, 0, ids...)
}

func readSchedule(ctx context.Context, t *snapshot, q ScheduleQuery) (Schedule, error) {
	var found Schedule
	zones, err := readHourZones(ctx, t, q.DoctorIDs)
	if err != nil {
		return found, err
	}
	if q.After.ID == 0 && AccessOf(ctx).May(clinic.CalendarRead) {
		if found.Calendars, err = readDoctorCalendars(ctx, t, zones, q); err != nil {
			return found, err
		}
		if found.Closures, err = readClosures(ctx, t, q.Window); err != nil {
			return found, err
		}
	}
	list := AppointmentQuery{
		Window: clinic.Window{Interval: q.Window}, DoctorIDs: q.DoctorIDs, After: q.After, Limit: schedulePage,
		reach: AccessOf(ctx).Reach,
	}
	statement, args := appointmentListSQL(list)
	var rows []appointmentRow
	if err := t.SelectContext(ctx, &rows, statement, args...); err != nil {
		return found, err
	}
	items := make([]clinic.Appointment, len(rows))
	for i := range rows {
		items[i] = rows[i].appointment()
	}
	found.Appointments = page(items, list.Limit)
	if q.Patients {
		ids := idsOf(found.Appointments.Items, func(a clinic.Appointment) int64 { return a.PatientID })
		if found.Patients, err = readPatients(ctx, t, ids); err != nil {
			return found, err
		}
	}
	if q.Doctors {
		ids := idsOf(found.Appointments.Items, func(a clinic.Appointment) int64 { return a.DoctorID })
		found.Doctors, err = readDoctors(ctx, t, ids)
	}
	return found, err
}

// hourZone is a doctor's row as far as the hours need it.
type hourZone struct {
	ID      int64   `db:"id"`
	Zone    *string `db:"hours_time_zone"` // nil: no hours
	Version int64   `db:"hours_version"`
}

// readHourZones reads the zones of doctors' hours, by id. Primary key. Errors:
// clinic.ErrDoctorNotFound.
func readHourZones(ctx context.Context, t *snapshot, ids []int64) ([]hourZone, error) {
	statement, args, err := sqlx.In(`SELECT id, hours_time_zone, hours_version FROM doctors WHERE id IN (?) ORDER BY id`, ids)
	if err != nil {
		return nil, err
	}
	var zones []hourZone
	if err := t.SelectContext(ctx, &zones, statement, args...); err != nil {
		return nil, err
	}
	if len(zones) < len(ids) {
		return nil, clinic.ErrDoctorNotFound
	}
	return zones, nil
}

// readDoctorCalendars reads the hours and time off of doctors.
func readDoctorCalendars(ctx context.Context, t *snapshot, zones []hourZone, q ScheduleQuery) ([]DoctorCalendar, error) {
	names := map[int64]string{}
	for _, z := range zones {
		if z.Zone != nil {
			names[z.ID] = *z.Zone
		}
	}
	hours, err := readHours(ctx, t, names, q.Window)
	if err != nil {
		return nil, err
	}
	statement, args := scheduleTimeOffSQL(q.DoctorIDs, q.Window)
	var rows []timeOffRow
	if err := t.SelectContext(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	if len(rows) > maxAbsences {
		return nil, tooManyAbsences("entries of time off")
	}
	off := map[int64][]clinic.TimeOff{}
	for _, row := range rows {
		off[row.DoctorID] = append(off[row.DoctorID], row.timeOff())
	}
	calendars := make([]DoctorCalendar, len(zones))
	for i, z := range zones {
		h := hours[z.ID]
		h.Version = z.Version
		calendars[i] = DoctorCalendar{DoctorID: z.ID, Hours: h, TimeOff: off[z.ID]}
	}
	return calendars, nil
}

// scheduleTimeOffSQL selects doctors' time off in a window. Index time_off_doctor
// (doctor_id, end_time).
func scheduleTimeOffSQL(doctorIDs []int64, window clinic.Interval) (string, []any) {
	condition, args := inIDs(doctorIDs)
	return `
		SELECT ` + timeOffColumns + `
		FROM time_off
		WHERE doctor_` + condition + ` AND end_time > ? AND start_time < ?
		ORDER BY start_time, id
		LIMIT ?`, append(args, window.Start, window.End, maxAbsences+1)
}

// readClosures reads the closures in a window.
func readClosures(ctx context.Context, t *snapshot, window clinic.Interval) ([]clinic.Closure, error) {
	statement, args := scheduleClosuresSQL(window)
	var rows []closureRow
	if err := t.SelectContext(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	if len(rows) > maxAbsences {
		return nil, tooManyAbsences("closures")
	}
	closures := make([]clinic.Closure, len(rows))
	for i, row := range rows {
		closures[i] = row.closure()
	}
	return closures, nil
}

// scheduleClosuresSQL selects the closures in a window. Index closures_end (end_time).
func scheduleClosuresSQL(window clinic.Interval) (string, []any) {
	return `
		SELECT ` + closureColumns + `
		FROM closures
		WHERE end_time > ? AND start_time < ?
		ORDER BY start_time, id
		LIMIT ?`, []any{window.Start, window.End, maxAbsences + 1}
}

func tooManyAbsences(what string) error {
	return clinic.Invalid(clinic.Violation{
		Parameter: "last_date", Code: "maximum", Detail: "must be earlier: the range has more than 2,000 " + what,
	})
}
