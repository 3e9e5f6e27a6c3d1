package clinic_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestRecurrence(t *testing.T) {
	t.Parallel()
	zurich := zone(t, "Europe/Zurich")
	first := time.Date(2027, 3, 16, 10, 0, 0, 5000, zurich) // a Tuesday
	for rule, want := range map[string][]string{
		"FREQ=WEEKLY;COUNT=3":                                {"2027-03-16T10:00:00.000005+01:00", "2027-03-23T10:00:00.000005+01:00", "2027-03-30T10:00:00.000005+02:00"},
		"rrule:freq=weekly;count=3;byday=tu,th":              {"2027-03-16T10:00:00.000005+01:00", "2027-03-18T10:00:00.000005+01:00", "2027-03-23T10:00:00.000005+01:00"},
		"FREQ=DAILY;INTERVAL=2;UNTIL=20270320":               {"2027-03-16T10:00:00.000005+01:00", "2027-03-18T10:00:00.000005+01:00", "2027-03-20T10:00:00.000005+01:00"},
		"FREQ=DAILY;UNTIL=20270317T090000Z":                  {"2027-03-16T10:00:00.000005+01:00", "2027-03-17T10:00:00.000005+01:00"},
		"FREQ=DAILY;UNTIL=20270317T085959Z":                  {"2027-03-16T10:00:00.000005+01:00"},
		"FREQ=MONTHLY;COUNT=2;BYDAY=3TU":                     {"2027-03-16T10:00:00.000005+01:00", "2027-04-20T10:00:00.000005+02:00"},
		"FREQ=MONTHLY;COUNT=2;BYDAY=-1FR":                    {"2027-03-26T10:00:00.000005+01:00", "2027-04-30T10:00:00.000005+02:00"},
		"FREQ=MONTHLY;COUNT=2;BYMONTHDAY=31":                 {"2027-03-31T10:00:00.000005+02:00", "2027-05-31T10:00:00.000005+02:00"},
		"FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=SU": {"2027-03-16T10:00:00.000005+01:00", "2027-03-28T10:00:00.000005+02:00", "2027-03-30T10:00:00.000005+02:00"},
		"FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=MO": {"2027-03-16T10:00:00.000005+01:00", "2027-03-21T10:00:00.000005+01:00", "2027-03-30T10:00:00.000005+02:00"},
	} {
		t.Run(rule, func(t *testing.T) {
			r, err := clinic.ParseRecurrence(rule)
			if err != nil {
				t.Fatal(err)
			}
			starts, err := r.Starts(first, zurich)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range starts {
				if s.Location() != time.UTC {
					t.Errorf("zone of %s is not UTC, want UTC", s)
				}
				got = append(got, s.In(zurich).Format(time.RFC3339Nano))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("dates (-want +got)\n%s", diff)
			}
		})
	}
}

// In the night of a clock change, a time in the gap becomes the gap's end, and an ambiguous
// time is its first occurrence.
func TestRecurrenceAcrossTheClocksChange(t *testing.T) {
	t.Parallel()
	zurich := zone(t, "Europe/Zurich")
	for first, want := range map[time.Time]string{
		time.Date(2027, 3, 27, 2, 30, 0, 0, zurich):  "2027-03-28T01:00:00Z", // 03:00
		time.Date(2027, 10, 30, 2, 30, 0, 0, zurich): "2027-10-31T00:30:00Z", // summer time
	} {
		r, err := clinic.ParseRecurrence("FREQ=DAILY;COUNT=3")
		if err != nil {
			t.Fatal(err)
		}
		starts, err := r.Starts(first, zurich)
		if err != nil {
			t.Fatal(err)
		}
		if got := starts[1].Format(time.RFC3339); got != want {
			t.Errorf("second date is %s, want %s", got, want)
		}
		if got := starts[2].In(zurich).Format("15:04"); got != "02:30" {
			t.Errorf("third date is at %s, want 02:30", got)
		}
	}
}

