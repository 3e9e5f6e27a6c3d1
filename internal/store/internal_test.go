package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/database"
)

// failedConnect returns the error of a pool whose connections fail with cause.
func failedConnect(t *testing.T, cause error) error {
	t.Helper()
	name := "fails-" + strings.ToLower(rand.Text())
	mysql.RegisterDialContext(name, func(context.Context, string) (net.Conn, error) { return nil, cause })
	t.Cleanup(func() { mysql.DeregisterDialContext(name) })
	server, err := database.NewServer("mems@"+name+"(nowhere)/mems", nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := server.Open(database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.PingContext(t.Context())
	if !errors.Is(err, cause) {
		t.Fatalf("ping: %v, want %v", err, cause)
	}
	return err
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	server := func(number uint16, message string) error { return &mysql.MySQLError{Number: number, Message: message} }
	unknown := server(9999, "surprise")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancelLate()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want error
	}{
		"Nil":               {err: nil, want: nil},
		"DomainError":       {err: clinic.ErrDoctorOverlap, want: clinic.ErrDoctorOverlap},
		"EmailTakenMySQL":   {err: server(1062, "Duplicate entry 'x' for key 'patients.patients_email_key'"), want: clinic.ErrEmailTaken},
		"EmailTakenMariaDB": {err: server(1062, "Duplicate entry 'x' for key 'patients_email_key'"), want: clinic.ErrEmailTaken},
		"HasAppointments":   {err: server(1451, ""), want: clinic.ErrHasAppointments},
		"DoctorDeleted":     {err: server(1452, "Cannot add or update a child row: a foreign key constraint fails (`m`.`holds`, CONSTRAINT `holds_doctor_exists` FOREIGN KEY (`doctor_id`) REFERENCES `doctors` (`id`) ON DELETE CASCADE)"), want: clinic.ErrDoctorNotFound},
		"RoomDeleted":       {err: server(1452, "(`m`.`appointments`, CONSTRAINT `appointments_room_exists` FOREIGN KEY (`room_id`))"), want: clinic.ErrRoomNotFound},
		"BackstopDoctor":    {err: server(45001, ""), want: clinic.ErrDoctorOverlap},
		"BackstopPatient":   {err: server(45002, ""), want: clinic.ErrPatientOverlap},
		"Deadlock":          {err: server(1213, ""), want: clinic.ErrUnavailable},
		"ShuttingDown":      {err: server(1053, ""), want: clinic.ErrUnavailable},
		"TooMany":           {err: server(1040, ""), want: clinic.ErrUnavailable},
		"PrimaryChanges":    {err: server(4094, "All queries have been blocked while function 'group_replication_set_as_primary()' is executing."), want: clinic.ErrUnavailable},
		"NewPrimaryCatchUp": {err: server(3782, "Held statement aborted because Group Replication plugin got shut down"), want: clinic.ErrUnavailable},
		"MemberLeaves":      {err: server(3799, "The Group Replication plugin is stopping"), want: clinic.ErrUnavailable},
		"HalfAnAnswer":      {err: mysql.ErrMalformPkt, want: clinic.ErrUnavailable},
		"NotMigrated":       {err: server(1146, ""), want: clinic.ErrUnavailable},
		"ColumnMissing":     {err: server(1247, "Reference 'data_id' not supported (forward reference in item list)"), want: clinic.ErrUnavailable},
		"BadConn":           {err: driver.ErrBadConn, want: clinic.ErrUnavailable},
		"InvalidConn":       {err: mysql.ErrInvalidConn, want: clinic.ErrUnavailable},
		"EOF":               {err: io.ErrUnexpectedEOF, want: clinic.ErrUnavailable},
		"Refused":           {err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: clinic.ErrUnavailable},
		"Connecting":        {err: failedConnect(t, errors.New("bad connection")), want: clinic.ErrUnavailable},
		"NoAccess":          {err: failedConnect(t, server(1045, "")), want: clinic.ErrUnavailable},
		"ConnDone":          {err: sql.ErrConnDone, want: clinic.ErrUnavailable},
		"Moved":             {err: errStale, want: clinic.ErrUnavailable},
		"Late":              {ctx: late, err: sql.ErrTxDone, want: clinic.ErrUnavailable},
		"ClientGone":        {ctx: cancelled, err: sql.ErrTxDone, want: context.Canceled},
		"OtherDuplicate":    {err: server(1062, "Duplicate entry for key 'PRIMARY'"), want: nil},
		"Unknown":           {err: unknown, want: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := test.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			got := translate(ctx, "read room", test.err)
			failed := errors.Is(got, clinic.ErrUnavailable) || name == "OtherDuplicate" || name == "Unknown"
			if named := got != nil && strings.Contains(got.Error(), "read room: "); named != failed {
				t.Errorf("got %v; it names the act: %t, want %t", got, named, failed)
			}
			if name == "OtherDuplicate" {
				if !errors.Is(got, test.err) {
					t.Errorf("got %v, want it unchanged", got)
				}
				return
			}
			if !errors.Is(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		versions Versions
		ok       bool
	}{
		"Any": {nil, true}, "None": {Versions{}, false}, "Same": {Versions{3}, true}, "OneOf": {Versions{1, 3}, true}, "Other": {Versions{2}, false},
	} {
		if ok := test.versions.check(3) == nil; ok != test.ok {
			t.Errorf("%s: %v, want %v", name, ok, test.ok)
		}
	}
}

func TestOpenRefusesHalfAConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := Open(Config{DSN: "root@unix(/x)/mems"}); err == nil {
		t.Error("Open without a clock: no error, want one")
	}
}

func TestPrefixEscapesPatterns(t *testing.T) {
	t.Parallel()
	if got := prefix(`50%_a\b`); got != `50\%\_a\\b%` {
		t.Errorf("prefix(%q) = %q, want %q", `50%_a\b`, got, `50\%\_a\\b%`)
	}
}
