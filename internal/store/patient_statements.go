package store

import (
	"slices"
	"strconv"
	"strings"
)

// patientSearch is a query for patients, its conditions and how to find by them.
type patientSearch struct {
	PatientQuery

	after      patientRow // the last of the page before
	bounds     searchBounds
	conditions []condition
	driver     int // the condition that finds; the others are tested; -1: all are
}

const (
	patientListColumns = `p.id, p.first_name, p.last_name, p.email, p.phone, p.birth_date,
		p.merged_into, p.made_by_key, p.erased_at, p.version, p.created_at, p.updated_at`
	// Merged records have their names with the survivor, and lead to it by phone and e-mail.
	isSurvivor = `p.merged_into IS NULL`
)

// found is what matches, without the place in the list.
func (q patientSearch) found() (from, where string, fromArgs, whereArgs []any) {
	from = `patients AS p`
	if q.driver >= 0 {
		ids, args := q.conditions[q.driver].find()
		from, fromArgs = `(`+ids+`) AS c STRAIGHT_JOIN patients AS p ON p.id = c.id`, args
	}
	all := []string{isSurvivor}
	if len(q.IDs) > 0 { // asked for by id, a merged record is the one that leads to the survivor
		all = []string{`TRUE`}
	}
	and := func(condition string, values ...any) {
		all = append(all, condition)
		whereArgs = append(whereArgs, values...)
	}
	for i, c := range q.conditions {
		if i != q.driver {
			condition, values := c.test()
			and(condition, values...)
		}
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
	return from, strings.Join(all, ` AND `), fromArgs, whereArgs
}

// behind is the condition to stand behind the page before.
func (q patientSearch) behind() (string, []any) {
	after := q.after
	if after.ID == 0 {
		return `TRUE`, nil
	}
	return `p.last_name >= ? AND (p.last_name > ? OR p.first_name > ? OR (p.first_name = ? AND p.id > ?))`,
		[]any{after.LastName, after.LastName, after.FirstName, after.FirstName, after.ID}
}

// listSQL reads a page: the patients whom the driver finds, sorted; indexes
// patient_names_key, patients_email_key, patients_phone_key, patients_birth_date, the
// primary key, and patients_last_name where nothing narrows the list. What is sorted is no
// more than names.
//
// Safety: the text is put together from constants only; every value is an argument.
func (q patientSearch) listSQL() (string, []any) {
	from, where, args, values := q.found()
	behind, place := q.behind()
	return `
		SELECT ` + patientListColumns + `
		FROM (
			SELECT p.id
			FROM ` + from + `
			WHERE ` + where + ` AND ` + behind + `
			ORDER BY p.last_name, p.first_name, p.id
			LIMIT ?
		) AS listed
		STRAIGHT_JOIN patients AS p ON p.id = listed.id
		ORDER BY p.last_name, p.first_name, p.id`, slices.Concat(args, values, place, []any{q.Limit + 1})
}

// walkSQL reads a page from the next part of the list, which may not fill it.
// Index patients_last_name. With + 0 the conditions on p.id are not also conditions on
// walked.id, which would be tested of all of them before the first is taken.
func (q patientSearch) walkSQL() (string, []any) {
	q.driver = -1
	_, where, _, values := q.found()
	behind, args := q.behind()
	return `
		SELECT ` + patientListColumns + `
		FROM (
			SELECT p.id, p.last_name, p.first_name
			FROM patients AS p FORCE INDEX (patients_last_name)
			WHERE ` + behind + `
			ORDER BY p.last_name, p.first_name, p.id
			LIMIT ?
		) AS walked
		STRAIGHT_JOIN patients AS p ON p.id = walked.id + 0
		WHERE ` + where + `
		ORDER BY walked.last_name, walked.first_name, walked.id
		LIMIT ?`, slices.Concat(args, []any{q.bounds.walk}, values, []any{q.Limit + 1})
}

// splitSQL is listSQL for a word that many have in their names, most of them as the
// beginning of the last name, who stand together in the list. These are read in its
// order, and the others of the driver's sorted. How the database compares last names
// decides only in which of the two parts a patient is found. Indexes
// patients_last_name, patient_names_key.
func (q patientSearch) splitSQL() (string, []any) {
	driver := q.conditions[q.driver]
	begins := prefix(driver.word)
	ids, found := driver.find()
	_, others, _, values := q.found()
	holds, held := driver.test()
	behind, place := q.behind()
	limit := []any{q.Limit + 1}
	const order = `
			ORDER BY p.last_name, p.first_name, p.id
			LIMIT ?)`
	return `
		SELECT ` + patientListColumns + `
		FROM (
			(SELECT p.id
			FROM patients AS p FORCE INDEX (patients_last_name)
			WHERE p.last_name LIKE ? AND ` + holds + ` AND ` + others + ` AND ` + behind + order + `
			UNION ALL
			(SELECT p.id
			FROM (` + ids + ` AND f.patient_id NOT IN (
				SELECT b.id FROM patients AS b FORCE INDEX (patients_last_name) WHERE b.last_name LIKE ?)) AS c
			STRAIGHT_JOIN patients AS p ON p.id = c.id
			WHERE ` + others + ` AND ` + behind + order + `
		) AS listed
		STRAIGHT_JOIN patients AS p ON p.id = listed.id
		ORDER BY p.last_name, p.first_name, p.id
		LIMIT ?`, slices.Concat(
			[]any{begins}, held, values, place, limit,
			found, []any{begins}, values, place, limit, limit)
}

// words are the conditions that are of one word of a name each.
func (q patientSearch) words() (words []int) {
	for i, c := range q.conditions {
		if c.word != "" {
			words = append(words, i)
		}
	}
	return words
}

// meetSQL is listSQL for words that many have in their names each, and fewer all of
// them: these are found by patient_names_key alone.
func (q patientSearch) meetSQL(words []int) (string, []any) {
	var meet condition
	var left []condition
	for i, c := range q.conditions {
		switch {
		case !slices.Contains(words, i):
			left = append(left, c)
		case len(meet.ways) == 0:
			meet = c
		default:
			ids, args := c.find()
			w := meet.ways[0]
			w.found += ` AND f.patient_id IN (` + ids + `)`
			w.foundValues = slices.Concat(w.foundValues, args)
			meet.ways = []way{w}
		}
	}
	q.driver = len(left)
	q.conditions = slices.Concat(left, []condition{meet})
	return q.listSQL()
}

// leftSQL counts the patients of the list that a walk reads. Index patients_last_name.
func (q patientSearch) leftSQL() (string, []any) {
	behind, args := q.behind()
	return `SELECT COUNT(*) FROM (SELECT p.id FROM patients AS p WHERE ` + behind + ` LIMIT ?) AS walked`,
		append(args, q.bounds.walk)
}

// sizesSQL counts, in the order of the conditions, whom each way of them finds, to one
// more than is narrow.
func (q patientSearch) sizesSQL() (string, []any) {
	var parts []string
	var args []any
	for i, c := range q.conditions {
		var counts []string
		for _, w := range c.ways {
			counts = append(counts, `(SELECT COUNT(*) FROM (SELECT `+w.found+` LIMIT ?) AS found)`)
			args = append(append(args, w.foundValues...), q.bounds.narrow+1)
		}
		parts = append(parts, `SELECT `+strconv.Itoa(i)+` AS place, `+strings.Join(counts, ` + `)+` AS size`)
	}
	return `SELECT size FROM (` + strings.Join(parts, ` UNION ALL `) + `) AS sizes ORDER BY place`, args
}

// countSQL counts whom the query finds.
func (q patientSearch) countSQL() (string, []any) {
	from, where, args, values := q.found()
	const merged = `NOT IN (SELECT m.id FROM patients AS m WHERE m.merged_into IS NOT NULL)`
	switch { // without reading a record of each
	case q.driver < 0:
		where = strings.Replace(where, isSurvivor, `p.id `+merged, 1)
	case where == isSurvivor && q.conditions[q.driver].word != "":
		ids, args := q.conditions[q.driver].find()
		return `SELECT COUNT(*) FROM (` + ids + `) AS c WHERE c.id ` + merged, args
	}
	return `SELECT COUNT(*) FROM ` + from + ` WHERE ` + where, slices.Concat(args, values)
}
