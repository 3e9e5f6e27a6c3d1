package store

// MigrationStatements are the statements that a migration file runs on the way up.
func MigrationStatements(name, text string) ([]string, error) {
	f, err := parseMigration(name, text)
	var texts []string
	for _, st := range f.up {
		texts = append(texts, st.text)
	}
	return texts, err
}
