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

// runZone is the command "mems zone".
func runZone(ctx context.Context, p *program, args []string) error {
	switch {
	case len(args) == 0:
		return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
			name, err := store.ClinicZone(ctx, schema.Pool())
			if err == nil && name == "" {
				p.say("no zone is kept yet: the first \"mems serve\" keeps its own")
				return nil
			}
			if err == nil {
				_, err = fmt.Fprintln(p.out, name)
			}
			return err
		})
	case len(args) != 2 || args[0] != "set":
		return usageError{"say nothing, or set and the name of a zone"}
	}
	zone, err := clinic.LoadZone(args[1])
	if err != nil || args[1] == "Local" {
		return usageError{fmt.Sprintf("%q is not an IANA time zone such as Europe/Zurich", args[1])}
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
			p.say("the clinic's zone is %s already: nothing was changed", zone)
			return nil
		}
		p.say("the clinic's zone is now %s (before: %s). Servers that run with another one end by themselves within seconds.\n"+
			"Set MEMS_CLINIC_TIME_ZONE=%s for all of them, and start them", zone, cmp.Or(before, "none"), zone)
		return nil
	})
}

// checkZone refuses a zone that is not the one that the data were made with. That it
// cannot be read or kept, for want of a right, only warns.
func (p *program) checkZone(ctx context.Context, st *store.Store, log *slog.Logger) error {
	err := st.AdoptZone(ctx)
	if other, ok := errors.AsType[*store.OtherZoneError](err); ok {
		return settingError{fmt.Errorf("MEMS_CLINIC_TIME_ZONE: %w, so dates would mean other days.\n"+
			"Set MEMS_CLINIC_TIME_ZONE=%s; or, if the clinic means another zone from now on: mems zone set %s", other, other.Stored, other.Configured)}
	}
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "the clinic's time zone could not be compared with the one in the database", "cause", err, "advice", store.AdviceFor(err))
	}
	return nil
}

// zoneLooks is how often a server that runs compares its zone with the database's.
const zoneLooks = 2 * time.Second

// watchZone ends the server by fail when "mems zone set" has changed the zone: two servers
// would mean different days by one date. It is no wrong setting (exit status 78): once
// the setting is changed too, the next start is right.
func watchZone(ctx context.Context, st *store.Store, fail context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(zoneLooks):
		}
		limit, cancel := context.WithTimeout(ctx, zoneLooks)
		err := st.CheckZone(limit)
		cancel()
		if other, ok := errors.AsType[*store.OtherZoneError](err); ok {
			fail(zoneChangedError{other})
			return
		}
	}
}

// zoneChangedError ends a server whose zone is the clinic's no longer.
type zoneChangedError struct{ *store.OtherZoneError }

func (e zoneChangedError) Error() string {
	return fmt.Sprintf("the clinic's time zone was changed to %s, and this server runs with %s: it ends, so that no date means two days. "+
		"Set MEMS_CLINIC_TIME_ZONE=%[1]s and start it again", e.Stored, e.Configured)
}

// awaitDatabase returns when the database can be used and is this server's, which ready
// then tells. It ends the server by fail when a setting is wrong.
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
		log.InfoContext(ctx, "the database can be used now")
		close(ready)
		watchZone(ctx, st, fail)
		return
	}
}
