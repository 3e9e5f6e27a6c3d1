package clinic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func TestListWindow(t *testing.T) {
	zurich := loadZone(t, "Europe/Zurich")
	date := &clinic.Date{Year: 2027, Month: time.March, Day: 28} // 23 hours long
	day := clinic.Window{
		Interval: clinic.Interval{Start: time.Date(2027, 3, 27, 23, 0, 0, 0, time.UTC), End: time.Date(2027, 3, 28, 22, 0, 0, 0, time.UTC)},
		ByStart:  true,
	}
	early, late := new(nine), new(nine.Add(time.Microsecond))
	span := clinic.Window{Interval: clinic.Interval{Start: *early, End: *late}}
	all := clinic.Window{Unbounded: true}
	refused := func(parameter, code string) *clinic.Error {
		return &clinic.Error{Code: clinic.CodeValidationFailed, Violations: []clinic.Violation{{Parameter: parameter, Code: code}}}
	}
	for _, c := range []struct {
		name      string
		date      *clinic.Date
		from, to  *time.Time
		ofPatient bool
		want      clinic.Window
		err       *clinic.Error
	}{
		{"Day", date, nil, nil, false, day, nil},
		{"DayOfPatient", date, nil, nil, true, day, nil},
		{"Span", nil, early, late, false, span, nil},
		{"SpanOfPatient", nil, early, late, true, span, nil},
		{"All", nil, nil, nil, true, all, nil},
		{"RequiredNothing", nil, nil, nil, false, clinic.Window{}, refused("date", "required")},
		{"CombinationDateFrom", date, early, nil, false, clinic.Window{}, refused("date", "combination")},
		{"CombinationDateTo", date, nil, late, false, clinic.Window{}, refused("date", "combination")},
		{"CombinationDateFromTo", date, early, late, false, clinic.Window{}, refused("date", "combination")},
		{"CombinationDateFromOfPatient", date, early, nil, true, clinic.Window{}, refused("date", "combination")},
		{"CombinationDateToOfPatient", date, nil, late, true, clinic.Window{}, refused("date", "combination")},
		{"CombinationDateFromToOfPatient", date, early, late, true, clinic.Window{}, refused("date", "combination")},
		{"CombinationFromAlone", nil, early, nil, false, clinic.Window{}, refused("to", "combination")},
		{"CombinationFromAloneOfPatient", nil, early, nil, true, clinic.Window{}, refused("to", "combination")},
		{"CombinationToAlone", nil, nil, late, false, clinic.Window{}, refused("from", "combination")},
		{"CombinationToAloneOfPatient", nil, nil, late, true, clinic.Window{}, refused("from", "combination")},
		{"CombinationEmpty", nil, early, early, false, clinic.Window{}, refused("to", "combination")},
		{"CombinationBackwards", nil, late, early, true, clinic.Window{}, refused("to", "combination")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := clinic.ListWindow(c.date, c.from, c.to, c.ofPatient, zurich)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ListWindow (-want +got)\n%s", diff)
			}
			wantViolations(t, err, c.err)
		})
	}
}

// wantViolations checks that err equals want except for the wording of the details, which
// must not be empty.
func wantViolations(t *testing.T, err error, want *clinic.Error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	var got *clinic.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want %v", err, want)
	}
	bare := *got
	bare.Violations = nil
	for _, v := range got.Violations {
		if v.Detail == "" {
			t.Errorf("violation = %+v, want a detail", v)
		}
		v.Detail = ""
		bare.Violations = append(bare.Violations, v)
	}
	if diff := cmp.Diff(want, &bare); diff != "" {
		t.Errorf("violations (-want +got)\n%s", diff)
	}
}

func TestStreamStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		last *int64
		want int64
		err  *clinic.Error
	}{
		{"FirstStream", nil, 7, nil},
		{"Beginning", new(int64(0)), 0, nil},
		{"Behind", new(int64(3)), 3, nil},
		{"AtTheEnd", new(int64(7)), 7, nil},
		{"AheadOfTheFeed", new(int64(8)), 0, &clinic.Error{
			Code: clinic.CodeValidationFailed, Violations: []clinic.Violation{{Parameter: "Last-Event-ID", Code: "expired"}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := clinic.StreamStart(test.last, 7)
			if got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
			wantViolations(t, err, test.err)
		})
	}
}
