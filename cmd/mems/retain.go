package main

import (
	"context"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// runRetain runs "mems retain".
func runRetain(ctx context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageError{"retain takes no arguments; it is configured by MEMS_RETAIN_PATIENT_YEARS, MEMS_RETAIN_AUDIT_YEARS and MEMS_RETAIN_CHANGES_DAYS"}
	}
	if p.RetainPatientYears == 0 && p.RetainAuditYears == 0 && p.RetainChangesDays == 0 {
		p.say("nothing to do: MEMS_RETAIN_PATIENT_YEARS, MEMS_RETAIN_AUDIT_YEARS and MEMS_RETAIN_CHANGES_DAYS are 0, so everything is kept")
		return nil
	}
	return p.withStore(ctx, time.Now, func(_ *clinicDatabase, st *store.Store) error {
		if err := p.checkAuditKeys(ctx, st); err != nil {
			return err
		}
		if years := p.RetainPatientYears; years > 0 {
			since := time.Now().AddDate(-years, 0, 0)
			n, err := st.EraseDormant(ctx, since, func(n int) { p.say("%s ...", clinic.Counted(n, "patient")) })
			if err != nil {
				return err
			}
			p.say("erased %s with no activity since %s", clinic.Counted(n, "patient"), since.Format(time.DateOnly))
		}
		if days := p.RetainChangesDays; days > 0 {
			before := time.Now().AddDate(0, 0, -days)
			n, err := st.PruneChanges(ctx, before)
			if err != nil {
				return err
			}
			p.say("removed %s from before %s from the feed", clinic.Counted(n, "superseded change"), before.Format(time.DateOnly))
		}
		if years := p.RetainAuditYears; years > 0 {
			before := time.Now().AddDate(-years, 0, 0)
			n, err := st.PruneAudit(ctx, before)
			if err != nil {
				return err
			}
			p.say("removed %s from before %s", clinic.Counted(n, "audit entry"), before.Format(time.DateOnly))
		}
		return nil
	})
}
