package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
	"mems/internal/storetest"
)

// Every table is restored as it was backed up, and the triggers guard it; the backup user
// has only the privileges for that.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()

	d := storetest.New(t)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)
	c := contracttest.New(t, p.URL)
	var doctor api.Doctor
	c.Post("/doctors", map[string]any{"full_name": "Dr. Ünal 'quoted' \\ 医生", "specialization": "Any"}).Want(t, 201, "").Decode(t, &doctor)
	var patient api.Patient
	c.Post("/patients", map[string]any{"first_name": "Zoë", "last_name": "O'Neil\"; DROP TABLE patients; -- /*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/", "email": "zoe@example.org"}).Want(t, 201, "").Decode(t, &patient)
	start := time.Now().Add(48 * time.Hour).Truncate(time.Hour)
	for i := range 20 {
		c.Post("/appointments", booking(patient.ID, doctor.ID, start.Add(time.Duration(i)*time.Hour), 30)).Want(t, 201, "")
	}
	p.Signal(syscall.SIGTERM)
	p.Wait()

	file := filepath.Join(t.TempDir(), "backup.gz")
	if code, output := runMEMS(t, []string{"backup", file}, "MEMS_DATABASE_URL="+storetest.GrantBackup(t, d).DSN); code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the backup = %v (%v), want 0600", info, err)
	}
	empty := storetest.Empty(t)
	into := "MEMS_DATABASE_URL=" + empty.DSN
	if code, output := runMEMS(t, []string{"restore", file}, into); code != exitOK {
		t.Fatalf("mems restore ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	_, original := runMEMS(t, []string{"checksum"}, "MEMS_DATABASE_URL="+d.DSN)
	_, copied := runMEMS(t, []string{"checksum"}, into)
	if original != copied || !strings.Contains(original, "appointments") || !strings.Contains(original, "audit_entries") {
		t.Errorf("checksums after the restore:\n%s\nwant those of the original, appointments and audit entries among them:\n%s",
			copied, original)
	}
	// The backstop works: a rogue script cannot double-book.
	if _, err := empty.DB.Exec(`
		INSERT INTO appointments (patient_id, doctor_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at)
		SELECT patient_id, doctor_id, start_time, end_time, duration_minutes, status, version, created_at, updated_at FROM appointments LIMIT 1`); err == nil {
		t.Error("INSERT of a second appointment at one time into the restored database succeeded, want a trigger's error")
	}
	if code, output := runMEMS(t, []string{"audit", "verify"}, into); code != exitOK {
		t.Errorf("mems audit verify: exit %d, want %d:\n%s", code, exitOK, output)
	}
	again := contracttest.New(t, startMEMS(t, into).URL)
	var read api.Patient
	again.Get(fmt.Sprintf("/patients/%d", patient.ID)).Want(t, 200, "").Decode(t, &read)
	if read.LastName != patient.LastName {
		t.Errorf("%q, want %q", read.LastName, patient.LastName)
	}
	again.Post("/appointments", booking(patient.ID, doctor.ID, start, 30)).Want(t, 409, "doctor-overlap")

	// A database with any data is left unchanged.
	if code, output := runMEMS(t, []string{"restore", file}, into); code != exitFailed || !contains(output, "empty", "Nothing was changed") {
		t.Errorf("mems restore ...: exit %d, want %d and \"empty\", \"Nothing was changed\" in the output:\n%s",
			code, exitFailed, output)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	untouched := storetest.Empty(t)
	for name, damaged := range map[string][]byte{
		"CutOff": whole[:len(whole)-20], "Half": whole[:len(whole)/2], "Empty": {}, "Other": []byte("hello"),
		"Flipped": flip(whole, len(whole)/2), "Altered": repack(t, whole, "'scheduled'", "'cancelled'"),
		"NoEnd": repack(t, whole, "-- mems backup ends ", "-- "), "MoreBehind": append(bytes.Clone(whole), repack(t, whole, "x", "x")...),
		"Newer": repack(t, whole, `"schema":`, `"schema":9`),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		code, output := runMEMS(t, []string{"restore", path}, "MEMS_DATABASE_URL="+untouched.DSN)
		var tables int
		if err := untouched.DB.Get(&tables, `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()`); err != nil {
			t.Fatal(err)
		}
		if code != exitFailed || tables != 0 {
			t.Errorf("mems restore of %s: exit %d and %d tables, want %d and none:\n%s",
				name, code, tables, exitFailed, output)
		}
	}
}

func flip(text []byte, at int) []byte {
	flipped := bytes.Clone(text)
	flipped[at] ^= 1
	return flipped
}

// repack alters the contents of a backup and compresses it again.
func repack(t *testing.T, packed []byte, before, after string) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(bytes.Replace(text, []byte(before), []byte(after), 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A backup made during bookings is consistent: each booking is in it with history and
// guard, or not at all; everything acknowledged before it began is in it; and its audit
// trail verifies.
func TestBackupWhileBooking(t *testing.T) {
	t.Parallel()

	d := storetest.New(t)
	p := startMEMS(t, "MEMS_DATABASE_URL="+d.DSN)
	c := contracttest.New(t, p.URL)
	var doctor api.Doctor
	c.Post("/doctors", map[string]any{"full_name": "Dr.", "specialization": "Any"}).Want(t, 201, "").Decode(t, &doctor)
	start := time.Now().Add(48 * time.Hour).Truncate(time.Hour)
	var answered atomic.Int64
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			var patient api.Patient
			c.Post("/patients", map[string]any{"first_name": "P", "last_name": fmt.Sprint(i)}).Want(t, http.StatusCreated, "").Decode(t, &patient)
			c.Post("/appointments", booking(patient.ID, doctor.ID, start.Add(time.Duration(i)*time.Hour), 30)).Want(t, http.StatusCreated, "")
			answered.Add(1)
		}
	}()
	for answered.Load() < 20 {
		time.Sleep(5 * time.Millisecond)
	}
	before := answered.Load()
	file := filepath.Join(t.TempDir(), "backup.gz")
	code, output := runMEMS(t, []string{"backup", file}, "MEMS_DATABASE_URL="+d.DSN)
	after := answered.Load() + 1 // one may be in flight
	close(stop)
	<-stopped
	if code != exitOK {
		t.Fatalf("mems backup ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	empty := storetest.Empty(t)
	into := "MEMS_DATABASE_URL=" + empty.DSN
	if code, output := runMEMS(t, []string{"restore", file}, into); code != exitOK {
		t.Fatalf("mems restore ...: exit %d, want %d:\n%s", code, exitOK, output)
	}
	var kept struct{ Appointments, Events, Guarded int64 }
	err := empty.DB.Get(&kept, `
		SELECT (SELECT COUNT(*) FROM appointments) AS appointments, (SELECT COUNT(*) FROM appointment_events) AS events,
		       (SELECT COUNT(DISTINCT appointment_id) FROM occupied_times) AS guarded`)
	if err != nil {
		t.Fatal(err)
	}
	if kept.Appointments < before || kept.Appointments > after || kept.Events != kept.Appointments || kept.Guarded != kept.Appointments {
		t.Errorf("restored: %+v, want %d to %d appointments, each with its event and its guard",
			kept, before, after)
	}
	if code, output := runMEMS(t, []string{"audit", "verify"}, into); code != exitOK {
		t.Errorf("mems audit verify: exit %d, want %d:\n%s", code, exitOK, output)
	}
}
