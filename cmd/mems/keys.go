package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
)

// runKeys runs "mems keys".
func runKeys(ctx context.Context, p *program, args []string) error {
	if len(args) == 0 {
		return usageError{"missing subcommand: create, list, revoke or seal"}
	}
	work := map[string]func(context.Context, *program, *store.Store, []string) error{
		"create": createKey, "list": listKeys, "revoke": revokeKey, "seal": sealKey,
	}[args[0]]
	if work == nil {
		return usageError{fmt.Sprintf("unknown subcommand %q (expected create, list, revoke or seal)", args[0])}
	}
	// Check the arguments before opening a database.
	check := map[string]func([]string) error{
		"create": func(words []string) error { _, err := wantedKey(words); return err },
		"list":   noWords,
		"revoke": func(words []string) error { _, err := keyID(words); return err },
		"seal":   func(words []string) error { _, err := keyID(words); return err },
	}[args[0]]
	if err := check(args[1:]); err != nil {
		return err
	}
	return p.withStore(ctx, time.Now, func(_ *clinicDatabase, st *store.Store) error {
		if args[0] != "list" {
			if err := p.checkAuditKeys(ctx, st); err != nil {
				return err
			}
		}
		return work(ctx, p, st, args[1:])
	})
}

// checkAuditKeys stops a command before it changes something without the key that last
// wrote to the audit trail: its entries could not be distinguished from tampering. Every
// other error is left to the command.
func (p *program) checkAuditKeys(ctx context.Context, st *store.Store) error {
	if err := st.CheckAuditKeys(ctx); errors.Is(err, store.ErrUnknownAuditKey) {
		return settingError{p.unknownAuditKey()}
	}
	return nil
}

// unknownAuditKey returns store.ErrUnknownAuditKey, explained if there is no key at all.
func (p *program) unknownAuditKey() error {
	if len(p.macKeys()) > 0 {
		return store.ErrUnknownAuditKey
	}
	instead := ""
	if p.isServiceSkipped() {
		instead = fmt.Sprintf("; or leave MEMS_DATABASE_URL and MEMS_DATABASE_URL_FILE out, to use the settings of the service in %s", p.ServiceDir)
	}
	return fmt.Errorf("MEMS_AUDIT_KEYS is not set, and the audit trail was written with a key: "+
		"set MEMS_AUDIT_KEYS or MEMS_AUDIT_KEYS_FILE to the keys it was written with%s", instead)
}

// withStore opens the store, and prepares a private database, for one command.
func (p *program) withStore(ctx context.Context, now func() time.Time, work func(*clinicDatabase, *store.Store) error) error {
	d, err := p.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	if d.private != nil {
		if err := p.prepare(ctx, d); err != nil {
			return err
		}
	}
	schema, err := database.OpenSchema(d.dsn, store.RekeyPatients)
	if err != nil {
		return err
	}
	defer func() { _ = schema.Close() }()
	if err := checkRestored(ctx, schema); err != nil {
		return err
	}
	st, err := store.Open(store.Config{
		DSN: d.dsn, MaxOpenConns: p.DatabaseConns, Now: now, Zone: p.zone, Log: p.logger(), MACKeys: p.macKeys(),
	})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	return explain(work(d, st))
}

// explain replaces a bare refusal by its text; wrapped errors are unchanged.
func explain(err error) error {
	refusal, ok := err.(*clinic.Error) //nolint:errorlint // one that is wrapped has words
	if !ok {
		return advise(err)
	}
	if refusal.Code == clinic.CodeUnavailable {
		if advice := store.AdviceFor(err); advice != "" {
			return fmt.Errorf("%w\n%s", err, advice)
		}
		return fmt.Errorf("%w\nIs the database running, and migrated? \"mems migrate up\"", err)
	}
	var words []string
	for _, v := range refusal.Violations {
		member := strings.TrimPrefix(v.Pointer, "#/")
		words = append(words, cmp.Or(keyWords[member], member)+" "+v.Detail)
	}
	if len(words) == 0 {
		words = []string{string(refusal.Code)}
	}
	return errors.New(strings.Join(words, "; "))
}

// keyWords maps members of the contract to the flags of "keys create".
var keyWords = map[string]string{
	"name": "the name", "role": "--role", "scopes": "--scope", "doctor_id": "--doctor", "expires_at": "the end, which --days gives,",
}

