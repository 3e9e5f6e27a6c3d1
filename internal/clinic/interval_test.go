package clinic_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// nine is the reference time of this package's tests.
var nine = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)

// minutes returns the interval between two minutes after nine.
func minutes(from, to int) clinic.Interval {
	return clinic.Interval{Start: nine.Add(time.Duration(from) * time.Minute), End: nine.Add(time.Duration(to) * time.Minute)}
}

// shapes are the possible relations of an interval to the one from 60 to 90.
var shapes = []struct {
	name     string
	from, to int
	overlaps bool
}{
	{"LongBefore", 0, 30, false},
	{"EndsWhereItStarts", 30, 60, false},
	{"ReachesIn", 45, 61, true},
	{"ReachesInToItsEnd", 45, 90, true},
	{"SameStartShorter", 60, 75, true},
	{"Same", 60, 90, true},
	{"SameStartLonger", 60, 120, true},
	{"Within", 70, 80, true},
	{"Around", 45, 105, true},
	{"SameEnd", 75, 90, true},
	{"ReachesOut", 89, 105, true},
	{"StartsWhereItEnds", 90, 120, false},
	{"LongAfter", 120, 150, false},
}

func TestOverlaps(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			if got := minutes(shape.from, shape.to).Overlaps(minutes(60, 90)); got != shape.overlaps {
				t.Errorf("Overlaps = %t, want %t", got, shape.overlaps)
			}
		})
	}
	t.Run("ByOneMicrosecond", func(t *testing.T) {
		late := minutes(30, 60)
		late.End = late.End.Add(time.Microsecond)
		if !late.Overlaps(minutes(60, 90)) {
			t.Error("Overlaps of intervals that share a microsecond = false, want true")
		}
	})
	t.Run("OtherZone", func(t *testing.T) {
		there := minutes(60, 90)
		there.Start = there.Start.In(time.FixedZone("", -11*3600))
		there.End = there.End.In(time.FixedZone("", 14*3600))
		if !there.Overlaps(minutes(60, 90)) || there.Overlaps(minutes(90, 120)) {
			t.Error("Overlaps depends on the zone, want it not to")
		}
	})
}

// Two intervals overlap if and only if they share a minute.
func TestOverlapsAgreesWithMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const span = 40
		at := rapid.IntRange(0, span)
		aStart, aEnd := at.Draw(t, "a.start"), at.Draw(t, "a.end")
		bStart, bEnd := at.Draw(t, "b.start"), at.Draw(t, "b.end")
		shared := false
		for m := range span {
			shared = shared || aStart <= m && m < aEnd && bStart <= m && m < bEnd
		}
		a, b := minutes(aStart, aEnd), minutes(bStart, bEnd)
		if got := a.Overlaps(b); got != shared {
			t.Fatalf("Overlaps(%v, %v) = %t, want %t, as minute by minute", a, b, got, shared)
		}
		if a.Overlaps(b) != b.Overlaps(a) {
			t.Fatalf("Overlaps(%v, %v) is not symmetric, want it to be", a, b)
		}
	})
}

func TestInstant(t *testing.T) {
	got := clinic.Instant(time.Date(2027, 3, 1, 10, 0, 0, 1_999, time.FixedZone("", 3600)))
	want := time.Date(2027, 3, 1, 9, 0, 0, 1_000, time.UTC)
	if got != want { // also the same representation: it is stored and compared as is
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func TestParseInstant(t *testing.T) {
	accepted := []struct {
		name, in string
		want     time.Time
	}{
		{"UTC", "2027-03-01T09:00:00Z", nine},
		{"East", "2027-03-01T14:45:00+05:45", nine},
		{"West", "2027-02-28T22:00:00-11:00", nine},
		{"UnknownLocalOffset", "2027-03-01T09:00:00-00:00", nine},
		{"FarthestOffset", "2027-03-02T08:59:00+23:59", nine},
		{"Microseconds", "2027-03-01T09:00:00.000001Z", nine.Add(time.Microsecond)},
		{"FinerDigitsCut", "2027-03-01T09:00:00.0000019999999Z", nine.Add(time.Microsecond)},
		{"LeapDay", "2028-02-29T00:00:00Z", time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC)},
		{"First", "1900-01-01T00:00:00Z", clinic.MinInstant},
		{"Last", "9998-12-31T23:59:59.999999Z", clinic.MaxInstant},
		{"LastCut", "9998-12-31T23:59:59.9999999Z", clinic.MaxInstant},
	}
	for _, c := range accepted {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := clinic.ParseInstant(c.in); !ok || got != c.want {
				t.Errorf("ParseInstant(%q) = %v, %t, want %v", c.in, got, ok, c.want)
			}
		})
	}
	refused := []struct{ name, in string }{
		{"Empty", ""},
		{"Naive", "2027-03-01T09:00:00"},
		{"NaiveFraction", "2027-03-01T09:00:00.5"},
		{"DateOnly", "2027-03-01"},
		{"NoSeconds", "2027-03-01T09:00Z"},
		{"Space", "2027-03-01 09:00:00Z"},
		{"LowerCase", "2027-03-01t09:00:00z"},
		{"OneDigitHour", "2027-03-01T9:00:00Z"},
		{"Comma", "2027-03-01T09:00:00,5Z"},
		{"NoFraction", "2027-03-01T09:00:00.Z"},
		{"Offset24", "2027-03-01T09:00:00+24:00"},
		{"OffsetMinute60", "2027-03-01T09:00:00+01:60"},
		{"OffsetWithoutColon", "2027-03-01T09:00:00+0100"},
		{"OffsetWithSeconds", "2027-03-01T09:00:00+01:00:00"},
		{"MinusSign", "2027-03-01T09:00:00\u221201:00"},
		{"PlusDecodedAsSpace", "2027-03-01T09:00:00 01:00"},
		{"LeapSecond", "2016-12-31T23:59:60Z"},
		{"Hour24", "2027-03-01T24:00:00Z"},
		{"NoSuchDay", "2027-02-29T09:00:00Z"},
		{"OtherDigits", "٢٠٢٧-03-01T09:00:00Z"},
		{"Before", " 2027-03-01T09:00:00Z"},
		{"After", "2027-03-01T09:00:00Z\n"},
		{"FiveDigitYear", "12027-03-01T09:00:00Z"},
		{"TooEarly", "1899-12-31T23:59:59.9999999Z"},
		{"TooEarlyByOffset", "1900-01-01T00:00:00+00:01"},
		{"TooLate", "9999-01-01T00:00:00Z"},
		{"TooLateByOffset", "9998-12-31T23:59:59-00:01"},
	}
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := clinic.ParseInstant(c.in); ok || !got.IsZero() {
				t.Errorf("ParseInstant(%q) = %v, %t, want it refused", c.in, got, ok)
			}
		})
	}
}

