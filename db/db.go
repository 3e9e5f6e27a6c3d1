// Package db holds the database schema as goose migrations, embedded so that
// the binary can bring any database to the state it needs.
//
// Migrations are append-only once released. The README beside this file has the
// rules: the order of locks, expand and contract, names.
package db

import "embed"

// Migrations holds the goose SQL files under "migrations".
//
//go:embed migrations/*.sql
var Migrations embed.FS

// The versions of the migrations.
const (
	// Backstop is the migration with the triggers that refuse a double booking
	// from any writer. It is left out on engines without triggers.
	Backstop = 2
	// Latest is the schema that this version of the program needs.
	Latest = 2
)
