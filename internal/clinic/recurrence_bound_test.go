package clinic_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teambition/rrule-go"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// Rules that match never, or only after many years, cost no more than others.
func TestRecurrenceEndsAtTwoYears(t *testing.T) {
	t.Parallel()
	first := time.Date(2027, 3, 16, 10, 0, 0, 0, time.UTC)
	for _, rule := range []string{
		"FREQ=MONTHLY;BYMONTHDAY=30;BYDAY=1MO;COUNT=2",
		"FREQ=MONTHLY;BYMONTHDAY=30;BYDAY=1MO;UNTIL=99991231",
		"FREQ=MONTHLY;BYMONTHDAY=31;BYDAY=5SU;INTERVAL=52;COUNT=100",
		"FREQ=DAILY;INTERVAL=52;COUNT=100",
		"FREQ=DAILY;UNTIL=99991231T235959Z",
		"FREQ=DAILY;UNTIL=20290317",
	} {
		r, err := clinic.ParseRecurrence(rule)
		if err != nil {
			t.Fatal(err)
		}
		if starts, err := r.Starts(first, time.UTC); err == nil {
			t.Errorf("%s: %d dates, want an error", rule, len(starts))
		}
		if days := r.Examined(first, time.UTC); days > 2*366+1 {
			t.Errorf("%s: examines %d days, want at most %d", rule, days, 2*366+1)
		}
	}
	// The last day is included, at the time of the first date.
	for rule, want := range map[string]int{"FREQ=WEEKLY;INTERVAL=26;UNTIL=20290316": 5, "FREQ=MONTHLY;INTERVAL=24;COUNT=2": 2, "FREQ=MONTHLY;INTERVAL=24;UNTIL=20290316T235959Z": 2} {
		r, err := clinic.ParseRecurrence(rule)
		if err != nil {
			t.Fatal(err)
		}
		if starts, err := r.Starts(first, time.UTC); err != nil || len(starts) != want {
			t.Errorf("%s: %v %v, want %d dates", rule, starts, err, want)
		}
	}
}

// drawRule draws any rule that can be written. Days with and without an ordinal form a
// union (RFC 5545), but the library intersects them: mixed reports such a rule.
func drawRule(t *rapid.T) (rule string, mixed bool) {
	frequency := rapid.SampledFrom([]string{"DAILY", "WEEKLY", "MONTHLY"}).Draw(t, "freq")
	parts := []string{"FREQ=" + frequency, fmt.Sprintf("INTERVAL=%d", rapid.IntRange(1, 52).Draw(t, "interval"))}
	day := rapid.SampledFrom([]string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"})
	if n := rapid.IntRange(0, 3).Draw(t, "weekdays"); n > 0 {
		var days []string
		plain, ordinal := false, false
		for range n {
			d := day.Draw(t, "day")
			if nth := rapid.IntRange(-5, 5).Draw(t, "nth"); nth != 0 && frequency == "MONTHLY" {
				d, ordinal = fmt.Sprint(nth, d), true
			} else {
				plain = true
			}
			days = append(days, d)
		}
		mixed = plain && ordinal
		parts = append(parts, "BYDAY="+strings.Join(days, ","))
	}
	if n := rapid.IntRange(0, 3).Draw(t, "month days"); n > 0 && frequency == "MONTHLY" {
		var days []string
		for range n {
			days = append(days, fmt.Sprint(rapid.IntRange(1, 31).Draw(t, "month day")*rapid.SampledFrom([]int{1, -1}).Draw(t, "sign")))
		}
		parts = append(parts, "BYMONTHDAY="+strings.Join(days, ","))
	}
	if rapid.Bool().Draw(t, "week starts") {
		parts = append(parts, "WKST="+day.Draw(t, "wkst"))
	}
	if rapid.Bool().Draw(t, "counted") {
		return strings.Join(append(parts, fmt.Sprintf("COUNT=%d", rapid.IntRange(1, clinic.MaxSeriesDates).Draw(t, "count"))), ";"), mixed
	}
	until := time.Date(2027, 1, rapid.IntRange(1, 365*5).Draw(t, "until"), 0, 0, 0, 0, time.UTC)
	return strings.Join(append(parts, "UNTIL="+until.Format("20060102")), ";"), mixed
}

// Every rule ends within a bounded number of days, and returns the dates of RFC 5545 as
// another, unbounded implementation does.
func TestEveryRecurrenceEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule, mixed := drawRule(t)
		first := time.Date(2027, 1, 1, 9, 30, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 1000).Draw(t, "first"))
		r, err := clinic.ParseRecurrence(rule)
		if err != nil {
			t.Fatal(err)
		}
		starts, err := r.Starts(first, time.UTC)
		if days := r.Examined(first, time.UTC); days > clinic.MaxSeriesDays {
			t.Fatalf("examines %d days, want at most %d", days, clinic.MaxSeriesDays)
		}
		if mixed {
			return
		}
		option, parseErr := rrule.StrToROption(rule)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		limit := first.AddDate(clinic.MaxSeriesYears, 0, 0)
		option.Dtstart = first
		count := option.Count
		wholeRule := count != 0 || !option.Until.After(limit)
		if option.Count = 0; option.Until.IsZero() || option.Until.After(limit) {
			option.Until = limit // the library needs an end, too
		} else {
			option.Until = option.Until.Add(24*time.Hour - time.Second)
		}
		oracle, newErr := rrule.NewRRule(*option)
		if newErr != nil {
			t.Fatal(newErr)
		}
		want := oracle.All()
		if count != 0 && len(want) > count {
			want = want[:count]
		}
		fits := wholeRule && len(want) > 0 && len(want) >= count && len(want) <= clinic.MaxSeriesDates && !want[len(want)-1].After(limit)
		if fits != (err == nil) {
			t.Fatalf("%d dates, want %d: %v", len(starts), len(want), err)
		}
		if fits && !slices.EqualFunc(starts, want, time.Time.Equal) {
			t.Fatalf("got %v\nwant %v", starts, want)
		}
	})
}

// Days with and without an ordinal form a union (RFC 5545).
func TestRecurrenceMixesOrdinals(t *testing.T) {
	t.Parallel()
	r, err := clinic.ParseRecurrence("FREQ=MONTHLY;COUNT=3;BYDAY=1TU,FR")
	if err != nil {
		t.Fatal(err)
	}
	starts, err := r.Starts(time.Date(2027, 3, 29, 9, 0, 0, 0, time.UTC), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range starts {
		got = append(got, s.Format(time.DateOnly))
	}
	if want := []string{"2027-04-02", "2027-04-06", "2027-04-09"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
