package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pressly/goose/v3"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// migrate runs "mems migrate".
func migrate(ctx context.Context, p *program, args []string) error {
	flags := newFlags("migrate")
	yes := flags.Bool("yes", false, "")
	loseSeals := flags.Bool("lose-seals", false, "")
	if len(args) > 1 {
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return usageError{"missing subcommand: up, down or status"}
	}
	step := map[string]func(context.Context, *program, *database.Schema) error{
		"up": migrateUp, "down": migrateDown, "status": migrateStatus,
	}[args[0]]
	if step == nil {
		return usageError{fmt.Sprintf("unknown subcommand %q (expected up, down or status)", args[0])}
	}
	if args[0] == "down" && !*yes {
		lost := ""
		// If the database is unreachable, the answer is the same.
		_ = p.withSchema(ctx, func(ctx context.Context, _ *program, schema *database.Schema) error {
			losses, err := schema.Losses(ctx)
			lost = describeLosses(losses)
			return err
		})
		return usageError{"down reverts the newest migration (see \"mems migrate status\") and permanently deletes the data in its tables and " +
			"columns" + lost + "; make a backup, then add --yes to confirm"}
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
		schema.LoseSeals = *loseSeals
		return step(ctx, p, schema)
	})
}

// withSchema opens the configured database's schema for a command.
func (p *program) withSchema(ctx context.Context, work func(context.Context, *program, *database.Schema) error) error {
	d, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	schema, err := database.OpenSchema(d.dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	p.reportHosts(schema)
	return advise(work(ctx, p, schema))
}

// reportHosts makes a migration report the state of a cluster's hosts.
func (p *program) reportHosts(schema *database.Schema) {
	schema.OnFailover = func(cause error, wait time.Duration) {
		p.say("lost the connection to the database server (%v); waiting up to %[2]s for the cluster's next primary", cause, wait)
	}
	schema.OnUnreachable = func(host string, cause error) {
		p.say("could not check whether database server %s allows creating triggers (%v). Before it becomes the primary, check that "+
			"@@GLOBAL.log_bin_trust_function_creators is 1 there", host, cause)
	}
}

func migrateUp(ctx context.Context, p *program, schema *database.Schema) error {
	steps := 0
	err := schema.Up(ctx, func(m database.Migration) {
		steps++
		p.reportMigration(m)
	})
	if err == nil && steps == 0 {
		p.say("nothing to do: the schema is up to date")
	}
	return err
}

// describeLosses lists what is lost; empty for none.
func describeLosses(losses []database.Loss) string {
	var names []string
	for _, l := range losses {
		names = append(names, fmt.Sprintf("%s (%s)", l.Name, clinic.Counted(l.Rows, "row")))
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

func migrateDown(ctx context.Context, p *program, schema *database.Schema) error {
	losses, err := schema.Losses(ctx)
	if err != nil {
		return err
	}
	m, err := schema.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		p.say("nothing to revert: no migration is applied")
		return nil
	}
	if errors.Is(err, database.ErrSealsLost) {
		return fmt.Errorf("%w, so nothing was changed: once it was applied again, \"mems audit verify\" would report the audit trail as tampered with "+
			"for good, or the next server trust every API key it finds%s. To go back to an earlier release, restore a backup made before the upgrade "+
			"into another database. To lose the seals all the same, add --lose-seals", err, describeLosses(losses))
	}
	if err == nil {
		p.say("undid %s%s", m.Name, describeLosses(losses))
	}
	return err
}

func migrateStatus(ctx context.Context, p *program, schema *database.Schema) error {
	all, err := schema.Status(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "MIGRATION\tAPPLIED")
	for _, m := range all {
		applied := "pending"
		if m.Applied {
			applied = m.AppliedAt.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", m.Name, applied)
	}
	return table.Flush()
}

// reset runs "mems reset".
func reset(ctx context.Context, p *program, args []string) error {
	flags := newFlags("reset")
	yes := flags.Bool("yes-destroy-all-data", false, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if !*yes {
		return usageError{"this destroys all patients, doctors and appointments; add --yes-destroy-all-data to confirm"}
	}
	return p.withSchema(ctx, func(ctx context.Context, p *program, schema *database.Schema) error {
		err := schema.Reset(ctx, p.reportMigration)
		if errors.Is(err, database.ErrNotDisposable) {
			return fmt.Errorf("%w, so nothing was changed. If its data may be destroyed, an administrator must mark it: UPDATE installation SET disposable = 1", err)
		}
		if err == nil {
			p.say("all data was destroyed and the schema recreated")
		}
		return err
	})
}
