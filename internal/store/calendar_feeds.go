package store

import (
	"context"
	"crypto/sha256"
	"time"

	"mems/internal/clinic"
)

// CreateCalendarFeed creates a feed and returns its record and its token, which is not
// stored. Errors: clinic.CodeValidationFailed, clinic.CodeForbidden (beyond the caller's
// reach), clinic.ErrDoctorNotFound.
func (s *Store) CreateCalendarFeed(ctx context.Context, req Request, f clinic.CalendarFeed) (clinic.CalendarFeed, string, error) {
	if !f.Within(req.Access.Reach) {
		return f, "", &clinic.Error{Code: clinic.CodeForbidden}
	}
	f.Normalize()
	if err := f.Validate(clinic.Instant(s.now())); err != nil {
		return f, "", err
	}
	var token string
	err := s.inTx(ctx, req, "create calendar feed", func(t *tx) error {
		if f.DoctorID != nil {
			if err := checkDoctors(ctx, t, *f.DoctorID); err != nil {
				return err
			}
		}
		secret, hash := newSecret()
		f.Hash, f.CreatedBy, f.CreatedAt = hash, req.Access.Subject, t.now
		if f.ExpiresAt != nil {
			end := clinic.Instant(*f.ExpiresAt)
			f.ExpiresAt = &end
		}
		var err error
		f.ID, err = t.insert(ctx, `
			INSERT INTO calendar_feeds (doctor_id, name, secret_hash, created_by, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?)`, f.DoctorID, f.Name, f.Hash[:], f.CreatedBy, f.CreatedAt, f.ExpiresAt)
		if err != nil {
			return err
		}
		token = clinic.FormatFeedToken(f.ID, secret)
		t.record(clinic.Created(clinic.KindCalendarFeed, f.ID, f))
		return nil
	}, &f, &token)
	if id, secret, ok := clinic.ParseFeedToken(token); ok && err == nil {
		s.knownFeeds.learn(id, sha256.Sum256([]byte(secret)))
	}
	return f, token, err
}

// CalendarFeed returns the record of a feed. Errors: clinic.ErrCalendarFeedNotFound.
func (s *Store) CalendarFeed(ctx context.Context, req Request, id int64) (clinic.CalendarFeed, error) {
	var row calendarFeedRow
	if err := s.db.GetContext(ctx, &row, `SELECT `+calendarFeedColumns+` FROM calendar_feeds WHERE id = ?`, id); err != nil {
		return clinic.CalendarFeed{}, translate(ctx, "read calendar feed", notFound(err, clinic.ErrCalendarFeedNotFound))
	}
	f := row.feed()
	if !f.Within(req.Access.Reach) {
		return clinic.CalendarFeed{}, clinic.ErrCalendarFeedNotFound
	}
	return f, nil
}

// ListCalendarFeeds returns a page of feeds by id.
func (s *Store) ListCalendarFeeds(ctx context.Context, req Request, after int64, limit int) (Page[clinic.CalendarFeed], error) {
	reach := req.Access.Reach
	var rows []calendarFeedRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+calendarFeedColumns+`
		FROM calendar_feeds
		WHERE id > ? AND (? OR doctor_id = ?)
		ORDER BY id
		LIMIT ?`, after, reach.All, reach.DoctorID, limit+1)
	if err != nil {
		return Page[clinic.CalendarFeed]{}, translate(ctx, "list calendar feeds", err)
	}
	items := make([]clinic.CalendarFeed, len(rows))
	for i := range rows {
		items[i] = rows[i].feed()
	}
	return page(items, limit), nil
}

// RevokeCalendarFeed revokes a feed: once it has returned, no new request in any process
// can read the feed. Errors: clinic.ErrCalendarFeedNotFound.
func (s *Store) RevokeCalendarFeed(ctx context.Context, req Request, id int64) (clinic.CalendarFeed, error) {
	var f clinic.CalendarFeed
	err := s.inTx(ctx, req, "revoke calendar feed", func(t *tx) error {
		var row calendarFeedRow
		if err := t.GetContext(ctx, &row, `SELECT `+calendarFeedColumns+` FROM calendar_feeds WHERE id = ? FOR UPDATE`, id); err != nil {
			return notFound(err, clinic.ErrCalendarFeedNotFound)
		}
		f = row.feed()
		if !f.Within(req.Access.Reach) {
			return clinic.ErrCalendarFeedNotFound
		}
		if f.RevokedAt != nil {
			return nil
		}
		before := f
		f.RevokedAt = &t.now
		t.record(clinic.Changed(clinic.KindCalendarFeed, id, before, f))
		_, err := t.exec(ctx, `UPDATE calendar_feeds SET revoked_at = ? WHERE id = ?`, t.now, id)
		return err
	}, &f)
	if err == nil {
		s.knownFeeds.forget(id)
	}
	return f, err
}

