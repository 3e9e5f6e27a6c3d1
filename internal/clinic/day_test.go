package clinic_test

import (
	"testing"
	"time"
	_ "time/tzdata" // independent of the machine's zones

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

func loadZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func mustDate(t testing.TB, s string) clinic.Date {
	t.Helper()
	d, ok := clinic.ParseDate(s)
	if !ok {
		t.Fatalf("ParseDate(%q) refuses it, want a date", s)
	}
	return d
}

func TestParseDate(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     clinic.Date
	}{
		{"Plain", "2027-03-01", clinic.Date{Year: 2027, Month: time.March, Day: 1}},
		{"LeapDay", "2028-02-29", clinic.Date{Year: 2028, Month: time.February, Day: 29}},
		{"LeapCentury", "2000-02-29", clinic.Date{Year: 2000, Month: time.February, Day: 29}},
		{"First", "1900-01-01", clinic.MinDate},
		{"Last", "9998-12-30", clinic.MaxDate},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := clinic.ParseDate(c.in)
			if !ok || got != c.want {
				t.Errorf("ParseDate(%q) = %v, %t, want %v", c.in, got, ok, c.want)
			}
			if got.String() != c.in {
				t.Errorf("String of %v = %s, want %s", c.want, got, c.in)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"Empty", ""},
		{"NoSuchDay", "2026-02-30"},
		{"NoLeapYear", "2027-02-29"},
		{"NoLeapCentury", "1900-02-29"},
		{"Day0", "2027-03-00"},
		{"Month13", "2027-13-01"},
		{"OneDigit", "2027-3-1"},
		{"WithTime", "2027-03-01T00:00:00Z"},
		{"Space", " 2027-03-01"},
		{"Slashes", "2027/03/01"},
		{"Order", "01-03-2027"},
		{"TooEarly", "1899-12-31"},
		{"TooLate", "9998-12-31"},
		{"FiveDigits", "12027-03-01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := clinic.ParseDate(c.in); ok || got != (clinic.Date{}) {
				t.Errorf("ParseDate(%q) = %v, %t, want it refused", c.in, got, ok)
			}
		})
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2027-03-01", "2028-02-29", "2026-02-30", "1900-01-01", "9998-12-30", "0000-00-00", "2027-3-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := clinic.ParseDate(s)
		if !ok {
			return
		}
		if d.Before(clinic.MinDate) || clinic.MaxDate.Before(d) {
			t.Errorf("ParseDate(%q) = %v, want %v to %v", s, d, clinic.MinDate, clinic.MaxDate)
		}
		if d.String() != s {
			t.Errorf("String of the date of %q = %q, want the same", s, d)
		}
	})
}

func TestDateOf(t *testing.T) {
	late := time.Date(2027, 3, 1, 23, 30, 0, 0, time.UTC)
	for zone, want := range map[string]string{"UTC": "2027-03-01", "Europe/Zurich": "2027-03-02", "America/New_York": "2027-03-01"} {
		if got := clinic.DateOf(late.In(loadZone(t, zone))); got.String() != want {
			t.Errorf("%s: got %s, want %s", zone, got, want)
		}
	}
}

// dates draws a date in MEMS' range.
func dates() *rapid.Generator[clinic.Date] {
	return rapid.Map(instants(), func(t time.Time) clinic.Date {
		if d := clinic.DateOf(t); d.Before(clinic.MaxDate) {
			return d
		}
		return clinic.MaxDate
	})
}

// Next returns the following day of the Gregorian calendar, and Before orders the two.
func TestDateNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dates().Draw(t, "day")
		lengths := map[time.Month]int{
			time.January: 31, time.February: 28, time.March: 31, time.April: 30, time.May: 31, time.June: 30,
			time.July: 31, time.August: 31, time.September: 30, time.October: 31, time.November: 30, time.December: 31,
		}
		if d.Year%4 == 0 && (d.Year%100 != 0 || d.Year%400 == 0) {
			lengths[time.February] = 29
		}
		want := clinic.Date{Year: d.Year, Month: d.Month, Day: d.Day + 1}
		if want.Day > lengths[d.Month] {
			want.Month, want.Day = d.Month+1, 1
		}
		if want.Month > time.December {
			want.Year, want.Month = d.Year+1, time.January
		}
		got := d.Next()
		if got != want {
			t.Fatalf("after %v comes %v, want %v", d, got, want)
		}
		if same := d; !d.Before(got) || got.Before(d) || d.Before(same) {
			t.Fatalf("%v and %v are out of order, want the second later", d, got)
		}
	})
}

