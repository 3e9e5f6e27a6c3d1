package store

import (
	"cmp"
	"slices"
	"strings"

	"mems/internal/clinic"
)

// condition is a set of ways in which a patient may match; one of them will do.
type condition struct {
	ways   []way
	narrow bool   // a handful of patients at most, however common the name
	word   string // the one word of a name that finds; "" for none
}

// way is one way to match, said twice: to find patients by an index, and to test a
// patient p.
type way struct {
	found, holds            string // what follows SELECT, giving id; a condition
	foundValues, holdValues []any
}

// find is the SELECT of the ids that a condition finds, each once.
func (c *condition) find() (string, []any) {
	var found []string
	var args []any
	for _, w := range c.ways {
		found = append(found, `SELECT DISTINCT `+w.found)
		args = append(args, w.foundValues...)
	}
	return strings.Join(found, ` UNION `), args
}

// test is the condition for p to match.
func (c *condition) test() (string, []any) {
	var holds []string
	var args []any
	for _, w := range c.ways {
		holds = append(holds, w.holds)
		args = append(args, w.holdValues...)
	}
	return `(` + strings.Join(holds, ` OR `) + `)`, args
}

// some is the condition that a SELECT finds a row. Unlike EXISTS it is never made a join
// that reads all such rows first: it is tested of the few patients whom a page takes.
func some(from string) string { return `(SELECT 1 FROM ` + from + ` LIMIT 1) IS NOT NULL` }

// addRecord adds a way by columns of the patient's record or of one merged into it, x.
func (c *condition) addRecord(where string, args ...any) {
	own := `p.merged_into IS NULL AND ` + strings.ReplaceAll(where, "x.", "p.")
	c.ways = append(c.ways, way{
		found: `COALESCE(x.merged_into, x.id) AS id FROM patients AS x WHERE ` + where, foundValues: args,
		holds: `(` + own + `) OR ` +
			some(`patients AS x FORCE INDEX (patients_merged_into) WHERE x.merged_into = p.id AND (`+where+`)`),
		holdValues: slices.Concat(args, args),
	})
}

// addName adds a way by words of a name: patient_names_key finds the first, and the
// others are looked up for each patient whom it finds. more narrows the keys.
func (c *condition) addName(words [][]string, more string) {
	var w way
	for i, beginnings := range words {
		var likes []string
		for _, b := range beginnings {
			likes = append(likes, `n.name_key LIKE ?`)
			w.foundValues = append(w.foundValues, prefix(b))
		}
		keys := `(` + strings.Join(likes, ` OR `) + `)` + more
		const of = `patient_names AS n WHERE n.patient_id = `
		if i == 0 {
			w.found = `f.patient_id AS id FROM patient_names AS f FORCE INDEX (patient_names_key) WHERE ` +
				strings.ReplaceAll(keys, "n.", "f.")
			w.holds = some(of + `p.id AND ` + keys)
			continue
		}
		w.found += ` AND ` + some(of+`f.patient_id AND `+keys)
		w.holds += ` AND ` + some(of+`p.id AND `+keys)
	}
	w.holdValues = w.foundValues
	c.ways = append(c.ways, w)
}

