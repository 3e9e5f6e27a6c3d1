package store

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// The change feed. A transaction writes its changes without a position: ids are
// assigned when a row is inserted, so a reader who has seen id 8 can miss id 7, whose
// transaction commits later. Positions are assigned afterwards, to committed changes,
// by one transaction at a time, and only after the last one assigned. So a reader who
// has seen position n has seen everything up to n. A change that depends on another
// has waited for its locks, and follows it.

// announce records a change for the feed only; it is written at the commit.
func (t *tx) announce(c clinic.ChangeRecord) {
	line := clinic.NewFeedChange(t.now, c)
	t.changes = append(t.changes, line)
	if a, ok := c.After.(clinic.Appointment); ok && a.SeriesID != nil {
		t.ofSeries = append(t.ofSeries, dateOfSeries{*a.SeriesID, line.Audience})
	}
}

// announceRows announces a statement's change of the records that a query selects, by
// columns id, doctor_id and made_by_key.
func (t *tx) announceRows(ctx context.Context, kind clinic.Kind, verb, query string, args ...any) error {
	query, args, err := sqlx.In(query, args...)
	if err != nil {
		return err
	}
	var rows []changeRow
	if err := t.SelectContext(ctx, &rows, query, args...); err != nil {
		return err
	}
	for _, r := range rows {
		c := r.change()
		c.At, c.Type, c.Object, c.ObjectID = t.now, kind.String()+"."+verb, kind, r.ID
		t.changes = append(t.changes, c)
	}
	return nil
}

// addSeriesChanges announces the series of changed appointments, because a series includes
// its appointments.
func (t *tx) addSeriesChanges() {
	announced := map[int64]bool{}
	for _, c := range t.changes {
		if c.Object == clinic.KindSeries {
			announced[c.ObjectID] = true
		}
	}
	for _, id := range t.ofSeries {
		if !announced[id.series] {
			announced[id.series] = true
			t.changes = append(t.changes, clinic.FeedChange{
				At: t.now, Type: "series.updated", Object: clinic.KindSeries, ObjectID: id.series, Audience: id.audience,
			})
		}
	}
}

type dateOfSeries struct {
	series   int64
	audience clinic.Audience
}

// maxAnnounced bounds the rows of one statement.
const maxAnnounced = 500

