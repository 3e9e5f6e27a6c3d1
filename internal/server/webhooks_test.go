package server_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contracttest"
)

// A webhook for a type of change that does not exist would never send anything: it is rejected, and
// the response lists the existing types.
func TestWebhookTypesExist(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	created := f.Post("/webhooks", map[string]any{
		"url": "https://partner.example.org/mems", "types": []string{"appointment.booked", "patient.*", "ticket.updated"},
	})
	var webhook api.WebhookCreated
	created.Want(t, 201, "").Decode(t, &webhook)
	path := fmt.Sprint("/webhooks/", webhook.ID)

	for _, unknown := range []string{
		"appointment.created", "appointment.scheduled_", "appointment.finished", "ticket.called", "patient.merged",
		"hold.booked", "visit.*", "webhook.test", "appointment.no_show_",
	} {
		t.Run(unknown, func(t *testing.T) {
			types := []string{"appointment.booked", unknown}
			for _, answer := range []*contracttest.Response{
				f.Post("/webhooks", map[string]any{"url": "https://partner.example.org/x", "types": types}),
				f.Patch(path, map[string]any{"types": types}),
			} {
				answer.Want(t, 422, "validation-failed")
				if got, want := answer.Violations(t), []string{"#/types/1 enum"}; !slices.Equal(got, want) {
					t.Errorf("violations: %q, want %q", got, want)
				}
				if !bytes.Contains(answer.Body, []byte("appointment.booked, ")) {
					t.Errorf("refusal = %s, want it to list the types", answer.Body)
				}
			}
		})
	}
	for _, exists := range clinic.ChangeTypes() {
		f.Patch(path, map[string]any{"types": []string{exists}}).Want(t, 200, "")
	}
	if !slices.Contains(clinic.ChangeTypes(), "appointment.left_without_being_seen") {
		t.Errorf("change types = %v, want appointment.left_without_being_seen among them", clinic.ChangeTypes())
	}
}

// A webhook's URL must have a valid port.
func TestWebhookPorts(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	for port, status := range map[string]int{"": 201, ":": 201, ":443": 201, ":65535": 201, ":0": 422, ":65536": 422, ":99999": 422, ":4294967739": 422} {
		r := f.Post("/webhooks", map[string]any{"url": "https://partner.example.org" + port + "/x"})
		if r.Status != status || status == 422 && !slices.Equal(r.Violations(t), []string{"#/url format"}) {
			t.Errorf("webhook with the port %q = %d %s, want %d", port, r.Status, r.Body, status)
		}
	}
}
