package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"mems/db"
	"mems/internal/backup"
	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// restoring is a run of "mems restore".
type restoring struct {
	*program
	file        string
	unsigned    bool
	logFollows  bool
	finish      bool
	oldDatabase string
	list        string
	withoutList bool
	withoutLog  bool
	identity    string // name of the file
	identities  []age.Identity

	head        backup.Head
	revocations store.Revocations // At is zero if there is no list
}

// runRestore runs "mems restore".
func runRestore(ctx context.Context, p *program, args []string) error {
	r := restoring{program: p}
	flags := newFlags("restore")
	flags.BoolVar(&r.unsigned, "unsigned", false, "")
	flags.BoolVar(&r.logFollows, "log-follows", false, "")
	flags.BoolVar(&r.finish, "finish", false, "")
	flags.StringVar(&r.oldDatabase, "old-database", "", "")
	flags.StringVar(&r.list, "revocations", "", "")
	flags.BoolVar(&r.withoutList, "without-revocations", false, "")
	flags.BoolVar(&r.withoutLog, "without-log", false, "")
	flags.StringVar(&r.identity, "identity", "", "")
	if err := parseWords(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return usageError{"missing argument: the file to restore"}
	}
	if r.finish && r.logFollows {
		return usageError{"--finish and --log-follows exclude each other"}
	}
	if r.withoutLog && !r.finish {
		return usageError{"--without-log requires --finish"}
	}
	r.file = flags.Arg(0)
	f, err := os.Open(r.file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read-only
	if r.identities, err = p.readIdentity(r.identity); err != nil {
		return err
	}
	if r.head, err = p.verifyBackup(f, r.identities, r.unsigned); err != nil {
		return fmt.Errorf("%s was not restored: %w", r.file, err)
	}
	p.say("%s is complete: schema version %d, made at %s", r.file, r.head.Schema, r.head.At.Format(time.RFC3339))
	if r.logFollows && r.head.LogFile == "" {
		return fmt.Errorf("%s has no binary log position, so no log can follow: restore it without --log-follows, or use a backup made with --binlog-position", r.file)
	}
	d, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	if err := r.readLists(ctx, d); err != nil {
		return err
	}
	schema, err := database.OpenSchema(d.dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	if !r.finish {
		if err := r.fill(ctx, schema, f); err != nil {
			return err
		}
	}
	if r.logFollows {
		p.say("The database is locked until the restore is finished. Apply the binary log with\n\n    mems replay --log FOLDER --until TIME%s %s | mysql\n\nthen finish with:\n\n    %s", r.readingFlags(), r.file, r.finishing())
		return nil
	}
	return r.open(ctx, d, schema)
}

// fill creates the schema and restores the rows.
func (r *restoring) fill(ctx context.Context, schema *database.Schema, f *os.File) error {
	if unfinished, err := schema.Restoring(ctx); err == nil && unfinished {
		r.say("an earlier restore into this database was not finished: starting over, without what \"mems replay\" wrote for it. " +
			"(If every row had been inserted, \"mems restore --finish\" would have completed it)")
	}
	r.say("restoring ...")
	plain, err := backup.Open(f, r.identities)
	if err != nil {
		return err
	}
	source := database.Source{Version: r.head.Schema, Sum: r.head.Sum, LogFollows: r.logFollows}
	err = schema.Restore(ctx, source, backup.Rows(plain))
	if errors.Is(err, database.ErrNotEmpty) {
		return fmt.Errorf("%w: restore into another one, which this command makes. "+
			"Change the name at the end of MEMS_DATABASE_URL, for example to mems_restored; for a private server, change MEMS_DATA_DIR. Nothing was changed", err)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe database is empty again: fix the cause and run the same command", err)
	}
	return r.printSums(ctx, schema)
}

// readingFlags returns the flags with which this file is read.
func (r *restoring) readingFlags() string {
	flags := ""
	if r.identity != "" {
		flags += " --identity " + r.identity
	}
	if r.unsigned {
		flags += " --unsigned"
	}
	return flags
}

// finishing returns the command that finishes this restore.
func (r *restoring) finishing() string {
	flags := r.readingFlags()
	if r.oldDatabase != "" {
		flags += " --old-database " + r.oldDatabase
	}
	if r.list != "" {
		flags += " --revocations " + r.list
	}
	if r.withoutList {
		flags += " --without-revocations"
	}
	return "mems restore --finish" + flags + " " + r.file
}

// open repeats the revocations and erasures in the lists and opens the database for use.
func (r *restoring) open(ctx context.Context, d *clinicDatabase, schema *database.Schema) error {
	switch unfinished, err := schema.Restoring(ctx); {
	case err != nil:
		return err
	case !unfinished:
		return errors.Join(schema.FinishRestore(ctx), errors.New("no restore into this database is in progress, so there is nothing to finish"))
	}
	if err := schema.CheckFinish(ctx, r.head.Sum, r.withoutLog); err != nil {
		return r.otherBackup(err, r.file)
	}
	if err := schema.UpTo(ctx, db.Latest, r.reportMigration); err != nil {
		return err
	}
	if !r.withoutList {
		if err := r.applyLists(ctx, d); err != nil {
			return err
		}
	}
	if err := schema.FinishRestore(ctx); err != nil {
		return err
	}
	r.say("the database is restored and ready for use")
	return nil
}

// applyLists repeats the revocations and erasures. It closes its store, which seals the audit trail,
// before the restore is finished.
func (r *restoring) applyLists(ctx context.Context, d *clinicDatabase) error {
	st, err := store.Open(store.Config{DSN: d.dsn, Now: time.Now, Zone: r.zone, Log: r.logger(), MACKeys: r.macKeys(), Restoring: true})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	if err := r.checkAuditKeys(ctx, st); err != nil {
		return fmt.Errorf("%w\nThe database is still locked: set the keys and run %s", err, r.finishing())
	}
	done, err := st.ApplyRevocations(ctx, r.revocations, "erased before, and restored from a backup")
	if err != nil {
		return fmt.Errorf("revoke and erase again: %w\nThe database is still locked: run %s", explain(err), r.finishing())
	}
	r.say("revoked again: %s and %s; erased again: %s",
		clinic.Counted(done.APIKeys, "API key"), clinic.Counted(done.CalendarFeeds, "calendar feed"), clinic.Counted(done.Patients, "patient"))
	if len(done.Open) > 0 {
		r.say("these erased patients have open appointments, tickets or offers again, which must be cancelled: %s", strings.Trim(fmt.Sprint(done.Open), "[]"))
	}
	return nil
}

// readLists collects, before restoring anything, what was revoked and erased since the
// backup: from the old database, a list, or both.
func (r *restoring) readLists(ctx context.Context, d *clinicDatabase) error {
	if r.withoutList {
		r.say("keys that were revoked and patients who were erased since %s come back", r.head.At.Format(time.RFC3339))
		return nil
	}
	if r.oldDatabase != "" {
		dsn, err := database.DSNOf(d.dsn, r.oldDatabase)
		if err != nil {
			return err
		}
		old, err := database.OpenSchema(dsn, store.RekeyPatients)
		if err != nil {
			return err
		}
		defer func() { _ = old.Close() }()
		if r.revocations, err = store.ReadRevocations(ctx, old.Pool(), time.Now()); err != nil {
			return fmt.Errorf("read revocations and erasures in %s: %w", r.oldDatabase, err)
		}
	}
	file := r.list
	if file == "" {
		file = revocationsBeside(r.file)
	}
	list, err := r.readRevocations(file, r.unsigned)
	switch {
	case err == nil:
		r.revocations = r.revocations.Union(list)
	case !errors.Is(err, fs.ErrNotExist) || r.list != "":
		return fmt.Errorf("revocation list: %w", err)
	case r.oldDatabase == "":
		return fmt.Errorf("there is no list of keys revoked and patients erased since %s (%s): "+
			"they would be restored. If the old database can still be read, use --old-database mems. "+
			"If the list is elsewhere, use --revocations FILE. Otherwise add --without-revocations. Nothing was changed",
			r.head.At.Format(time.RFC3339), file)
	}
	r.say("keys revoked and patients erased until %s stay so; later ones are unknown", r.revocations.At.UTC().Format(time.RFC3339))
	return nil
}

// readIdentity reads the private keys in the file of --identity; none if empty.
func (p *program) readIdentity(file string) ([]age.Identity, error) {
	if file == "" {
		return nil, nil
	}
	p.warnOfReaders(file)
	identities, err := backup.ReadIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	return identities, nil
}

// verifyBackup verifies a whole backup before any of it is used.
func (p *program) verifyBackup(f io.ReadSeeker, identities []age.Identity, unsigned bool) (backup.Head, error) {
	plain, err := backup.Open(f, identities)
	var head backup.Head
	if err == nil {
		head, err = backup.Verify(plain, p.backupKeys(), unsigned)
	}
	switch {
	case errors.Is(err, backup.ErrEncrypted):
		return head, fmt.Errorf("%w: pass the file with the private key, such as --identity key.txt", err)
	case errors.Is(err, backup.ErrUnsigned):
		return head, fmt.Errorf("%w: anyone may have written it. If you trust its origin, add --unsigned", err)
	case err != nil:
		return head, err
	case head.Kind != "":
		return head, backup.ErrNoBackup
	case head.Schema > db.Latest:
		return head, fmt.Errorf("it has schema version %d, but this program knows only %d: use the version of MEMS that made it, or a later one", head.Schema, db.Latest)
	}
	if head.Signed && len(p.backupKeys()) == 0 {
		p.say("it is signed, but the signature was NOT verified because MEMS_AUDIT_KEYS is not set: anyone may have written it")
	}
	if plain, err = backup.Open(f, identities); err != nil {
		return head, err
	}
	for _, err := range backup.Rows(plain) {
		if err != nil {
			return head, err
		}
	}
	return head, nil
}

// checkRestored rejects a database that is being restored: the binary log could not be
// applied over a command's changes, and its data are incomplete. Other errors are left to
// the command.
func checkRestored(ctx context.Context, schema *database.Schema) error {
	if _, err := database.CheckVersion(ctx, schema.Pool()); errors.Is(err, database.ErrRestoreUnfinished) {
		return err
	}
	return nil
}
