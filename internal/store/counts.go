package store

import (
	"context"
	"strings"

	"mems/internal/clinic"
)

// CountPatients returns how many patients ListPatients would list.
func (s *Store) CountPatients(ctx context.Context, req Request, q PatientQuery) (int64, error) {
	q.reach = req.Access.Reach
	search := patientSearch{PatientQuery: q, conditions: patientConditions(q), bounds: s.patientSearch}
	if _, err := s.chooseDriver(ctx, &search); err != nil {
		return 0, translate(ctx, "count patients", err)
	}
	statement, args := search.countSQL()
	return s.count(ctx, req, clinic.KindPatient, statement, args)
}

// MaxCountedAppointments bounds CountAppointments.
const MaxCountedAppointments = 100_000

// pagesCounted bounds the rows that a count examines, in pages.
const pagesCounted = 20

// CountAppointments returns how many appointments ListAppointments would list. If there are
// more than MaxCountedAppointments, or too many rows to examine, it returns
// MaxCountedAppointments+1. Index as there.
func (s *Store) CountAppointments(ctx context.Context, req Request, q AppointmentQuery) (int64, error) {
	q.reach = req.Access.Reach
	if err := s.boundScan(ctx, &q, pagesCounted*s.maxScanned); err != nil {
		return 0, translate(ctx, "count appointments", err)
	}
	if q.through.ID != 0 {
		return MaxCountedAppointments + 1, nil
	}
	where, args := appointmentConditions(q)
	return s.count(ctx, req, clinic.KindAppointment, `SELECT COUNT(*) FROM (SELECT id FROM appointments WHERE `+where+` LIMIT ?) AS listed`,
		append(args, MaxCountedAppointments+1))
}

// count runs a counting statement and records the read, because a count reveals whether a
// person is a patient.
func (s *Store) count(ctx context.Context, req Request, kind clinic.Kind, statement string, args []any) (n int64, err error) {
	if err := s.db.GetContext(ctx, &n, statement, args...); err != nil {
		return 0, translate(ctx, "count "+kind.String(), err)
	}
	return n, s.recordRead(ctx, req, kind, 0)
}

// inIDs returns the condition that id is in a list, which is not empty.
func inIDs(ids []int64) (condition string, values []any) {
	for _, id := range ids {
		values = append(values, id)
	}
	return `id IN (?` + strings.Repeat(`, ?`, len(ids)-1) + `)`, values
}
