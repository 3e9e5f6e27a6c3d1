package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"mems/internal/clinic"
)

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
		return Page[clinic.Doctor]{}, translate(ctx, "list doctors", err)
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
	return translate(ctx, "read cursor", err)
}
