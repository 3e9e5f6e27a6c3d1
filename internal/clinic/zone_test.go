package clinic_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mems/internal/clinic"
)

// Exactly the names of the embedded database are accepted, and the host's database is not
// read, although it is where time.LoadLocation looks first.
func TestLoadZone(t *testing.T) {
	host := t.TempDir()
	t.Setenv("ZONEINFO", host)
	utc := []byte("TZif2")
	for _, name := range []string{"Mars/Olympus", "right/Europe/Zurich", "posixrules"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(host, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(host, name), utc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, zone := range allZones(t) {
		if zone.String() == "Factory" {
			continue
		}
		loaded, err := clinic.LoadZone(zone.String())
		if err != nil || loaded.String() != zone.String() {
			t.Errorf("LoadZone(%s) = %v, %v, want it", zone, loaded, err)
			continue
		}
		at := time.Date(2027, 7, 1, 12, 0, 0, 0, time.UTC)
		if got, want := at.In(loaded).Format(time.RFC3339), at.In(zone).Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", zone, got, want)
		}
	}
	for _, name := range []string{
		"", "Local", "localtime", "Factory", "posixrules", "right/Europe/Zurich", "posix/Europe/Zurich", "Mars/Olympus",
		"europe/zurich", "Europe", "Europe/", "../Europe/Zurich", "Europe//Zurich", "Europe/Zurich\x00", "/etc/localtime",
	} {
		if zone, err := clinic.LoadZone(name); err == nil {
			t.Errorf("LoadZone(%q) = %s, want an error", name, zone)
		}
	}
}
