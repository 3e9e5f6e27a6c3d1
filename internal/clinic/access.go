package clinic

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Role is what somebody is in the clinic; it decides what he may do.
type Role string

// The roles; the contract lists the same.
const (
	RoleReceptionist Role = "receptionist"
	RoleDoctor       Role = "doctor"
	RoleManager      Role = "manager"
	RoleAuditor      Role = "auditor"
	RolePartner      Role = "partner"
	RoleAdmin        Role = "admin"
)

// Permission is what an operation needs: the contract states it for each as
// x-permission.
type Permission string

// The permissions; the contract lists the same, but for the last two.
const (
	DirectoryRead        Permission = "directory:read"
	DirectoryWrite       Permission = "directory:write"
	CalendarRead         Permission = "calendar:read"
	CalendarWrite        Permission = "calendar:write"
	ClosuresWrite        Permission = "closures:write"
	AvailabilityRead     Permission = "availability:read"
	PatientsRead         Permission = "patients:read"
	PatientsWrite        Permission = "patients:write"
	PatientsMerge        Permission = "patients:merge"
	PatientsExport       Permission = "patients:export"
	PatientsErase        Permission = "patients:erase"
	AppointmentsRead     Permission = "appointments:read"
	AppointmentsWrite    Permission = "appointments:write"
	AppointmentsOverride Permission = "appointments:override" // to break a rule on purpose
	VisitsWrite          Permission = "visits:write"
	QueueRead            Permission = "queue:read"
	QueueWrite           Permission = "queue:write"
	WaitlistRead         Permission = "waitlist:read"
	WaitlistWrite        Permission = "waitlist:write"
	PlansRead            Permission = "plans:read"
	PlansWrite           Permission = "plans:write"
	AuditRead            Permission = "audit:read"
	KeysRead             Permission = "keys:read"
	KeysWrite            Permission = "keys:write"
	ChangesRead          Permission = "changes:read"
	WebhooksRead         Permission = "webhooks:read"
	WebhooksWrite        Permission = "webhooks:write"
	FeedsRead            Permission = "feeds:read"
	FeedsWrite           Permission = "feeds:write"

	// Self is the permission of every authenticated caller, Public that of every caller.
	Self   Permission = "self"
	Public Permission = "public"
)

// ScopeRecordsAll is the scope with which a partner reaches records that it did
// not make itself. The other scopes are permissions.
const ScopeRecordsAll = "records:all"

// desk is what reception does all day.
var desk = []Permission{
	DirectoryRead, CalendarRead, AvailabilityRead, PatientsRead, PatientsWrite, AppointmentsRead, AppointmentsWrite,
	AppointmentsOverride, VisitsWrite, QueueRead, QueueWrite, WaitlistRead, WaitlistWrite, PlansRead, ChangesRead,
}

// permissionsOf is the one table of what a role may do.
var permissionsOf = map[Role][]Permission{
	RoleReceptionist: desk,
	RoleDoctor: {
		DirectoryRead, CalendarRead, CalendarWrite, AvailabilityRead, PatientsRead, AppointmentsRead, AppointmentsWrite,
		AppointmentsOverride, VisitsWrite, QueueRead, QueueWrite, ChangesRead, FeedsRead, FeedsWrite,
	},
	RoleManager: slices.Concat(desk, []Permission{
		DirectoryWrite, CalendarWrite, ClosuresWrite, PatientsMerge, PatientsExport, PlansWrite, FeedsRead, FeedsWrite,
	}),
	RoleAuditor: {DirectoryRead, AuditRead, KeysRead, FeedsRead},
	RolePartner: {DirectoryRead, AvailabilityRead},
	RoleAdmin: slices.Concat(desk, []Permission{
		DirectoryWrite, CalendarWrite, ClosuresWrite, PatientsMerge, PatientsExport, PatientsErase, PlansWrite,
		AuditRead, KeysRead, KeysWrite, WebhooksRead, WebhooksWrite, FeedsRead, FeedsWrite,
	}),
}

// grantable are the permissions that a partner's scopes can add.
var grantable = []Permission{
	CalendarRead, PatientsRead, PatientsWrite, AppointmentsRead, AppointmentsWrite, WaitlistRead, WaitlistWrite, ChangesRead,
}

// Roles lists every role.
func Roles() []Role { return slices.Sorted(maps.Keys(permissionsOf)) }

