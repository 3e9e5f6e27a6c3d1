package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one thing that mems can do.
type command struct {
	name, summary, usage, text string
	run                        func(context.Context, *program, []string) error
}

func commands() []command {
	return []command{
		{
			"serve", "Serve the API, its documentation and its health checks", "mems serve [--migrate]",
			`Serves until Ctrl-C or SIGTERM, then finishes the requests in flight and ends.

Without MEMS_DATABASE_URL it starts a private MySQL-compatible server of its own
in MEMS_DATA_DIR, brings its schema up to date, and keeps the data there for the
next time. That is for trying MEMS out; a clinic gives it a real server:

    MEMS_DATABASE_URL='mysql://mems_app:secret@db.example.org/mems' mems serve

  --migrate   run pending migrations first (with MEMS_DATABASE_URL)`,
			serve,
		},
		{
			"health", "Ask whether the server is ready", "mems health",
			`Asks /readyz of the server on MEMS_HTTP_ADDR of this machine, for health checks of
containers; exits with 1 when it is not ready or not there.`,
			health,
		},
		{
			"migrate", "Bring the database schema up to date, or back, or show it", "mems migrate up|down --yes|status",
			`  up       create the database if need be and run every pending migration
  down     undo the newest migration (one step); what its tables and columns hold is lost
  status   list the migrations and when each was applied

Several processes may run "up" at once; one works, the others wait. It is run by
a database user who may change the schema (db/grants.sql); serving needs less:

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems' mems migrate up`,
			migrate,
		},
		{
			"reset", "Destroy all data and start anew", "mems reset --yes-destroy-all-data",
			`Drops every table and creates the schema again. Refuses unless the database has
been marked as disposable. The private database is; any other is marked by an
administrator who means it:

    UPDATE installation SET disposable = 1;`,
			reset,
		},
		{
			"demo", "Fill an empty, disposable database with a believable clinic", "mems demo [-patients N] [-doctors N] [-weeks N] [-seed N]",
			`Adds doctors, patients and weeks of appointments, past and coming, all invented:
no name, address or phone number belongs to anybody. Refuses a database that has
patients already or has not been marked as disposable (the private one is).

  -patients N   so many patients (5000)
  -doctors N    so many doctors (12)
  -weeks N      weeks of appointments behind, and three quarters as many ahead (8)
  -seed N       another number gives another clinic (1)

A small one, quickly:

    mems demo -patients 200 -weeks 2`,
			runDemo,
		},
		{
			"keys", "Make, list, revoke or seal API keys", "mems keys create --role ROLE [--scope SCOPE]... [--doctor ID] [--days N] NAME | list | revoke ID | seal ID",
			`  create   make a key for a program; it is printed once, and only a hash is kept
  list     show every key: what it may do, until when, and when it was last used
  revoke   end a key at once, in every process (streams within 15 s)
  seal     trust a key that list shows as refused: one that was written without
           MEMS_AUDIT_KEYS, or with others

With MEMS_AUDIT_KEYS set for serving, it must be set here too: each key's record is
sealed with the first of them, and the server refuses keys without a valid seal. Look
at what list says of a key before sealing it; when in doubt, revoke it and make
another. The first use on a database without seals seals every key that is there.

Roles: receptionist, doctor (needs --doctor), manager, auditor, admin, partner. A
partner sees doctors and free times; --scope adds, as often as needed,
calendar:read, patients:read, patients:write, appointments:read,
appointments:write, waitlist:read, waitlist:write, changes:read, and records:all
for records that it did not make itself. A key is valid for a year, or for --days.

    mems keys create --role partner --scope appointments:write 'Referrer portal'`,
			runKeys,
		},
		{
			"audit", "Verify that nobody tampered with the audit trail", "mems audit verify [--anchor FILE]",
			`Walks every entry of the audit trail, while the server goes on, and reports what
was altered, removed or put elsewhere; exits with 1 when there is anything.

  --anchor FILE   compare with the ends of the chains noted in FILE by the last
                  run, and note the new ones when all is well. Keep it on another
                  machine: with it, even the newest entries cannot be cut off by
                  a database administrator.

With MEMS_AUDIT_KEYS set for serving, it must be set here too, with every key that was
ever in use: what one wrote that is missing is reported as "unknown key".`,
			runAudit,
		},
		{
			"backup", "Write a backup, while the server goes on", "mems backup [--encrypt-to KEY] [--binlog-position[=auto]] [--replace] FILE",
			`Writes everything, as it was in one moment, to FILE. FILE is there when it is whole,
and not before; it can be read by its owner only. With MEMS_AUDIT_KEYS, the first key
signs it; beside an installed service whose trail was written with a key, a backup
without that key is refused. It holds patients' data: encrypt it, and keep a copy
elsewhere (MEMS_BACKUP_COPY_DIR). In the same folder, mems-revocations.gz lists revoked keys and
erased patients; keep it with the backups.

  --encrypt-to KEY    encrypt to public keys (age1..., separated by commas) instead of
                      those in MEMS_BACKUP_ENCRYPT_TO; @FILE reads them from a file.
                      "age-keygen -o key.txt" makes a pair and prints the public key;
                      keep key.txt elsewhere: without it, nothing is restored
  --binlog-position   fail unless the position of the server's binary log can be
                      noted, for recovery to a point in time (db/README.md). MariaDB's
                      is noted anyway; MySQL's takes this, and rights.
                      With =auto, go on without it, and say so
  --replace           put the backup in the place of a FILE that is there already,
                      if that is a backup; without it, such a FILE is left as it is

The user mems_backup of db/grants.sql may do this, and read, and nothing else:

    MEMS_DATABASE_URL='mysql://mems_backup:secret@db.example.org/mems' mems backup mems-$(date +%F).gz`,
			runBackup,
		},
		{
			"restore", "Restore a backup into an empty database", "mems restore [--log-follows | --finish [--without-log]] [--old-database NAME] [--revocations FILE] [--identity FILE] [--unsigned] FILE",
			`Reads the whole of FILE first and refuses one that is cut off or altered, or that
holds anything but rows; with MEMS_AUDIT_KEYS, one that no key of these signed.
Takes a database that does not exist yet or holds nothing. Then it makes the schema,
fills in the rows and prints a checksum of every table: compare them with those of
"mems checksum" on the original, if it still is. If it fails, the database is empty
again, and if it is killed, the next one begins anew. At the end, keys that were
revoked and patients who were erased since are revoked and erased again.

  --log-follows           stop after the rows; "mems replay" applies the binary log
  --finish                end what --log-follows began, with the same FILE
  --without-log           finish although no binary log was applied
  --old-database NAME     read what is revoked and erased in this database of the
                          same server
  --revocations FILE      or in this list (mems-revocations.gz in the folder of FILE)
  --without-revocations   go without: keys that were revoked work again
  --identity FILE         the private key, as age-keygen wrote it, of an encrypted backup
  --unsigned              take files that are not signed, although MEMS_AUDIT_KEYS is set

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems_restored' mems restore mems-2027-03-01.gz`,
			runRestore,
		},
		{
			"replay", "Write the binary log since a backup as SQL", "mems replay --log FOLDER --until TIME [--identity FILE] [--unsigned] FILE",
			`Writes what the server did to the database of the backup FILE from the moment of
that backup until TIME, as SQL for the database in MEMS_DATABASE_URL, which "mems
restore --log-follows" has filled from the same FILE. Applied a second time, the SQL fails
with its first statement. A log whose later files are missing, or whose last one is cut, is
refused unless TIME is before its end. An administrator of the server applies it:

    mems replay --log /var/lib/mysql-log --until 2027-03-01T13:59:00+01:00 mems-2027-03-01.gz | mysql`,
			runReplay,
		},
		{
			"revocations", "Bring the list of revoked keys and erased patients up to date", "mems revocations FILE",
			`Adds what is revoked and erased now to FILE, as "mems backup" does to
mems-revocations.gz in the folder of the backup. Run it every few minutes, as
mems-revocations.timer of the package does, so that little is forgotten when a backup is
restored:

    mems revocations /backups/mems-revocations.gz`,
			runRevocations,
		},
		{
			"checksum", "Print a checksum of every table", "mems checksum",
			`Reads every table, as it was in one moment, and prints its rows and a SHA-256 over
all of them. Two databases that print the same hold the same.`,
			runChecksum,
		},
		{
			"retain", "Erase and remove what has been kept long enough", "mems retain",
			`Erases patients of whom nothing was heard for MEMS_RETAIN_PATIENT_YEARS, as
POST /patients/{id}/erase does, and removes entries of the audit trail older than
MEMS_RETAIN_AUDIT_YEARS; what is left can be verified as before. Both are 0, for
ever, unless set. Of the change feed it removes what is older than
MEMS_RETAIN_CHANGES_DAYS and was followed by another change of the same record.
Run it from cron, as the user mems_migrate:

    MEMS_RETAIN_PATIENT_YEARS=10 MEMS_RETAIN_AUDIT_YEARS=10 mems retain`,
			runRetain,
		},
		{
			"zone", "Show or change the time zone that the data were made with", "mems zone [set ZONE]",
			`The first "mems serve" keeps its MEMS_CLINIC_TIME_ZONE in the database; one with another
zone is refused, for its dates would mean other days. Without words, prints the zone.

  set ZONE   the clinic means ZONE from now on. Appointments keep their moment, and so
             show another local time; working hours and series keep their own zone.
             Stop the servers, set MEMS_CLINIC_TIME_ZONE to the same, and start them

It is run by the user who migrates:

    MEMS_DATABASE_URL='mysql://mems_migrate:secret@db.example.org/mems' mems zone set Europe/Zurich`,
			runZone,
		},
		{
			"conformance", "Hold a server, or a partner's client, to the contract",
			"mems conformance --url URL [--key KEY] [--doctor ID] [--junit FILE] | --proxy ADDRESS --upstream URL [--probe]",
			`  --url       books, moves and cancels at a test installation, and holds every answer
              to the contract. It leaves two patients, a doctor and cancelled visits.
  --key       the API key to use, where the server wants one
  --doctor    a doctor with working hours to book with; without it, one is added,
              which takes a manager's key
  --junit     write the result to a file too, for a CI system

  --proxy     listen here, pass everything on to --upstream, and tell at the end what
              the client did that is against the contract, or unwise
  --probe     add a member that no client knows to each answer, as a later version
              may: a client that breaks on it would break then

Exits with 1 when anything is against the contract:

    mems conformance --url https://staging.example.org --key "$KEY"
    mems conformance --proxy 127.0.0.1:9000 --upstream https://staging.example.org`,
			runConformance,
		},
		{
			"version", "Say which version this is", "mems version",
			`Prints the version, the commit it was built from, and the Go version: what a
report of a fault should begin with.`,
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
		_, _ = fmt.Fprintf(errOut, "mems: there is no command %q. \"mems help\" lists them.\n", args[0])
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
	b.WriteString("MEMS keeps the appointments of an outpatient clinic, and never books anybody twice.\n\n    mems COMMAND\n\nCommands (\"mems help COMMAND\" says more):\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.name, c.summary)
	}
	b.WriteString("\nCommands beside serve use the service installed in MEMS_SERVICE_DIR when no database is\nnamed, or the private database of a \"mems serve\" that runs.\n\nTry it out: \"mems serve\", then \"mems demo\" in a second terminal.\n\nConfiguration, by environment variables or, all but MEMS_DATABASE_URL, by flags\n(--http-addr for MEMS_HTTP_ADDR, and so on):\n\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, "  %s (%s)\n", s.name, s.shown())
		fmt.Fprintf(&b, "      %s\n", s.meaning)
	}
	_, _ = io.WriteString(w, b.String())
}
