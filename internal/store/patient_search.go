package store

import (
	"context"

	"mems/internal/clinic"
)

// PatientQuery chooses a page of patients; empty texts do not narrow it.
type PatientQuery struct {
	Name   string // beginnings of words of the name
	Search string // what was typed into one box: clinic.ParsePatientSearch
	Email  string // the whole address
	Phone  string // the last digits, or the whole number
	// Identifier: with its system; both or neither.
	IdentifierSystem, Identifier string
	LastName, FirstName          string // beginnings of words of either
	BirthDate                    *clinic.Date
	IDs                          []int64      // empty: any; merged records too
	BirthFrom, BirthBefore       *clinic.Date // nil: no bound
	ID                           int64        // 0: any; of a merged record, its survivor
	After                        int64        // id of the last item of the page before; 0: first page
	Limit                        int

	reach clinic.Reach
	typed clinic.PatientSearch
}

// ListPatients reads a page of patients by last name, first name and id.
//
// A place in the list is kept as an id, not as a name, because cursors end up
// in logs. Errors: clinic.CodeValidationFailed (code "expired") when that
// patient has been deleted since.
func (s *Store) ListPatients(ctx context.Context, req Request, q PatientQuery) (Page[clinic.Patient], error) {
	var after patientRow
	if q.After != 0 {
		err := s.db.GetContext(ctx, &after, `SELECT id, last_name, first_name FROM patients WHERE id = ?`, q.After)
		if err := cursorError(ctx, err); err != nil {
			return Page[clinic.Patient]{}, err
		}
	}
	q.reach = req.Access.Reach
	if q.Search != "" {
		if q.typed = clinic.ParsePatientSearch(q.Search, s.today()); q.typed.Empty() {
			return Page[clinic.Patient]{}, nil
		}
	}
	rows, err := s.findPatients(ctx, q, after)
	if err != nil {
		return Page[clinic.Patient]{}, translate(ctx, "list patients", err)
	}
	items := make([]clinic.Patient, len(rows))
	for i, row := range rows {
		items[i] = row.patient()
	}
	if err := withIdentifiers(ctx, s.db, items); err != nil {
		return Page[clinic.Patient]{}, translate(ctx, "list patients", err)
	}
	p := page(items, q.Limit)
	return p, s.recordRead(ctx, req, clinic.KindPatient, 0, idsOf(p.Items, func(p clinic.Patient) int64 { return p.ID })...)
}

// searchBounds are how many patients a search reads at once.
type searchBounds struct {
	narrow int // read and sorted to show a page of them
	walk   int // of the list, for a page of more than that
}

// defaultSearchBounds: what a patient in a hundred matches fills a page of 20 in half
// of the walk.
var defaultSearchBounds = searchBounds{narrow: 2000, walk: 4000}

// findPatients reads a page and the row after it.
//
// A condition that few patients meet is read by its index and sorted. When many meet
// every one, as they do a single letter, the next part of the list is tried in its
// order; only if that does not fill the page, because those who match stand together
// further on, is it put together from these and the others.
func (s *Store) findPatients(ctx context.Context, q PatientQuery, after patientRow) (rows []patientRow, err error) {
	search := patientSearch{PatientQuery: q, after: after, conditions: patientConditions(q), bounds: s.patientSearch}
	broad, err := s.chooseDriver(ctx, &search)
	if err != nil {
		return nil, err
	}
	if broad {
		statement, args := search.walkSQL()
		if err := s.db.SelectContext(ctx, &rows, statement, args...); err != nil || len(rows) > q.Limit {
			return rows, err
		}
		var left int
		statement, args = search.leftSQL()
		if err := s.db.GetContext(ctx, &left, statement, args...); err != nil || left < search.bounds.walk {
			return rows, err
		}
		rows = nil
	}
	statement, args := search.listSQL()
	switch words := search.words(); {
	case broad && len(words) > 1:
		statement, args = search.meetSQL(words)
	case broad && len(words) == 1 && words[0] == search.driver:
		statement, args = search.splitSQL()
	}
	err = s.db.SelectContext(ctx, &rows, statement, args...)
	return rows, err
}

// chooseDriver chooses the condition that the fewest patients meet, and reports
// whether these are many.
func (s *Store) chooseDriver(ctx context.Context, search *patientSearch) (broad bool, err error) {
	search.driver = -1
	if len(search.conditions) == 0 || len(search.IDs) > 0 {
		return false, nil
	}
	for i, c := range search.conditions {
		if c.narrow {
			search.driver = i
			return false, nil
		}
	}
	statement, args := search.sizesSQL()
	var sizes []int
	if err := s.db.SelectContext(ctx, &sizes, statement, args...); err != nil {
		return false, err
	}
	search.driver = 0
	for i, n := range sizes {
		if n < sizes[search.driver] {
			search.driver = i
		}
	}
	return sizes[search.driver] > search.bounds.narrow, nil
}
