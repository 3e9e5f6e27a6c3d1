package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"mems/internal/database"
	"mems/internal/localdb"
	"mems/internal/store"
)

// clinicDatabase is the database of a command.
type clinicDatabase struct {
	dsn     string
	private *localdb.Server // nil with MEMS_DATABASE_URL
	where   string          // for people; without a password
}

// wantsCA matches a database URL whose server certificate is checked against a CA file.
var wantsCA = regexp.MustCompile(`[?&]tls=mems(&|$)`)

// openDatabase returns the configured database: that of MEMS_DATABASE_URL, of the service
// installed here, or the private one. Only commands for trying MEMS start the private one;
// others use one that is running, since a new one would be empty.
func (p *program) openDatabase(ctx context.Context) (*clinicDatabase, error) {
	if err := p.checkDatabase(); err != nil {
		return nil, err
	}
	if p.DatabaseURL != "" {
		if p.service != "" {
			p.say("using the settings of the service in %s", p.service)
		}
		return &clinicDatabase{dsn: p.DatabaseURL, where: "the server in MEMS_DATABASE_URL"}, nil
	}
	if p.isBesideService() {
		return nil, settingError{fmt.Errorf("a service is installed here (%s), and \"mems %s\" is not for its database. "+
			"To try MEMS out beside it, name a directory: MEMS_DATA_DIR=DIR mems %[2]s", p.ServiceDir, p.command)}
	}
	dir := filepath.Join(p.DataDir, "db")
	options := localdb.Options{
		Dir: dir, Engine: p.engine(), Durable: true, Install: true,
		Log: func(format string, args ...any) { p.say(format, args...) },
	}
	start := localdb.Start
	made := func() bool { // data exist, whose time zone a server may refuse
		_, err := os.Stat(filepath.Join(dir, "data"))
		return err == nil
	}
	if !slices.Contains([]string{"serve", "demo", "reset"}, p.command) && (p.command != "zone" || !made()) {
		start = localdb.Attach
	}
	s, err := start(ctx, options)
	if errors.Is(err, localdb.ErrNotRunning) && p.service != "" {
		return nil, settingError{fmt.Errorf("no database: the settings of the service in %s name none for \"mems %s\". Write its database URL to %s, "+
			"or set MEMS_DATABASE_URL", p.service, p.command, filepath.Join(p.service, serviceURLs[p.command]))}
	}
	if errors.Is(err, localdb.ErrNotRunning) {
		return nil, settingError{fmt.Errorf("no database: set MEMS_DATABASE_URL or MEMS_DATABASE_URL_FILE. (There is no service installed in %s, "+
			"and no \"mems serve\" runs a private database in %s)", p.ServiceDir, p.DataDir)}
	}
	if err != nil {
		return nil, fmt.Errorf("private database: %w", err)
	}
	return &clinicDatabase{dsn: s.DSN("mems"), private: s, where: fmt.Sprintf("a private %s %s in %s", s.Engine(), s.Version(), dir)}, nil
}

// isBesideService reports whether a command for trying MEMS runs on the machine of an
// installed service, without a directory for a private database.
func (p *program) isBesideService() bool {
	if p.command != "demo" && p.command != "reset" || p.dataDirSet {
		return false
	}
	_, err := os.Stat(filepath.Join(p.ServiceDir, "mems.env"))
	return err == nil
}

// checkDatabase checks the settings of the database without connecting to it.
func (p *program) checkDatabase() error {
	var faults []error
	trusted := true
	if p.DatabaseCAFile != "" {
		pem, err := os.ReadFile(p.DatabaseCAFile)
		if err == nil {
			err = database.TrustCA(pem)
		}
		if err != nil {
			faults, trusted = append(faults, settingError{fmt.Errorf("MEMS_DATABASE_CA_FILE: %w", err)}), false
		}
	}
	wants := wantsCA.MatchString(p.DatabaseURL)
	if wants && !trusted {
		return errors.Join(faults...) // without the CA file the URL cannot be parsed either
	}
	if wants && p.DatabaseCAFile == "" {
		faults = append(faults, settingError{errors.New("MEMS_DATABASE_URL: tls=mems needs a file with CA certificates: set MEMS_DATABASE_CA_FILE, " +
			"or use tls=true to trust the system's")})
	} else if p.DatabaseURL != "" {
		schema, err := database.OpenSchema(p.DatabaseURL, store.RekeyPatients)
		if err != nil {
			faults = append(faults, settingError{fmt.Errorf("MEMS_DATABASE_URL: %w", err)})
		} else {
			_ = schema.Close()
		}
	}
	return errors.Join(faults...)
}

// close stops the private server, if this process runs it.
func (d *clinicDatabase) close() {
	if d.private == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = d.private.Stop(ctx) // killed on timeout; it recovers at the next start
}

// keep keeps a private server running until ctx ends. The context that it returns ends with
// ctx, or with the cause if the server cannot be kept running; ended waits until Keep has
// returned.
func (d *clinicDatabase) keep(ctx context.Context) (kept context.Context, ended func()) {
	kept, fail := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	if d.private != nil {
		keeping.Go(func() {
			if err := d.private.Keep(kept); err != nil {
				fail(fmt.Errorf("private database: %w", err))
			}
		})
	}
	return kept, func() {
		fail(nil)
		keeping.Wait()
	}
}

// prepare migrates the database. A private one is for trying MEMS, so it is marked as
// disposable, which "mems reset" and "mems demo" require.
func (p *program) prepare(ctx context.Context, d *clinicDatabase) error {
	schema, err := database.OpenSchema(d.dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	p.reportHosts(schema)
	if err := schema.Up(ctx, p.reportMigration); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if d.private == nil {
		return nil
	}
	return schema.MarkDisposable(ctx)
}

func (p *program) reportMigration(m database.Migration) {
	p.say("migrated to %s (%s)", m.Name, m.Took.Round(time.Millisecond))
}
