package fhir_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/fhir"
	"mems/internal/fhir/r4"
)

// holds fails the test unless the resource matches the official schema.
func holds(t interface{ Errorf(string, ...any) }, resource any) {
	text, err := json.Marshal(resource)
	if err == nil {
		err = r4.Validate(text)
	}
	if err != nil {
		t.Errorf("validate %s against FHIR R4: %v, want no error", text, err)
	}
}

func TestPatient(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 1, 9, 0, 0, 120_000, time.UTC)
	phone, mail, into := "+41 44 555 01 77", "ann@example.org", int64(4)
	p := clinic.Patient{
		ID: 17, FirstName: "Ann", LastName: "van den Berg", Phone: &phone, Email: &mail, BirthDate: &clinic.Date{Year: 1980, Month: 2, Day: 29},
		Identifiers: []clinic.Identifier{{System: "ahv", Value: "756.1"}, {System: "urn:oid:1.2", Value: "x"}, {System: "kasse nord", Value: "9"}},
		Version:     3, CreatedAt: at, UpdatedAt: at,
	}
	said := fhir.Patient(p)
	holds(t, said)
	var systems []string
	for _, i := range said.Identifier {
		systems = append(systems, i.System)
	}
	if want := []string{"urn:mems:mrn", "urn:mems:identifier:ahv", "urn:oid:1.2", "urn:mems:identifier:kasse%20nord"}; !slices.Equal(systems, want) {
		t.Errorf("systems %q, want %q", systems, want)
	}
	if !said.Active || said.BirthDate.String() != "1980-02-29" || said.Meta.VersionID != "3" || len(said.Telecom) != 2 || *said.Name[0].Family != "van den Berg" {
		t.Errorf("Patient = %+v, want the active patient van den Berg, born 1980-02-29, version 3, two contacts",
			said)
	}
	erased := p
	erased.ErasedAt = &at
	if fhir.Patient(erased).Active {
		t.Error("Patient of an erased record: active, want inactive")
	}
	p.MergedInto = &into
	merged := fhir.Patient(p)
	holds(t, merged)
	if merged.Active || len(merged.Name)+len(merged.Telecom)+len(merged.Identifier) != 0 || merged.Link[0].Other.Reference != "Patient/4" {
		t.Errorf("Patient of a merged record = %+v, want it inactive, without data, linked to Patient/4", merged)
	}
}

func TestIdentifiersComeBack(t *testing.T) {
	t.Parallel()
	for token, want := range map[string][2]string{
		"00000018":                           {"urn:mems:mrn", "00000018"},
		"urn:mems:mrn|00000018":              {"urn:mems:mrn", "00000018"},
		"urn:mems:identifier:kasse%20nord|9": {"kasse nord", "9"},
		"urn:oid:1.2|x|y":                    {"urn:oid:1.2", "x|y"},
		"|9":                                 {"", "9"},
	} {
		if system, value := fhir.ParseIdentifier(token); system != want[0] || value != want[1] {
			t.Errorf("ParseIdentifier(%q) = %q, %q, want %q, %q", token, system, value, want[0], want[1])
		}
	}
}

