package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"

	"mems/gen/api"
	"mems/internal/clinic"
)

// Marked texts are withheld wherever they occur in a response, and nothing else is.
func TestWithheld(t *testing.T) {
	t.Parallel()
	const secret = "words of staff"
	note := func() nullable.Nullable[string] { return nullable.NewNullableWithValue(secret) }
	appointment := func() api.Appointment {
		return api.Appointment{
			ID: 1, Cancellation: &api.Cancellation{Reason: "other", Note: note()},
			Override: &api.AppointmentOverride{Rules: []api.AppointmentOverrideRules{"doctor-overlap"}, Reason: new(secret)},
		}
	}
	away := func(doctor int64) api.TimeOff {
		return api.TimeOff{ID: 1, DoctorID: doctor, Reason: new(api.TimeOffReason("illness")), Note: note()}
	}
	one := func() any { return api.GetAppointment200JSONResponse{Body: appointment()} }
	list := func(doctors ...int64) func() any {
		return func() any { return api.ListTimeOff200JSONResponse{Items: items(doctors, away)} }
	}
	partner, admin, doctor := clinic.Clearance{}, clinic.Admin().Clearance(), clinic.Clearance{Staff: true, DoctorID: 7}
	for name, test := range map[string]struct {
		answer    func() any
		clearance clinic.Clearance
		want      int // how often the words are left
		illness   bool
	}{
		"an answer with a body and headers": {one, partner, 0, false},
		"to an administrator":               {one, admin, 2, false},
		"to a doctor":                       {one, doctor, 2, false},
		"a pointer":                         {func() any { return new(appointment()) }, partner, 0, false},
		"a list":                            {list(7, 8), partner, 0, false},
		"a list to the doctor":              {list(7, 8), doctor, 1, true},
		"a list to another doctor":          {list(8), doctor, 0, false},
		"a list to somebody of no calendar": {list(0), clinic.Clearance{Staff: true}, 0, false},
		"a problem": {func() any {
			return api.Problem{
				Appointments: []api.Appointment{appointment()}, Report: []api.PlanItem{{Appointment: appointment()}},
			}
		}, partner, 0, false},
		"a change":      {func() any { return api.Change{TimeOff: new(away(7)), Appointment: new(appointment())} }, partner, 0, false},
		"of a map":      {func() any { return map[string]api.Appointment{"a": appointment()} }, partner, 0, false},
		"of interfaces": {func() any { return []any{appointment(), new(away(7)), nil} }, partner, 0, false},
		"an export": {func() any {
			return api.PatientExport{
				Appointments: []api.Appointment{appointment()}, History: []api.AppointmentEvent{{Note: note(), Actor: note()}},
				Tickets: []api.Ticket{{Note: note()}}, Waitlist: []api.WaitlistEntry{{Note: note()}},
				Audit: []api.AuditEntry{{
					Reason: note(), Changes: []api.AuditChange{{Member: "Note", Before: note(), After: note()}},
				}},
			}
		}, partner, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left, err := json.Marshal(withheld(test.answer(), test.clearance))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := json.Marshal(test.answer())
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(left), secret); n != test.want {
				t.Errorf("%d left, want %d: %s", n, test.want, left)
			}
			if strings.Contains(string(left), "illness") != test.illness {
				t.Errorf("filtered absence: %s, want illness to be in it: %t", left, test.illness)
			}
			if test.want == strings.Count(string(whole), secret) && string(left) != string(whole) {
				t.Errorf("filtered for a caller who may read all: %s, want it unchanged: %s", left, whole)
			}
			if strings.Contains(string(left), `"note":null`) || strings.Contains(string(left), `"note":""`) {
				t.Errorf("filtered: %s, want the withheld note left out, not null or empty", left)
			}
		})
	}
}

// Webhook messages are read outside the clinic, whatever permissions the webhook's owner has.
func TestWebhookMessageWithoutStaffWords(t *testing.T) {
	t.Parallel()
	const secret = "words of staff"
	for name, record := range map[string]any{
		"time_off":       clinic.TimeOff{DoctorID: 7, Reason: clinic.TimeOffIllness, Note: new(secret)},
		"ticket":         clinic.Ticket{Note: new(secret)},
		"waitlist_entry": clinic.WaitlistEntry{Note: new(secret)},
		"appointment":    clinic.Appointment{Cancellation: &clinic.Cancellation{Reason: clinic.ReasonOther, Note: new(secret)}},
	} {
		message, err := WebhookMessage(clinic.Delivery{Change: clinic.FeedChange{
			Object: clinic.KindNamed(name), Type: name + ".updated", Record: record,
		}})
		if err != nil || strings.Contains(string(message), secret) || strings.Contains(string(message), "illness") {
			t.Errorf("message to %s: %s (%v), want it without %q and illness", name, message, err, secret)
		}
	}
}