// KnowsCalendarFeed reports whether a token is good as far as this process knows, as
// KnowsAPIKey does for keys. Errors: clinic.ErrUnavailable.
func (s *Store) KnowsCalendarFeed(ctx context.Context, token string) (bool, error) {
	id, secret, ok := clinic.ParseFeedToken(token)
	if !ok {
		return false, nil
	}
	return s.knownFeeds.knows(ctx, s, id, secret)
}

// Calendar returns the calendar of a token. It reads the database each time, so
// that a revoked feed is rejected immediately, and records the read, with the feed as the
// caller. Errors: clinic.ErrCalendarFeedNotFound.
func (s *Store) Calendar(ctx context.Context, req Request, token string) (clinic.FeedCalendar, error) {
	id, secret, ok := clinic.ParseFeedToken(token)
	if !ok {
		return clinic.FeedCalendar{}, clinic.ErrCalendarFeedNotFound
	}
	var row calendarFeedRow
	if err := s.db.GetContext(ctx, &row, `SELECT `+calendarFeedColumns+` FROM calendar_feeds WHERE id = ?`, id); err != nil {
		s.knownFeeds.forget(id)
		return clinic.FeedCalendar{}, translate(ctx, "read calendar feed", notFound(err, clinic.ErrCalendarFeedNotFound))
	}
	f, now := row.feed(), clinic.Instant(s.now())
	if !isSecret(secret, f.Hash) || !f.Live(now) {
		if !f.Live(now) {
			s.knownFeeds.forget(id)
		}
		return clinic.FeedCalendar{}, clinic.ErrCalendarFeedNotFound
	}
	s.knownFeeds.learn(id, f.Hash)
	if f.LastUsedAt == nil || now.Sub(*f.LastUsedAt) > time.Hour {
		// Truncated to the hour, so that not every read costs a write.
		if _, err := s.db.ExecContext(ctx, `UPDATE calendar_feeds SET last_used_at = ? WHERE id = ?`, now, id); err != nil {
			return clinic.FeedCalendar{}, translate(ctx, "read calendar feed", err)
		}
	}
	c, err := s.feedCalendar(ctx, f, now)
	if err != nil {
		return clinic.FeedCalendar{}, translate(ctx, "read calendar feed", err)
	}
	req.CountWork(clinic.WorkRecords, len(c.Visits)+len(c.Away))
	req.Access.Caller = f.Reader()
	return c, s.recordRead(ctx, req, clinic.KindCalendarFeed, f.ID)
}

// feedCalendar returns a feed's calendar.
func (s *Store) feedCalendar(ctx context.Context, f clinic.CalendarFeed, now time.Time) (clinic.FeedCalendar, error) {
	var c clinic.FeedCalendar
	if err := s.db.GetContext(ctx, &c.UID, `SELECT calendar_uid FROM installation WHERE id = 1`); err != nil {
		return c, err
	}
	if f.DoctorID != nil {
		if err := s.db.GetContext(ctx, &c.Doctor, `SELECT full_name FROM doctors WHERE id = ?`, *f.DoctorID); err != nil {
			return c, notFound(err, clinic.ErrCalendarFeedNotFound) // deleted meanwhile, and the feed with it
		}
	}
	window := clinic.FeedWindow(now, s.zone, f.DoctorID == nil)
	var visits []feedVisitRow
	statement, args := feedVisitsSQL(f.DoctorID, window)
	if err := s.db.SelectContext(ctx, &visits, statement, args...); err != nil {
		return c, err
	}
	for _, v := range visits {
		c.Visits = append(c.Visits, clinic.FeedVisit{
			ID: v.ID, Doctor: v.Doctor, Room: v.Room, Time: clinic.Interval{Start: v.Start, End: v.End},
			Status: clinic.Status(v.Status), Version: v.Version, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
		})
	}
	var absences []feedAbsenceRow
	statement, args = feedAbsencesSQL(f.DoctorID, window)
	if err := s.db.SelectContext(ctx, &absences, statement, args...); err != nil {
		return c, err
	}
	for _, a := range absences {
		c.Away = append(c.Away, clinic.FeedAbsence{
			ID: a.ID, Doctor: a.Doctor, Time: clinic.Interval{Start: a.Start, End: a.End},
			Version: a.Version, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
		})
	}
	return c, nil
}

