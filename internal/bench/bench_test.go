package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// The ceiling runs what the store runs.
func TestStatementsAreTheStores(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../store/booking.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{guardDoctorSQL, guardPatientSQL, busyDoctorSQL, busyPatientSQL, insertSQL} {
		if !strings.Contains(string(source), "`"+statement+"`") {
			t.Errorf("internal/store/booking.go does not run:%s", statement)
		}
	}
}

// A small run ends well: whatever it measures, all requests succeed.
func TestQuickRun(t *testing.T) {
	t.Chdir("../..")
	err := run(context.Background(), options{
		sizes: []int{4000}, clients: []int{4}, duration: 100 * time.Millisecond, rounds: 1, engine: os.Getenv("MEMS_TEST_DATABASE_ENGINE"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWeekdaysBack(t *testing.T) {
	t.Parallel()
	monday := time.Date(2027, 3, 1, 13, 0, 0, 0, time.UTC)
	days := weekdaysBack(monday, 3)
	if days[0].Format(time.DateOnly) != "2027-03-01" || days[1].Format(time.DateOnly) != "2027-02-26" || days[2].Format(time.DateOnly) != "2027-02-25" {
		t.Errorf("%v", days)
	}
}
