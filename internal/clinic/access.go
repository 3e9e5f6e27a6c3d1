package clinic

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Role is a caller's role in the clinic; it determines the permissions.
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

// Permission is what an operation requires of its caller; the contract states it as
// x-permission.
type Permission string

// The permissions; the contract lists the same, except for the last two.
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
	AppointmentsOverride Permission = "appointments:override" // to break a rule deliberately
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

// ScopeRecordsAll lets a partner access records that it did not create itself. The other
// scopes are permissions.
const ScopeRecordsAll = "records:all"

// desk lists what a receptionist needs every day.
var desk = []Permission{
	DirectoryRead, CalendarRead, AvailabilityRead, PatientsRead, PatientsWrite, AppointmentsRead, AppointmentsWrite,
	AppointmentsOverride, VisitsWrite, QueueRead, QueueWrite, WaitlistRead, WaitlistWrite, PlansRead, ChangesRead,
}

// permissionsOf is the only table of what each role may do.
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

// grantable lists the permissions that scopes can add to a partner's.
var grantable = []Permission{
	CalendarRead, PatientsRead, PatientsWrite, AppointmentsRead, AppointmentsWrite, WaitlistRead, WaitlistWrite, ChangesRead,
}

// Roles lists every role.
func Roles() []Role { return slices.Sorted(maps.Keys(permissionsOf)) }

// Scopes lists the scopes that a partner's key can be granted.
func Scopes() []string {
	scopes := []string{ScopeRecordsAll}
	for _, p := range grantable {
		scopes = append(scopes, string(p))
	}
	return scopes
}

// Caller is the sender of a request.
type Caller struct {
	// Subject identifies the caller permanently: "key:12", "user:" and the identity
	// provider's subject, "open" without authentication, "feed:12" for the reader of a
	// calendar feed, "system" for the server itself.
	Subject string
	Roles   []Role
	Scopes  []string // a partner's
	// DoctorID is the doctor that a caller of that role is, 0 for none.
	DoctorID int64
	// KeyID is the API key that was used, 0 for none.
	KeyID int64
}

// Open returns the caller of a server without authentication.
func Open() Caller { return Caller{Subject: "open", Roles: []Role{RoleAdmin}} }

// Kind returns how the caller was authenticated: "key", "token" or "open".
func (c Caller) Kind() string {
	switch {
	case c.KeyID != 0:
		return "key"
	case strings.HasPrefix(c.Subject, "user:"):
		return "token"
	}
	return "open"
}

// Permissions lists the caller's permissions, sorted by name.
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

// Reach returns the records that the caller can access with a permission: all of them, if
// any role that grants it is not restricted to a calendar or a key.
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

// Reach is the set of records that a caller can access. Records outside of it are not
// found, in single reads as in lists.
type Reach struct {
	All      bool
	DoctorID int64 // this doctor's calendar, and the patients in it; 0: none
	KeyID    int64 // records created with this API key; 0: none
}

// Calendar reports whether r includes a doctor's calendar.
func (r Reach) Calendar(doctorID int64) bool {
	return r.All || r.DoctorID != 0 && r.DoctorID == doctorID
}

// Record reports whether r includes a record in a doctor's calendar that was created with
// the API key madeBy, nil for none.
func (r Reach) Record(doctorID int64, madeBy *int64) bool {
	return r.Calendar(doctorID) || r.KeyID != 0 && madeBy != nil && *madeBy == r.KeyID
}

// CheckCalendar returns CodeForbidden for writes to the calendar of a doctor out of reach.
// A partner may write to every calendar: it has none of its own, and sees only what it
// booked.
func (r Reach) CheckCalendar(doctorID int64) error {
	if r.KeyID != 0 || r.Calendar(doctorID) {
		return nil
	}
	return &Error{Code: CodeForbidden}
}

// Access describes a request for authorisation and for the audit trail: the caller, what it
// can access, the operation and the client's address.
type Access struct {
	Caller
	Reach     Reach
	Operation string     // operationId
	RequestID string     // "" for none
	Address   netip.Addr // of the client; invalid for none
}

// System returns the access of the server itself, for maintenance.
func System() Access {
	return Access{Caller: Caller{Subject: system}, Reach: Reach{All: true}, Operation: system}
}

// IsSystem reports whether a is the access of the server itself.
func (a Access) IsSystem() bool { return a.Subject == system }

// system is the subject of the server itself; no caller has it.
const system = "system"

// Actor returns the authenticated caller, otherwise the stated actor, or nil when neither
// is known.
func (a Access) Actor(stated string) *string {
	if a.Kind() != "open" {
		return &a.Subject
	}
	if stated == "" {
		return nil
	}
	return &stated
}

// MadeBy returns the API key to store with a new record, nil for none.
func (a Access) MadeBy() *int64 {
	if a.KeyID == 0 {
		return nil
	}
	return &a.KeyID
}

// Admin returns a caller that may do everything.
func Admin() Caller { return Caller{Subject: "admin", Roles: []Role{RoleAdmin}} }
