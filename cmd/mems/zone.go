package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// runZone is the command "mems zone".
func runZone(ctx context.Context, p *program, args []string) error {
	switch {
	case len(args) == 0:
		return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error {
			name, err := schema.ClinicZone(ctx)
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
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *store.Schema) error {
		old, err := schema.ClinicZone(ctx)
		if err != nil {
			return err
		}
		if err := schema.SetClinicZone(ctx, zone.String()); err != nil {
			return err
		}
		p.say("the clinic's zone is now %s (before: %s). Set MEMS_CLINIC_TIME_ZONE=%s and restart every server", zone, orNone(old), zone)
		return nil
	})
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
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

// checkZoneLater does so once the database can be used, and ends the server by fail.
func (p *program) checkZoneLater(ctx context.Context, st *store.Store, log *slog.Logger, fail context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		if _, err := st.Ready(ctx); err != nil {
			continue
		}
		if err := cmp.Or(p.checkZone(ctx, st, log), checkAuditKeys(ctx, st)); err != nil {
			fail(err)
		}
		return
	}
}