// instants draws an instant in MEMS' range.
func instants() *rapid.Generator[time.Time] {
	span := clinic.MaxInstant.UnixMicro() - clinic.MinInstant.UnixMicro()
	return rapid.Map(rapid.Int64Range(0, span), func(us int64) time.Time {
		return time.UnixMicro(clinic.MinInstant.UnixMicro() + us).UTC()
	})
}

// With any offset, and with any number of digits after the microseconds, an instant is
// parsed correctly; without an offset it is rejected.
func TestParseInstantReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := instants().Draw(t, "instant")
		offset := rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "offset")
		finer := rapid.StringMatching(`\d{0,9}`).Draw(t, "digits after the microseconds")
		local := want.In(time.FixedZone("", offset*60))
		if local.Year() > 9999 {
			local = want // RFC 3339 has no such year except without an offset
		}
		naive := local.Format("2006-01-02T15:04:05.000000") + finer
		if got, ok := clinic.ParseInstant(naive + local.Format("Z07:00")); !ok || got != want {
			t.Fatalf("ParseInstant(%q) = %v, %t, want %v", naive+local.Format("Z07:00"), got, ok, want)
		}
		if got, ok := clinic.ParseInstant(naive); ok {
			t.Fatalf("ParseInstant(%q) = %v, want it refused: it has no offset", naive, got)
		}
	})
}

func FuzzParseInstant(f *testing.F) {
	for _, s := range []string{
		"2027-03-01T09:00:00Z", "2027-03-01T14:45:00.123456789+05:45", "2027-03-01T09:00:00",
		"1900-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59",
		"2027-03-01T9:00:00,5+24:60", "0000-01-01T00:00:00Z", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := clinic.ParseInstant(s)
		if !ok {
			return
		}
		if got.Location() != time.UTC || got.Nanosecond()%1000 != 0 {
			t.Errorf("ParseInstant(%q) = %v, want UTC and whole microseconds", s, got)
		}
		if got.Before(clinic.MinInstant) || got.After(clinic.MaxInstant) {
			t.Errorf("ParseInstant(%q) = %v, want %v to %v", s, got, clinic.MinInstant, clinic.MaxInstant)
		}
		if again, ok := clinic.ParseInstant(got.Format(time.RFC3339Nano)); !ok || again != got {
			t.Errorf("ParseInstant(%q) = %v, which is read again as %v, %t, want the same", s, got, again, ok)
		}
		if want := civil(t, s); !got.Equal(want) {
			t.Errorf("ParseInstant(%q) = %v, want %v, by its digits", s, got, want)
		}
	})
}

// civil parses an RFC 3339 time independently, truncated to microseconds.
func civil(t *testing.T, s string) time.Time {
	t.Helper()
	var year, month, day, hour, minute, second int
	if _, err := fmt.Sscanf(s[:19], "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second); err != nil {
		t.Fatalf("ParseInstant accepts %q, want it refused: %v", s, err)
	}
	rest := s[19:]
	at := strings.IndexAny(rest, "Z+-")
	var micro int
	for i := range 6 {
		micro *= 10
		if digits := strings.TrimPrefix(rest[:at], "."); i < len(digits) {
			micro += int(digits[i] - '0')
		}
	}
	want := time.Date(year, time.Month(month), day, hour, minute, second, micro*1000, time.UTC)
	if rest[at] == 'Z' {
		return want
	}
	var h, m int
	if _, err := fmt.Sscanf(rest[at+1:], "%2d:%2d", &h, &m); err != nil {
		t.Fatalf("ParseInstant accepts %q, want it refused: %v", s, err)
	}
	offset := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if rest[at] == '+' {
		offset = -offset
	}
	return want.Add(offset)
}
