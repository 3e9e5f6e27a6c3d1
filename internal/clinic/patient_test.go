package clinic_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
)

func ann() clinic.Patient {
	return clinic.Patient{
		ID: 1, FirstName: "Ann", LastName: "Muster", Email: new("ann@example.org"), Phone: new("044 555 01 23"),
		BirthDate: &clinic.Date{Year: 1984, Month: time.February, Day: 29}, Version: 3, CreatedAt: nine, UpdatedAt: nine,
	}
}

func TestPatientNormalize(t *testing.T) {
	got := ann()
	got.FirstName, got.LastName = "  Rene\u0301 ", "\tMu\u0308ller\n"
	got.Email, got.Phone = new(" ann@example.org"), new(" 044 ")
	got.Normalize()
	want := ann()
	want.FirstName, want.LastName, want.Phone = "René", "Müller", new("044")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("normalised patient (-want +got)\n%s", diff)
	}
	bare := clinic.Patient{FirstName: "Ann", LastName: "Muster"}
	bare.Normalize()
	if bare.Email != nil || bare.Phone != nil {
		t.Errorf("patient without contacts = %+v, want none after normalising", bare)
	}
}

func TestPatientPatch(t *testing.T) {
	leap := clinic.Date{Year: 2000, Month: time.February, Day: 29}
	for _, c := range []struct {
		name  string
		patch clinic.PatientPatch
		want  func(*clinic.Patient)
	}{
		{"Nothing", clinic.PatientPatch{}, func(*clinic.Patient) {}},
		{"FirstName", clinic.PatientPatch{FirstName: clinic.ChangeTo(" Rene\u0301 ")}, func(p *clinic.Patient) { p.FirstName = "René" }},
		{"LastName", clinic.PatientPatch{LastName: clinic.ChangeTo("Beispiel ")}, func(p *clinic.Patient) { p.LastName = "Beispiel" }},
		{"Email", clinic.PatientPatch{Email: clinic.ChangeTo(new(" a@b.org"))}, func(p *clinic.Patient) { p.Email = new("a@b.org") }},
		{"EmailCleared", clinic.PatientPatch{Email: clinic.ChangeTo[*string](nil)}, func(p *clinic.Patient) { p.Email = nil }},
		{"Phone", clinic.PatientPatch{Phone: clinic.ChangeTo(new("1234 "))}, func(p *clinic.Patient) { p.Phone = new("1234") }},
		{"PhoneCleared", clinic.PatientPatch{Phone: clinic.ChangeTo[*string](nil)}, func(p *clinic.Patient) { p.Phone = nil }},
		{"BirthDate", clinic.PatientPatch{BirthDate: clinic.ChangeTo(&leap)}, func(p *clinic.Patient) { p.BirthDate = &leap }},
		{"BirthDateCleared", clinic.PatientPatch{BirthDate: clinic.ChangeTo[*clinic.Date](nil)}, func(p *clinic.Patient) { p.BirthDate = nil }},
		{"All", clinic.PatientPatch{
			FirstName: clinic.ChangeTo("B"), LastName: clinic.ChangeTo("C"),
			Email: clinic.ChangeTo[*string](nil), Phone: clinic.ChangeTo[*string](nil), BirthDate: clinic.ChangeTo[*clinic.Date](nil),
		}, func(p *clinic.Patient) {
			p.FirstName, p.LastName, p.Email, p.Phone, p.BirthDate = "B", "C", nil, nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := ann(), ann()
			c.patch.Apply(&got)
			c.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("patched patient (-want +got)\n%s", diff)
			}
			// A transaction may be retried.
			c.patch.Apply(&got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("applied twice (-want +got)\n%s", diff)
			}
		})
	}
}

func TestPatientCheck(t *testing.T) {
	today := clinic.Date{Year: 2027, Month: time.March, Day: 1}
	future := clinic.Violation{Pointer: "#/birth_date", Code: "future"}
	longFirst := clinic.Violation{Pointer: "#/first_name", Code: "max_length"}
	longLast := clinic.Violation{Pointer: "#/last_name", Code: "max_length"}
	// U+0958 is one character as sent and two in NFC.
	growing := strings.Repeat("\u0958", 51)
	for _, c := range []struct {
		name        string
		first, last string
		born        *clinic.Date
		want        []clinic.Violation
	}{
		{"OK", "Ann", "Muster", &clinic.Date{Year: 1984, Month: time.February, Day: 29}, nil},
		{"OKUnknown", "Ann", "Muster", nil, nil},
		{"OKToday", "Ann", "Muster", &today, nil},
		{"OKLongest", strings.Repeat("é", 100), strings.Repeat("\U0001F600", 50), nil, nil},
		{"Tomorrow", "Ann", "Muster", new(today.Next()), []clinic.Violation{future}},
		{"NextMonth", "Ann", "Muster", &clinic.Date{Year: 2027, Month: time.April, Day: 1}, []clinic.Violation{future}},
		{"NextYear", "Ann", "Muster", &clinic.Date{Year: 2028, Month: time.January, Day: 1}, []clinic.Violation{future}},
		{"FirstNameGrown", growing, "Muster", nil, []clinic.Violation{longFirst}},
		{"LastNameGrown", "Ann", growing, nil, []clinic.Violation{longLast}},
		{"CountedInUTF16", "Ann", strings.Repeat("\U0001F600", 51), nil, []clinic.Violation{longLast}},
		{"AllAtOnce", growing, growing, new(today.Next()), []clinic.Violation{longFirst, longLast, future}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := clinic.Patient{FirstName: c.first, LastName: c.last, BirthDate: c.born}
			p.Normalize()
			var want *clinic.Error
			if c.want != nil {
				want = &clinic.Error{Code: clinic.CodeValidationFailed, Violations: c.want}
			}
			wantViolations(t, p.Validate(today), want)
		})
	}
}
