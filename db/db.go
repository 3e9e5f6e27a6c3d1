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

// Latest is the schema that this version of the program needs.
const Latest = 29

// Backstops are the migrations with the triggers that refuse a double booking
// from any writer, or keep what is final. They are left out on engines without triggers.
var Backstops = []int64{2, 5, 23, 27}
