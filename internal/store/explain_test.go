package store

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// ExplainHotQueries is what explain_external_test.go runs; the statements are
// not exported otherwise.
func ExplainHotQueries(t *testing.T, db *sqlx.DB) {
	t.Helper()
	day := clinic.Window{ByStart: true, Interval: clinic.Interval{
		Start: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC),
	}}
	cross := clinic.Window{Interval: day.Interval}
	list := func(q AppointmentQuery) explained {
		q.Limit = 200
		q.reach = clinic.Reach{All: true}
		statement, args := appointmentListSQL(q)
		return explained{statement: statement, args: args, ordered: true}
	}
	occupiedBy := func(q AppointmentQuery) explained {
		e := list(q)
		e.ordered = false // of few doctors, and at most clinic.MaxScheduleDoctorDays: sorted
		return e
	}
	patients := func(q PatientQuery) explained {
		q.Limit = 20
		q.reach = clinic.Reach{All: true}
		statement, args := patientSearch{PatientQuery: q, conditions: patientConditions(q), bounds: defaultSearchBounds}.listSQL()
		return explained{statement: statement, args: args}
	}
	letter := PatientQuery{Name: "n", Limit: 20, reach: clinic.Reach{All: true}}
	search := patientSearch{
		PatientQuery: letter, after: patientRow{ID: 7, LastName: "Name1200", FirstName: "Name1200"},
		bounds: defaultSearchBounds, conditions: patientConditions(letter),
	}
	some := search
	some.conditions = patientConditions(PatientQuery{Name: "name12", reach: letter.reach})
	statementOf := func(build func() (string, []any)) explained {
		statement, args := build()
		return explained{statement: statement, args: args}
	}
	around := []clinic.Interval{day.Interval}
	occupied := func(o occupiedTimes) explained {
		statement, args := o.sql()
		return explained{statement: statement, args: args, key: o.index}
	}
	searched := func(p party) explained {
		return occupied(occupiedTimes{party: p, ids: []int64{7}, window: day.Interval, except: []int64{0}, holds: &liveHolds{now: day.Start}})
	}
	deciding := &queries{now: day.Start, locking: true}
	guarded := func(p party) explained { return occupied(deciding.booked(p, 7, day.Interval, 0)) }
	imported := occupiedTimes{party: patientParty, ids: []int64{7, 8, 9}, overlapping: around, locking: true}
	planned := occupiedTimes{party: doctorParty, ids: []int64{7, 8}, window: day.Interval, except: []int64{1, 2}}
	doctor := int64(7)
	feed := func(build func(*int64, clinic.Interval) (string, []any), of *int64, days int, key string) explained {
		statement, args := build(of, clinic.Interval{Start: day.Start, End: day.Start.AddDate(0, 0, days)})
		return explained{statement: statement, args: args, key: key}
	}
	taken := func() (string, []any) {
		return takenSQL(wantedTime{doctor: 7, time: clinic.Interval{Start: day.Start, End: day.Start.Add(30 * time.Minute)}}, day.Start)
	}
	scanEnd, scanArgs := scanEndSQL(AppointmentQuery{Window: cross}, 100)
	var daily []time.Time
	for i := range clinic.MaxSeriesDates {
		daily = append(daily, day.Start.AddDate(0, 0, i-50))
	}
	half := clinic.Booking{DoctorID: 7, PatientID: 7, Duration: 30 * time.Minute}
	dateTimes, dateTimesOfPatient := occupiedOnDates(half, daily, true)
	room := int64(7)
	decided := half
	decided.Start, decided.RoomID = day.Start, &room
	ofDoctor := func() (string, []any) { return doctorTimesSQL(deciding, decided, 0) }
	ofRoom := func() (string, []any) { return roomTimesSQL(deciding, decided, 0) }
	var together []*batchedBooking
	var placed []clinic.Appointment
	for i := range maxBatch {
		b, roomID := decided, int64(i%5+1)
		b.DoctorID, b.PatientID, b.RoomID, b.Start = int64(i%9+1), int64(i+1), &roomID, day.Start.Add(time.Duration(i)*26*time.Hour)
		together = append(together, &batchedBooking{booking: b})
		placed = append(placed, clinic.Appointment{DoctorID: b.DoctorID, Time: b.Time()})
	}
	ofDoctors := func() (string, []any) { return doctorTimesOfBatchSQL(together, day.Start) }
	ofRooms := func() (string, []any) { return roomTimesOfBatchSQL(together, day.Start) }
	sorted := func(e explained) explained { e.ordered = true; return e }
	with := func(e explained, key string) explained { e.key = key; return e }
	locked := func(guard guardRow, query string) explained {
		return explained{statement: strings.Replace(lockedSQL(guard, query), "IN (?)", "IN (1, 2, 3, 5, 7)", 1), key: "PRIMARY"}
	}
	for name, e := range map[string]explained{
		"BatchTimeOff":       with(statementOf(ofDoctors), "time_off_doctor"),
		"BatchHeld":          with(statementOf(ofDoctors), "holds_doctor"),
		"BatchDoctors":       with(statementOf(ofDoctors), "appointments_doctor"),
		"BatchRooms":         with(statementOf(ofRooms), "appointments_room"),
		"BatchRoomsHeld":     with(statementOf(ofRooms), "holds_room"),
		"BatchPatients":      occupied(bookedOfBatch(together, patientParty)),
		"BatchGuards":        locked(doctorGuard, `SELECT `+doctorFactsColumns+` FROM doctors`),
		"BatchPatientGuards": locked(patientGuard, `SELECT id FROM patients`),
		"BatchPlaced":        with(statementOf(func() (string, []any) { return placedSQL(placed) }), "appointments_doctor"),
		"DecideTimeOff":      with(statementOf(ofDoctor), "time_off_doctor"),
		"DecideClosures":     with(statementOf(ofDoctor), "closures_end"),
		"DecideHeld":         with(statementOf(ofDoctor), "holds_doctor"),
		"DecideDoctor":       with(statementOf(ofDoctor), "appointments_doctor"),
		"DecideRoomHeld":     with(statementOf(ofRoom), "holds_room"),
		"DecideRoom":         with(statementOf(ofRoom), "appointments_room"),
		"GuardDoctor":        guarded(doctorParty),
		"GuardRoom":          guarded(roomParty),
		"GuardPatient":       guarded(patientParty),
		"GuardPatients":      occupied(imported),
		"PlanOfDoctors":      occupied(planned),
		"DayOfDoctor":        with(list(AppointmentQuery{Window: day, DoctorID: 7}), "appointments_doctor"),
		"Day":                with(list(AppointmentQuery{Window: day}), "appointments_start"),
		"DaySecondPage":      with(list(AppointmentQuery{Window: day, After: After{Start: day.Start.Add(time.Hour), ID: 9}}), "appointments_start"),
		"IntervalOfDoctor":   with(list(AppointmentQuery{Window: cross, DoctorID: 7}), "appointments_doctor"),
		"Schedule":           with(occupiedBy(AppointmentQuery{Window: cross, DoctorIDs: []int64{7, 8, 9}}), "appointments_doctor"),
		"ScheduleTimeOff":    with(statementOf(func() (string, []any) { return scheduleTimeOffSQL([]int64{7, 8, 9}, day.Interval) }), "time_off_doctor"),
		"ScheduleClosures":   with(statementOf(func() (string, []any) { return scheduleClosuresSQL(day.Interval) }), "closures_end"),
		"HistoryOfPatient":   with(list(AppointmentQuery{Window: clinic.Window{Unbounded: true}, PatientID: 7}), "appointments_patient"),
		"FeedOfDoctor":       sorted(feed(feedVisitsSQL, &doctor, 180, "appointments_doctor")),
		"FeedOfClinic":       sorted(feed(feedVisitsSQL, nil, 7, "appointments_start")), // of a hundred days; a clinic has years
		"FeedTimeOff":        feed(feedAbsencesSQL, &doctor, 180, "time_off_doctor"),
		"PatientsByName":     with(patients(PatientQuery{Name: "name12"}), "patient_names_key"),
		"PatientsByWords":    with(patients(PatientQuery{Name: "name12 name07"}), "patient_names_key"),
		"PatientsByBirth":    with(patients(PatientQuery{BirthDate: &clinic.Date{Year: 1984, Month: 2, Day: 29}}), "patients_birth_date"),
		"PatientByEmail":     with(patients(PatientQuery{Email: "p12@example.org"}), "patients_email_key"),
		"PatientsByPhone":    with(patients(PatientQuery{Phone: "123456"}), "patients_phone_key"),
		"PatientsByLetter":   with(statementOf(search.walkSQL), "patients_last_name"),
		"PatientsLeft":       with(statementOf(search.leftSQL), "patients_last_name"),
		"PatientsSplit":      with(statementOf(some.splitSQL), "patients_last_name"),
		"PatientsOthers":     with(statementOf(some.splitSQL), "patient_names_key"),
		"PatientsSizes":      with(statementOf(some.sizesSQL), "patient_names_key"),
		"SearchOfOneDoctor":  searched(doctorParty),
		"SearchOfOneRoom":    searched(roomParty),
		"Taken":              with(statementOf(taken), "appointments_doctor"),
		"TakenByHold":        with(statementOf(taken), "holds_doctor"),
		"SeriesOfDoctor":     occupied(dateTimes),
		"SeriesOfPatient":    occupied(dateTimesOfPatient),
		"ScanEnd":            {statement: scanEnd, args: scanArgs, key: "appointments_start", ordered: true},
		"Colleagues":         {statement: colleaguesSQL(``), args: []any{"Any", "Dr. 7", 7, 24, "Any", "Dr. 7", 7, 24}, key: "doctors_specialization", ordered: true},
		"Changes":            {statement: strings.NewReplacer("IN (?)", "IN ('appointment', 'patient')").Replace(changesSQL("")), args: []any{10, 60, 50}, key: "changes_position", ordered: true},
		"PendingChanges":     {statement: pendingChangesSQL, key: "changes_position"},
		"DoctorsOfSeries":    {statement: kinds[clinic.KindSeries].doctors, args: []any{7, 7}, key: "appointments_series"},
		"DueDeliveries":      {statement: dueDeliveriesSQL, args: []any{7, day.Start, 4}, key: "webhook_deliveries_order"},
		"AuditOfPatient": with(statementOf(func() (string, []any) {
			return (&AuditQuery{PatientID: 7, Limit: 50}).ofPatientSQL([]int64{7, 8}, 1000)
		}), "PRIMARY"),
		"AuditBySubject":   sorted(with(statementOf((&AuditQuery{Subject: "key:7", Limit: 50}).idsSQL), "audit_entries_subject")),
		"AuditByOperation": sorted(with(statementOf((&AuditQuery{Operation: "getPatient", Limit: 50}).idsSQL), "audit_entries_operation")),
	} {
		t.Run(name, func(t *testing.T) { e.check(t, db) })
	}
}

