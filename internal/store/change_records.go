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

func (r *changeRow) change() clinic.FeedChange {
	return clinic.FeedChange{
		Position: r.Position, At: r.At, Type: r.Type, Object: clinic.KindNamed(r.Object), ObjectID: r.ObjectID,
		Audience: clinic.Audience{DoctorID: r.DoctorID, LeftDoctor: r.LeftDoctor, MadeBy: r.MadeBy},
	}
}

// recordReader returns the present records of one kind by id, restricted to the reader's
// reach. Primary keys.
type recordReader func(ctx context.Context, in readIn, ids []int64) (map[int64]any, error)

// readIn is the context of a recordReader.
type readIn struct {
	*snapshot

	reach clinic.Reach
	now   time.Time
}

// addRecords adds the present records within reach to changes. Kinds of a later version get
// none.
func (s *Store) addRecords(ctx context.Context, t *snapshot, reach clinic.Reach, changes []clinic.FeedChange) error {
	ids := map[clinic.Kind][]int64{}
	for _, c := range changes {
		ids[c.Object] = append(ids[c.Object], c.ObjectID)
	}
	for kind, wanted := range ids {
		read := kinds[kind].read
		if read == nil {
			continue
		}
		records, err := read(ctx, readIn{t, reach, s.now()}, idsOf(wanted, func(id int64) int64 { return id }))
		if err != nil {
			return err
		}
		for i := range changes {
			if changes[i].Object == kind {
				changes[i].Record = records[changes[i].ObjectID]
			}
		}
	}
	return nil
}

func readAppointmentRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+appointmentColumns+` FROM appointments WHERE id IN (?)`, ids, func(r *appointmentRow) (int64, any, error) {
		a := r.appointment()
		return a.ID, within(in.reach.Record(a.DoctorID, a.MadeBy), a), nil
	})
}

func readSeriesRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+seriesColumns+` FROM appointment_series WHERE id IN (?)`, ids, func(r *seriesRow) (int64, any, error) {
		series, err := in.readSeries(ctx, r.ID)
		if errors.Is(err, clinic.ErrSeriesNotFound) {
			return r.ID, nil, nil // out of reach
		}
		return r.ID, series, err
	})
}

func readHoldRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+holdColumns+` FROM holds WHERE id IN (?)`, ids, func(r *holdRow) (int64, any, error) {
		h := r.hold()
		return h.ID, within(in.reach.Record(h.DoctorID, h.MadeBy) && h.ExpiresAt.After(in.now), h), nil
	})
}

func readTicketRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+ticketColumns+` FROM tickets WHERE id IN (?)`, ids, func(r *ticketRow) (int64, any, error) {
		ticket := r.ticket()
		err := positionOf(ctx, in, &ticket)
		return ticket.ID, within(in.reach.Calendar(ticket.DoctorID), ticket), err
	})
}

func readWaitlistRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+waitlistColumns+` FROM waitlist WHERE id IN (?)`, ids, func(r *waitlistRow) (int64, any, error) {
		e, err := r.entry()
		return e.ID, within(in.reach.Record(0, e.MadeBy), e), err
	})
}

func readDoctorRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+doctorColumns+` FROM doctors WHERE id IN (?)`, ids, func(r *doctorRow) (int64, any, error) {
		return r.ID, r.doctor(), nil
	})
}

func readRoomRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+roomColumns+` FROM rooms WHERE id IN (?)`, ids, func(r *roomRow) (int64, any, error) {
		return r.ID, clinic.Room(*r), nil
	})
}

func readTypeRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+typeColumns+` FROM appointment_types WHERE id IN (?)`, ids, func(r *typeRow) (int64, any, error) {
		apptType, err := r.appointmentType()
		return r.ID, apptType, err
	})
}

func readTimeOffRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+timeOffColumns+` FROM time_off WHERE id IN (?)`, ids, func(r *timeOffRow) (int64, any, error) {
		return r.ID, r.timeOff(), nil
	})
}

func readClosureRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	return byID(ctx, in, `SELECT `+closureColumns+` FROM closures WHERE id IN (?)`, ids, func(r *closureRow) (int64, any, error) {
		return r.ID, r.closure(), nil
	})
}

// within returns a record if it is within reach, nil otherwise.
func within(reached bool, record any) any {
	if !reached {
		return nil
	}
	return record
}

// byID runs a query for ids and converts each row to a record.
func byID[R any](ctx context.Context, in readIn, query string, ids []int64, record func(*R) (int64, any, error)) (map[int64]any, error) {
	query, args, err := sqlx.In(query, ids)
	if err != nil {
		return nil, err
	}
	var rows []R
	if err := in.SelectContext(ctx, &rows, query, args...); err != nil {
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

func readPatientRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	var people []clinic.Patient
	_, err := byID(ctx, in, `SELECT `+patientColumns+` FROM patients WHERE id IN (?)`, ids, func(r *patientRow) (int64, any, error) {
		people = append(people, r.patient())
		return r.ID, nil, nil
	})
	if err != nil || len(people) == 0 {
		return nil, err
	}
	if err := withIdentifiers(ctx, in, people); err != nil {
		return nil, err
	}
	records := make(map[int64]any, len(people))
	for _, p := range people {
		records[p.ID] = p
	}
	return records, nil
}

func readHoursRecords(ctx context.Context, in readIn, ids []int64) (map[int64]any, error) {
	records := make(map[int64]any, len(ids))
	for _, id := range ids { // doctors' hours rarely change
		h, err := workingHours(ctx, in, id)
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
