package clinic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mems/internal/clinic"
)

// asked is a booking from minute 60 to 90.
var asked = clinic.Booking{PatientID: 1, DoctorID: 2, Start: minutes(60, 90).Start, Duration: 30 * time.Minute}

// free returns a calendar with no obstacle to a booking.
func free() clinic.Calendar {
	return clinic.Calendar{Patient: clinic.Active, Doctor: clinic.Active}
}

// canBook checks the booking from minute 60 to 90.
func canBook(c clinic.Calendar) error {
	_, err := clinic.CanBook(c, asked)
	return err
}

func TestBookingTime(t *testing.T) {
	if got, want := asked.Time(), minutes(60, 90); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCheckStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		start time.Time
		want  error
	}{
		{"OK", nine.Add(time.Hour), nil},
		{"OKByOneMicrosecond", nine.Add(time.Microsecond), nil},
		{"OKInOtherZone", nine.Add(time.Second).In(time.FixedZone("", -12*3600)), nil},
		{"StartInPastNow", nine, clinic.ErrStartInPast},
		{"StartInPastNowInOtherZone", nine.In(time.FixedZone("", 14*3600)), clinic.ErrStartInPast},
		{"StartInPastByOneMicrosecond", nine.Add(-time.Microsecond), clinic.ErrStartInPast},
		{"StartInPastButRunning", nine.Add(-10 * time.Minute), clinic.ErrStartInPast},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := clinic.CheckStart(nine, clinic.Booking{Start: c.start, Duration: 15 * time.Minute})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// With several rules broken, the first one in the contract's order is reported.
func TestCanBookAnswersInOrder(t *testing.T) {
	taken := []clinic.Interval{minutes(60, 90)}
	for bits := range 1 << 5 {
		noPatient, noDoctor, inactive := bits&1 != 0, bits&2 != 0, bits&4 != 0
		doctorBusy, patientBusy := bits&8 != 0, bits&16 != 0
		if noDoctor && inactive {
			continue // a missing doctor cannot be inactive
		}
		c := free()
		if noPatient {
			c.Patient = clinic.Missing
		}
		if noDoctor {
			c.Doctor = clinic.Missing
		}
		if inactive {
			c.Doctor = clinic.Inactive
		}
		if doctorBusy {
			c.DoctorBusy = taken
		}
		if patientBusy {
			c.PatientBusy = taken
		}
		var want clinic.Code
		for _, rule := range []struct {
			broken bool
			code   clinic.Code
		}{
			{noPatient, clinic.CodePatientNotFound},
			{noDoctor, clinic.CodeDoctorNotFound},
			{inactive, clinic.CodeDoctorInactive},
			{doctorBusy, clinic.CodeDoctorOverlap},
			{patientBusy, clinic.CodePatientOverlap},
		} {
			if rule.broken {
				want = rule.code
				break
			}
		}
		_, err := clinic.CanBook(c, asked)
		if want == "" {
			if err != nil {
				t.Errorf("%+v: got %v, want no error", c, err)
			}
			continue
		}
		if !errors.Is(err, &clinic.Error{Code: want}) {
			t.Errorf("%+v: got %v, want %s", c, err, want)
		}
	}
}

func TestCanBookZeroCalendar(t *testing.T) {
	if _, err := clinic.CanBook(clinic.Calendar{}, asked); !errors.Is(err, clinic.ErrPatientNotFound) {
		t.Errorf("CanBook with a calendar that was not read = %v, want %v", err, clinic.ErrPatientNotFound)
	}
	if _, err := clinic.CanBook(clinic.Calendar{Patient: clinic.Active}, asked); !errors.Is(err, clinic.ErrDoctorNotFound) {
		t.Errorf("CanBook with a patient alone = %v, want %v", err, clinic.ErrDoctorNotFound)
	}
}

func TestCanBookShapes(t *testing.T) {
	for _, party := range []struct {
		name string
		busy func(*clinic.Calendar, ...clinic.Interval)
		code clinic.Code
	}{
		{"Doctor", func(c *clinic.Calendar, is ...clinic.Interval) { c.DoctorBusy = is }, clinic.CodeDoctorOverlap},
		{"Patient", func(c *clinic.Calendar, is ...clinic.Interval) { c.PatientBusy = is }, clinic.CodePatientOverlap},
	} {
		for _, shape := range shapes {
			t.Run(party.name+shape.name, func(t *testing.T) {
				c, busy := free(), minutes(shape.from, shape.to)
				party.busy(&c, busy)
				wantConflict(t, canBook(c), shape.overlaps, party.code, busy)
			})
		}
		t.Run(party.name+"BackToBackOnBothSides", func(t *testing.T) {
			c := free()
			party.busy(&c, minutes(90, 120), minutes(30, 60))
			wantConflict(t, canBook(c), false, "", clinic.Interval{})
		})
		t.Run(party.name+"EarliestConflict", func(t *testing.T) {
			c := free()
			party.busy(&c, minutes(95, 110), minutes(80, 95), minutes(50, 65), minutes(65, 80), minutes(0, 60))
			wantConflict(t, canBook(c), true, party.code, minutes(50, 65))
		})
	}
}

// wantConflict checks that err is an overlap with the code and conflict, or nil.
func wantConflict(t *testing.T, err error, overlaps bool, code clinic.Code, conflict clinic.Interval) {
	t.Helper()
	if !overlaps {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	var got *clinic.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if diff := cmp.Diff(&clinic.Error{Code: code, Conflict: conflict}, got); diff != "" {
		t.Errorf("refusal of the booking (-want +got)\n%s", diff)
	}
}

// With bookings made one by one as CanBook permits, no minute of a doctor or patient is
// taken twice, and every refusal names a time that is taken.
func TestCanBookNeverDoubles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type minute struct{ party, at int }
		taken := map[minute]bool{}
		busy := map[int][]clinic.Interval{}
		for range rapid.IntRange(1, 20).Draw(t, "attempts") {
			doctor, patient := rapid.IntRange(1, 2).Draw(t, "doctor"), rapid.IntRange(11, 13).Draw(t, "patient")
			from, length := rapid.IntRange(0, 240).Draw(t, "from"), rapid.IntRange(15, 180).Draw(t, "length")
			c := free()
			c.DoctorBusy, c.PatientBusy = busy[doctor], busy[patient]
			_, err := clinic.CanBook(c, clinic.Booking{Start: minutes(from, 0).Start, Duration: time.Duration(length) * time.Minute})
			blocked := map[clinic.Code]bool{}
			for m := from; m < from+length; m++ {
				blocked[clinic.CodeDoctorOverlap] = blocked[clinic.CodeDoctorOverlap] || taken[minute{doctor, m}]
				blocked[clinic.CodePatientOverlap] = blocked[clinic.CodePatientOverlap] || taken[minute{patient, m}]
			}
			var refused *clinic.Error
			switch {
			case errors.As(err, &refused):
				if !blocked[refused.Code] {
					t.Fatalf("CanBook = %v, want no refusal: no minute of it is taken", err)
				}
			case blocked[clinic.CodeDoctorOverlap] || blocked[clinic.CodePatientOverlap]:
				t.Fatalf("minutes %d to %d are taken twice, want a refusal", from, from+length)
			default:
				for _, party := range []int{doctor, patient} {
					busy[party] = append(busy[party], minutes(from, from+length))
					for m := from; m < from+length; m++ {
						taken[minute{party, m}] = true
					}
				}
			}
		}
	})
}
