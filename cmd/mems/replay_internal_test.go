package main

import "testing"

// What replay prints about a statement contains no password or patient.
func TestStatementKindShowsNoValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CREATE USER 'mems_app'@'%' IDENTIFIED BY 'secret'":  "CREATE USER",
		"  insert INTO patients (first_name) VALUES ('Ann')": "INSERT INTO",
		"SET\nPASSWORD = 'secret'":                           "SET PASSWORD",
		"COMMIT":                                             "COMMIT",
		"":                                                   "",
	} {
		if got := statementKind(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
