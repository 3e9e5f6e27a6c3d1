package clinic

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// publicMembers are the members of patient-related records that stay readable in the audit
// trail after an erasure: ids, times, statuses and codes. doctor_i_ds is the trail's
// spelling of DoctorIDs.
var publicMembers = strings.Fields(`id patient_id doctor_id type_id room_id series_id status time start duration buffers rule zone
	made_by version created_at updated_at merged_into erased_at appointments broken day number position
	transferred_to called_at appointment_id doctor_i_ds specialization window offer missed_offers token expires_at`)

// The trail fails closed: each member of a patient-related record is private, readable only
// with the patient's own key, or listed in publicMembers.
func TestEveryMemberIsPrivateOrPublic(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, record := range []any{Patient{}, Appointment{}, Series{}, Ticket{}, WaitlistEntry{}, Hold{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(record)) {
			name := snake(field.Name)
			known[name] = true
			if slices.Contains(private, name) == slices.Contains(publicMembers, name) {
				t.Errorf("%T.%s: say in private or in publicMembers whether %s tells who somebody is or was written by staff", record, field.Name, name)
			}
		}
	}
	for _, name := range slices.Concat(private, publicMembers) {
		if !known[name] {
			t.Errorf("private or publicMembers has %s, want a member of a record", name)
		}
	}
}