// patientConditions are what a query asks of a patient, each with an index of its own.
func patientConditions(q PatientQuery) []condition {
	var all []condition
	record := func(narrow bool, where string, args ...any) {
		c := condition{narrow: narrow}
		c.addRecord(where, args...)
		all = append(all, c)
	}
	if q.Email != "" {
		record(true, `x.email_key = ?`, clinic.EmailKey(q.Email))
	}
	if q.Identifier != "" {
		args := []any{clinic.Text(q.IdentifierSystem), clinic.Text(q.Identifier)}
		const where = `i.id_system = ? AND i.id_value = ?`
		all = append(all, condition{narrow: true, ways: []way{{
			found: `i.patient_id AS id FROM patient_identifiers AS i WHERE ` + where, foundValues: args,
			holds:      some(`patient_identifiers AS i WHERE i.patient_id = p.id AND ` + where),
			holdValues: args,
		}}})
	}
	if q.ID != 0 {
		record(true, `x.id = ?`, q.ID)
	}
	if q.BirthDate != nil {
		all = append(all, condition{})
		addBirthDates(&all[len(all)-1], []clinic.Date{*q.BirthDate})
	}
	if len(q.typed.BirthDates) > 0 {
		all = append(all, condition{})
		addBirthDates(&all[len(all)-1], q.typed.BirthDates)
	}
	if q.typed.Email != "" {
		record(false, `x.email_key LIKE ?`, prefix(clinic.EmailKey(q.typed.Email)))
	}
	if q.Phone != "" {
		all = append(all, phoneCondition(q.Phone))
	}
	for _, n := range q.typed.Numbers {
		all = append(all, numberCondition(n))
	}
	all = append(all, nameConditions(q.Name, "")...)
	all = append(all, nameConditions(q.typed.Name, "")...)
	all = append(all, nameConditions(q.LastName, ` AND n.family = 1`)...)
	all = append(all, nameConditions(q.FirstName, ` AND n.family = 0`)...)
	if !q.reach.All {
		all = append(all, reachCondition(q.reach))
	}
	return all
}

// reachCondition lets a caller find whom it reaches. Indexes patients_made_by,
// appointments_doctor, tickets_open.
func reachCondition(r clinic.Reach) condition {
	holds, args := patientReach(r, "p.id", "p.made_by_key")
	return condition{ways: []way{
		{
			found: `x.id AS id FROM patients AS x WHERE x.made_by_key = ?`, foundValues: args[:1],
			holds: holds, holdValues: args,
		},
		{found: `a.patient_id AS id FROM appointments AS a WHERE a.doctor_id = ?`, foundValues: args[1:2], holds: `FALSE`},
		{found: `k.patient_id AS id FROM tickets AS k WHERE k.doctor_id = ?`, foundValues: args[2:], holds: `FALSE`},
	}}
}

// addBirthDates finds the survivor by the birth date of a merged record, too.
func addBirthDates(c *condition, dates []clinic.Date) {
	for _, d := range dates {
		c.addRecord(`x.birth_date = ?`, d.String())
	}
}

// phoneCondition finds a number by its end, and a whole one as it is dialled at home
// or from abroad. One with an extension is also found as the number without.
func phoneCondition(phone string) condition {
	var c condition
	key, extension, _ := strings.Cut(clinic.PhoneKey(phone), "x")
	if key == "" { // nothing but zeros: no number ends so
		return nobody()
	}
	find := func(where string, args ...any) {
		if extension != "" {
			where += ` AND (x.phone_key LIKE ? OR x.phone_key NOT LIKE '%x%')`
			args = append(args, "%x"+extension)
		}
		c.addRecord(where, args...)
	}
	find(`x.phone_key LIKE ?`, key+"%")
	if home := clinic.PhoneHome(phone); home != key && home != "" {
		find(`x.phone_key = ?`, home)
		find(`x.phone_key LIKE ?`, home+"x%")
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
		if len(c.ways) == 0 {
			return nobody()
		}
		return c
	}
	for _, r := range n.IDs() {
		c.addRecord(`x.id BETWEEN ? AND ?`, r.First, r.Last)
	}
	addBirthDates(&c, n.BirthDates)
	if words := clinic.NameSearch(n.Text); len(words) > 0 {
		c.addName(words, "")
	}
	if len(c.ways) == 0 {
		return nobody()
	}
	return c
}

// nameConditions finds by words of a name, the longest first. more narrows the keys.
func nameConditions(name, more string) []condition {
	if name == "" {
		return nil
	}
	words := clinic.NameSearch(name)
	if len(words) == 0 {
		return []condition{nobody()}
	}
	slices.SortStableFunc(words, func(a, b []string) int { return cmp.Compare(len(b[0]), len(a[0])) })
	all := make([]condition, len(words))
	for i, beginnings := range words {
		all[i].addName([][]string{beginnings}, more)
		all[i].word = beginnings[0]
	}
	return all
}

// nobody is the condition that no patient meets.
func nobody() condition {
	c := condition{narrow: true}
	c.addRecord(`x.id = 0`)
	return c
}
