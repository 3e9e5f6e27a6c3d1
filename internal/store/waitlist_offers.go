package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// AcceptOffer books the offered time by the rules of a booking; meant is the offer's id,
// 0 for any. Errors:
// clinic.ErrWaitlistNotFound, clinic.ErrPreconditionFailed, clinic.ErrNoOffer, and
// those of BookAppointment.
func (s *Store) AcceptOffer(ctx context.Context, req Request, id, meant int64, match Versions) (clinic.Appointment, error) {
	var a clinic.Appointment
	err := s.runUseCase(ctx, req, useCase{
		act: "accept offer",
		body: func(t *tx) error {
			e, err := lockEntry(ctx, t, id)
			if err != nil {
				return err
			}
			b, err := s.bookingOfOffer(ctx, &t.queries, e, meant, match)
			if err != nil {
				return err
			}
			broken, err := s.decide(ctx, t, guardedParties, &b, 0)
			if err != nil {
				return err
			}
			if err := useHold(ctx, t, b); err != nil {
				return err
			}
			if a, err = placeBooking(ctx, t, b, broken); err != nil {
				return err
			}
			if err := e.AcceptOffer(t.now, a.ID); err != nil {
				return err
			}
			return updateEntry(ctx, t, e)
		},
		explain: func(q *snapshot) error {
			e, err := q.readEntry(ctx, id)
			if err != nil {
				return err
			}
			b, err := s.bookingOfOffer(ctx, &q.queries, e, meant, match)
			if err != nil {
				return err
			}
			return s.explainBooking(ctx, q, guardedParties, b, 0)
		},
	}, &a)
	return a, err
}

// bookingOfOffer returns the booking that accepts an entry's offer. Errors:
// clinic.ErrPreconditionFailed, clinic.ErrNoOffer, those of checkStart.
func (s *Store) bookingOfOffer(
	ctx context.Context, q *queries, e clinic.WaitlistEntry, meant int64, match Versions,
) (clinic.Booking, error) {
	if err := cmp.Or(match.check(e.Version), e.CheckOffer(meant)); err != nil {
		return clinic.Booking{}, err
	}
	offer, err := e.LiveOffer(q.now)
	if err != nil {
		return clinic.Booking{}, err
	}
	var row holdRow
	if err := q.GetContext(ctx, &row, `SELECT `+holdColumns+` FROM holds WHERE id = ?`, offer.HoldID); err != nil {
		return clinic.Booking{}, notFound(err, clinic.ErrNoOffer)
	}
	h := row.hold()
	b := clinic.Booking{
		PatientID: e.PatientID, DoctorID: h.DoctorID, TypeID: h.TypeID, RoomID: h.RoomID,
		Start: h.Time.Start, Duration: h.Time.End.Sub(h.Time.Start), Hold: h.Token,
	}
	return b, s.checkStart(q.req, q.now, b)
}

// DeclineOffer declines an offer: the time is offered to the next entry, and this one waits
// again. meant is the offer's id, 0 for any. Errors: clinic.ErrWaitlistNotFound,
// clinic.ErrPreconditionFailed, clinic.ErrNoOffer.
func (s *Store) DeclineOffer(ctx context.Context, req Request, id, meant int64, match Versions) (clinic.WaitlistEntry, error) {
	var entry clinic.WaitlistEntry
	err := s.inTx(ctx, req, "decline offer", func(t *tx) error {
		err := s.passOn(ctx, t, id, match, func(e *clinic.WaitlistEntry) error {
			if err := e.CheckOffer(meant); err != nil {
				return err
			}
			return e.DeclineOffer(t.now)
		})
		if err != nil {
			return err
		}
		entry, err = t.readEntry(ctx, id)
		return err
	}, &entry)
	return entry, err
}

