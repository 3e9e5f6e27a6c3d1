package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// tables holds the rows in a database that are checked.
type tables struct {
	now          time.Time
	appointments map[int64]appointmentRow
	events       map[int64][]event // by appointment, by version
	tickets      map[int64]ticketRow
	holds        map[int64]holdRow
	entries      map[int64]entryRow
	patients     map[int64]int64 // the surviving record, 0 for not merged
	caps         map[int64]int   // overbook_cap by doctor
	rooms        []int64
	timeOff      map[int64]bool
	plans        map[int64]bool
	series       map[int64]bool
	changes      []change // by position; those without a position last
	unplaced     int
	trail        []entry // changes alone, by id
}

type appointmentRow struct {
	appointment
	version                             int64
	doctorOverbooked, patientOverbooked bool
}

// event is a row of an appointment's history.
type event struct {
	version                             int64
	action, actor, from, to             string
	start                               time.Time
	minutes                             int
	doctor, patient, room               int64
	doctorOverbooked, patientOverbooked bool
}

func (e *event) end() time.Time { return e.start.Add(time.Duration(e.minutes) * time.Minute) }

type ticketRow struct {
	ticket
	version int64
}

type holdRow struct {
	doctor, room int64
	slot         slot
	expires      time.Time
}

type entryRow struct {
	status  string
	offer   int64 // the hold
	expires time.Time
	booked  int64 // the appointment
}

// change is a row of the feed.
type change struct {
	position int64
	kind     string
	object   string
	id       int64
}

// entry is a row of the audit trail about a change.
type entry struct {
	request, operation, action, object string
	id                                 int64
	statusBefore, statusAfter          string
	offer                              offer // what it offers; HoldID 0: nothing
}

// offer is an offered time, as in the audit trail.
type offer struct {
	HoldID int64
	Slot   struct {
		DoctorID int64
		Time     struct{ Start, End time.Time }
	}
	ExpiresAt time.Time
}

// slot is an occupied time.
type slot struct{ start, end time.Time }

func (s slot) overlaps(o slot) bool { return s.start.Before(o.end) && o.start.Before(s.end) }

// rows calls scan for each row of a query.
func rows(ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) error) error {
	r, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // r.Err below has what matters
	for r.Next() {
		if err := scan(r); err != nil {
			return fmt.Errorf("%w in %s", err, query)
		}
	}
	return r.Err()
}

