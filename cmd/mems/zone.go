package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// runZone runs "mems zone".
func runZone(ctx context.Context, p *program, args []string) error {
	switch {
	case len(args) == 0:
		return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
			name, err := store.ClinicZone(ctx, schema.Pool())
			if err == nil && name == "" {
				p.say("no time zone is stored yet: the first \"mems serve\" stores its own")
				return nil
			}
			if err == nil {
				_, err = fmt.Fprintln(p.out, name)
			}
			return err
		})
	case len(args) != 2 || args[0] != "set":
		return usageError{"expected no arguments, or set and the name of a zone"}
	}
	zone, err := clinic.LoadZone(args[1])
	if err != nil || args[1] == "Local" {
		return usageError{fmt.Sprintf("invalid time zone %q (expected an IANA name such as Europe/Zurich)", args[1])}
	}
	return p.withStore(ctx, time.Now, func(_ *clinicDatabase, st *store.Store) error {
		if err := p.checkAuditKeys(ctx, st); err != nil {
			return err
		}
		before, err := st.SetClinicZone(ctx, zone.String())
		if err != nil {
			return err
		}
		if before == zone.String() {
			p.say("the clinic's time zone is already %s: nothing was changed", zone)
			return nil
		}
		p.say("the clinic's time zone is now %s (was %s). Servers running with another one exit within seconds.\n"+
			"Set MEMS_CLINIC_TIME_ZONE=%s for all servers, and start them", zone, cmp.Or(before, "none"), zone)
		return nil
	})
}

// checkZone rejects a time zone that differs from that of the data. If it cannot be read or
// stored for lack of a privilege, it only warns.
func (p *program) checkZone(ctx context.Context, st *store.Store, log *slog.Logger) error {
	err := st.AdoptZone(ctx)
	if other, ok := errors.AsType[*store.OtherZoneError](err); ok {
		return settingError{fmt.Errorf("MEMS_CLINIC_TIME_ZONE: %w, so dates would mean different days.\n"+
			"Set MEMS_CLINIC_TIME_ZONE=%s; or, to change the clinic's time zone: mems zone set %s", other, other.Stored, other.Configured)}
	}
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "comparing the clinic's time zone with the one in the database failed", "cause", err, "advice", store.AdviceFor(err))
	}
	return nil
}

// zoneLooks is the interval at which a running server compares its zone with the
// database's.
const zoneLooks = 2 * time.Second

// watchZone stops the server through fail when "mems zone set" or a restore has changed the
// zone: two servers would interpret a date as different days. It is not a wrong setting (exit
// status 78): once the setting is changed, too, the next start succeeds.
func watchZone(ctx context.Context, st *store.Store, fail context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(zoneLooks):
		}
		limit, cancel := context.WithTimeout(ctx, zoneLooks)
		err := st.AdoptZone(limit) // none is stored after a reset
		cancel()
		if other, ok := errors.AsType[*store.OtherZoneError](err); ok {
			fail(zoneChangedError{other})
			return
		}
	}
}

// zoneChangedError stops a server whose zone is no longer the clinic's.
type zoneChangedError struct{ *store.OtherZoneError }

func (e zoneChangedError) Error() string {
	return fmt.Sprintf("the clinic's time zone was changed to %s, but this server runs with %s: it exits, so that a date never means two different days. "+
		"Set MEMS_CLINIC_TIME_ZONE=%[1]s and start it again", e.Stored, e.Configured)
}

// awaitDatabase returns when the database is usable and has this server's zone, according
// to ready. It stops the server through fail if a setting is wrong.
func (p *program) awaitDatabase(ctx context.Context, st *store.Store, log *slog.Logger, fail context.CancelCauseFunc, ready chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		_, err := st.Ready(ctx)
		if _, ok := errors.AsType[*store.OtherZoneError](err); err != nil && !ok {
			continue
		}
		if err := cmp.Or(p.checkZone(ctx, st, log), p.checkAuditKeys(ctx, st)); err != nil {
			fail(err)
			return
		}
		log.InfoContext(ctx, "the database is available now")
		close(ready)
		watchZone(ctx, st, fail)
		return
	}
}