func TestDay(t *testing.T) {
	for _, c := range []struct {
		name, zone, date, from string
		length                 time.Duration
	}{
		{"UTC", "UTC", "2027-03-01", "2027-03-01T00:00:00Z", 24 * time.Hour},
		{"NoWholeHours", "Asia/Kathmandu", "2027-03-01", "2027-02-28T18:15:00Z", 24 * time.Hour},
		{"ClockChange15Minutes", "Asia/Kathmandu", "1986-01-01", "1985-12-31T18:30:00Z", 23*time.Hour + 45*time.Minute},
		{"FarEast", "Pacific/Kiritimati", "2027-03-01", "2027-02-28T10:00:00Z", 24 * time.Hour},
		{"FarWest", "Etc/GMT+12", "2027-03-01", "2027-03-01T12:00:00Z", 24 * time.Hour},
		{"Spring23Hours", "Europe/Zurich", "2027-03-28", "2027-03-27T23:00:00Z", 23 * time.Hour},
		{"Autumn25Hours", "Europe/Zurich", "2027-10-31", "2027-10-30T22:00:00Z", 25 * time.Hour},
		{"Spring23HoursAndAHalf", "Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z", 23*time.Hour + 30*time.Minute},
		{"Autumn24HoursAndAHalf", "Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 24*time.Hour + 30*time.Minute},
		{"NoMidnightSantiago", "America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", 23 * time.Hour},
		{"BeforeNoMidnightSantiago", "America/Santiago", "2026-09-05", "2026-09-05T04:00:00Z", 24 * time.Hour},
		{"TwoEveningsSantiago", "America/Santiago", "2026-04-04", "2026-04-04T03:00:00Z", 25 * time.Hour},
		{"NoMidnightHavana", "America/Havana", "2026-03-08", "2026-03-08T05:00:00Z", 23 * time.Hour},
		{"TwoMidnightsHavana", "America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", 25 * time.Hour},
		// At 00:01 back to 23:01: the day began with the first midnight, and its window
		// includes the evening's second hour.
		{"BackOverMidnightStJohns", "America/St_Johns", "2006-10-29", "2006-10-29T02:30:00Z", 25 * time.Hour},
		{"BeforeBackOverMidnightStJohns", "America/St_Johns", "2006-10-28", "2006-10-28T02:30:00Z", 24 * time.Hour},
		// At 00:01 forward to 01:01: midnight exists, and the hour after it is short.
		{"OnAfterMidnightStJohns", "America/St_Johns", "2006-04-02", "2006-04-02T03:30:00Z", 23 * time.Hour},
		{"LeftOutSamoa", "Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0},
		{"BeforeLeftOutSamoa", "Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", 24 * time.Hour},
		{"AfterLeftOutSamoa", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", 24 * time.Hour},
		{"TwiceKwajalein", "Pacific/Kwajalein", "1969-09-30", "1969-09-29T13:00:00Z", 47 * time.Hour},
		{"OffsetWithSecondsMonrovia", "Africa/Monrovia", "1971-01-01", "1971-01-01T00:44:30Z", 24 * time.Hour},
		// Here time.Time.ZoneBounds returns an end in the past.
		{"EndOfLeapYearEast", "Europe/Zurich", "2028-12-31", "2028-12-30T23:00:00Z", 24 * time.Hour},
		{"EndOfLeapYearWest", "America/New_York", "2028-12-31", "2028-12-31T05:00:00Z", 24 * time.Hour},
		{"EndOfLeapYearSouth", "Australia/Sydney", "2028-12-31", "2028-12-30T13:00:00Z", 24 * time.Hour},
		{"AfterLeapYear", "America/New_York", "2029-01-01", "2029-01-01T05:00:00Z", 24 * time.Hour},
		{"FirstDay", "Europe/Zurich", "1900-01-01", "1899-12-31T23:00:00Z", 24 * time.Hour},
		{"LastDay", "Etc/GMT+12", "9998-12-30", "9998-12-30T12:00:00Z", 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := clinic.Day(mustDate(t, c.date), loadZone(t, c.zone))
			if from := got.Start.Format(time.RFC3339Nano); from != c.from {
				t.Errorf("starts at %s, want %s", from, c.from)
			}
			if length := got.End.Sub(got.Start); length != c.length {
				t.Errorf("is %v long, want %v", length, c.length)
			}
			for _, end := range []time.Time{got.Start, got.End} {
				if clinic.Instant(end) != end {
					t.Errorf("end of the day = %v, want it in UTC with whole microseconds", end)
				}
			}
		})
	}
}

// Without clock changes, a day lasts from midnight to midnight.
func TestDayOfConstantOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dates().Draw(t, "day")
		zone := time.FixedZone("", rapid.IntRange(-16*3600, 16*3600).Draw(t, "offset"))
		want := clinic.Interval{
			Start: time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone).UTC(),
			End:   time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, zone).UTC(),
		}
		if got := clinic.Day(d, zone); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