// Every possible appointment is a valid FHIR Appointment without free text.
func TestAppointmentsAreFHIRs(t *testing.T) {
	t.Parallel()
	statuses := []clinic.Status{
		clinic.StatusScheduled, clinic.StatusConfirmed, clinic.StatusCheckedIn, clinic.StatusInProgress, clinic.StatusCompleted,
		clinic.StatusCancelled, clinic.StatusNoShow, clinic.StatusLeftWithoutBeingSeen,
	}
	reasons := []clinic.CancellationReason{
		clinic.ReasonPatientRequest, clinic.ReasonDoctorUnavailable, clinic.ReasonClinicClosed, clinic.ReasonRebooked, clinic.ReasonBookedInError, clinic.ReasonOther,
	}
	rapid.Check(t, func(r *rapid.T) {
		secret := "SECRET"
		start := time.UnixMicro(rapid.Int64Range(clinic.MinInstant.UnixMicro(), clinic.MaxInstant.UnixMicro()/2).Draw(r, "start")).UTC()
		a := clinic.Appointment{
			ID: rapid.Int64Range(1, 1<<53-1).Draw(r, "id"), PatientID: 1, DoctorID: 2, Version: 1, CreatedAt: start, UpdatedAt: start,
			Time:           clinic.Interval{Start: start, End: start.Add(time.Duration(rapid.IntRange(15, 180).Draw(r, "minutes")) * time.Minute)},
			Status:         rapid.SampledFrom(statuses).Draw(r, "status"),
			OverrideReason: &secret,
		}
		if rapid.Bool().Draw(r, "typed") {
			a.TypeID = &a.ID
		}
		if a.Status == clinic.StatusCancelled {
			a.Cancellation = &clinic.Cancellation{Reason: rapid.SampledFrom(reasons).Draw(r, "reason"), Note: &secret, At: start}
		}
		said := fhir.Appointment(a, "Dr. Noor Haddad")
		holds(r, said)
		text, _ := json.Marshal(said)
		if strings.Contains(string(text), secret) {
			r.Errorf("%s", text)
		}
		if !slices.Contains(fhir.Statuses(string(said.Status)), a.Status) {
			r.Errorf("%s is not found as %s", a.Status, said.Status)
		}
		if (said.CancelationReason != nil) != (said.Status == "cancelled") {
			r.Errorf("%s", text)
		}
	})
	if got := fhir.Statuses("proposed,waitlist"); len(got) != 0 {
		t.Errorf("Statuses(proposed,waitlist) = %v, want none", got)
	}
}

// A slot's id encodes the slot, and other text is not an id.
func TestSlotIDsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		start := time.Unix(60*rapid.Int64Range(clinic.MinInstant.Unix()/60, clinic.MaxInstant.Unix()/60-200).Draw(r, "minute"), 0).UTC()
		s := clinic.Slot{
			DoctorID: rapid.Int64Range(1, 1<<53-1).Draw(r, "doctor"),
			Time:     clinic.Interval{Start: start, End: start.Add(time.Duration(rapid.IntRange(15, 180).Draw(r, "length")) * time.Minute)},
		}
		if got, ok := fhir.ParseSlotID(fhir.SlotID(s)); !ok || got != s {
			r.Errorf("%s: %v %v", fhir.SlotID(s), got, ok)
		}
		holds(r, fhir.Slot(s, nil, true))
		holds(r, fhir.Proposal(s, &s.DoctorID))
	})
	for _, id := range []string{
		"", "1", "1-20270301T0900Z", "0-20270301T0900Z-30", "1-20270301T0900Z-14", "1-20270301T0900Z-181", "1-20270230T0900Z-30", "01-20270301T0900Z-30",
		"1-20270301T0900Z-030", "1-00000301T0900Z-30", "1-20270301T0900Z-30-1", "1-20270301T0900Z-9999999999999",
	} {
		if s, ok := fhir.ParseSlotID(id); ok {
			t.Errorf("ParseSlotID(%q) = %v, want it refused", id, s)
		}
	}
}

func FuzzSlotID(f *testing.F) {
	f.Add("1-20270301T0900Z-30")
	f.Fuzz(func(t *testing.T, id string) {
		if s, ok := fhir.ParseSlotID(id); ok && fhir.SlotID(s) != id {
			t.Errorf("ParseSlotID(%q) = %v, whose id is %q, want the same id", id, s, fhir.SlotID(s))
		}
	})
}