// Scopes lists what can be granted to a partner.
func Scopes() []string {
	scopes := []string{ScopeRecordsAll}
	for _, p := range grantable {
		scopes = append(scopes, string(p))
	}
	return scopes
}

// Caller is who asks.
type Caller struct {
	// Subject names the caller for good: "key:12", "user:" and the identity
	// provider's subject, "open" when nobody is authenticated, "feed:12" for the
	// reader of a calendar feed, "system" for what the server does by itself.
	Subject string
	Roles   []Role
	Scopes  []string // a partner's
	// DoctorID is the doctor that a caller of that role is, 0 for none.
	DoctorID int64
	// KeyID is the API key that was used, 0 for none.
	KeyID int64
}

// Open is the caller where there is no authentication.
func Open() Caller { return Caller{Subject: "open", Roles: []Role{RoleAdmin}} }

// Kind says how the caller was authenticated: "key", "token" or "open".
func (c Caller) Kind() string {
	switch {
	case c.KeyID != 0:
		return "key"
	case strings.HasPrefix(c.Subject, "user:"):
		return "token"
	}
	return "open"
}

// Permissions lists what the caller may do, by name.
func (c Caller) Permissions() []Permission {
	var all []Permission
	for _, r := range c.Roles {
		all = append(all, permissionsOf[r]...)
		if r == RolePartner {
			for _, p := range grantable {
				if slices.Contains(c.Scopes, string(p)) {
					all = append(all, p)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// May reports whether the caller has a permission.
func (c Caller) May(p Permission) bool {
	return p == Public || p == Self && c.Subject != "" || slices.Contains(c.Permissions(), p)
}

// Reach is what of the clinic's records a caller gets at with the permission:
// everything, if any of the roles that give it is not bound to a calendar or a
// key.
func (c Caller) Reach(p Permission) Reach {
	reach := Reach{}
	for _, r := range c.Roles {
		one := Caller{Roles: []Role{r}, Scopes: c.Scopes}
		switch {
		case p != Self && !one.May(p):
		case r == RoleDoctor:
			reach.DoctorID = c.DoctorID
		case r == RolePartner && !slices.Contains(c.Scopes, ScopeRecordsAll):
			reach.KeyID = c.KeyID
		default:
			return Reach{All: true}
		}
	}
	return reach
}

// Reach is which records somebody gets at. What lies beyond it is not found, in
// single reads as in lists.
type Reach struct {
	All      bool
	DoctorID int64 // this doctor's calendar, and the patients in it; 0: none
	KeyID    int64 // what was made with this API key; 0: nothing
}

// Calendar reports whether a doctor's calendar is within reach.
func (r Reach) Calendar(doctorID int64) bool {
	return r.All || r.DoctorID != 0 && r.DoctorID == doctorID
}

// Record reports whether a record of a doctor's calendar is within reach that
// was made with an API key, nil for none.
func (r Reach) Record(doctorID int64, madeBy *int64) bool {
	return r.Calendar(doctorID) || r.KeyID != 0 && madeBy != nil && *madeBy == r.KeyID
}

// CheckCalendar refuses to write in the calendar of a doctor out of reach. A
// partner may: nobody's calendar is its own, and it sees of it what it booked.
func (r Reach) CheckCalendar(doctorID int64) error {
	if r.KeyID != 0 || r.Calendar(doctorID) {
		return nil
	}
	return &Error{Code: CodeForbidden}
}

// Access is who asks for what, from where: what decides and what the audit trail
// keeps.
type Access struct {
	Caller
	Reach     Reach
	Operation string     // operationId
	RequestID string     // "" for none
	Address   netip.Addr // of the client; invalid for none
}

// System is the access of what the server does by itself.
func System() Access {
	return Access{Caller: Caller{Subject: system}, Reach: Reach{All: true}, Operation: system}
}

// system is the subject of what the server does by itself; no caller has it.
const system = "system"

// Actor returns who acts: the authenticated caller, else who was stated, nil when
// neither is known.
func (a Access) Actor(stated string) *string {
	if a.Kind() != "open" {
		return &a.Subject
	}
	if stated == "" {
		return nil
	}
	return &stated
}

// MadeBy is the API key to note with a new record, nil for none.
func (a Access) MadeBy() *int64 {
	if a.KeyID == 0 {
		return nil
	}
	return &a.KeyID
}

// Admin is somebody who may do everything.
func Admin() Caller { return Caller{Subject: "admin", Roles: []Role{RoleAdmin}} }