func TestRecurrenceRefuses(t *testing.T) {
	t.Parallel()
	first := time.Date(2027, 3, 16, 10, 0, 0, 0, time.UTC)
	for rule, want := range map[string]string{
		"":                                              "not",
		"COUNT=3":                                       "FREQ",
		"FREQ=YEARLY;COUNT=3":                           "DAILY",
		"FREQ=SECONDLY;COUNT=3":                         "DAILY",
		"FREQ=DAILY":                                    "either COUNT or UNTIL",
		"FREQ=DAILY;COUNT=3;UNTIL=20270401":             "either COUNT or UNTIL",
		"FREQ=DAILY;COUNT=0":                            "1 to 100",
		"FREQ=DAILY;COUNT=101":                          "1 to 100",
		"FREQ=DAILY;COUNT=x":                            "1 to 100",
		"FREQ=DAILY;COUNT=+2":                           "1 to 100",
		"FREQ=DAILY;COUNT=3;INTERVAL=+2":                "INTERVAL",
		"FREQ=MONTHLY;COUNT=3;BYDAY=++1MO":              "BYDAY",
		"FREQ=DAILY;COUNT=3;COUNT=4":                    "twice",
		"FREQ=DAILY;COUNT=3;INTERVAL=0":                 "INTERVAL",
		"FREQ=DAILY;COUNT=3;INTERVAL=53":                "INTERVAL",
		"FREQ=DAILY;COUNT=3;BYHOUR=9":                   "not BYHOUR",
		"FREQ=DAILY;COUNT=3;<script>=9":                 "not ",
		"FREQ=DAILY;COUNT=3;BYMONTHDAY=1":               "only with FREQ=MONTHLY",
		"FREQ=WEEKLY;COUNT=3;BYDAY=1MO":                 "only with FREQ=MONTHLY",
		"FREQ=MONTHLY;COUNT=3;BYDAY=6MO":                "-5 to 5",
		"FREQ=MONTHLY;COUNT=3;BYDAY=XX":                 "BYDAY",
		"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=32":            "BYMONTHDAY",
		"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=0":             "BYMONTHDAY",
		"FREQ=WEEKLY;COUNT=3;WKST=X":                    "WKST",
		"FREQ=DAILY;UNTIL=2027-04-01":                   "UNTIL",
		"FREQ=DAILY;UNTIL=20270230":                     "UNTIL",
		"FREQ=DAILY;UNTIL=20270315":                     "too few",
		"FREQ=DAILY;UNTIL=20280315":                     "more than 100",
		"FREQ=WEEKLY;INTERVAL=4;UNTIL=20300315":         "further than 2 years",
		"FREQ=MONTHLY;COUNT=30":                         "further than 2 years",
		"FREQ=MONTHLY;COUNT=90;BYMONTHDAY=30;BYDAY=5SU": "further than 2 years",
	} {
		t.Run(rule, func(t *testing.T) {
			r, err := clinic.ParseRecurrence(rule)
			if err == nil {
				_, err = r.Starts(first, time.UTC)
			}
			var refused *clinic.Error
			if !errors.As(err, &refused) || refused.Code != clinic.CodeValidationFailed || refused.Violations[0].Pointer != "#/rule" {
				t.Fatalf("error = %v, want %s at #/rule", err, clinic.CodeValidationFailed)
			}
			if !strings.Contains(refused.Violations[0].Detail, want) {
				t.Errorf("detail = %q, want %q in it", refused.Violations[0].Detail, want)
			}
		})
	}
}

// In any zone and with any rule, the wall clock shows the same time on every date unless
// the clocks skip it, and dates are strictly ascending.
func TestRecurrenceKeepsWallClock(t *testing.T) {
	t.Parallel()
	zones := allZones(t)
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		first := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 4*365*24*60).Draw(t, "minute")) * time.Minute)
		rule := rapid.SampledFrom([]string{"FREQ=DAILY;COUNT=100", "FREQ=WEEKLY;COUNT=60", "FREQ=WEEKLY;COUNT=50;BYDAY=SA,SU", "FREQ=MONTHLY;COUNT=12;BYDAY=-1SU"}).Draw(t, "rule")
		r, err := clinic.ParseRecurrence(rule)
		if err != nil {
			t.Fatal(err)
		}
		starts, err := r.Starts(first, z)
		if err != nil {
			t.Fatal(err)
		}
		want := first.In(z).Format("15:04")
		for i, s := range starts {
			if i > 0 && !starts[i-1].Before(s) {
				t.Fatalf("%s comes after %s, want the dates in order", s, starts[i-1])
			}
			if got := s.In(z).Format("15:04"); got != want && i > 0 {
				// Only where the clocks skip it: just before, they showed an earlier time.
				if before := s.Add(-time.Microsecond).In(z); before.Format("15:04") >= want && before.Day() == s.In(z).Day() {
					t.Fatalf("%s shows %s, want %s", s, got, want)
				}
			}
		}
	})
}

