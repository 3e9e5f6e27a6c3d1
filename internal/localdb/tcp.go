package localdb

import (
	"context"
	"crypto/rand"
	"fmt"
)

// tcpUser may connect to 127.0.0.1, with all privileges and a password.
const tcpUser = "mems"

// openTCP creates the account for TCP with a new password at every start, and drops
// accounts without a password, which would let in every user of this machine (MariaDB
// creates some for root).
func (s *Server) openTCP(ctx context.Context) error {
	db, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `
		SELECT user, host FROM mysql.user
		WHERE (user = 'root' AND host <> 'localhost') OR user = ''`)
	if err != nil {
		return fmt.Errorf("list accounts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var statements []string
	for rows.Next() {
		var user, host string
		if err := rows.Scan(&user, &host); err != nil {
			return err
		}
		// Safety: an account's name cannot be a parameter; these come from the server.
		statements = append(statements, fmt.Sprintf("DROP USER '%s'@'%s'", user, host))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	password := rand.Text() // letters and digits only, so it needs no quoting
	account := "'" + tcpUser + "'@'127.0.0.1'"
	statements = append(statements,
		"DROP USER IF EXISTS "+account,
		"CREATE USER "+account+" IDENTIFIED BY '"+password+"'",
		"GRANT ALL PRIVILEGES ON *.* TO "+account)
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("open 127.0.0.1:%d: %w", s.options.Port, err)
		}
	}
	s.password = password
	return nil
}
