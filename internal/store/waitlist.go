package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"mems/internal/clinic"
)

// CreateWaitlistEntry adds a patient to the waitlist and, if a suitable time is free, offers
// it in the same transaction.
//
// Statements, in lock order: find the doctor who is free first (no lock), write the guard
// rows of the doctor and the patient, insert, search again under the guard, offer.
//
// Errors: clinic.ErrPatientNotFound, clinic.ErrDoctorNotFound, clinic.ErrTypeNotFound,
// clinic.CodeValidationFailed, clinic.ErrTooManyWaitlistEntries.
func (s *Store) CreateWaitlistEntry(ctx context.Context, req Request, e clinic.WaitlistEntry) (clinic.WaitlistEntry, error) {
	asked := e
	err := s.inTx(ctx, req, "create waitlist entry", func(t *tx) error {
		e = asked // a retry starts from the request
		e.Normalize()
		if err := e.Validate(t.now); err != nil {
			return err
		}
		e.MadeBy = req.Access.MadeBy() // whose booking window also applies to offers
		free, more, err := s.firstFor(ctx, t, e)
		if err != nil {
			return err
		}
		if exists, err := t.guardPatient(ctx, e.PatientID); err != nil || !exists {
			return firstError(err, patientNotFound(e.PatientID))
		}
		if reached, err := t.reachesPatient(ctx, e.PatientID); err != nil || !reached {
			return firstError(err, patientNotFound(e.PatientID))
		}
		if err := checkDoctors(ctx, t, e.DoctorIDs...); err != nil {
			return err
		}
		if e.TypeID != nil {
			kind, state, err := readTypeForBooking(ctx, t, *e.TypeID)
			if err != nil || state == clinic.Missing {
				return firstError(err, clinic.ErrTypeNotFound)
			}
			if e.Duration == 0 {
				e.Duration = kind.Duration
			}
		}
		if err := t.guardKey(ctx); err != nil {
			return err
		}
		if err := checkEntries(ctx, t); err != nil {
			return err
		}
		e.Status, e.Version, e.CreatedAt, e.UpdatedAt = clinic.WaitlistWaiting, 1, t.now, t.now
		e.ID, err = t.insert(ctx, `
			INSERT INTO waitlist (patient_id, doctor_ids, specialization, type_id, duration_minutes, from_time, to_time, note,
			                      status, made_by_key, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.PatientID, list(e.DoctorIDs), e.Specialization, e.TypeID, e.Duration/time.Minute, e.Window.Start, e.Window.End, e.Note,
			string(e.Status), e.MadeBy, e.Version, e.CreatedAt, e.UpdatedAt)
		if err != nil {
			return err
		}
		t.record(clinic.Created(clinic.KindWaitlistEntry, e.ID, e))
		if free == nil {
			if more {
				t.freeForEntry(e.ID) // search further after the commit
			}
			return nil
		}
		offered, err := s.offerAgain(ctx, t, &e, *free)
		if err == nil && !offered {
			t.freeForEntry(e.ID) // another request was faster; look further after the commit
		}
		if err != nil || !offered {
			return err
		}
		e.Version = 1 // it was created with an offer
		_, err = t.exec(ctx, `UPDATE waitlist SET version = ? WHERE id = ?`, e.Version, e.ID)
		return err
	}, &e)
	return e, err
}

// checkEntries returns clinic.ErrTooManyWaitlistEntries for a partner that has reached its
// limit of open entries. Index waitlist_made_by.
func checkEntries(ctx context.Context, t *tx) error {
	access := t.req.Access
	if !access.IsPartner() {
		return nil
	}
	var open int
	err := t.GetContext(ctx, &open, `SELECT COUNT(*) FROM waitlist WHERE made_by_key = ? AND status IN ('waiting', 'offered')`, access.Reach.KeyID)
	if err == nil && open >= clinic.MaxPartnerEntries {
		return clinic.ErrTooManyWaitlistEntries
	}
	return err
}

// firstFor finds the first free time for a new entry, without locks, and takes the guard of
// its doctor. free is nil if there is none; more reports that the search ended early.
func (s *Store) firstFor(ctx context.Context, t *tx, e clinic.WaitlistEntry) (free *clinic.Slot, more bool, err error) {
	if e.Duration == 0 && e.TypeID != nil {
		kind, _, err := readTypeForBooking(ctx, t, *e.TypeID)
		if err != nil {
			return nil, false, err
		}
		e.Duration = kind.Duration
	}
	if e.Duration == 0 {
		return nil, false, nil // the type does not exist, which is reported under the guard
	}
	m, err := s.matcherOf(ctx, t, t.now, e, nil)
	if err != nil {
		return nil, false, err
	}
	left := waitlistDoctorDays
	slots, searched, err := m.search(ctx, t.req, time.Time{}, &left)
	if err != nil || len(slots) == 0 {
		return nil, !searched.IsZero(), err
	}
	_, err = t.guardDoctor(ctx, slots[0].DoctorID)
	return &slots[0], false, err
}

// WaitlistEntry returns an entry. It expires offers first.
// Errors: clinic.ErrWaitlistNotFound.
func (s *Store) WaitlistEntry(ctx context.Context, req Request, id int64) (clinic.WaitlistEntry, error) {
	if _, err := s.ExpireOffers(ctx, req); err != nil {
		return clinic.WaitlistEntry{}, err
	}
	e, err := s.queries(req).readEntry(ctx, id)
	if err != nil {
		return e, translate(ctx, "read waitlist entry", err)
	}
	return e, s.recordRead(ctx, req, clinic.KindWaitlistEntry, e.ID, e.PatientID)
}

// readEntry reads an entry within reach. Primary key.
func (q *queries) readEntry(ctx context.Context, id int64) (clinic.WaitlistEntry, error) {
	var row waitlistRow
	err := q.GetContext(ctx, &row, `SELECT `+waitlistColumns+` FROM waitlist WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !q.req.Access.Reach.Record(0, row.MadeBy) {
		return clinic.WaitlistEntry{}, clinic.ErrWaitlistNotFound
	}
	if err != nil {
		return clinic.WaitlistEntry{}, err
	}
	return row.entry()
}

// WaitlistQuery chooses a page of the waitlist; zero values do not narrow it.
type WaitlistQuery struct {
	PatientID int64
	Status    string
	After     int64 // id of the last item of the page before; 0: first page
	Limit     int
}

// ListWaitlist returns a page of entries by id. It expires offers first. Index: waitlist_patient, waitlist_open or the primary key.
func (s *Store) ListWaitlist(ctx context.Context, req Request, q WaitlistQuery) (Page[clinic.WaitlistEntry], error) {
	if _, err := s.ExpireOffers(ctx, req); err != nil {
		return Page[clinic.WaitlistEntry]{}, err
	}
	where, args := `id > ?`, []any{q.After}
	if q.PatientID != 0 {
		var err error
		if q.PatientID, err = survivorOf(ctx, s.db, q.PatientID); err != nil {
			return Page[clinic.WaitlistEntry]{}, translate(ctx, "list waitlist", err)
		}
		where, args = where+` AND patient_id = ?`, append(args, q.PatientID)
	}
	if q.Status != "" {
		where, args = where+` AND status = ?`, append(args, q.Status)
	}
	if r := req.Access.Reach; !r.All {
		where, args = where+` AND made_by_key = ?`, append(args, r.KeyID)
	}
	var rows []waitlistRow
	// Safety: the text is put together from the constants above only.
	err := s.db.SelectContext(ctx, &rows, `SELECT `+waitlistColumns+` FROM waitlist WHERE `+where+` ORDER BY id LIMIT ?`, append(args, q.Limit+1)...)
	if err != nil {
		return Page[clinic.WaitlistEntry]{}, translate(ctx, "list waitlist", err)
	}
	items := make([]clinic.WaitlistEntry, len(rows))
	for i := range rows {
		if items[i], err = rows[i].entry(); err != nil {
			return Page[clinic.WaitlistEntry]{}, err
		}
	}
	p := page(items, q.Limit)
	return p, s.recordRead(ctx, req, clinic.KindWaitlistEntry, 0, idsOf(p.Items, func(e clinic.WaitlistEntry) int64 { return e.PatientID })...)
}

// WithdrawWaitlistEntry removes a patient from the waitlist; an offered time is offered to the
// next entry. Errors: clinic.ErrWaitlistNotFound,
// clinic.ErrPreconditionFailed, clinic.ErrWaitlistClosed.
func (s *Store) WithdrawWaitlistEntry(ctx context.Context, req Request, id int64, match Versions) error {
	return s.inTx(ctx, req, "withdraw waitlist entry", func(t *tx) error { return s.passOn(ctx, t, id, match, (*clinic.WaitlistEntry).Withdraw) })
}

// lockEntry takes the guards of the offered doctor, if any, and of the patient,
// and then locks the entry.
func lockEntry(ctx context.Context, t *tx, id int64) (clinic.WaitlistEntry, error) {
	var party struct {
		Patient int64  `db:"patient_id"`
		Doctor  *int64 `db:"offered_doctor"`
		MadeBy  *int64 `db:"made_by_key"`
	}
	err := t.GetContext(ctx, &party, `SELECT patient_id, offered_doctor, made_by_key FROM waitlist WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !t.req.Access.Reach.Record(0, party.MadeBy) {
		return clinic.WaitlistEntry{}, clinic.ErrWaitlistNotFound
	}
	if err != nil {
		return clinic.WaitlistEntry{}, err
	}
	if party.Doctor != nil {
		if _, err := t.guardDoctor(ctx, *party.Doctor); err != nil {
			return clinic.WaitlistEntry{}, err
		}
	}
	if _, err := t.guardPatientOf(ctx, party.Patient); err != nil {
		return clinic.WaitlistEntry{}, err
	}
	var row waitlistRow
	if err := t.GetContext(ctx, &row, `SELECT `+waitlistColumns+` FROM waitlist WHERE id = ? FOR UPDATE`, id); err != nil {
		return clinic.WaitlistEntry{}, err
	}
	e, err := row.entry()
	if err == nil && e.Offer != nil && (party.Doctor == nil || *party.Doctor != e.Offer.Slot.DoctorID) {
		err = errStale // the guard taken is not the one it needs now
	}
	return e, err
}

func updateEntry(ctx context.Context, t *tx, e clinic.WaitlistEntry) error {
	var hold, doctor *int64
	var start, expires *time.Time
	if o := e.Offer; o != nil {
		hold, doctor, start, expires = &o.HoldID, &o.Slot.DoctorID, &o.Slot.Time.Start, &o.ExpiresAt
	}
	t.record(clinic.Touched(clinic.KindWaitlistEntry, e.ID, e))
	_, err := t.exec(ctx, `
		UPDATE waitlist
		SET status = ?, offer_id = ?, offered_doctor = ?, offered_start = ?, offer_expires_at = ?, missed_offers = ?,
		    appointment_id = ?, version = version + 1, updated_at = ?
		WHERE id = ?`, string(e.Status), hold, doctor, start, expires, e.MissedOffers, e.AppointmentID, t.now, e.ID)
	return err
}

// waitlistColumns are those of waitlistRow.
const waitlistColumns = `id, patient_id, doctor_ids, specialization, type_id, duration_minutes, from_time, to_time, note, status,
	offer_id, offered_doctor, offered_start, offer_expires_at, missed_offers, appointment_id, made_by_key, version, created_at, updated_at`

type waitlistRow struct {
	ID             int64      `db:"id"`
	PatientID      int64      `db:"patient_id"`
	DoctorIDs      []byte     `db:"doctor_ids"` // JSON
	Specialization *string    `db:"specialization"`
	TypeID         *int64     `db:"type_id"`
	Duration       minutes    `db:"duration_minutes"`
	From           time.Time  `db:"from_time"`
	To             time.Time  `db:"to_time"`
	Note           *string    `db:"note"`
	Status         string     `db:"status"`
	OfferID        *int64     `db:"offer_id"`
	OfferedDoctor  *int64     `db:"offered_doctor"`
	OfferedStart   *time.Time `db:"offered_start"`
	OfferExpiresAt *time.Time `db:"offer_expires_at"`
	MissedOffers   int        `db:"missed_offers"`
	AppointmentID  *int64     `db:"appointment_id"`
	MadeBy         *int64     `db:"made_by_key"`
	Version        int64      `db:"version"`
	CreatedAt      time.Time  `db:"created_at"`
	UpdatedAt      time.Time  `db:"updated_at"`
}

func (r *waitlistRow) entry() (clinic.WaitlistEntry, error) {
	e := clinic.WaitlistEntry{
		ID: r.ID, PatientID: r.PatientID, Specialization: r.Specialization, TypeID: r.TypeID, Duration: r.Duration.duration(),
		Window: clinic.Interval{Start: r.From, End: r.To}, Note: r.Note, Status: clinic.WaitlistStatus(r.Status),
		MissedOffers: r.MissedOffers, AppointmentID: r.AppointmentID, MadeBy: r.MadeBy, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.OfferID != nil && r.OfferedDoctor != nil && r.OfferedStart != nil && r.OfferExpiresAt != nil {
		e.Offer = &clinic.Offer{
			HoldID: *r.OfferID, ExpiresAt: *r.OfferExpiresAt,
			Slot: clinic.Slot{DoctorID: *r.OfferedDoctor, Time: clinic.Interval{Start: *r.OfferedStart, End: r.OfferedStart.Add(e.Duration)}},
		}
	}
	return e, json.Unmarshal(r.DoctorIDs, &e.DoctorIDs)
}
