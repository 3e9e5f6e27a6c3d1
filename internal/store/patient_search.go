package store

import (
	"context"
	"strings"

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
		if q.typed = clinic.ParsePatientSearch(q.Search, s.today()); q.typed.Empty() {
			return Page[clinic.Patient]{}, nil
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

// condition is a set of ways in which a patient may match: each selects ids, by an
// index of its own, and one of them will do.
type condition struct {
	ways []string
	args []any
}

func (c *condition) add(way string, args ...any) {
	c.ways = append(c.ways, way)
	c.args = append(c.args, args...)
}

// patientListSQL is the statement and arguments of ListPatients: the ids of each
// condition, joined; then their records. Merged records have their names with the
// survivor, and lead to it by phone and e-mail. Indexes patient_names_key,
// patients_email_key, patients_phone_key, patients_birth_date, the primary key, and
// patients_last_name where nothing narrows the list.
//
// Safety: the text is put together from constants only; every value is an argument.
func patientListSQL(q PatientQuery, after patientRow) (string, []any) {
	from, args := `patients AS p`, []any{}
	for i, c := range patientConditions(q) {
		name := `c` + string(rune('a'+i))
		from += ` JOIN (` + strings.Join(c.ways, ` UNION `) + `) AS ` + name + ` ON ` + name + `.id = p.id`
		args = append(args, c.args...)
	}
	where := []string{`p.merged_into IS NULL`}
	if len(q.IDs) > 0 { // asked for by id, a merged record is the one that leads to the survivor
		where = []string{`TRUE`}
	}
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if condition, values := patientReach(q.reach, "p.id", "p.made_by_key"); condition != "" {
		and(condition, values...)
	}
	if q.BirthFrom != nil {
		and(`p.birth_date >= ?`, q.BirthFrom.String())
	}
	if q.BirthBefore != nil {
		and(`p.birth_date < ?`, q.BirthBefore.String())
	}
	if len(q.IDs) > 0 {
		condition, values := inIDs(q.IDs)
		and(`p.`+condition, values...)
	}
	if after.ID != 0 {
		and(`p.last_name >= ? AND (p.last_name > ? OR p.first_name > ? OR (p.first_name = ? AND p.id > ?))`,
			after.LastName, after.LastName, after.FirstName, after.FirstName, after.ID)
	}
	return `
		SELECT p.id, p.first_name, p.last_name, p.email, p.phone, p.birth_date, p.merged_into, p.made_by_key, p.erased_at, p.version, p.created_at, p.updated_at
		FROM ` + from + `
		WHERE ` + strings.Join(where, ` AND `) + `
		ORDER BY p.last_name, p.first_name, p.id
		LIMIT ?`, append(args, q.Limit+1)
}

func patientConditions(q PatientQuery) []condition {
	var all []condition
	one := func(way string, args ...any) {
		all = append(all, condition{[]string{way}, args})
	}
	if q.Email != "" {
		one(`SELECT DISTINCT COALESCE(merged_into, id) AS id FROM patients WHERE email_key = ?`, clinic.EmailKey(q.Email))
	}
	if q.typed.Email != "" {
		one(`SELECT DISTINCT COALESCE(merged_into, id) AS id FROM patients WHERE email_key LIKE ?`, prefix(clinic.EmailKey(q.typed.Email)))
	}
	if q.Phone != "" {
		all = append(all, phoneCondition(q.Phone))
	}
	if q.Identifier != "" {
		one(`SELECT patient_id AS id FROM patient_identifiers WHERE id_system = ? AND id_value = ?`,
			clinic.Text(q.IdentifierSystem), clinic.Text(q.Identifier))
	}
	if q.ID != 0 {
		one(`SELECT COALESCE(merged_into, id) AS id FROM patients WHERE id = ?`, q.ID)
	}
	if q.BirthDate != nil {
		one(bornSQL, q.BirthDate.String())
	}
	if dates := q.typed.BirthDates; len(dates) > 0 {
		all = append(all, condition{})
		addBirthDates(&all[len(all)-1], dates)
	}
	for _, n := range q.typed.Numbers {
		all = append(all, numberCondition(n))
	}
	all = append(all, nameConditions(q.Name, "")...)
	all = append(all, nameConditions(q.typed.Name, "")...)
	all = append(all, nameConditions(q.LastName, ` AND family = 1`)...)
	return append(all, nameConditions(q.FirstName, ` AND family = 0`)...)
}

// bornSQL finds the survivor by the birth date of a merged record, too.
const bornSQL = `SELECT DISTINCT COALESCE(merged_into, id) AS id FROM patients WHERE birth_date = ?`

const nobody = `SELECT id FROM patients WHERE FALSE`

func addBirthDates(c *condition, dates []clinic.Date) {
	for _, d := range dates {
		c.add(bornSQL, d.String())
	}
}

// phoneCondition finds a number by its end, and a whole one as it is dialled at home
// or from abroad. One with an extension is also found as the number without.
func phoneCondition(phone string) condition {
	var c condition
	key, extension, _ := strings.Cut(clinic.PhoneKey(phone), "x")
	if key == "" { // nothing but zeros: no number ends so
		c.add(nobody)
		return c
	}
	find := func(condition string, args ...any) {
		if extension != "" {
			condition += ` AND (phone_key LIKE ? OR phone_key NOT LIKE '%x%')`
			args = append(args, "%x"+extension)
		}
		c.add(`SELECT DISTINCT COALESCE(merged_into, id) AS id FROM patients WHERE `+condition, args...)
	}
	find(`phone_key LIKE ?`, key+"%")
	if home := clinic.PhoneHome(phone); home != key && home != "" {
		find(`phone_key = ?`, home)
		find(`phone_key LIKE ?`, home+"x%")
	}
	return c
}

// numberCondition finds by a number that was typed: the end of a phone number, an id or a
// medical record number or its beginning, a birth date without separators, or a
// word of a name.
func numberCondition(n clinic.Number) condition {
	var c condition
	if len(clinic.PhoneKey(n.Text)) >= 3 {
		c = phoneCondition(n.Text)
	}
	if n.Extension { // nothing but a phone number has one
		return c
	}
	for _, r := range n.IDs() {
		c.add(`SELECT DISTINCT COALESCE(merged_into, id) AS id FROM patients WHERE id BETWEEN ? AND ?`, r.First, r.Last)
	}
	addBirthDates(&c, n.BirthDates)
	for _, name := range nameConditions(n.Text, "") {
		c.add(name.ways[0], name.args...)
	}
	if len(c.ways) == 0 {
		c.add(nobody)
	}
	return c
}

// nameConditions finds by words of a name: the longest drives, by patient_names_key, and
// the others are looked up for each patient it finds. more narrows the keys.
func nameConditions(name, more string) []condition {
	if name == "" {
		return nil
	}
	words := clinic.NameSearch(name)
	if len(words) == 0 {
		return []condition{{ways: []string{nobody}}}
	}
	longest := 0
	for i, beginnings := range words {
		if len(beginnings[0]) > len(words[longest][0]) {
			longest = i
		}
	}
	like := func(beginnings []string, column string) (string, []any) {
		var likes []string
		var args []any
		for _, b := range beginnings {
			likes = append(likes, column+` LIKE ?`)
			args = append(args, prefix(b))
		}
		return `(` + strings.Join(likes, ` OR `) + `)`, args
	}
	text, args := like(words[longest], "n.name_key")
	found := []string{`SELECT DISTINCT n.patient_id AS id FROM patient_names AS n WHERE ` + text + more}
	for i, beginnings := range words {
		if i == longest {
			continue
		}
		text, values := like(beginnings, "o.name_key")
		found = append(found, `EXISTS (SELECT 1 FROM patient_names AS o WHERE o.patient_id = n.patient_id AND `+text+more+`)`)
		args = append(args, values...)
	}
	// DISTINCT, so that a patient with two such keys is one row.
	return []condition{{ways: []string{strings.Join(found, ` AND `)}, args: args}}
}
