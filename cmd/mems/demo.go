package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/demo"
	"mems/internal/store"
)

// runDemo runs "mems demo".
func runDemo(ctx context.Context, p *program, args []string) error {
	now := time.Now()
	options, err := p.demoOptions(now, args)
	if err != nil {
		return err
	}
	clock := func() time.Time { return now } // so that a day always gets the same clinic
	return p.withStore(ctx, clock, func(d *clinicDatabase, st *store.Store) error {
		if err := p.checkAuditKeys(ctx, st); err != nil {
			return err
		}
		if err := mayFill(ctx, d, st); err != nil {
			return err
		}
		if err := p.checkZone(ctx, st, p.logger()); err != nil {
			return err
		}
		b := newBar(p.err)
		summary, err := demo.Fill(ctx, st, options, b.show)
		b.end()
		if err != nil {
			return fmt.Errorf("%w\nThe sample data is incomplete; \"mems reset --yes-destroy-all-data\" removes it", err)
		}
		p.showDemo(d, summary, time.Since(now))
		return nil
	})
}

func (p *program) demoOptions(now time.Time, args []string) (demo.Options, error) {
	flags := newFlags("demo")
	patients := flags.Int("patients", 5000, "")
	doctors := flags.Int("doctors", 12, "")
	weeks := flags.Int("weeks", 8, "")
	seed := flags.Uint64("seed", 1, "")
	if err := parse(flags, args); err != nil {
		return demo.Options{}, err
	}
	for _, f := range []struct {
		name         string
		value, limit int
	}{{"patients", *patients, 200_000}, {"doctors", *doctors, 200}, {"weeks", *weeks, 104}} {
		if f.value < 1 || f.value > f.limit {
			return demo.Options{}, usageError{fmt.Sprintf("-%s: invalid value %[3]d (expected 1 to %[2]d)", f.name, f.limit, f.value)}
		}
	}
	return demo.Options{
		Doctors: *doctors, Patients: *patients, WeeksBack: *weeks, WeeksAhead: max(1, *weeks*3/4),
		Seed: *seed, Now: now, Zone: p.zone,
	}, nil
}

// mayFill rejects a database that may hold real data.
func mayFill(ctx context.Context, d *clinicDatabase, st *store.Store) error {
	schema, err := database.OpenSchema(d.dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	disposable, err := schema.Disposable(ctx)
	if err != nil {
		return err
	}
	if !disposable {
		return fmt.Errorf("%w, so no sample data was added. If it will never hold real data, "+
			"run \"mems migrate up\", and let an administrator mark it: UPDATE installation SET disposable = 1", database.ErrNotDisposable)
	}
	_, err = st.Ready(ctx)
	if _, otherZone := errors.AsType[*store.OtherZoneError](err); err != nil && !otherZone { // rejected below
		return err
	}
	patients, err := st.ListPatients(ctx, store.SystemRequest(), store.PatientQuery{Limit: 1})
	if err != nil {
		return err
	}
	if len(patients.Items) > 0 {
		return errors.New("the database already has patients, and sample data is never mixed with real data. " +
			"\"mems reset --yes-destroy-all-data\" empties the database, if its contents are not needed")
	}
	return nil
}

// showDemo prints what was created and how to look at it.
func (p *program) showDemo(d *clinicDatabase, s demo.Summary, took time.Duration) {
	_, _ = fmt.Fprintf(p.out, "\n%s, %s and %s from %s to %s, in %s:\n\n",
		clinic.Counted(s.Doctors, "doctor"), clinic.Counted(s.Patients, "patient"), clinic.Counted(s.Appointments, "appointment"), s.From, s.To, took.Round(100*time.Millisecond))
	for _, status := range []clinic.Status{
		clinic.StatusScheduled, clinic.StatusConfirmed, clinic.StatusCheckedIn, clinic.StatusInProgress,
		clinic.StatusCompleted, clinic.StatusCancelled, clinic.StatusNoShow, clinic.StatusLeftWithoutBeingSeen,
	} {
		if n := s.ByStatus[status]; n > 0 {
			_, _ = fmt.Fprintf(p.out, "  %-24s %6d\n", status, n)
		}
	}
	day := "Today's list"
	if s.Day != clinic.DateOf(time.Now().In(p.zone)) {
		day = "The next working day's list"
	}
	url, open := p.servedAt(d)
	header, withKey := "", ""
	if !open {
		header, withKey = ` -H "X-API-Key: $KEY"`, "Set KEY to an API key (\"mems keys create\") first.\n"
	}
	_, _ = fmt.Fprintf(p.out, `
%[1]s, of everybody and of one doctor, while "mems serve" runs (at the address
that it printed, if that is another one):
%[5]s
  curl -sS%[6]s '%[2]s/appointments?date=%[3]s'
  curl -sS%[6]s '%[2]s/appointments?date=%[3]s&doctor_id=%[4]d'
`, day, url, s.Day, s.DoctorID, withKey, header)
}

// servingFile has the URL of the "mems serve" that runs a private database, and, on a second
// line, whether it wants credentials: other commands may have other settings.
func (p *program) servingFile() string { return filepath.Join(p.DataDir, "serving") }

// noteServing writes servingFile, and returns what removes it. Without it, "mems demo" prints
// the address of its own settings.
func (p *program) noteServing(url string) (remove func()) {
	if err := os.WriteFile(p.servingFile(), fmt.Appendf(nil, "%s\n%t\n", url, p.open()), 0o600); err != nil {
		p.logger().Debug("the address is not noted for other commands", "cause", err)
	}
	return func() { _ = os.Remove(p.servingFile()) }
}

// servedAt returns the URL of the server whose database this is, and whether it is open: those
// that "mems serve" noted if it runs this private database, otherwise those of the settings.
func (p *program) servedAt(d *clinicDatabase) (url string, open bool) {
	if d.private != nil && !d.private.Owned() {
		if noted, err := os.ReadFile(p.servingFile()); err == nil {
			if lines := strings.Fields(string(noted)); len(lines) == 2 {
				return lines[0], lines[1] == "true"
			}
		}
	}
	url, err := p.localURL()
	if err != nil {
		url = "URL" // the operating system chooses the port
	}
	return url, p.open()
}
