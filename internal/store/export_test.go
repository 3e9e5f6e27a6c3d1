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

// SetSearchBounds sets how many patients a search reads at once.
func (s *Store) SetSearchBounds(narrow, walk int) { s.patientSearch = searchBounds{narrow, walk} }

// SetMaxScanned sets how many appointments a page examines.
func (s *Store) SetMaxScanned(n int) { s.maxScanned = n }
