package store

import (
	"context"
	"slices"

	"mems/internal/clinic"
)

// mergeTickets merges the open tickets of a merged patient into the earliest one per doctor.
// The caller holds the guards of the doctors and of the patient.
func mergeTickets(ctx context.Context, t *tx, patientID int64, guarded []int64) error {
	var rows []ticketRow
	// Index tickets_patient.
	err := t.SelectContext(ctx, &rows, `
		SELECT `+ticketColumns+`
		FROM tickets
		WHERE patient_id = ? AND `+openTickets+`
		ORDER BY day, number, id
		FOR UPDATE`, patientID)
	if err != nil {
		return err
	}
	first := map[int64]*clinic.Ticket{} // by doctor
	for i := range rows {
		k := rows[i].ticket()
		if !slices.Contains(guarded, k.DoctorID) {
			return errStale // added while the guards were taken
		}
		earlier, twice := first[k.DoctorID]
		if !twice {
			first[k.DoctorID] = &k
			continue
		}
		before, was := *earlier, k
		earlier.Absorb(t.now, &k)
		if err := updateTicket(ctx, t, before, *earlier); err != nil {
			return err
		}
		if err := updateTicket(ctx, t, was, k); err != nil {
			return err
		}
	}
	return nil
}

// mergeWaitlist merges the open entries of a merged patient that ask for the same into the
// earliest one. The caller holds the guards of the offered doctors and of the patient.
func (s *Store) mergeWaitlist(ctx context.Context, t *tx, patientID int64, guarded []int64) error {
	var rows []waitlistRow
	// Index waitlist_patient.
	err := t.SelectContext(ctx, &rows, `
		SELECT `+waitlistColumns+`
		FROM waitlist
		WHERE patient_id = ? AND status IN ('waiting', 'offered')
		ORDER BY id
		FOR UPDATE`, patientID)
	if err != nil {
		return err
	}
	var kept []clinic.WaitlistEntry
	for i := range rows {
		e, err := rows[i].entry()
		if err != nil {
			return err
		}
		if e.Offer != nil && !slices.Contains(guarded, e.Offer.Slot.DoctorID) {
			return errStale // offered while the guards were taken
		}
		same := slices.IndexFunc(kept, func(k clinic.WaitlistEntry) bool { return k.SameWish(e) })
		if same < 0 {
			kept = append(kept, e)
			continue
		}
		if err := s.absorbEntry(ctx, t, &kept[same], e); err != nil {
			return err
		}
	}
	return nil
}

// absorbEntry closes an entry that asks for the same as an earlier one of the patient. If
// both have an offer, the later entry's time is offered to the next entry.
func (s *Store) absorbEntry(ctx context.Context, t *tx, earlier *clinic.WaitlistEntry, later clinic.WaitlistEntry) error {
	earlier.Absorb(&later)
	if later.Offer != nil {
		if err := s.passOn(ctx, t, later.ID, nil, (*clinic.WaitlistEntry).Withdraw); err != nil {
			return err
		}
	} else if err := updateEntry(ctx, t, later); err != nil {
		return err
	}
	if err := updateEntry(ctx, t, *earlier); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE waitlist SET from_time = ?, to_time = ?, note = ? WHERE id = ?`,
		earlier.Window.Start, earlier.Window.End, earlier.Note, earlier.ID)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO waitlist_missed (waitlist_id, doctor_id, start_time)
		SELECT ?, m.doctor_id, m.start_time
		FROM waitlist_missed AS m
		WHERE m.waitlist_id = ? AND NOT EXISTS (
		  SELECT 1 FROM waitlist_missed AS o WHERE o.waitlist_id = ? AND o.doctor_id = m.doctor_id AND o.start_time = m.start_time)`,
		earlier.ID, later.ID, earlier.ID)
	return err
}
