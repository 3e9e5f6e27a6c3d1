package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"mems/internal/clinic"
)

// PatientQuery chooses a page of patients; empty texts do not narrow it.
type PatientQuery struct {
	Name   string // beginning of the first or last name, or of both in either order
	Search string // what was typed into one box: clinic.ParsePatientSearch
	Email  string // the whole address
	Phone  string // the last digits
	// Identifier: with its system; both or neither.
	IdentifierSystem, Identifier string
	ID                           int64  // 0: any
	LastName, FirstName          string // beginnings
	BirthDate                    *clinic.Date
	IDs                          []int64      // empty: any
	BirthFrom, BirthBefore       *clinic.Date // nil: no bound
	After                        int64        // id of the last item of the page before; 0: first page
	Limit                        int

	reach clinic.Reach
}

// ListPatients reads a page of patients by last name, first name and id.
//
// A place in the list is kept as an id, not as a name, because cursors end up
// in logs. Errors: clinic.CodeValidationFailed (code "expired") when that
// patient has been deleted since.
func (s *Store) ListPatients(ctx context.Context, q PatientQuery) (Page[clinic.Patient], error) {
	var after patientRow
	if q.After != 0 {
		err := s.db.GetContext(ctx, &after, `SELECT id, last_name, first_name FROM patients WHERE id = ?`, q.After)
		if err := cursorError(ctx, err); err != nil {
			return Page[clinic.Patient]{}, err
		}
	}
	q.reach = clinic.AccessOf(ctx).Reach
	if q.Search != "" {
		typed := clinic.ParsePatientSearch(q.Search, s.today())
		if typed.Empty() {
			return Page[clinic.Patient]{}, nil
		}
		q.Name, q.Email = q.Name+strings.ReplaceAll(typed.Name, ",", " "), q.Email+typed.Email
		for _, d := range typed.BirthDates {
			q.BirthDate = &d
		}
		for _, n := range typed.Numbers {
			q.Phone = n.Text
		}
	}
	statement, args := patientListSQL(q, after)
	var rows []patientRow
	if err := s.db.SelectContext(ctx, &rows, statement, args...); err != nil {
		return Page[clinic.Patient]{}, translate(ctx, err)
	}
	items := make([]clinic.Patient, len(rows))
	for i, row := range rows {
		items[i] = row.patient()
	}
	if err := s.withIdentifiers(ctx, s.db, items); err != nil {
		return Page[clinic.Patient]{}, translate(ctx, err)
	}
	p := page(items, q.Limit)
	return p, s.recordRead(ctx, "patient", 0, idsOf(p.Items, func(p clinic.Patient) int64 { return p.ID })...)
}

// patientListSQL is the statement and arguments of ListPatients: for each way
// in which the name may match, the ids of the first matches by that way's own
// index (patients_last_name, patients_first_name), united; then their records.
// An OR over two columns would have to read the whole table in order.
// E-mail: patients_email_key. Phone: patients_phone_key.
//
// Safety: the text is put together from the constants below only; every value
// is an argument.
func patientListSQL(q PatientQuery, after patientRow) (string, []any) {
	var common []string
	var commonArgs []any
	and := func(condition string, values ...any) {
		common = append(common, condition)
		commonArgs = append(commonArgs, values...)
	}
	and(`merged_into IS NULL`)
	if condition, values := patientReach(q.reach, "patients.id", "made_by_key"); condition != "" {
		and(condition, values...)
	}
	if q.Email != "" {
		and(`email_key = ?`, clinic.EmailKey(q.Email))
	}
	if q.Phone != "" {
		if key := clinic.PhoneKey(q.Phone); key != "" {
			and(`phone_key LIKE ?`, key+"%")
		} else {
			and(`FALSE`) // nothing but zeros: no number ends so
		}
	}
	if q.Identifier != "" {
		and(`id IN (SELECT patient_id FROM patient_identifiers WHERE id_system = ? AND id_value = ?)`,
			clinic.Text(q.IdentifierSystem), clinic.Text(q.Identifier))
	}
	if q.ID != 0 {
		and(`id = ?`, q.ID)
	}
	if q.LastName != "" {
		and(`last_name LIKE ?`, prefix(clinic.Text(q.LastName)))
	}
	if q.FirstName != "" {
		and(`first_name LIKE ?`, prefix(clinic.Text(q.FirstName)))
	}
	if q.BirthDate != nil {
		and(`birth_date = ?`, q.BirthDate.String())
	}
	if len(q.IDs) > 0 {
		condition, values := inIDs(q.IDs)
		and(condition, values...)
	}
	if q.BirthFrom != nil {
		and(`birth_date >= ?`, q.BirthFrom.String())
	}
	if q.BirthBefore != nil {
		and(`birth_date < ?`, q.BirthBefore.String())
	}
	if after.ID != 0 {
		and(`last_name >= ? AND (last_name > ? OR first_name > ? OR (first_name = ? AND id > ?))`,
			after.LastName, after.LastName, after.FirstName, after.FirstName, after.ID)
	}

	var selects []string
	var args []any
	for _, way := range nameMatches(q.Name) {
		conditions := append(append([]string{}, way.conditions...), common...)
		where := ``
		if len(conditions) > 0 {
			where = ` WHERE ` + strings.Join(conditions, ` AND `)
		}
		selects = append(selects, `(SELECT id FROM patients`+where+` ORDER BY last_name, first_name, id LIMIT ?)`)
		args = append(append(append(args, way.args...), commonArgs...), q.Limit+1)
	}
	return `
		SELECT p.id, p.first_name, p.last_name, p.email, p.phone, p.birth_date, p.merged_into, p.made_by_key, p.erased_at, p.version, p.created_at, p.updated_at
		FROM (` + strings.Join(selects, ` UNION `) + `) AS found
		JOIN patients AS p ON p.id = found.id
		ORDER BY p.last_name, p.first_name, p.id
		LIMIT ?`, append(args, q.Limit+1)
}

