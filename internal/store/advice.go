package store

import (
	"errors"
	"net"

	"github.com/go-sql-driver/mysql"

	"mems/internal/database"
)

// AdviceFor returns advice to the operator for an error of the database, empty if the error
// is not about connecting or privileges.
func AdviceFor(err error) string {
	if errors.Is(err, database.ErrSchemaBehind) {
		return "" // has its own advice
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1045, 1698:
			return "The database does not accept this user: compare user, password and host in MEMS_DATABASE_URL with what db/grants.sql has made. " +
				"A user of this name for one host ('mems_app'@'localhost'), or an anonymous one (''@'localhost'), goes before the one of every host ('%') " +
				"and has its own password: if it is not the one that is meant, DROP USER 'mems_app'@'localhost', or ''@'localhost'"
		case 1044:
			return "This user may not use this database, or there is none of this name: check the name at the end of MEMS_DATABASE_URL. If it is right, " +
				"use the user that the command needs (\"mems help\"), and run db/grants.sql again"
		case 1142, 1143, 1227, 1370:
			return "This database user lacks a right. Use the user that the command needs (\"mems help\"), and run db/grants.sql again after each migration"
		case 1049:
			return "There is no such database: check the name at the end of MEMS_DATABASE_URL. If it was dropped, restore a backup (db/README.md, " +
				"\"Coming back\"); \"mems migrate up\" makes an empty one, for a new clinic only"
		case 1290, 1792, 1836:
			return "The database is read-only: connect to the primary server, or end its read-only mode"
		case 3, 1021, 1026, 1114:
			return "The database's disk is full: make room there"
		case 23, 24:
			return "The database server may open too few files: raise its limit (open_files_limit, ulimit -n 4096)"
		case 1040, 1203, 1226:
			return "The database has no free connections: raise max_connections there, or lower MEMS_DATABASE_MAX_CONNS"
		}
		return ""
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "Is the database running, at the host and port in MEMS_DATABASE_URL?"
	}
	return ""
}
