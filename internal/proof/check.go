package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// event is a row of an appointment's history.
type event struct {
	appointment, version int64
	status               string
	start                time.Time
	doctor               int64
}

// examine checks the history against the final tables.
func (r *result) examine(ctx context.Context, f *field) error {
	answers := check{name: "no 500, nothing undocumented", examined: len(r.history.ops), faults: r.history.faults}
	overlaps, err := noOverlap(ctx, f.db)
	if err != nil {
		return err
	}
	told, err := nothingLost(ctx, f.db, r.history.ops)
	if err != nil {
		return err
	}
	feed := check{name: "feed: positions without gaps"}
	var rows, last, open int
	// The servers give positions shortly after a commit.
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if err := f.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MAX(position), 0), COUNT(*) - COUNT(position) FROM changes`).Scan(&rows, &last, &open); err != nil {
			return err
		}
		if open == 0 || time.Now().After(limit) {
			break
		}
	}
	if feed.examined = rows; rows != last || open > 0 {
		feed.fault("%d changes, the last position is %d, %d have none", rows, last, open)
	}
	audit := check{name: "audit trail verifies", examined: 1}
	if out, err := f.mems(ctx, "audit", "verify"); err != nil {
		audit.fault("%v: %s", err, out)
	}
	r.checks = []check{answers, overlaps, told, feed, audit, linearizable(r.history.ops)}
	return nil
}

// noOverlap compares what stands in the table pairwise.
func noOverlap(ctx context.Context, db *sql.DB) (check, error) {
	c := check{name: "no overlap of doctor or patient"}
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM appointments`).Scan(&c.examined); err != nil {
		return c, err
	}
	rows, err := db.QueryContext(ctx, `
		SELECT a.id, b.id FROM appointments AS a
		JOIN appointments AS b ON a.id < b.id AND (a.doctor_id = b.doctor_id OR a.patient_id = b.patient_id)
		  AND a.start_time < b.end_time AND b.start_time < a.end_time
		WHERE a.status <> 'cancelled' AND b.status <> 'cancelled'`)
	if err != nil {
		return c, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	for rows.Next() {
		var a, b int64
		if err := rows.Scan(&a, &b); err != nil {
			return c, err
		}
		c.fault("appointments %d and %d overlap", a, b)
	}
	return c, rows.Err()
}

// nothingLost finds each operation in the appointments' histories, by the name under
// which it was sent: once and as it was answered when it was acknowledged, never when
// it was refused, at most once when its outcome is unknown.
func nothingLost(ctx context.Context, db *sql.DB, ops []*op) (check, error) {
	c := check{name: "done once as answered, or not at all", examined: len(ops)}
	rows, err := db.QueryContext(ctx, `SELECT appointment_id, version, to_status, start_time, doctor_id, COALESCE(actor, '') FROM appointment_events`)
	if err != nil {
		return c, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	events := map[string][]event{}
	for rows.Next() {
		var e event
		var actor string
		if err := rows.Scan(&e.appointment, &e.version, &e.status, &e.start, &e.doctor, &actor); err != nil {
			return c, err
		}
		events[actor] = append(events[actor], e)
	}
	for _, o := range ops {
		found := events[o.actor()]
		delete(events, o.actor())
		switch {
		case len(found) > 1:
			c.fault("op %d (%s) was done %d times", o.ID, o.Kind, len(found))
		case o.Outcome == refused && len(found) > 0:
			c.fault("op %d (%s) was refused with %s and done: appointment %d", o.ID, o.Kind, o.Code, found[0].appointment)
		case o.Outcome == ok && len(found) == 0:
			c.fault("op %d (%s) was acknowledged and is lost", o.ID, o.Kind)
		case o.Outcome == ok && len(o.Out.Appointments) == 1:
			a := o.Out.Appointments[0]
			if e := found[0]; e != (event{a.ID, o.Out.Version, a.Status, e.start, a.Doctor}) || !e.start.Equal(a.Start) {
				c.fault("op %d (%s) was answered %+v version %d, and the history has %+v", o.ID, o.Kind, a, o.Out.Version, e)
			}
		case o.Outcome == unknown && len(found) == 1: // for the models: it happened
			e := found[0]
			o.Out = output{Version: e.version}
		}
	}
	for actor := range events {
		c.fault("the histories name %q, whom nobody sent", actor)
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	var odd int
	err = db.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM appointments AS a
		LEFT JOIN appointment_events AS e ON e.appointment_id = a.id AND e.version = a.version
		WHERE e.to_status IS NULL OR e.to_status <> a.status OR e.start_time <> a.start_time OR e.doctor_id <> a.doctor_id`).Scan(&odd)
	if odd > 0 {
		c.faults = append(c.faults, fmt.Sprintf("%d appointments are not as their last event left them", odd))
	}
	return c, err
}
