package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is a command of mems.
type command struct {
	name, summary, usage, text string
	run                        func(context.Context, *program, []string) error
}

func commands() []command {
	return []command{
		{
			"serve", "Serve the API, its documentation and its health checks", "mems serve [--migrate]",
			`Serves until Ctrl-C or SIGTERM, then completes in-flight requests and exits.

Without MEMS_DATABASE_URL it starts a private MySQL-compatible server, migrates its
schema, and keeps the data in MEMS_DATA_DIR between runs. That is for trying MEMS out;
a clinic uses a database server:

    MEMS_DATABASE_URL='mysql://mems_app:secret@db.example.org/mems' mems serve

  --migrate   run pending migrations first (with MEMS_DATABASE_URL)`,
			serve,
		},
		{
			"health", "Check whether the server is ready", "mems health",
			`Requests /readyz from the server on this machine (MEMS_HTTP_ADDR), for container health
checks; exits with 1 if it is not ready or not reachable.`,
			health,
		},
		{
			"migrate", "Migrate the database schema up or down, or show its status", "mems migrate up|down --yes [--lose-seals]|status",
			`  up       create the database if necessary and apply all pending migrations
  down     revert the newest migration; the data in its tables and columns is lost. It
           refuses to drop the seals of the audit trail and of API keys, without which
           "mems audit verify" reports tampering for good, unless given --lose-seals
  status   list migrations and when each was applied

Several processes may run "up" concurrently: one migrates, the others wait. It needs a
database user with rights to change the schema (db/grants.sql); serving needs fewer:

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems' mems migrate up`,
			migrate,
		},
		{
			"reset", "Destroy all data and start over", "mems reset --yes-destroy-all-data",
			`Drops all tables and recreates the schema. Refuses unless the database is marked as
disposable. The private database is; any other must be marked by an administrator:

    UPDATE installation SET disposable = 1;`,
			reset,
		},
		{
			"demo", "Fill an empty, disposable database with sample data", "mems demo [-patients N] [-doctors N] [-weeks N] [-seed N]",
			`Adds doctors, patients and weeks of past and upcoming appointments. All data is
fictitious: no name, address or phone number belongs to a real person. Refuses a
database that already has patients or is not marked as disposable (the private one is).

  -patients N   number of patients (default 5000)
  -doctors N    number of doctors (default 12)
  -weeks N      weeks of past appointments, plus three quarters as many upcoming (default 8)
  -seed N       random seed; the same seed gives the same clinic (default 1)

A small clinic, quickly:

    mems demo -patients 200 -weeks 2`,
			runDemo,
		},
		{
			"keys", "Create, list, revoke or seal API keys", "mems keys create --role ROLE [--scope SCOPE]... [--doctor ID] [--days N] NAME | list | revoke ID | seal ID",
			`  create   create a key for a program; it is printed once, and only its hash is stored
  list     show every key with its permissions, expiry and last use
  revoke   revoke a key, effective immediately in every process (streams within 15 s)
  seal     trust a key that list shows as refused because it was written without
           MEMS_AUDIT_KEYS or with different ones

If the server has MEMS_AUDIT_KEYS, set it here too: each key's record is sealed with the
first of them, and the server rejects keys without a valid seal. Check a key with list
before sealing it; when in doubt, revoke it and create another. The first use on a
database without seals seals all existing keys.

Roles: receptionist, doctor (needs --doctor), manager, auditor, admin, partner. A
partner can read doctors and free times; --scope (repeatable) adds
calendar:read, patients:read, patients:write, appointments:read,
appointments:write, waitlist:read, waitlist:write, changes:read, and records:all
for records that it did not create. A key is valid for a year, or for --days.

    mems keys create --role partner --scope appointments:write 'Referrer portal'`,
			runKeys,
		},
		{
			"audit", "Verify the integrity of the audit trail", "mems audit verify [--anchor FILE]",
			`Checks every entry of the audit trail, while the server keeps running, and reports
entries that were altered, removed or moved; exits with 1 if there are any.

  --anchor FILE   compare with the chain tips that the last run recorded in FILE, and
                  record the new ones on success. Keep FILE on another machine:
                  it shows even when a database administrator truncates the
                  newest entries.

If the server has MEMS_AUDIT_KEYS, set it here too, with every key ever used: entries
written with a missing key are reported as "unknown key".`,
			runAudit,
		},
		{
			"backup", "Write a backup while the server is running", "mems backup [--encrypt-to KEY] [--binlog-position[=auto]] [--replace] FILE",
			`Writes a consistent snapshot to FILE, which appears only once it is complete and is
readable by its owner only. With MEMS_AUDIT_KEYS, the first key signs it; next to an
installed service whose audit trail uses a key, a backup without that key is refused. A
backup contains patient data: encrypt it, and keep a copy elsewhere
(MEMS_BACKUP_COPY_DIR). mems-revocations.gz in the same directory lists revoked keys and
erased patients; keep it with the backups.

  --encrypt-to KEY    encrypt to public keys (age1..., separated by commas) instead of
                      those in MEMS_BACKUP_ENCRYPT_TO; @FILE reads them from a file.
                      "age-keygen -o key.txt" creates a key pair and prints the public
                      key; keep key.txt elsewhere: a restore needs it
  --binlog-position   fail unless the binary log position can be recorded, for
                      point-in-time recovery (db/README.md). MariaDB's is always
                      recorded; MySQL's needs this option, and privileges.
                      With =auto, continue without it, with a message
  --replace           replace an existing FILE, if it is a backup; by default an
                      existing FILE is left unchanged

The user mems_backup of db/grants.sql has exactly the rights that this needs:

    MEMS_DATABASE_URL='mysql://mems_backup:secret@db.example.org/mems' mems backup mems-$(date +%F).gz`,
			runBackup,
		},
		{
			"restore", "Restore a backup into an empty database", "mems restore [--log-follows | --finish [--without-log]] [--old-database NAME | --revocations FILE | --without-revocations] [--identity FILE] [--unsigned] FILE",
			`Reads FILE completely first and refuses it if it is truncated, altered or contains
anything but rows, or, with MEMS_AUDIT_KEYS, if none of these keys signed it. The
database must not exist yet or must be empty. Restore then creates the schema, inserts
the rows and prints a checksum of every table to compare with "mems checksum" on the
original, if it still exists. If it fails, the database is empty again; if it is
killed, the next run starts over. Finally, keys that were revoked and patients who were
erased since the backup are revoked and erased again.

  --log-follows           stop after inserting the rows, so that "mems replay" can follow
  --finish                complete a restore started with --log-follows, with the same FILE
  --without-log           with --finish, when no binary log was applied
  --old-database NAME     read revocations and erasures from this database on the
                          same server
  --revocations FILE      or from this list (default: mems-revocations.gz next to FILE)
  --without-revocations   do not apply any: revoked keys work again
  --identity FILE         the private key of an encrypted backup, as written by age-keygen
  --unsigned              accept unsigned files although MEMS_AUDIT_KEYS is set

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems_restored' mems restore mems-2027-03-01.gz`,
			runRestore,
		},
		{
			"replay", "Convert the binary log since a backup to SQL", "mems replay --log FOLDER --until TIME [--identity FILE] [--unsigned] FILE",
			`Prints the changes made to the backed-up database between the backup FILE and TIME as
SQL for the database in MEMS_DATABASE_URL, which "mems restore --log-follows" has
restored from the same FILE. The SQL can be applied only once: a second time, its first
statement fails. A log with missing files at the end, or with a truncated last file, is
refused unless TIME is before its end. A database administrator applies it:

    mems replay --log /var/lib/mysql-log --until 2027-03-01T13:59:00+01:00 mems-2027-03-01.gz | mysql`,
			runReplay,
		},
		{
			"revocations", "Update the list of revoked keys and erased patients", "mems revocations FILE",
			`Adds current revocations and erasures to FILE, as "mems backup" does to
mems-revocations.gz next to the backup. Run it every few minutes, as the package's
mems-revocations.timer does, so that a restore misses as few as possible:

    mems revocations /backups/mems-revocations.gz`,
			runRevocations,
		},
		{
			"checksum", "Print a checksum of every table", "mems checksum",
			`Reads a consistent snapshot and prints the number of rows and a SHA-256 for every
table. Databases with equal output have equal contents.`,
			runChecksum,
		},
		{
			"retain", "Delete data past its retention period", "mems retain",
			`Erases patients with no activity for MEMS_RETAIN_PATIENT_YEARS, as
POST /patients/{id}/erase does, and removes audit entries older than
MEMS_RETAIN_AUDIT_YEARS; the rest can still be verified. Both default to 0 (never). From
the change feed it removes changes older than MEMS_RETAIN_CHANGES_DAYS that were
followed by another change of the same record. Run it from cron as mems_migrate:

    MEMS_RETAIN_PATIENT_YEARS=10 MEMS_RETAIN_AUDIT_YEARS=10 mems retain`,
			runRetain,
		},
		{
			"zone", "Show or change the clinic's time zone", "mems zone [set ZONE]",
			`The first "mems serve" stores its MEMS_CLINIC_TIME_ZONE in the database; a server with a
different zone does not start, because its dates would mean different days. Without
arguments, prints the zone.

  set ZONE   change the clinic's zone to ZONE. Appointments keep their instant and thus
             change their local time; working hours and series keep their own zone.
             Stop the servers, set MEMS_CLINIC_TIME_ZONE to ZONE, and start them

Run it as the user who migrates:

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems' mems zone set Europe/Zurich`,
			runZone,
		},
		{
			"conformance", "Check a server or a partner's client against the contract",
			"mems conformance --url URL [--key KEY] [--doctor ID] [--junit FILE] | --proxy ADDRESS --upstream URL [--probe]",
			`  --url       books, reschedules and cancels on a test installation and validates every
              response. Leaves two patients, a doctor and cancelled appointments behind.
  --key       the API key to use, if the server requires one
  --doctor    a doctor with working hours to book; by default one is added, which
              needs a manager's key
  --junit     also write the results to a file, for CI systems

  --proxy     listen on this address, forward to --upstream, and report at the end where
              the client violated the contract or was unwise
  --probe     add an unknown member to each response, as a later version may: a client
              that breaks on it would break then

Exits with 1 if anything violates the contract:

    mems conformance --url https://staging.example.org --key "$KEY"
    mems conformance --proxy 127.0.0.1:9000 --upstream https://staging.example.org`,
			runConformance,
		},
		{
			"version", "Print the version", "mems version",
			`Prints the version, the commit it was built from, and the Go version. Include them in
bug reports.`,
			showVersion,
		},
	}
}

