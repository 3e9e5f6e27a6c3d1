package storetest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A copy has the same tables, rows and triggers as a migrated database, and an identity of
// its own.
func TestCopyIsWhatTheMigrationsMake(t *testing.T) {
	t.Parallel()
	New(t) // the one that is copied
	migrated := Migrated(t)
	read := func(d *Database) []statement {
		t.Helper()
		statements, err := readTemplate(t.Context(), d.DB)
		if err != nil {
			t.Fatal(err)
		}
		for i := range statements { // MySQL shows a column's character set only if it was given
			statements[i].text = strings.ReplaceAll(statements[i].text, " CHARACTER SET utf8mb4 COLLATE utf8mb4_", " COLLATE utf8mb4_")
		}
		return statements
	}
	want, got := read(migrated), read(New(t))
	if len(want) < 50 {
		t.Fatalf("read %d statements, want one for each table and trigger at least", len(want))
	}
	for i, s := range want {
		switch {
		case i >= len(got):
			t.Fatalf("the copy lacks %s, want it", s.text)
		case got[i].text != s.text:
			t.Errorf("statement of the copy (-migrated +copied):\n%s", cmp.Diff(s.text, got[i].text))
		case strings.HasPrefix(s.text, "INSERT INTO installation"):
			if cmp.Equal(s.args, got[i].args) {
				t.Errorf("two databases have the calendar_uid %v, want different ones", s.args)
			}
		case strings.HasPrefix(s.text, "INSERT INTO goose_db_version"):
			if len(s.args) != len(got[i].args) { // the rows have the time of each migration
				t.Errorf("%d values in the copy's table of versions, want %d", len(got[i].args), len(s.args))
			}
		case !cmp.Equal(s.args, got[i].args):
			t.Errorf("%s\narguments of the copy (-migrated +copied):\n%s", s.text, cmp.Diff(s.args, got[i].args))
		}
	}
	if len(got) != len(want) {
		t.Errorf("the copy has %d statements, want %d", len(got), len(want))
	}
}