func FuzzRecurrence(f *testing.F) {
	for _, rule := range []string{"FREQ=WEEKLY;COUNT=3;BYDAY=TU", "FREQ=MONTHLY;UNTIL=20290101;BYDAY=-1FR,2MO;BYMONTHDAY=31", "FREQ=DAILY;INTERVAL=52;UNTIL=99991231T235959Z"} {
		f.Add(rule, int64(1_800_000_000))
	}
	z := zone(f, "America/Santiago")
	f.Fuzz(func(t *testing.T, rule string, unix int64) {
		first := time.Unix(unix%(1<<37), 0)
		if first.Before(clinic.MinInstant) || first.After(clinic.MaxInstant.AddDate(-3, 0, 0)) {
			return // out of MEMS' range, or so late that the series would leave it
		}
		r, err := clinic.ParseRecurrence(rule)
		if err != nil {
			return
		}
		starts, err := r.Starts(first, z)
		if err == nil && (len(starts) == 0 || len(starts) > clinic.MaxSeriesDates) {
			t.Errorf("%d dates, want 1 to %d", len(starts), clinic.MaxSeriesDates)
		}
	})
}

// Around every clock change of every zone, a series starts at its first date, is ascending,
// and an irrelevant edit moves no date.
func TestSeriesAroundEveryTransition(t *testing.T) {
	t.Parallel()
	daily, err := clinic.ParseRecurrence("FREQ=DAILY;COUNT=3")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range allZones(t) {
		from, last := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
		for change := transitionAfter(from, zone); !change.IsZero() && change.Before(last); change = transitionAfter(change, zone) {
			for minutes := -26 * 60; minutes <= 26*60; minutes += 15 {
				first := change.Add(time.Duration(minutes) * time.Minute)
				starts, err := daily.Starts(first, zone)
				if err != nil {
					t.Fatal(err)
				}
				if !starts[0].Equal(first) || !starts[0].Before(starts[1]) || !starts[1].Before(starts[2]) {
					t.Fatalf("%s: dates = %v, want them in order from %s", zone, starts, first)
				}
				for _, start := range starts {
					a := clinic.Appointment{Time: clinic.Interval{Start: start, End: start.Add(time.Hour)}}
					unchanged := clinic.SeriesChange{Reschedule: clinic.Reschedule{Duration: 30 * time.Minute}}
					if to := unchanged.RescheduleOf(a, zone).Start; !to.Equal(start) {
						t.Fatalf("%s: a new length moves %s to %s, want it unmoved", zone, start, to)
					}
					local := start.In(zone)
					minute := local.Hour()*60 + local.Minute()
					unchanged.MinuteOfDay = &minute
					if to := unchanged.RescheduleOf(a, zone).Start; local.Second() == 0 && !to.Equal(start) {
						t.Fatalf("%s: its own time of day moves %s to %s, want it unmoved", zone, start, to)
					}
				}
			}
		}
	}
}

// transitionAfter returns the next instant at which the offset of zone changes.
func transitionAfter(t time.Time, zone *time.Location) time.Time {
	_, end := t.In(zone).ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = t.Add(24 * time.Hour) // https://go.dev/issue/81583
	}
	return end
}

// An UNTIL with a time is an instant, even while a clock shows a time twice.
func TestUntilInTheHourThatHappensTwice(t *testing.T) {
	t.Parallel()
	zurich := zone(t, "Europe/Zurich")
	for until, want := range map[string]int{"20271031T010000Z": 2, "20271031T003000Z": 2, "20271031T002959Z": 1} {
		rule, err := clinic.ParseRecurrence("FREQ=DAILY;UNTIL=" + until)
		if err != nil {
			t.Fatal(err)
		}
		starts, err := rule.Starts(time.Date(2027, 10, 30, 0, 30, 0, 0, time.UTC), zurich)
		if err != nil || len(starts) != want {
			t.Errorf("until %s: %v %v, want %d dates", until, starts, err, want)
		}
	}
}