type nameMatch struct {
	conditions []string
	args       []any
}

// nameMatches lists the ways in which a patient's name may match: the text
// begins the last name or the first name, or it is cut between two words and
// one part begins the one and the other part the other.
func nameMatches(name string) []nameMatch {
	words := strings.Fields(clinic.Text(name))
	if len(words) == 0 {
		return []nameMatch{{}}
	}
	whole := prefix(strings.Join(words, " "))
	ways := []nameMatch{
		{[]string{`last_name LIKE ?`}, []any{whole}},
		{[]string{`first_name LIKE ?`}, []any{whole}},
	}
	// People have at most a few words in a name; a long text is not searched
	// for in every possible division.
	for i := 1; i < len(words) && i <= 4; i++ {
		a, b := prefix(strings.Join(words[:i], " ")), prefix(strings.Join(words[i:], " "))
		both := []string{`last_name LIKE ?`, `first_name LIKE ?`}
		ways = append(ways, nameMatch{both, []any{a, b}}, nameMatch{both, []any{b, a}})
	}
	return ways
}

// prefix is the LIKE pattern for "begins with s".
func prefix(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// DoctorQuery chooses a page of doctors; zero values do not narrow it.
type DoctorQuery struct {
	ID             int64   // 0: any
	IDs            []int64 // empty: any
	Name           string  // beginning of the name or of a word in it
	Specialization string  // the whole of it
	IsActive       *bool
	After          int64 // id of the last item of the page before; 0: first page
	Limit          int
}

// ListDoctors reads a page of doctors by full name and id, from index
// doctors_specialization when a specialization is given. A clinic has tens or
// hundreds of doctors, so a name in the middle may cost a scan.
//
// Errors: clinic.CodeValidationFailed (code "expired") when the doctor at the
// end of the page before has been deleted since.
func (s *Store) ListDoctors(ctx context.Context, q DoctorQuery) (Page[clinic.Doctor], error) {
	where, args := []string{`TRUE`}, []any{}
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.ID != 0 {
		and(`id = ?`, q.ID)
	}
	if len(q.IDs) > 0 {
		condition, values := inIDs(q.IDs)
		and(condition, values...)
	}
	if q.Name != "" {
		begins := prefix(clinic.Text(q.Name))
		and(`(full_name LIKE ? OR full_name LIKE ?)`, begins, "% "+begins)
	}
	if q.Specialization != "" {
		and(`specialization = ?`, clinic.Text(q.Specialization))
	}
	if q.IsActive != nil {
		and(`is_active = ?`, *q.IsActive)
	}
	if q.After != 0 {
		var after doctorRow
		err := s.db.GetContext(ctx, &after, `SELECT id, full_name FROM doctors WHERE id = ?`, q.After)
		if err := cursorError(ctx, err); err != nil {
			return Page[clinic.Doctor]{}, err
		}
		and(`full_name >= ? AND (full_name > ? OR id > ?)`, after.FullName, after.FullName, after.ID)
	}
	var rows []doctorRow
	// Safety: the text is put together from the constants above only.
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+doctorColumns+`
		FROM doctors
		WHERE `+strings.Join(where, ` AND `)+`
		ORDER BY full_name, id
		LIMIT ?`, append(args, q.Limit+1)...)
	if err != nil {
		return Page[clinic.Doctor]{}, translate(ctx, err)
	}
	items := make([]clinic.Doctor, len(rows))
	for i, row := range rows {
		items[i] = row.doctor()
	}
	return page(items, q.Limit), nil
}

func cursorError(ctx context.Context, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return clinic.Invalid(clinic.Violation{
			Parameter: "cursor", Code: "expired",
			Detail: "leads to a record that was deleted; start again from the first page",
		})
	}
	return translate(ctx, err)
}
