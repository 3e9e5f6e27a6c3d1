package store

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

type changeRow struct {
	ID         int64     `db:"id"`
	Position   int64     `db:"position"`
	At         time.Time `db:"at"`
	Type       string    `db:"type"`
	Object     string    `db:"object"`
	ObjectID   int64     `db:"object_id"`
	DoctorID   *int64    `db:"doctor_id"`
	LeftDoctor *int64    `db:"left_doctor"`
	MadeBy     *int64    `db:"made_by_key"`
}

func (r *changeRow) change() clinic.RecordChange {
	return clinic.RecordChange{
		Position: r.Position, At: r.At, Type: r.Type, Object: clinic.ChangeObject(r.Object), ObjectID: r.ObjectID,
		Place: clinic.Place{DoctorID: r.DoctorID, LeftDoctor: r.LeftDoctor, MadeBy: r.MadeBy},
	}
}

// addRecords adds to changes the records as they are now, those within reach.
func (s *Store) addRecords(ctx context.Context, t *sqlx.Tx, reach clinic.Reach, changes []clinic.RecordChange) error {
	ids := map[clinic.ChangeObject][]int64{}
	for _, c := range changes {
		ids[c.Object] = append(ids[c.Object], c.ObjectID)
	}
	for object, wanted := range ids {
		records, err := s.recordsOf(ctx, t, reach, object, idsOf(wanted, func(id int64) int64 { return id }))
		if err != nil {
			return err
		}
		for i := range changes {
			if changes[i].Object == object {
				changes[i].Record = records[changes[i].ObjectID]
			}
		}
	}
	return nil
}

// recordsOf reads records of one kind by id. Primary keys.
func (s *Store) recordsOf(ctx context.Context, t *sqlx.Tx, reach clinic.Reach, object clinic.ChangeObject, ids []int64) (map[int64]any, error) {
	switch object {
	case clinic.ChangedAppointment:
		return byID(ctx, t, `SELECT `+appointmentColumns+` FROM appointments WHERE id IN (?)`, ids, func(r *appointmentRow) (int64, any, error) {
			a := r.appointment()
			return a.ID, within(reach.Record(a.DoctorID, a.MadeBy), a), nil
		})
	case clinic.ChangedSeries:
		return byID(ctx, t, `SELECT `+seriesColumns+` FROM appointment_series WHERE id IN (?)`, ids, func(r *seriesRow) (int64, any, error) {
			series, err := readSeries(ctx, t, r.ID)
			if errors.Is(err, clinic.ErrSeriesNotFound) {
				return r.ID, nil, nil // out of reach
			}
			return r.ID, series, err
		})
	case clinic.ChangedHold:
		return byID(ctx, t, `SELECT `+holdColumns+` FROM holds WHERE id IN (?)`, ids, func(r *holdRow) (int64, any, error) {
			h := r.hold()
			return h.ID, within(reach.Record(h.DoctorID, h.MadeBy) && h.ExpiresAt.After(s.now()), h), nil
		})
	case clinic.ChangedTicket:
		return byID(ctx, t, `SELECT `+ticketColumns+` FROM tickets WHERE id IN (?)`, ids, func(r *ticketRow) (int64, any, error) {
			k := r.ticket()
			err := positionOf(ctx, t, &k)
			return k.ID, within(reach.Calendar(k.DoctorID), k), err
		})
	case clinic.ChangedWaitlistEntry:
		return byID(ctx, t, `SELECT `+waitlistColumns+` FROM waitlist WHERE id IN (?)`, ids, func(r *waitlistRow) (int64, any, error) {
			e, err := r.entry()
			return e.ID, within(reach.Record(0, e.MadeBy), e), err
		})
	case clinic.ChangedPatient:
		return s.patientsByID(ctx, t, ids)
	case clinic.ChangedDoctor:
		return byID(ctx, t, `SELECT `+doctorColumns+` FROM doctors WHERE id IN (?)`, ids, func(r *doctorRow) (int64, any, error) {
			return r.ID, r.doctor(), nil
		})
	case clinic.ChangedRoom:
		return byID(ctx, t, `SELECT `+roomColumns+` FROM rooms WHERE id IN (?)`, ids, func(r *roomRow) (int64, any, error) {
			return r.ID, clinic.Room(*r), nil
		})
	case clinic.ChangedType:
		return byID(ctx, t, `SELECT `+typeColumns+` FROM appointment_types WHERE id IN (?)`, ids, func(r *typeRow) (int64, any, error) {
			k, err := r.appointmentType()
			return r.ID, k, err
		})
	case clinic.ChangedHours:
		return hoursByID(ctx, t, ids)
	case clinic.ChangedTimeOff:
		return byID(ctx, t, `SELECT `+timeOffColumns+` FROM time_off WHERE id IN (?)`, ids, func(r *timeOffRow) (int64, any, error) {
			return r.ID, r.timeOff(), nil
		})
	case clinic.ChangedClosure:
		return byID(ctx, t, `SELECT `+closureColumns+` FROM closures WHERE id IN (?)`, ids, func(r *closureRow) (int64, any, error) {
			return r.ID, r.closure(), nil
		})
	}
	return map[int64]any{}, nil // a kind of a later version, which nobody is told of yet
}

// within is a record that is within reach, nil for one that is not.
func within(reached bool, record any) any {
	if !reached {
		return nil
	}
	return record
}

// byID runs a query for ids and makes a record of each row.
func byID[R any](ctx context.Context, t *sqlx.Tx, query string, ids []int64, record func(*R) (int64, any, error)) (map[int64]any, error) {
	query, args, err := sqlx.In(query, ids)
	if err != nil {
		return nil, err
	}
	var rows []R
	if err := t.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	records := make(map[int64]any, len(rows))
	for i := range rows {
		id, r, err := record(&rows[i])
		if err != nil {
			return nil, err
		}
		records[id] = r
	}
	return records, nil
}

func (s *Store) patientsByID(ctx context.Context, t *sqlx.Tx, ids []int64) (map[int64]any, error) {
	var people []clinic.Patient
	_, err := byID(ctx, t, `SELECT `+patientColumns+` FROM patients WHERE id IN (?)`, ids, func(r *patientRow) (int64, any, error) {
		people = append(people, r.patient())
		return r.ID, nil, nil
	})
	if err != nil || len(people) == 0 {
		return nil, err
	}
	if err := s.withIdentifiers(ctx, t, people); err != nil {
		return nil, err
	}
	records := make(map[int64]any, len(people))
	for _, p := range people {
		records[p.ID] = p
	}
	return records, nil
}

func hoursByID(ctx context.Context, t *sqlx.Tx, ids []int64) (map[int64]any, error) {
	records := make(map[int64]any, len(ids))
	for _, id := range ids { // doctors' hours seldom change
		h, err := workingHours(ctx, t, id)
		if errors.Is(err, clinic.ErrDoctorNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		records[id] = h
	}
	return records, nil
}

// patientsOf are the patients that a record tells of.
func patientsOf(record any) []int64 {
	switch r := record.(type) {
	case clinic.Appointment:
		return []int64{r.PatientID}
	case clinic.Series:
		return []int64{r.PatientID}
	case clinic.Ticket:
		return []int64{r.PatientID}
	case clinic.WaitlistEntry:
		return []int64{r.PatientID}
	case clinic.Patient:
		return []int64{r.ID}
	case clinic.Hold:
		if r.PatientID != nil {
			return []int64{*r.PatientID}
		}
	}
	return nil
}
