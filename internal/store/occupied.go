package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// occupying is the condition that an appointment takes time: clinic.Status.Occupies.
const occupying = `status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')`

// party is a kind of party whose time appointments and holds take.
type party struct {
	column    string // with its id, in appointments and holds
	index     string // of appointments: the column, start_time
	holdIndex string // of holds, the same
	buffered  bool   // buffers take its time too
}

var (
	doctorParty  = party{column: `doctor_id`, index: `appointments_doctor`, holdIndex: `holds_doctor`, buffered: true}
	roomParty    = party{column: `room_id`, index: `appointments_room`, holdIndex: `holds_room`, buffered: true}
	patientParty = party{column: `patient_id`, index: `appointments_patient`}
)

// occupiedTimes asks for the times that appointments, and live holds where holds says
// so, take of some parties: one bounded range of the party's index for each, so the
// cost does not grow with history.
//
// locking is for the reads that a decision rests on: a plain read may come from a
// snapshot older than the guard. At READ COMMITTED only what is found stays locked.
type occupiedTimes struct {
	party

	ids []int64 // of the parties
	of  string  // instead of ids, the column of an outer statement that has the id
	all bool    // instead of ids, every party
	// window bounds what is read to the times that can overlap it, but for their buffers
	// and length; overlapping, instead, to those that do overlap one of these.
	window      clinic.Interval
	overlapping []clinic.Interval
	each        []partyTime // instead of ids and overlapping, a time of its own for each party
	except      []int64     // appointments that do not count
	holds       *liveHolds
	locking     bool
	forced      bool // by the party's index, whatever the statistics suggest
}

// partyTime is a time of a party.
type partyTime struct {
	id   int64
	time clinic.Interval
}

// liveHolds are the holds that count.
type liveHolds struct {
	now    time.Time
	except string // token of one that does not count; "": none
}

// read returns the occupied times by party.
func (o occupiedTimes) read(ctx context.Context, q sqlx.QueryerContext) (map[int64][]clinic.Interval, error) {
	if len(o.ids) == 0 && len(o.each) == 0 { // every doctor has been deactivated, or there are no rooms
		return map[int64][]clinic.Interval{}, nil
	}
	statement, args := o.sql()
	return timesByParty(ctx, q, statement, args...)
}

// readHeld returns the times that holds take, by party.
func (o occupiedTimes) readHeld(ctx context.Context, q sqlx.QueryerContext) (map[int64][]clinic.Interval, error) {
	statement, args := o.heldSQL(o.columns(o.column))
	return timesByParty(ctx, q, statement, args...)
}

// sql selects a party's id, start, end and buffers in minutes.
func (o occupiedTimes) sql() (statement string, args []any) {
	statement, args = o.bookedSQL(o.columns(o.column))
	if o.holds != nil {
		held, values := o.heldSQL(o.columns(o.column))
		statement, args = statement+` UNION ALL `+held, append(args, values...)
	}
	if o.locking {
		statement += ` FOR UPDATE`
	}
	return statement, args
}

// after adds the occupied times to the rows of a statement, which are not locked: FOR UPDATE
// is about what is inside of the parentheses.
func (o occupiedTimes) after(statement string, args []any) (all string, values []any) {
	occupied, values := o.sql()
	return statement + ` UNION ALL (` + occupied + `)`, append(args, values...)
}

// takenSQL is the condition that any time is taken; it ends with the first one found.
func (o occupiedTimes) takenSQL() (condition string, args []any) {
	condition, args = o.bookedSQL(`1`)
	held, values := o.heldSQL(`1`)
	return `EXISTS (` + condition + `) OR EXISTS (` + held + `)`, append(args, values...)
}

// Rows that are not a party's appointments have these in place of the party's id.
const (
	offTag  int64 = 0
	heldTag int64 = -1

	heldColumn = `-1`
)

// columns are those that timesByParty reads; of is the party's id or a tag.
func (p party) columns(of string) string {
	if p.buffered {
		return of + `, start_time, end_time, buffer_before_minutes, buffer_after_minutes`
	}
	return of + `, start_time, end_time, 0, 0`
}

// bookedSQL selects columns of appointments.
//
// Safety: the text is put together from constants and placeholders only.
func (o occupiedTimes) bookedSQL(columns string) (statement string, args []any) {
	var b strings.Builder
	b.WriteString(`SELECT ` + columns + ` FROM appointments`)
	if o.forced {
		b.WriteString(` FORCE INDEX (` + o.index + `)`)
	}
	args = o.where(&b)
	b.WriteString(` AND ` + occupying)
	switch len(o.except) {
	case 0:
	case 1:
		b.WriteString(` AND id <> ?`)
	default:
		b.WriteString(` AND id NOT IN (?` + strings.Repeat(`, ?`, len(o.except)-1) + `)`)
	}
	for _, id := range o.except {
		args = append(args, id)
	}
	return b.String(), args
}

