package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The direct side runs the store's statements: a booking of the store sends each of them, word
// for word.
func TestStatementsAreTheStores(t *testing.T) {
	t.Parallel()
	sent, err := os.ReadFile("../store/testdata/booking_statements.sql")
	if err != nil {
		t.Fatal(err)
	}
	stores := map[string]bool{}
	for statement := range strings.Lines(string(sent)) {
		stores[strings.TrimSuffix(statement, ";\n")] = true
	}
	for _, ours := range []string{
		guardDoctorSQL, guardPatientSQL, doctorFactsSQL, doctorTimesSQL, busyPatientSQL, insertSQL, insertEventSQL, insertAuditSQL, insertChangeSQL,
	} {
		if !stores[oneLine(ours)] {
			t.Errorf("statement of the bench, want it among those of a booking of internal/store: %s", ours)
		}
	}
}

func oneLine(statement string) string { return strings.Join(strings.Fields(statement), " ") }

// No filled appointments overlap, and the measured day is the same at every size.
func TestFilledClinicHasNoOverlaps(t *testing.T) {
	t.Parallel()
	measured := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, size := range []int{4000, 10_000, 300_000} {
		days := calendar(measured, size)
		seen := map[string]bool{}
		for i := range size {
			day, slot := place(i)
			start := days[day].Add(time.Duration(slot) * slotLength).Format(time.DateTime)
			for _, key := range []string{fmt.Sprint("doctor ", i%doctors, " ", start), fmt.Sprint("patient ", i%int(patients), " ", start)} {
				if seen[key] {
					t.Fatalf("%d appointments: two of %s, want one", size, key)
				}
				seen[key] = true
			}
		}
		for slot := range slotsADay {
			if start := measured.Add(time.Duration(slot) * slotLength).Format(time.DateTime); !seen["doctor 7 "+start] {
				t.Errorf("%d appointments: doctor 7 has none at %s, want one", size, start)
			}
		}
	}
}

// Every request of a small run of all measurements succeeds.
func TestQuickRun(t *testing.T) {
	t.Chdir("../..")
	defer func(all int64) { patients = all }(patients)
	patients = quickPatients
	err := run(context.Background(), options{
		sizes: []int{4000}, clients: []int{4}, duration: 100 * time.Millisecond, rounds: 1, engine: os.Getenv("MEMS_TEST_DATABASE_ENGINE"), serverLog: "info",
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
		t.Errorf("days = %v, want 2027-03-01, 2027-02-26 and 2027-02-25", days)
	}
}