// wantedKey parses the arguments of "keys create".
func wantedKey(args []string) (clinic.APIKey, error) {
	flags := newFlags("keys create")
	var scopes []string
	role := flags.String("role", "", "")
	flags.Func("scope", "", func(s string) error { scopes = append(scopes, s); return nil })
	doctor := flags.Int64("doctor", 0, "")
	days := flags.Int("days", 365, "")
	if err := parseWords(flags, args); err != nil {
		return clinic.APIKey{}, err
	}
	if flags.NArg() > 1 && strings.HasPrefix(flags.Arg(1), "-") {
		return clinic.APIKey{}, usageError{flags.Arg(1) + " must come before the name, for example: mems keys create --role receptionist 'Front desk'"}
	}
	if flags.NArg() != 1 || *role == "" {
		return clinic.APIKey{}, usageError{"missing --role or name, for example: mems keys create --role receptionist 'Front desk'"}
	}
	want := clinic.APIKey{
		Name: flags.Arg(0), Role: clinic.Role(*role), Scopes: scopes, ExpiresAt: time.Now().AddDate(0, 0, *days),
	}
	if !slices.Contains(clinic.Roles(), want.Role) {
		return want, fmt.Errorf("unknown role %q (expected one of %s)", *role, words(clinic.Roles()))
	}
	for _, scope := range scopes {
		if !slices.Contains(clinic.Scopes(), scope) {
			return want, fmt.Errorf("unknown --scope %q (expected one of %s)", scope, words(clinic.Scopes()))
		}
	}
	if *doctor != 0 {
		want.DoctorID = doctor
	}
	now := time.Now()
	want.Normalize(now)
	return want, explain(want.Validate(now))
}

// words joins names for a sentence.
func words[T ~string](names []T) string {
	var text []string
	for _, n := range names {
		text = append(text, string(n))
	}
	return strings.Join(text, ", ")
}

func createKey(ctx context.Context, p *program, st *store.Store, args []string) error {
	want, err := wantedKey(args)
	if err != nil {
		return err
	}
	k, key, err := st.CreateAPIKey(ctx, store.SystemRequest(), want)
	if refusal, ok := errors.AsType[*clinic.Error](err); ok && refusal.Code == clinic.CodeDoctorNotFound {
		return fmt.Errorf("there is no doctor %d; GET /doctors lists them with their ids", *want.DoctorID)
	}
	if err != nil {
		return err
	}
	p.say("key %d (%s, %s) is valid until %s. It is shown only once; send it as X-API-Key:", k.ID, k.Name, k.Role, k.ExpiresAt.Format(time.DateOnly))
	if len(p.macKeys()) == 0 {
		if sealed, err := st.KeysAreSealed(ctx); err == nil && sealed {
			p.say("it has no seal: a server with MEMS_AUDIT_KEYS will reject it. Set MEMS_AUDIT_KEYS here too, and seal it: mems keys seal %d", k.ID)
		}
	}
	_, err = fmt.Fprintln(p.out, key)
	return err
}

func listKeys(ctx context.Context, p *program, st *store.Store, args []string) error {
	if err := noWords(args); err != nil {
		return err
	}
	if err := st.SealKeys(ctx, store.SystemRequest()); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tNAME\tROLE\tSCOPES\tSTATE\tLAST USED")
	for after := int64(0); ; {
		page, err := st.ListAPIKeys(ctx, after, 200)
		if err != nil {
			return err
		}
		for _, k := range page.Items {
			after = k.ID
			state := "valid until " + k.ExpiresAt.Format(time.DateOnly)
			switch {
			case k.RevokedAt != nil:
				state = "revoked " + k.RevokedAt.Format(time.DateOnly)
			case !time.Now().Before(k.ExpiresAt):
				state = "expired " + k.ExpiresAt.Format(time.DateOnly)
			}
			switch k.Seal {
			case clinic.SealValid, clinic.SealUnverified:
			case clinic.SealMissing:
				state = "refused, not sealed; " + state
			case clinic.SealWrong:
				state = "refused, seal is wrong; " + state
			}
			used := "never"
			if k.LastUsedAt != nil {
				used = k.LastUsedAt.Format("2006-01-02 15:04Z")
			}
			_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Role, strings.Join(k.Scopes, " "), state, used)
		}
		if !page.More {
			return w.Flush()
		}
	}
}

func noWords(args []string) error {
	if len(args) > 0 {
		return usageError{"list takes no arguments"}
	}
	return nil
}

// keyID parses the id of a key.
func keyID(args []string) (int64, error) {
	if len(args) != 1 {
		return 0, usageError{"missing key id; see \"mems keys list\""}
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return 0, usageError{fmt.Sprintf("invalid key id %q; see \"mems keys list\"", args[0])}
	}
	return id, nil
}

func revokeKey(ctx context.Context, p *program, st *store.Store, args []string) error {
	id, err := keyID(args)
	if err != nil {
		return err
	}
	k, err := st.RevokeAPIKey(ctx, store.SystemRequest(), id)
	if refusal, ok := errors.AsType[*clinic.Error](err); ok && refusal.Code == clinic.CodeKeyNotFound {
		return fmt.Errorf("there is no key %d; see \"mems keys list\"", id)
	}
	if err != nil {
		return err
	}
	p.say("key %d (%s) is revoked.", k.ID, k.Name)
	return nil
}

// sealKey seals a key in its present state.
func sealKey(ctx context.Context, p *program, st *store.Store, args []string) error {
	id, err := keyID(args)
	if err != nil {
		return err
	}
	if len(p.macKeys()) == 0 {
		return errors.New("MEMS_AUDIT_KEYS is not set, and sealing keys needs it")
	}
	k, err := st.SealKey(ctx, store.SystemRequest(), id)
	if err != nil {
		return err
	}
	p.say("key %d (%s, %s, valid until %s) is sealed.", k.ID, k.Name, k.Role, k.ExpiresAt.Format(time.DateOnly))
	return nil
}
