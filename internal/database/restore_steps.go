package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// A database being restored records its backup and its progress: a row per step in a table
// that exists only meanwhile, like the lease of a migration. The steps of the binary log
// are written by the SQL that applies it, so they are there if and only if it was applied.

const restoreTable = "mems_restore"

// Steps of a restore.
const (
	stepBackup     = "backup"
	stepLogBegun   = "log begun"
	stepLogApplied = "log applied"
)

// ownTables lists the tables that are not part of the schema, for IN.
const ownTables = `('` + leaseTable + `', '` + restoreTable + `', '` + trialTable + `')`

// isContent is a condition on information_schema.columns AS c: not which data these are,
// which a copy does not share.
const isContent = `NOT (c.table_name = 'installation' AND c.column_name = 'data_id')`

// newDataID makes the data other ones to servers that run.
const newDataID = `UPDATE installation SET data_id = LOWER(HEX(RANDOM_BYTES(16))) WHERE id = 1`

// dataIDVersion is the migration that adds data_id.
const dataIDVersion = 28

// Errors of a restore that is continued differently from how it was begun.
var (
	ErrOtherBackup = errors.New("this database was restored from another backup")
	ErrOtherWay    = errors.New("the backup of this restore is unknown, because another version of MEMS began it. " +
		"Repeat the same \"mems restore\" to start over")
	ErrNoLogFollows = errors.New("this database was not restored with --log-follows, or its restore is finished: no binary log can be applied to it")
	ErrLogBegun     = errors.New("the binary log was already applied to this database, perhaps in part: applying it again would repeat every change. " +
		"Repeat the same \"mems restore --log-follows\" to start over")
	ErrLogMissing = errors.New("the binary log (\"mems replay\") has not been applied to this database. " +
		"If there is none, add --without-log: changes since the backup are lost")
	ErrLogCutOff = errors.New("the binary log was not applied completely: the client printed the error that stopped it. " +
		"Repeat the same \"mems restore --log-follows\" to start over")
)

// Source is the backup from which a database is restored.
type Source struct {
	Version    int64  // of the backup's schema
	Sum        string // of the backup, hexadecimal
	LogFollows bool   // the binary log will be applied before the restore is finished
}

// makeSteps returns the statements that create the table of steps.
func makeSteps(source Source) []string {
	return []string{
		`DROP TABLE IF EXISTS ` + restoreTable,
		`CREATE TABLE ` + restoreTable + ` (
			step VARCHAR(20) CHARACTER SET ascii NOT NULL PRIMARY KEY,
			backup VARCHAR(64) CHARACTER SET ascii NOT NULL DEFAULT '',
			log_follows BOOLEAN NOT NULL DEFAULT 0
		)`,
		fmt.Sprintf(`INSERT INTO `+restoreTable+` (step, backup, log_follows) VALUES ('`+stepBackup+`', '%.64s', %t)`, source.Sum, source.LogFollows),
	}
}

// LogSteps returns the statements to run before and after those of the binary log. The
// first fails if the log was begun before, which stops the client that applies it.
func (sc *Schema) LogSteps() (before, after string) {
	insert := "INSERT INTO `" + strings.ReplaceAll(sc.config.DBName, "`", "``") + "`." + restoreTable + " (step) VALUES ('%s');\n"
	return fmt.Sprintf(insert, stepLogBegun), fmt.Sprintf(insert, stepLogApplied)
}

// CheckReplay returns nil if the binary log written since a backup may be applied to this
// database.
// Errors: ErrNoLogFollows, ErrOtherWay, ErrOtherBackup, ErrRowsMissing, ErrLogBegun.
func (sc *Schema) CheckReplay(ctx context.Context, sum string) error {
	if restoring, err := sc.Restoring(ctx); err != nil || !restoring {
		return cmp.Or(err, ErrNoLogFollows)
	}
	from, steps, err := sc.restoreSteps(ctx, sum)
	switch {
	case err != nil:
		return err
	case !from.LogFollows:
		return ErrNoLogFollows
	case steps[stepLogBegun]:
		return ErrLogBegun
	}
	return nil
}

// CheckFinish returns nil if the restore of a backup into this database can be finished;
// withoutLog permits finishing although the binary log was not applied.
// Errors: ErrRowsMissing, ErrOtherWay, ErrOtherBackup, ErrLogMissing, ErrLogCutOff.
func (sc *Schema) CheckFinish(ctx context.Context, sum string, withoutLog bool) error {
	from, steps, err := sc.restoreSteps(ctx, sum)
	switch {
	case err != nil:
		return err
	case steps[stepLogBegun] && !steps[stepLogApplied]:
		return ErrLogCutOff
	case from.LogFollows && !steps[stepLogApplied] && !withoutLog:
		return ErrLogMissing
	}
	return nil
}

// restoreSteps reads the progress of a restore whose rows are all restored.
// Errors: ErrRowsMissing, ErrOtherWay, ErrOtherBackup.
func (sc *Schema) restoreSteps(ctx context.Context, sum string) (from Source, steps map[string]bool, err error) {
	if err := sc.CheckFilled(ctx); err != nil {
		return from, nil, err
	}
	rows, err := sc.pool.QueryContext(ctx, `SELECT step, backup, log_follows FROM `+restoreTable)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1146 {
		return from, nil, ErrOtherWay
	}
	if err != nil {
		return from, nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below reports what matters
	steps = map[string]bool{}
	for rows.Next() {
		var step, backup string
		var follows bool
		if err := rows.Scan(&step, &backup, &follows); err != nil {
			return from, nil, err
		}
		if steps[step] = true; step == stepBackup {
			from.Sum, from.LogFollows = backup, follows
		}
	}
	if err := rows.Err(); err != nil {
		return from, nil, err
	}
	if from.Sum != sum {
		return from, nil, ErrOtherBackup
	}
	return from, steps, nil
}