// ExpireOffers ends expired offers and offers their times to the next matching entries, offers
// other freed times, closes the entries whose window has passed, and returns the number of
// expired offers. Processes may call it concurrently: each offer expires once, under its
// doctor's guard.
func (s *Store) ExpireOffers(ctx context.Context, req Request) (int, error) {
	now := clinic.Instant(s.now())
	var ids []int64
	// Index waitlist_offers (status, offer_expires_at).
	err := s.db.SelectContext(ctx, &ids, `
		SELECT id
		FROM waitlist
		WHERE status = 'offered' AND offer_expires_at <= ?
		ORDER BY offer_expires_at, id
		LIMIT 100`, now)
	if err != nil {
		return 0, translate(ctx, "expire offers", err)
	}
	passed := 0
	for _, id := range ids {
		err := s.inTx(ctx, req, "expire offers", func(t *tx) error {
			return s.passOn(ctx, t, id, nil, func(e *clinic.WaitlistEntry) error { return e.ExpireOffer(t.now) })
		})
		// No offer, or no entry: another process was faster.
		if err != nil && !errors.Is(err, clinic.ErrNoOffer) && !errors.Is(err, clinic.ErrWaitlistNotFound) {
			return passed, err
		}
		if err == nil {
			passed++
		}
	}
	var over bool
	err = s.db.GetContext(ctx, &over, `SELECT COUNT(*) > 0 FROM waitlist WHERE status = 'waiting' AND to_time <= ?`, now)
	if err != nil || !over {
		return passed, firstError(translate(ctx, "expire offers", err), s.offerFreedTimes(ctx, req))
	}
	err = s.inTx(ctx, req, "expire offers", func(t *tx) error {
		var rows []waitlistRow
		err := t.SelectContext(ctx, &rows, `SELECT `+waitlistColumns+` FROM waitlist WHERE status = 'waiting' AND to_time <= ? ORDER BY id LIMIT 1000 FOR UPDATE`, t.now)
		if err != nil || len(rows) == 0 {
			return err // another process was faster
		}
		ids := make([]int64, len(rows))
		for i := range rows {
			e, err := rows[i].entry()
			if err == nil {
				err = e.Expire(t.now)
			}
			if err != nil {
				return err
			}
			ids[i] = e.ID
		}
		err = t.announceRows(ctx, clinic.KindWaitlistEntry, clinic.VerbUpdated, `SELECT id, NULL AS doctor_id, made_by_key FROM waitlist WHERE id IN (?)`, ids)
		if err != nil {
			return err
		}
		t.recordMany(clinic.AuditChanged, clinic.KindWaitlistEntry, nil)
		query, args, err := sqlx.In(`UPDATE waitlist SET status = ?, version = version + 1, updated_at = ? WHERE id IN (?)`, clinic.WaitlistExpired, t.now, ids)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, query, args...)
		return err
	})
	return passed, firstError(err, s.offerFreedTimes(ctx, req))
}

// passOn applies a transition to an entry. If that ends an offer, it deletes the hold and
// offers the time to the next entry.
//
// Lock order: the offered doctor's guard, the patient's, the entry.
func (s *Store) passOn(ctx context.Context, t *tx, id int64, match Versions, transition func(*clinic.WaitlistEntry) error) error {
	e, err := lockEntry(ctx, t, id)
	if err != nil {
		return err
	}
	if err := match.check(e.Version); err != nil {
		return err
	}
	offer := e.Offer
	if err := transition(&e); err != nil {
		return err
	}
	if err := updateEntry(ctx, t, e); err != nil || offer == nil {
		return err
	}
	if _, err := t.exec(ctx, `INSERT INTO waitlist_missed (waitlist_id, doctor_id, start_time) VALUES (?, ?, ?)`,
		e.ID, offer.Slot.DoctorID, offer.Slot.Time.Start); err != nil {
		return err
	}
	var row holdRow
	err = t.GetContext(ctx, &row, `SELECT `+holdColumns+` FROM holds WHERE id = ?`, offer.HoldID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // there was no offer
	}
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `DELETE FROM holds WHERE id = ?`, offer.HoldID); err != nil {
		return err
	}
	h := row.hold()
	t.announce(clinic.Deleted(clinic.KindHold, h.ID, h))
	t.freeHold(h, true)
	if e.Status.Waits() {
		t.freeForEntry(e.ID) // for times freed meanwhile
	}
	return nil
}

// offer offers a booking to its entry, as a hold for the patient, if the rules of a booking
// allow it. The caller holds the doctor's guard; offer takes the patient's and the room's. A
// hold does not occupy the patient: accepting decides again.
func (s *Store) offer(ctx context.Context, t *tx, e *clinic.WaitlistEntry, b clinic.Booking) (bool, error) {
	if exists, err := t.guardPatient(ctx, e.PatientID); err != nil || !exists {
		if _, refused := errors.AsType[*clinic.Error](err); refused {
			return false, nil // merged; the entry is the surviving record's by now
		}
		return false, err
	}
	return s.offerDecided(ctx, t, e, b)
}

