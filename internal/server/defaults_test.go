package server_test

import (
	"fmt"
	"testing"
	"time"

	"mems/gen/api"
)

// An absent member has the default that the contract states.
func TestDefaults(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	var doctor api.Doctor
	f.Post("/doctors", object{"full_name": "Dr Noor", "specialization": "dermatology"}).Want(t, 201, "").Decode(t, &doctor)
	if !doctor.IsActive || doctor.OverbookCap != 0 {
		t.Errorf("doctor created without optional members: %+v, want it active with overbook cap 0", doctor)
	}
	var room api.Room
	f.Post("/rooms", object{"name": "Room 1"}).Want(t, 201, "").Decode(t, &room)
	if !room.IsActive {
		t.Errorf("room created without optional members: %+v, want it active", room)
	}
	var kind api.AppointmentType
	f.Post("/appointment-types", object{"name": "Skin check", "duration_minutes": 30, "doctor_ids": []int64{doctor.ID}}).
		Want(t, 201, "").Decode(t, &kind)
	if kind.BufferBeforeMinutes != 0 || kind.BufferAfterMinutes != 0 || kind.Colour != "#1565c0" || kind.NeedsRoom || !kind.IsActive {
		t.Errorf("type created without optional members: %+v, want no buffers, colour #1565c0, no room needed, active",
			kind)
	}
	var patient api.Patient
	f.Post("/patients", object{"first_name": "Ann", "last_name": "Muster"}).Want(t, 201, "").Decode(t, &patient)

	var hold api.HoldCreated
	f.Post("/holds", object{"doctor_id": doctor.ID, "start_time": "2027-03-02T09:00:00Z", "duration_minutes": 30}).
		Want(t, 201, "").Decode(t, &hold)
	if left := hold.ExpiresAt.Sub(f.clock.now()); left != 2*time.Minute {
		t.Errorf("held for %v, want 2 minutes", left)
	}

	// A series fails as a whole when one of its dates is taken.
	f.booked(patient.ID, doctor.ID, "2027-03-23T10:00:00+01:00", 30)
	f.series(f.patient(), doctor.ID, nil).Want(t, 409, "series-conflict")
}

// A member that is absent in a merge patch is left unchanged, whatever its default for a new
// record.
func TestPatchFillsInNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	var doctor api.Doctor
	f.Post("/doctors", object{
		"full_name": "Dr Noor", "specialization": "dermatology", "overbook_cap": 3, "is_active": false,
	}).Want(t, 201, "").Decode(t, &doctor)
	var patched api.Doctor
	f.Patch(fmt.Sprintf("/doctors/%d", doctor.ID), object{"full_name": "Dr N. Noor"}).Want(t, 200, "").Decode(t, &patched)
	if patched.OverbookCap != 3 || patched.IsActive {
		t.Errorf("doctor after a patch of other members: %+v, want overbook cap 3, inactive", patched)
	}
}