// explained is a statement and what its plan must be.
type explained struct {
	statement string
	args      []any
	key       string // an index that must be used
	ordered   bool   // without sorting
}

func (e explained) check(t *testing.T, db *sqlx.DB) {
	t.Helper()
	// MySQL 9 may be configured to explain as a tree; all versions have the tabular form.
	_, _ = db.Exec(`SET SESSION explain_format = 'TRADITIONAL'`) // unknown to MariaDB
	rows, err := db.Queryx(`EXPLAIN `+e.statement, e.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	found := false
	for rows.Next() {
		row := map[string]any{}
		if err := rows.MapScan(row); err != nil {
			t.Fatal(err)
		}
		text := func(column string) string { return fmt.Sprintf("%s", row[column]) }
		fmt.Fprintf(&plan, "table %s type %s key %s rows %s extra %s\n", text("table"), text("type"), text("key"), text("rows"), text("Extra"))
		if text("key") == e.key {
			found = true
			if text("type") == "ALL" || text("type") == "index" {
				t.Errorf("reads all of index %s, want a range", e.key)
			}
		}
		if e.ordered && strings.Contains(text("Extra"), "filesort") {
			t.Error("sorts, want the order of an index")
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Errorf("does not use index %s, want it", e.key)
	}
	if t.Failed() {
		t.Logf("plan:\n%s", plan.String())
	}
}

// StoreWithLog is Open with a log, for tests that count retries.
func StoreWithLog(t *testing.T, dsn string, now func() time.Time, log *slog.Logger) *Store {
	t.Helper()
	s, err := Open(Config{DSN: dsn, Now: now, Zone: time.UTC, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