func TestDates(t *testing.T) {
	t.Parallel()
	zurich, err := clinic.LoadZone("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		values   []string
		from, to string
	}{
		"None":           {nil, "", ""},
		"Day":            {[]string{"2027-03-01"}, "2027-02-28T23:00:00Z", "2027-03-01T23:00:00Z"},
		"ShortDay":       {[]string{"2027-03-28"}, "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"},
		"LongDay":        {[]string{"eq2027-10-31"}, "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"},
		"Month":          {[]string{"2027-12"}, "2027-11-30T23:00:00Z", "2027-12-31T23:00:00Z"},
		"Year":           {[]string{"2027"}, "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"},
		"From":           {[]string{"ge2027-03-28"}, "2027-03-27T23:00:00Z", ""},
		"After":          {[]string{"gt2027-03-28"}, "2027-03-28T22:00:00Z", ""},
		"StartsAfter":    {[]string{"sa2027-03-28"}, "2027-03-28T22:00:00Z", ""},
		"Before":         {[]string{"lt2027-03-28"}, "", "2027-03-27T23:00:00Z"},
		"EndsBefore":     {[]string{"eb2027-03-28"}, "", "2027-03-27T23:00:00Z"},
		"UpTo":           {[]string{"le2027-03-28"}, "", "2027-03-28T22:00:00Z"},
		"Window":         {[]string{"ge2027-03-01", "lt2027-03-08"}, "2027-02-28T23:00:00Z", "2027-03-07T23:00:00Z"},
		"Narrowest":      {[]string{"ge2027-03-01", "ge2027-03-02", "le2027-03-05", "lt2027-03-04"}, "2027-03-01T23:00:00Z", "2027-03-03T23:00:00Z"},
		"Instant":        {[]string{"2027-03-01T10:00:00+01:00"}, "2027-03-01T09:00:00Z", "2027-03-01T09:00:01Z"},
		"Minute":         {[]string{"2027-03-01T10:00+01:00"}, "2027-03-01T09:00:00Z", "2027-03-01T09:01:00Z"},
		"MinuteInUTC":    {[]string{"ge2027-03-01T10:00Z"}, "2027-03-01T10:00:00Z", ""},
		"PartOfASecond":  {[]string{"gt2027-03-01T10:00:00.5Z"}, "2027-03-01T10:00:00.500001Z", ""},
		"LastMonth":      {[]string{"9998-12"}, "9998-11-30T23:00:00Z", "9998-12-31T23:59:59.999999Z"},
		"LastYear":       {[]string{"9998"}, "9997-12-31T23:00:00Z", "9998-12-31T23:59:59.999999Z"},
		"NoSuchDay":      {[]string{"2027-02-30"}, "refused", ""},
		"NoSuchMonth":    {[]string{"2027-13"}, "refused", ""},
		"TooEarly":       {[]string{"1899"}, "refused", ""},
		"WithoutOffset":  {[]string{"2027-03-01T10:00:00"}, "refused", ""},
		"NotEvenAMinute": {[]string{"2027-03-01T10Z"}, "refused", ""},
		"SecondIsWrong":  {[]string{"2027", "x"}, "refused", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := fhir.ParseDates("date", test.values, zurich)
			if test.from == "refused" {
				if !errors.Is(err, &clinic.Error{Code: clinic.CodeValidationFailed}) {
					t.Errorf("parsed dates = %v, %v, want %s", d, err, clinic.CodeValidationFailed)
				}
				return
			}
			text := func(at time.Time) string {
				if at.IsZero() {
					return ""
				}
				return at.Format(time.RFC3339Nano)
			}
			if err != nil || text(d.From) != test.from || text(d.To) != test.to {
				t.Errorf("%s to %s, %v; want %s to %s", text(d.From), text(d.To), err, test.from, test.to)
			}
		})
	}
}

func FuzzDates(f *testing.F) {
	for _, seed := range []string{"2027-03-01", "ge2027", "lt2027-03-01T10:00:00+01:00", "sa9998-12", "2027-03-01T10:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, err := fhir.ParseDates("date", []string{value}, time.UTC)
		if err == nil && !d.From.IsZero() && !d.To.IsZero() && !d.From.Before(d.To) {
			t.Errorf("dates of %q: from %s to %s, want them in order", value, d.From, d.To)
		}
	})
}