// writeChanges inserts the announced changes.
func writeChanges(ctx context.Context, t *tx) error {
	t.addSeriesChanges()
	for rest := t.changes; len(rest) > 0; {
		part := rest[:min(len(rest), maxAnnounced)]
		rest = rest[len(part):]
		args := make([]any, 0, 7*len(part))
		for _, c := range part {
			args = append(args, c.At, c.Type, c.Object.String(), c.ObjectID, c.Audience.DoctorID, c.Audience.LeftDoctor, c.Audience.MadeBy)
		}
		// Safety: the text is a constant and placeholders.
		_, err := t.ExecContext(ctx, `
			INSERT INTO changes (at, type, object, object_id, doctor_id, left_doctor, made_by_key)
			VALUES (?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(`, (?, ?, ?, ?, ?, ?, ?)`, len(part)-1), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxAssigned bounds the changes whose positions are assigned together.
const maxAssigned = 1000

// AssignPositions assigns committed changes their positions in the feed and creates
// their webhook deliveries, in one transaction. It reports whether there may be more.
// Any number of processes may call it at once; they take turns. Within a process a call that
// has waited for another's turn usually finds nothing left to do.
//
// Lock order: the feed's head, then changes, which no other transaction writes any more.
func (s *Store) AssignPositions(ctx context.Context) (more bool, err error) {
	select {
	case s.feedTurn <- struct{}{}:
		defer func() { <-s.feedTurn }()
	case <-ctx.Done():
		return false, translate(ctx, "assign positions in the feed", ctx.Err())
	}
	var pending bool
	if err := s.db.GetContext(ctx, &pending, pendingChangesSQL); err != nil || !pending {
		return false, translate(ctx, "assign positions in the feed", err)
	}
	err = retryTransient(ctx, func() error {
		more, err = s.assignPositions(ctx)
		return err
	})
	return more, translate(ctx, "assign positions in the feed", err)
}

func (s *Store) assignPositions(ctx context.Context) (more bool, err error) {
	t, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = t.Rollback() }() // after a commit this does nothing
	if _, err := t.ExecContext(ctx, `UPDATE change_head SET turns = turns + 1 WHERE id = 1`); err != nil {
		return false, err
	}
	var head int64
	if err := t.GetContext(ctx, &head, `SELECT position FROM change_head WHERE id = 1`); err != nil {
		return false, err
	}
	// A plain read at READ COMMITTED neither sees uncommitted changes nor waits for them.
	var rows []changeRow
	err = t.SelectContext(ctx, &rows, `SELECT `+changeColumns+` FROM changes WHERE position IS NULL ORDER BY id LIMIT ?`, maxAssigned)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
		rows[i].Position = head + int64(i) + 1
	}
	// FIELD returns an id's index in the list, from 1.
	query, args, err := sqlx.In(`UPDATE changes SET position = ? + FIELD(id, ?) WHERE id IN (?)`, head, ids, ids)
	if err != nil {
		return false, err
	}
	if _, err := t.ExecContext(ctx, query, args...); err != nil {
		return false, err
	}
	if _, err := t.ExecContext(ctx, `UPDATE change_head SET position = ? WHERE id = 1`, head+int64(len(rows))); err != nil {
		return false, err
	}
	if err := s.makeDeliveries(ctx, t, rows); err != nil {
		return false, err
	}
	return len(rows) == maxAssigned, t.Commit()
}

// ChangesQuery selects a page of changes.
type ChangesQuery struct {
	After   int64 // position; 0 is the beginning
	Limit   int
	Objects []string // kinds; none: all that the caller may see
	Records bool     // include the present records
}

// ChangesPage is a page of changes.
type ChangesPage struct {
	Items []clinic.FeedChange
	Next  int64 // the position after which to continue
	More  bool
}

// maxLooked bounds the positions that one page examines for changes that its caller may
// see.
const maxLooked = 20_000

// maxTurns bounds how often one reader assigns positions to others' changes.
const maxTurns = 5

// ListChanges returns the next changes that the caller may see, including all that were
// committed before the call. Errors: clinic.CodeValidationFailed (an unknown kind, or a
// position beyond the end).
func (s *Store) ListChanges(ctx context.Context, q ChangesQuery) (ChangesPage, error) {
	access := AccessOf(ctx)
	visible, err := access.VisibleKinds(q.Objects)
	if err != nil {
		return ChangesPage{}, err
	}
	backlog := true
	for turn := 0; backlog && turn < maxTurns; turn++ {
		if backlog, err = s.AssignPositions(ctx); err != nil {
			return ChangesPage{}, err
		}
	}
	p, err := s.readChanges(ctx, q, access.Reach, visible)
	p.More = p.More || backlog
	if err != nil || !q.Records {
		return p, translate(ctx, "list changes", err)
	}
	return p, s.recordChanges(ctx, p.Items)
}

// AddRecords adds the present records within reach to changes that were read without, from
// one snapshot. Of records that have changed since, the change that follows has them too.
func (s *Store) AddRecords(ctx context.Context, changes []clinic.FeedChange) error {
	t, err := s.snapshot(ctx)
	if err != nil {
		return translate(ctx, "read changed records", err)
	}
	defer t.end()
	if err := s.addRecords(ctx, t, AccessOf(ctx).Reach, changes); err != nil {
		return translate(ctx, "read changed records", err)
	}
	t.end() // before the entry is written: a reader must not hold a connection while it waits for one
	return s.recordChanges(ctx, changes)
}

// recordChanges records that the patients of changed records were shown.
func (s *Store) recordChanges(ctx context.Context, changes []clinic.FeedChange) error {
	var patients []int64
	for _, c := range changes {
		if c.Record == nil {
			continue
		}
		if id := c.Object.PatientOf(c.ObjectID, c.Record); id != 0 {
			patients = append(patients, id)
		}
	}
	if len(patients) == 0 {
		return nil
	}
	return s.recordRead(ctx, clinic.KindChange, 0, idsOf(patients, func(id int64) int64 { return id })...)
}

// readChanges returns a page with its records from one snapshot. Index changes_position.
func (s *Store) readChanges(ctx context.Context, q ChangesQuery, reach clinic.Reach, visible []clinic.Kind) (ChangesPage, error) {
	t, err := s.snapshot(ctx)
	if err != nil {
		return ChangesPage{}, err
	}
	defer t.end()
	var head int64
	if err := t.GetContext(ctx, &head, `SELECT position FROM change_head WHERE id = 1`); err != nil {
		return ChangesPage{}, err
	}
	if q.After > head {
		return ChangesPage{}, clinic.Invalid(clinic.Violation{
			Parameter: "cursor", Code: "expired", Detail: "is ahead of the feed, which was restored from a backup; start again from the beginning",
		})
	}
	p := ChangesPage{Next: min(head, q.After+maxLooked)}
	if len(visible) > 0 {
		condition, values := changeReach(reach)
		query, args, err := sqlx.In(changesSQL(condition), append(append([]any{q.After, p.Next, clinic.KindNames(visible)}, values...), q.Limit)...)
		if err != nil {
			return p, err
		}
		var rows []changeRow
		if err := t.SelectContext(ctx, &rows, query, args...); err != nil {
			return p, err
		}
		for i := range rows {
			p.Items = append(p.Items, rows[i].change())
		}
		if len(rows) == q.Limit {
			p.Next = rows[len(rows)-1].Position
		}
	}
	p.More = p.Next < head
	if q.Records {
		err = s.addRecords(ctx, t, reach, p.Items)
	}
	return p, err
}

// changesSQL selects changes in order from a bounded range of the index changes_position.
func changesSQL(condition string) string {
	return `
		SELECT ` + changeColumns + `
		FROM changes
		WHERE position > ? AND position <= ? AND object IN (?)` + condition + `
		ORDER BY changes.position
		LIMIT ?`
}

// pendingChangesSQL reports whether there are changes without a position; usually there are
// none. Index changes_position.
const pendingChangesSQL = `SELECT EXISTS (SELECT 1 FROM changes WHERE position IS NULL)`

// changeReach returns Reach.Sees as a condition.
//
// Safety: constants only; every value is an argument. No id is 0.
func changeReach(r clinic.Reach) (string, []any) {
	if r.All {
		return "", nil
	}
	return ` AND (object IN (?) OR doctor_id = ? OR left_doctor = ? OR made_by_key = ?)`,
		[]any{clinic.KindNames(clinic.UnrestrictedKinds()), r.DoctorID, r.DoctorID, r.KeyID}
}

// LastChange returns the position of the feed's end after assigning positions to everything
// committed before the call.
func (s *Store) LastChange(ctx context.Context) (int64, error) {
	for more := true; more; {
		var err error
		if more, err = s.AssignPositions(ctx); err != nil {
			return 0, err
		}
	}
	var head int64
	err := s.db.GetContext(ctx, &head, `SELECT position FROM change_head WHERE id = 1`)
	return head, translate(ctx, "read last change", err)
}

// PruneChanges deletes changes older than an instant and returns their number. It keeps the
// last change of each record, which is all that a replay needs, and changes by which a
// record left a doctor's calendar, the last that this doctor sees.
func (s *Store) PruneChanges(ctx context.Context, before time.Time) (int64, error) {
	var gone int64
	for {
		var ids []int64
		// Index changes_age, and of each record the end of changes_object.
		err := s.db.SelectContext(ctx, &ids, `
			SELECT c.id
			FROM changes AS c
			WHERE c.at < ? AND c.position IS NOT NULL AND c.left_doctor IS NULL
			  AND EXISTS (SELECT 1 FROM changes AS later
			              WHERE later.object = c.object AND later.object_id = c.object_id AND later.id > c.id AND later.position > c.position)
			LIMIT 1000`, before)
		if err != nil || len(ids) == 0 {
			return gone, translate(ctx, "prune changes", err)
		}
		query, args, err := sqlx.In(`DELETE FROM changes WHERE id IN (?)`, ids)
		if err != nil {
			return gone, err
		}
		result, err := s.db.ExecContext(ctx, query, args...)
		if err != nil {
			return gone, translate(ctx, "prune changes", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return gone, err
		}
		gone += n
	}
}

// changeColumns are those of changeRow.
const changeColumns = `id, COALESCE(position, 0) AS position, at, type, object, object_id, doctor_id, left_doctor, made_by_key`

// feedPause is the shortest time between two turns of this process at the feed that its own
// commits cause. A turn is a transaction with a flush of its own: one after each commit costs
// nearly as much as a small commit does.
const feedPause = 75 * time.Millisecond

// signal wakes the goroutines that wait for an event: at once, but for events that follow
// the last waking within the pause, which wake them together at its end.
type signal struct {
	pause time.Duration

	mu      sync.Mutex
	ch      chan struct{}
	pausing bool // the last waking is less than a pause ago
	missed  bool // an event since
}

// next returns a channel that is closed after the next event.
func (g *signal) next() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch == nil {
		g.ch = make(chan struct{})
	}
	return g.ch
}

func (g *signal) give() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pausing {
		g.missed = true
		return
	}
	g.wake()
}

// wake begins a pause; mu is held.
func (g *signal) wake() {
	if g.ch != nil {
		close(g.ch)
		g.ch = nil
	}
	g.pausing, g.missed = true, false
	time.AfterFunc(g.pause, g.endPause)
}

func (g *signal) endPause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pausing = g.missed; g.missed {
		g.wake()
	}
}

// Changed returns a channel that is closed when this process, and no other, has committed its
// next change: at once, or feedPause after the one closed before.
func (s *Store) Changed() <-chan struct{} { return s.changed.next() }