// heldSQL selects columns of live holds.
//
// Safety: as bookedSQL.
func (o occupiedTimes) heldSQL(columns string) (statement string, args []any) {
	var b strings.Builder
	b.WriteString(`SELECT ` + columns + ` FROM holds`)
	if o.forced {
		b.WriteString(` FORCE INDEX (` + o.holdIndex + `)`)
	}
	args = o.where(&b)
	b.WriteString(` AND expires_at > ? AND token <> ?`)
	return b.String(), append(args, o.holds.now, o.holds.except)
}

// where writes the condition on the party and the time, which is the same for
// appointments and holds.
func (o occupiedTimes) where(b *strings.Builder) (args []any) {
	for i, of := range o.each {
		b.WriteString([]string{` WHERE ((`, ` OR (`}[min(i, 1)] + o.column + ` = ? AND `)
		args = o.overlaps(b, append(args, of.id), of.time)
		b.WriteString(`)`)
	}
	if len(o.each) > 0 {
		b.WriteString(`)`)
		return args
	}
	b.WriteString(` WHERE ` + o.column)
	switch {
	case o.all:
		b.WriteString(` IS NOT NULL`)
	case o.of != "":
		b.WriteString(` = ` + o.of)
	case len(o.ids) == 1:
		b.WriteString(` = ?`)
	default:
		b.WriteString(` IN (?` + strings.Repeat(`, ?`, len(o.ids)-1) + `)`)
	}
	for _, id := range o.ids {
		args = append(args, id)
	}
	if len(o.overlapping) == 0 {
		from, to := reach(o.window)
		b.WriteString(` AND start_time > ? AND start_time < ?`)
		return append(args, from, to)
	}
	b.WriteString(` AND (`)
	for i, time := range o.overlapping {
		if i > 0 {
			b.WriteString(` OR `)
		}
		args = o.overlaps(b, args, time)
	}
	b.WriteString(`)`)
	return args
}

// overlaps writes the condition that an appointment or a hold overlaps a time.
func (o occupiedTimes) overlaps(b *strings.Builder, args []any, time clinic.Interval) []any {
	if o.buffered {
		from, to := reach(time)
		b.WriteString(`start_time > ? AND start_time < ?
			AND start_time - INTERVAL buffer_before_minutes MINUTE < ?
			AND end_time + INTERVAL buffer_after_minutes MINUTE > ?`)
		return append(args, from, to, time.End, time.Start)
	}
	b.WriteString(`start_time > ? AND start_time < ? AND end_time > ?`)
	return append(args, time.Start.Add(-clinic.MaxDuration), time.End, time.Start)
}

// reach bounds the starts of the appointments whose time with buffers can overlap an
// interval: by the longest appointment and buffers there can be.
func reach(i clinic.Interval) (from, to time.Time) {
	return i.Start.Add(-clinic.MaxDuration - clinic.MaxBuffer), i.End.Add(clinic.MaxBuffer)
}

// timesByParty reads rows of an id, a start, an end, and minutes of buffer before and
// after, which are part of the time.
func timesByParty(ctx context.Context, q sqlx.QueryerContext, statement string, args ...any) (map[int64][]clinic.Interval, error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	times := map[int64][]clinic.Interval{}
	for rows.Next() {
		var id int64
		var i clinic.Interval
		var before, after minutes
		if err := rows.Scan(&id, &i.Start, &i.End, &before, &after); err != nil {
			return nil, err
		}
		times[id] = append(times[id], clinic.Interval{Start: i.Start.Add(-before.duration()), End: i.End.Add(after.duration())})
	}
	return times, rows.Err()
}

// occupied returns the times of one party that overlap an interval, for a decision;
// locking, where it is made under the party's guard. except is an appointment that does
// not count, 0 for none.
func (q *queries) occupied(ctx context.Context, p party, id int64, overlapping clinic.Interval, except int64) ([]clinic.Interval, error) {
	times, err := q.booked(p, id, overlapping, except).read(ctx, q)
	return times[id], err
}

// booked is what occupied reads. Forced: by another index a small clinic's statistics suggest,
// a locking read would wait for the appointments of others.
func (q *queries) booked(p party, id int64, overlapping clinic.Interval, except int64) occupiedTimes {
	return occupiedTimes{
		party: p, ids: []int64{id}, overlapping: []clinic.Interval{overlapping}, except: []int64{except}, locking: q.locking, forced: true,
	}
}