// offerDecided makes an offer if the rules of a booking allow it.
func (s *Store) offerDecided(ctx context.Context, t *tx, e *clinic.WaitlistEntry, b clinic.Booking) (bool, error) {
	_, err := s.decide(ctx, t, guardedParties, &b, 0)
	if _, refused := errors.AsType[*clinic.Error](err); refused {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.placeOffer(ctx, t, e, b)
}

// placeOffer inserts a decided offer unless the entry no longer wants it: it may meanwhile have
// another offer, or have declined this time. It updates e to the stored entry.
func (s *Store) placeOffer(ctx context.Context, t *tx, e *clinic.WaitlistEntry, b clinic.Booking) (bool, error) {
	var row waitlistRow
	if err := t.GetContext(ctx, &row, `SELECT `+waitlistColumns+` FROM waitlist WHERE id = ? FOR UPDATE`, e.ID); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return false, err
	}
	locked, err := row.entry()
	if err != nil {
		return false, err
	}
	// A merge gives the entry to the surviving patient, whose guard is another one.
	if !locked.Status.Waits() || locked.PatientID != e.PatientID {
		return false, nil
	}
	var missed bool
	err = t.GetContext(ctx, &missed, `SELECT EXISTS (SELECT 1 FROM waitlist_missed WHERE waitlist_id = ? AND doctor_id = ? AND start_time = ?)`,
		e.ID, b.DoctorID, b.Start)
	if err != nil || missed {
		return false, err
	}
	*e = locked
	h := clinic.Hold{
		Token: rand.Text(), DoctorID: b.DoctorID, PatientID: &e.PatientID, TypeID: b.TypeID, RoomID: b.RoomID,
		Time: b.Time(), Buffers: b.Buffers, ExpiresAt: t.now.Add(clinic.OfferLasts), CreatedAt: t.now,
	}
	if h.ID, err = insertHold(ctx, t, h); err != nil {
		return false, err
	}
	t.announce(clinic.Created(clinic.KindHold, h.ID, h))
	err = e.MakeOffer(clinic.Offer{HoldID: h.ID, Slot: clinic.Slot{DoctorID: b.DoctorID, Time: b.Time()}, ExpiresAt: h.ExpiresAt})
	if err != nil {
		return false, err
	}
	e.Version++
	e.UpdatedAt = t.now
	return true, updateEntry(ctx, t, *e)
}

// offerInTheWay is a waitlist entry whose offer conflicts with a booking, and the hold of the
// offered time.
type offerInTheWay struct {
	entry clinic.WaitlistEntry
	hold  clinic.Hold
}

// offersInTheWay returns the open offers that conflict with a booking that returns to a former
// time; none unless may allows it. Later decisions on q ignore them.
func (q *queries) offersInTheWay(ctx context.Context, b clinic.Booking, may func() (bool, error)) ([]offerInTheWay, error) {
	busy := b.Busy()
	from, to := reach(busy)
	var ids []int64
	// Index waitlist_offers (status, offer_expires_at): there are never many.
	err := q.SelectContext(ctx, &ids, `
		SELECT w.id
		FROM waitlist AS w
		JOIN holds AS h ON h.id = w.offer_id
		WHERE w.status = 'offered' AND (h.doctor_id = ? OR h.room_id = ?) AND h.start_time > ? AND h.start_time < ?
		ORDER BY w.id`, b.DoctorID, b.RoomID, from, to)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if allowed, err := may(); err != nil || !allowed {
		return nil, err
	}
	lock := ``
	if q.locking {
		lock = ` FOR UPDATE`
	}
	var found []offerInTheWay
	for _, id := range ids {
		var row waitlistRow
		if err := q.GetContext(ctx, &row, `SELECT `+waitlistColumns+` FROM waitlist WHERE id = ?`+lock, id); err != nil {
			return nil, err
		}
		e, err := row.entry()
		if err != nil {
			return nil, err
		}
		if e.Offer == nil {
			continue
		}
		var held holdRow
		err = q.GetContext(ctx, &held, `SELECT `+holdColumns+` FROM holds WHERE id = ?`, e.Offer.HoldID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !held.hold().Busy().Overlaps(busy) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, offerInTheWay{e, held.hold()})
		q.withdrawn = append(q.withdrawn, held.hold().Busy())
	}
	return found, nil
}

// withdrawOffers withdraws the offers that conflict with a booking: their entries wait again,
// and the time does not count as missed. The caller holds the doctor's guard, so no offer is
// accepted meanwhile.
func withdrawOffers(ctx context.Context, t *tx, b clinic.Booking, may func() (bool, error)) error {
	found, err := t.offersInTheWay(ctx, b, may)
	if err != nil {
		return err
	}
	for _, f := range found {
		f.entry.RetractOffer()
		if err := updateEntry(ctx, t, f.entry); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM holds WHERE id = ?`, f.hold.ID); err != nil {
			return err
		}
		t.announce(clinic.Deleted(clinic.KindHold, f.hold.ID, f.hold))
		t.freeHold(f.hold, f.hold.DoctorID == b.DoctorID)
		t.freeForEntry(f.entry.ID)
	}
	return nil
}

// stillHeld removes the withdrawn times.
func (q *queries) stillHeld(held []clinic.Interval) []clinic.Interval {
	return slices.DeleteFunc(held, func(i clinic.Interval) bool { return slices.Contains(q.withdrawn, i) })
}