// readTables reads a database.
func readTables(ctx context.Context, db *sql.DB) (*tables, error) {
	t := &tables{
		appointments: map[int64]appointmentRow{}, events: map[int64][]event{}, tickets: map[int64]ticketRow{}, holds: map[int64]holdRow{},
		entries: map[int64]entryRow{}, patients: map[int64]int64{}, caps: map[int64]int{},
		timeOff: map[int64]bool{}, plans: map[int64]bool{}, series: map[int64]bool{},
	}
	if err := db.QueryRowContext(ctx, `SELECT UTC_TIMESTAMP(6)`).Scan(&t.now); err != nil {
		return nil, err
	}
	for _, read := range []func(context.Context, *sql.DB) error{t.readAppointments, t.readTickets, t.readWaiting, t.readFeed, t.readTrail} {
		if err := read(ctx, db); err != nil {
			return nil, err
		}
	}
	for query, into := range map[string]map[int64]bool{
		`SELECT id FROM time_off`: t.timeOff, `SELECT id FROM plans`: t.plans, `SELECT id FROM appointment_series`: t.series,
	} {
		err := rows(ctx, db, query, func(r *sql.Rows) error {
			var id int64
			err := r.Scan(&id)
			into[id] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *tables) readAppointments(ctx context.Context, db *sql.DB) error {
	err := rows(ctx, db, `
		SELECT id, doctor_id, patient_id, COALESCE(room_id, 0), start_time, end_time, buffer_before_minutes, buffer_after_minutes,
		       status, version, doctor_overbooked, patient_overbooked
		FROM appointments`, func(r *sql.Rows) error {
		var a appointmentRow
		err := r.Scan(&a.ID, &a.Doctor, &a.Patient, &a.Room, &a.Start, &a.End, &a.Before, &a.After, &a.Status, &a.version,
			&a.doctorOverbooked, &a.patientOverbooked)
		t.appointments[a.ID] = a
		return err
	})
	if err != nil {
		return err
	}
	err = rows(ctx, db, `
		SELECT e.appointment_id, e.version, action, COALESCE(actor, ''), COALESCE(from_status, ''), to_status, start_time, duration_minutes,
		       doctor_id, patient_id, COALESCE(room_id, 0), COALESCE(doctor_overbooked, 0), COALESCE(patient_overbooked, 0)
		FROM appointment_events AS e
		LEFT JOIN appointment_event_overrides AS o ON o.appointment_id = e.appointment_id AND o.version = e.version
		ORDER BY e.appointment_id, e.version`, func(r *sql.Rows) error {
		var id int64
		var e event
		err := r.Scan(&id, &e.version, &e.action, &e.actor, &e.from, &e.to, &e.start, &e.minutes, &e.doctor, &e.patient, &e.room,
			&e.doctorOverbooked, &e.patientOverbooked)
		t.events[id] = append(t.events[id], e)
		return err
	})
	if err != nil {
		return err
	}
	err = rows(ctx, db, `SELECT id FROM rooms ORDER BY id`, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		t.rooms = append(t.rooms, id)
		return err
	})
	if err != nil {
		return err
	}
	return rows(ctx, db, `SELECT id, overbook_cap FROM doctors`, func(r *sql.Rows) error {
		var id int64
		var most int
		err := r.Scan(&id, &most)
		t.caps[id] = most
		return err
	})
}

func (t *tables) readTickets(ctx context.Context, db *sql.DB) error {
	return rows(ctx, db, `
		SELECT id, doctor_id, day, number, patient_id, COALESCE(appointment_id, 0), status, version
		FROM tickets`, func(r *sql.Rows) error {
		var k ticketRow
		var day time.Time
		err := r.Scan(&k.ID, &k.Doctor, &day, &k.Number, &k.Patient, &k.Appointment, &k.Status, &k.version)
		k.Day = day.Format(time.DateOnly)
		t.tickets[k.ID] = k
		return err
	})
}

// readWaiting reads holds, waitlist entries and merged patients.
func (t *tables) readWaiting(ctx context.Context, db *sql.DB) error {
	err := rows(ctx, db, `
		SELECT id, doctor_id, COALESCE(room_id, 0), start_time - INTERVAL buffer_before_minutes MINUTE,
		       end_time + INTERVAL buffer_after_minutes MINUTE, expires_at
		FROM holds`, func(r *sql.Rows) error {
		var id int64
		var h holdRow
		err := r.Scan(&id, &h.doctor, &h.room, &h.slot.start, &h.slot.end, &h.expires)
		t.holds[id] = h
		return err
	})
	if err != nil {
		return err
	}
	err = rows(ctx, db, `SELECT id, status, COALESCE(offer_id, 0), offer_expires_at, COALESCE(appointment_id, 0) FROM waitlist`, func(r *sql.Rows) error {
		var id int64
		var e entryRow
		var expires sql.NullTime
		err := r.Scan(&id, &e.status, &e.offer, &expires, &e.booked)
		e.expires = expires.Time
		t.entries[id] = e
		return err
	})
	if err != nil {
		return err
	}
	return rows(ctx, db, `SELECT id, COALESCE(merged_into, 0) FROM patients`, func(r *sql.Rows) error {
		var id, into int64
		err := r.Scan(&id, &into)
		t.patients[id] = into
		return err
	})
}

func (t *tables) readFeed(ctx context.Context, db *sql.DB) error {
	return rows(ctx, db, `SELECT COALESCE(position, 0), type, object, object_id FROM changes ORDER BY position IS NULL, position, id`, func(r *sql.Rows) error {
		var c change
		err := r.Scan(&c.position, &c.kind, &c.object, &c.id)
		if c.position == 0 {
			t.unplaced++
		}
		t.changes = append(t.changes, c)
		return err
	})
}

func (t *tables) readTrail(ctx context.Context, db *sql.DB) error {
	return rows(ctx, db, `
		SELECT COALESCE(request_id, ''), operation, action, object, COALESCE(object_id, 0),
		       IF(secret = 0 AND object IN ('ticket', 'waitlist_entry'), details, NULL)
		FROM audit_entries
		WHERE action <> 'read' AND object <> 'refused_request'
		ORDER BY id`, func(r *sql.Rows) error {
		var e entry
		var details []byte
		if err := r.Scan(&e.request, &e.operation, &e.action, &e.object, &e.id, &details); err != nil {
			return err
		}
		if len(details) > 0 {
			e.readDetails(details)
		}
		t.trail = append(t.trail, e)
		return nil
	})
}

// readDetails parses the status and the offer of an entry's changes.
func (e *entry) readDetails(details []byte) {
	var d struct {
		Changes []struct {
			Member string  `json:"member"`
			Before *string `json:"before"`
			After  *string `json:"after"`
		} `json:"changes"`
	}
	if json.Unmarshal(details, &d) != nil {
		return // what is missing is found where it is needed
	}
	read := func(text *string, into any) {
		if text != nil {
			_ = json.Unmarshal([]byte(*text), into) // as above
		}
	}
	for _, c := range d.Changes {
		switch c.Member {
		case "status":
			read(c.Before, &e.statusBefore)
			read(c.After, &e.statusAfter)
		case "offer":
			read(c.After, &e.offer)
		}
	}
}