// feedVisitsSQL selects only the columns that a feed shows: what is not read cannot leak.
// Index appointments_doctor with a doctor, else appointments_start; both end with the
// primary key, so the order comes from the index.
//
// Safety: the text is one of two constants.
func feedVisitsSQL(doctor *int64, window clinic.Interval) (string, []any) {
	where, args := ``, []any{window.Start, window.End}
	if doctor != nil {
		where, args = ` AND a.doctor_id = ?`, append(args, *doctor)
	}
	return `
		SELECT STRAIGHT_JOIN a.id, d.full_name AS doctor, COALESCE(r.name, '') AS room, a.start_time, a.end_time, a.status, a.version,
		       a.created_at, a.updated_at
		FROM appointments AS a
		JOIN doctors AS d ON d.id = a.doctor_id
		LEFT JOIN rooms AS r ON r.id = a.room_id
		WHERE a.start_time >= ? AND a.start_time < ?` + where + `
		ORDER BY a.start_time, a.id
		LIMIT ?`, append(args, clinic.MaxFeedVisits)
}

// feedAbsencesSQL selects the time off that overlaps the window. Index time_off_doctor
// (doctor_id, end_time) with a doctor; the whole clinic's is read by a scan of a small
// table.
//
// Safety: the text is one of two constants.
func feedAbsencesSQL(doctor *int64, window clinic.Interval) (string, []any) {
	where, args := ``, []any{window.Start, window.End}
	if doctor != nil {
		where, args = ` AND o.doctor_id = ?`, append(args, *doctor)
	}
	return `
		SELECT o.id, d.full_name AS doctor, o.start_time, o.end_time, o.version, o.created_at, o.updated_at
		FROM time_off AS o
		JOIN doctors AS d ON d.id = o.doctor_id
		WHERE o.end_time > ? AND o.start_time < ?` + where + `
		ORDER BY o.start_time, o.id
		LIMIT ?`, append(args, clinic.MaxFeedVisits)
}

type feedVisitRow struct {
	ID        int64     `db:"id"`
	Doctor    string    `db:"doctor"`
	Room      string    `db:"room"`
	Start     time.Time `db:"start_time"`
	End       time.Time `db:"end_time"`
	Status    string    `db:"status"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

type feedAbsenceRow struct {
	ID        int64     `db:"id"`
	Doctor    string    `db:"doctor"`
	Start     time.Time `db:"start_time"`
	End       time.Time `db:"end_time"`
	Version   int64     `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

// calendarFeedColumns are those of calendarFeedRow.
const calendarFeedColumns = `id, doctor_id, name, secret_hash, created_by, created_at, expires_at, revoked_at, last_used_at`

type calendarFeedRow struct {
	ID         int64      `db:"id"`
	DoctorID   *int64     `db:"doctor_id"`
	Name       string     `db:"name"`
	Hash       []byte     `db:"secret_hash"`
	CreatedBy  string     `db:"created_by"`
	CreatedAt  time.Time  `db:"created_at"`
	ExpiresAt  *time.Time `db:"expires_at"`
	RevokedAt  *time.Time `db:"revoked_at"`
	LastUsedAt *time.Time `db:"last_used_at"`
}

func (r *calendarFeedRow) feed() clinic.CalendarFeed {
	f := clinic.CalendarFeed{
		ID: r.ID, DoctorID: r.DoctorID, Name: r.Name, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt, LastUsedAt: r.LastUsedAt,
	}
	copy(f.Hash[:], r.Hash)
	return f
}