// A request is parsed, or refused with all violations.
func TestBooking(t *testing.T) {
	t.Parallel()
	const both = `"participant":[{"actor":{"reference":"Patient/3"}},{"actor":{"reference":"Practitioner/7"}}]`
	const times = `"start":"2027-03-01T10:00:00+01:00","end":"2027-03-01T10:30:00+01:00"`
	const slot = `"slot":[{"reference":"Slot/7-20270301T0900Z-30"}]`
	const patient = `"participant":[{"actor":{"reference":"Patient/3"}}]`
	for name, test := range map[string]struct {
		members string
		refused []string
	}{
		"Times":            {both + `,` + times, nil},
		"Slot":             {patient + `,` + slot, nil},
		"SlotThatAgrees":   {both + `,` + times + `,` + slot, nil},
		"SlotElsewhere":    {both + `,"start":"2027-03-01T10:15:00+01:00",` + slot, []string{"#/slot/0/reference combination"}},
		"NoSlot":           {patient + `,"slot":[{"reference":"Slot/7"}]`, []string{"#/slot/0/reference invalid"}},
		"Type":             {both + `,"start":"2027-03-01T10:00:00+01:00","serviceType":[{"coding":[{"system":"urn:mems:appointment-type","code":"5"}]}]`, nil},
		"TypeOfOthers":     {both + `,` + times + `,"serviceType":[{"coding":[{"system":"urn:x","code":"5"}]}]`, []string{"#/serviceType/0/coding invalid"}},
		"Nothing":          {`"participant":[]`, []string{"#/participant required", "#/participant required"}},
		"NoStart":          {both, []string{"#/start required"}},
		"NoEnd":            {both + `,"start":"2027-03-01T10:00:00+01:00"`, []string{"#/end required"}},
		"TooShort":         {both + `,"start":"2027-03-01T10:00:00Z","end":"2027-03-01T10:14:00Z"`, []string{"#/end invalid"}},
		"Backwards":        {both + `,"start":"2027-03-01T10:00:00Z","end":"2027-03-01T09:00:00Z"`, []string{"#/end invalid"}},
		"HalfAMinute":      {both + `,"start":"2027-03-01T10:00:00Z","end":"2027-03-01T10:30:30Z"`, []string{"#/end invalid"}},
		"Absolute":         {`"participant":[{"actor":{"reference":"https://mems.example.org/fhir/Patient/3"}}],"slot":[{"reference":"https://mems.example.org/fhir/Slot/7-20270301T0900Z-30"}]`, nil},
		"AbsoluteByHTTP":   {`"participant":[{"actor":{"reference":"http://MEMS.example.org/fhir/Patient/3/_history/2"}}],` + slot, nil},
		"AsAsked":          {`"participant":[{"actor":{"reference":"http://10.1.2.3:8080/fhir/Patient/3"}}],` + slot, nil},
		"AnotherServer":    {`"participant":[{"actor":{"reference":"https://other.example.org/fhir/Patient/3"}}],` + slot, []string{"#/participant/0/actor/reference invalid", "#/participant required"}},
		"AnotherBase":      {`"participant":[{"actor":{"reference":"https://mems.example.org/r4/Patient/3"}}],` + slot, []string{"#/participant/0/actor/reference invalid", "#/participant required"}},
		"URN":              {`"participant":[{"actor":{"reference":"urn:uuid:6b7a0f2c-4b0b-4c88-9a0f-1f3f2f1f7a11"}}],` + slot, []string{"#/participant/0/actor/reference invalid", "#/participant required"}},
		"Contained":        {`"participant":[{"actor":{"reference":"#p"}}],` + slot, []string{"#/participant/0/actor/reference invalid", "#/participant required"}},
		"Location":         {`"participant":[{"actor":{"reference":"Location/1"}},{"actor":{"reference":"Patient/3"}}],` + slot, []string{"#/participant/0/actor/reference invalid"}},
		"MinutesDuration":  {both + `,"start":"2027-03-01T10:00:00+01:00","minutesDuration":30`, nil},
		"MinutesTooLong":   {both + `,"start":"2027-03-01T10:00:00+01:00","minutesDuration":300`, []string{"#/minutesDuration invalid"}},
		"TypeAndForeign":   {both + `,` + times + `,"serviceType":[{"coding":[{"system":"http://snomed.info/sct","code":"11429006"},{"system":"urn:mems:appointment-type","code":"5"}]}]`, nil},
		"TypeInWords":      {both + `,` + times + `,"serviceType":[{"text":"Consultation"}]`, nil},
		"TwoTypes":         {both + `,` + times + `,"serviceType":[{"coding":[{"system":"urn:mems:appointment-type","code":"5"}]},{"coding":[{"system":"urn:mems:appointment-type","code":"6"}]}]`, []string{"#/serviceType/1/coding combination"}},
		"Modifier":         {both + `,` + times + `,"modifierExtension":[{"url":"urn:x","valueBoolean":true}]`, []string{"#/modifierExtension invalid"}},
		"ModifierOfOne":    {`"participant":[{"actor":{"reference":"Patient/3"},"modifierExtension":[]}],` + slot, []string{"#/participant/0/modifierExtension invalid"}},
		"ImplicitRules":    {both + `,` + times + `,"implicitRules":"urn:x"`, []string{"#/implicitRules invalid"}},
		"Cancelled":        {both + `,` + times + `,"cancelationReason":{"text":"x"}`, []string{"#/cancelationReason invalid"}},
		"Unknown":          {both + `,` + times + `,"surprise":1`, []string{"#/surprise unknown"}},
		"UnknownInside":    {`"participant":[{"actor":{"reference":"Patient/3","link":1}}],` + slot, []string{"#/participant/0/actor/link unknown"}},
		"TwoPatients":      {`"participant":[{"actor":{"reference":"Patient/3"}},{"actor":{"reference":"Patient/4"}}],` + slot, []string{"#/participant/1/actor/reference combination"}},
		"NumberOutOfReach": {`"participant":[{"actor":{"reference":"Patient/9007199254740993"}}],` + slot, []string{"#/participant/0/actor/reference invalid", "#/participant required"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var request api.FhirAppointmentRequest
			if err := json.Unmarshal([]byte(`{"resourceType":"Appointment","status":"proposed",`+test.members+`}`), &request); err != nil {
				t.Fatal(err)
			}
			b, err := fhir.Base{Address: "https://mems.example.org/fhir", Asked: "http://10.1.2.3:8080/fhir"}.Booking(request)
			if refusal, ok := errors.AsType[*clinic.Error](err); ok {
				var got []string
				for _, v := range refusal.Violations {
					got = append(got, v.Pointer+" "+v.Code)
				}
				if !slices.Equal(got, test.refused) {
					t.Errorf("refused for %q, want %q", got, test.refused)
				}
				return
			}
			if err != nil || test.refused != nil || b.PatientID != 3 || b.DoctorID != 7 || !b.Start.Equal(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)) {
				t.Errorf("Booking = %+v, %v, want patient 3, doctor 7 at 2027-03-01T09:00:00Z", b, err)
			}
			if b.TypeID == nil && b.Duration != 30*time.Minute {
				t.Errorf("duration = %s, want 30m", b.Duration)
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	pointer, parameter := "#/participant/0/actor/reference", "date"
	out := fhir.Outcome(api.Problem{Type: "/problems/validation-failed", Title: "The request does not match the contract", Status: 422, Errors: []api.Violation{
		{Pointer: &pointer, Code: "invalid", Detail: "must be a patient"}, {Parameter: &parameter, Code: "required", Detail: "is missing"},
	}})
	holds(t, out)
	if len(out.Issue) != 2 || out.Issue[0].Expression[0] != "Appointment.participant[0].actor.reference" || out.Issue[1].Expression[0] != "http.date" || out.Issue[1].Code != "required" {
		t.Errorf("Outcome = %+v, want an issue with the participant's path and a required one with http.date", out)
	}
	for status, code := range map[int32]api.FhirIssueCode{
		400: "structure", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 409: "business-rule", 413: "too-long",
		422: "business-rule", 429: "throttled", 500: "exception", 503: "transient",
	} {
		out := fhir.Outcome(api.Problem{Type: "/problems/x", Title: "X", Detail: "x", Status: status})
		holds(t, out)
		if out.Issue[0].Code != code {
			t.Errorf("%d is %s, want %s", status, out.Issue[0].Code, code)
		}
	}
}
