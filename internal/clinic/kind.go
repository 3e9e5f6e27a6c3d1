package clinic

import "slices"

// Kind is a kind of record, by its name in the contract, the audit trail and the change
// feed. Code refers to kinds by variable, so a misspelt one does not compile; [KindNamed]
// is for stored names.
type Kind struct{ name string }

// String returns the kind's name.
func (k Kind) String() string { return k.name }

// KindNamed returns the kind with a stored name, which may be from a later version.
func KindNamed(name string) Kind { return Kind{name} }

// The kinds. The feed has changes of those with a permission in kindTable.
var (
	KindAppointment     = Kind{"appointment"}
	KindSeries          = Kind{"series"}
	KindTicket          = Kind{"ticket"}
	KindWaitlistEntry   = Kind{"waitlist_entry"}
	KindHold            = Kind{"hold"}
	KindPatient         = Kind{"patient"}
	KindDoctor          = Kind{"doctor"}
	KindRoom            = Kind{"room"}
	KindAppointmentType = Kind{"appointment_type"}
	KindWorkingHours    = Kind{"working_hours"}
	KindTimeOff         = Kind{"time_off"}
	KindClosure         = Kind{"closure"}
	KindPlan            = Kind{"plan"}
	KindAPIKey          = Kind{"api_key"}
	KindCalendarFeed    = Kind{"calendar_feed"}
	KindWebhook         = Kind{"webhook"}
	KindChange          = Kind{"change"}
	KindAuditEntry      = Kind{"audit_entry"}
	KindAuditChain      = Kind{"audit_chain"}
	KindClinicZone      = Kind{"clinic_zone"}
)

// kindFacts is what depends on the kind of a changed record. Package store has the
// statements (its kinds.go); a test compares the two tables.
type kindFacts struct {
	Kind

	// permission is required to see the kind's changes; "": the feed has none of them.
	permission Permission
	// wholeClinic: only callers who can access the whole clinic see its changes.
	wholeClinic bool
	// patient returns the patient that a record concerns, 0 for none; nil: never one.
	patient func(id int64, record any) int64
	// audience returns who besides staff may see a change, as far as the record's state
	// determines it; nil: the permission alone decides.
	audience func(id int64, record any) Audience
}

// kindTable is the only table of kinds, in the order in which store processes the records
// of a patient.
var kindTable = []kindFacts{
	{
		Kind: KindAppointment, permission: AppointmentsRead,
		patient:  patientIn(func(a Appointment) int64 { return a.PatientID }),
		audience: audienceIn(func(a Appointment) Audience { return Audience{DoctorID: &a.DoctorID, MadeBy: a.MadeBy} }),
	},
	{
		Kind: KindSeries, permission: AppointmentsRead,
		patient:  patientIn(func(s Series) int64 { return s.PatientID }),
		audience: audienceIn(func(s Series) Audience { return Audience{DoctorID: &s.DoctorID, MadeBy: s.MadeBy} }),
	},
	{
		Kind: KindTicket, permission: QueueRead,
		patient:  patientIn(func(t Ticket) int64 { return t.PatientID }),
		audience: audienceIn(func(t Ticket) Audience { return Audience{DoctorID: &t.DoctorID} }),
	},
	{
		Kind: KindWaitlistEntry, permission: WaitlistRead,
		patient:  patientIn(func(e WaitlistEntry) int64 { return e.PatientID }),
		audience: audienceIn(func(e WaitlistEntry) Audience { return Audience{MadeBy: e.MadeBy} }),
	},
	{
		Kind: KindHold, permission: AppointmentsRead,
		patient: patientIn(func(h Hold) int64 {
			if h.PatientID == nil {
				return 0
			}
			return *h.PatientID
		}),
		audience: audienceIn(func(h Hold) Audience { return Audience{DoctorID: &h.DoctorID, MadeBy: h.MadeBy} }),
	},
	{
		Kind: KindPatient, permission: PatientsRead, wholeClinic: true,
		patient:  func(id int64, _ any) int64 { return id },
		audience: audienceIn(func(p Patient) Audience { return Audience{MadeBy: p.MadeBy} }),
	},
	{Kind: KindDoctor, permission: DirectoryRead},
	{Kind: KindRoom, permission: DirectoryRead},
	{Kind: KindAppointmentType, permission: DirectoryRead},
	{
		Kind: KindWorkingHours, permission: CalendarRead,
		audience: func(doctorID int64, record any) Audience {
			if record == nil {
				return Audience{}
			}
			return Audience{DoctorID: &doctorID}
		},
	},
	{
		Kind: KindTimeOff, permission: CalendarRead,
		audience: audienceIn(func(o TimeOff) Audience { return Audience{DoctorID: &o.DoctorID} }),
	},
	{Kind: KindClosure, permission: CalendarRead},
	{Kind: KindPlan},
	{Kind: KindAPIKey},
	{Kind: KindCalendarFeed},
	{Kind: KindWebhook},
	{Kind: KindChange},
	{Kind: KindAuditEntry},
	{Kind: KindAuditChain},
	{Kind: KindClinicZone},
}

// patientIn adapts a function of the kind's records to kindFacts.patient.
func patientIn[R any](patient func(R) int64) func(int64, any) int64 {
	return func(_ int64, record any) int64 {
		if r, ok := record.(R); ok {
			return patient(r)
		}
		return 0
	}
}

// audienceIn adapts a function of the kind's records to kindFacts.audience.
func audienceIn[R any](audience func(R) Audience) func(int64, any) Audience {
	return func(_ int64, record any) Audience {
		if r, ok := record.(R); ok {
			return audience(r)
		}
		return Audience{}
	}
}

// Kinds returns all kinds, in the order in which store processes them.
func Kinds() []Kind {
	all := make([]Kind, len(kindTable))
	for i, f := range kindTable {
		all[i] = f.Kind
	}
	return all
}

// KindNames returns the names of kinds.
func KindNames(kinds []Kind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// facts returns the kind's row, empty for a kind from a later version.
func (k Kind) facts() kindFacts {
	if i := slices.IndexFunc(kindTable, func(f kindFacts) bool { return f.Kind == k }); i >= 0 {
		return kindTable[i]
	}
	return kindFacts{Kind: k}
}

// InFeed reports whether the change feed has changes of the kind.
func (k Kind) InFeed() bool { return k.facts().permission != "" }

// PatientOf returns the patient that a record of the kind concerns, 0 for none.
func (k Kind) PatientOf(id int64, record any) int64 {
	if of := k.facts().patient; of != nil {
		return of(id, record)
	}
	return 0
}

// audienceOf returns who besides staff may see a change of a record, as far as its state
// determines it.
func (k Kind) audienceOf(id int64, record any) Audience {
	if of := k.facts().audience; of != nil {
		return of(id, record)
	}
	return Audience{}
}
