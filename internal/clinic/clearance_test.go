package clinic_test

import (
	"testing"

	"mems/internal/clinic"
)

// No role outside the clinic reads staff notes, whatever its scopes; a doctor reads those
// about themself, and callers who can read every calendar read all.
func TestClearance(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caller clinic.Caller
		want   clinic.Clearance
	}{
		"nobody":       {clinic.Caller{}, clinic.Clearance{}},
		"receptionist": {clinic.Caller{Roles: []clinic.Role{clinic.RoleReceptionist}}, clinic.Clearance{Staff: true, AllDoctors: true}},
		"manager":      {clinic.Caller{Roles: []clinic.Role{clinic.RoleManager}}, clinic.Clearance{Staff: true, AllDoctors: true}},
		"admin":        {clinic.Admin(), clinic.Clearance{Staff: true, AllDoctors: true}},
		"auditor":      {clinic.Caller{Roles: []clinic.Role{clinic.RoleAuditor}}, clinic.Clearance{Staff: true}},
		"doctor":       {clinic.Caller{Roles: []clinic.Role{clinic.RoleDoctor}, DoctorID: 7}, clinic.Clearance{Staff: true, DoctorID: 7}},
		"doctor without a calendar": {
			clinic.Caller{Roles: []clinic.Role{clinic.RoleDoctor}}, clinic.Clearance{Staff: true},
		},
		"doctor and auditor": {
			clinic.Caller{Roles: []clinic.Role{clinic.RoleDoctor, clinic.RoleAuditor}, DoctorID: 7}, clinic.Clearance{Staff: true, DoctorID: 7},
		},
		"doctor and manager": {
			clinic.Caller{Roles: []clinic.Role{clinic.RoleDoctor, clinic.RoleManager}, DoctorID: 7},
			clinic.Clearance{Staff: true, AllDoctors: true},
		},
		"partner": {
			clinic.Caller{Roles: []clinic.Role{clinic.RolePartner}, KeyID: 3, Scopes: clinic.Scopes()}, clinic.Clearance{},
		},
		"partner and doctor": {
			clinic.Caller{Roles: []clinic.Role{clinic.RolePartner, clinic.RoleDoctor}, DoctorID: 7, KeyID: 3, Scopes: clinic.Scopes()},
			clinic.Clearance{Staff: true, DoctorID: 7},
		},
	} {
		got := test.caller.Clearance()
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
		if got.About(7) != (got.AllDoctors || got.DoctorID == 7) || got.About(8) != got.AllDoctors || got.About(0) != got.AllDoctors {
			t.Errorf("%s: About(7) %t, About(8) %t, About(0) %t; want the first for doctor 7, all for all doctors",
				name, got.About(7), got.About(8), got.About(0))
		}
		if got.Everything() != got.AllDoctors {
			t.Errorf("%s: Everything() = %t, want %t", name, got.Everything(), got.AllDoctors)
		}
	}
}