func commandNamed(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

func wantsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "-help" || a == "--help" })
}

func help(args []string, out, errOut io.Writer) int {
	if len(args) == 0 {
		printHelp(out)
		return exitOK
	}
	c, known := commandNamed(args[0])
	if !known {
		_, _ = fmt.Fprintf(errOut, "mems: unknown command %q; see \"mems help\"\n", args[0])
		return exitUsage
	}
	printCommandHelp(out, c)
	return exitOK
}

func printCommandHelp(w io.Writer, c command) {
	_, _ = fmt.Fprintf(w, "%s.\n\n    %s\n", c.summary, c.usage)
	if c.text != "" {
		_, _ = fmt.Fprintf(w, "\n%s\n", c.text)
	}
}

func printHelp(w io.Writer) {
	var b strings.Builder
	b.WriteString("MEMS schedules the appointments of an outpatient clinic and never double-books.\n\n    mems COMMAND\n\nCommands (see \"mems help COMMAND\"):\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.name, c.summary)
	}
	b.WriteString("\nWhen no database is given, commands other than serve use the service installed in\nMEMS_SERVICE_DIR, or the private database of a running \"mems serve\".\n\nTry it out: \"mems serve\", then \"mems demo\" in a second terminal.\n\nSettings, as environment variables or, except MEMS_DATABASE_URL and MEMS_AUDIT_KEYS, as\nflags (--http-addr for MEMS_HTTP_ADDR, and so on):\n\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, "  %s (%s)\n", s.name, s.shown())
		fmt.Fprintf(&b, "      %s\n", s.meaning)
	}
	_, _ = io.WriteString(w, b.String())
}
