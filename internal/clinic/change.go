package clinic

import (
	"slices"
	"time"
)

// ChangeObject is a kind of record whose changes are told.
type ChangeObject string

// The kinds; the contract lists the same. The audit trail calls them the same.
const (
	ChangedAppointment   ChangeObject = "appointment"
	ChangedSeries        ChangeObject = "series"
	ChangedHold          ChangeObject = "hold"
	ChangedTicket        ChangeObject = "ticket"
	ChangedWaitlistEntry ChangeObject = "waitlist_entry"
	ChangedPatient       ChangeObject = "patient"
	ChangedDoctor        ChangeObject = "doctor"
	ChangedRoom          ChangeObject = "room"
	ChangedType          ChangeObject = "appointment_type"
	ChangedHours         ChangeObject = "working_hours"
	ChangedTimeOff       ChangeObject = "time_off"
	ChangedClosure       ChangeObject = "closure"
)

// RecordChange is one line of the change feed: that something happened to a record, not
// what it holds.
type RecordChange struct {
	Position int64 // in the feed: 1, 2, 3 ... without a gap
	At       time.Time
	Type     string // such as "appointment.booked"
	Object   ChangeObject
	ObjectID int64 // of working hours, the doctor's
	Place    Place
	// Record is the record as it is now, nil when it was not asked for, is gone or
	// out of reach.
	Record any
}

// Deleted reports whether the record is gone.
func (c *RecordChange) Deleted() bool { return c.Type == string(c.Object)+".deleted" }

// Place says who besides the clinic is told of a change.
type Place struct {
	DoctorID   *int64 // whose calendar the record is in
	LeftDoctor *int64 // whose calendar it has left
	MadeBy     *int64 // the API key that the record was made with
}

// changeNeeds is the one table of what somebody needs to be told of a kind.
var changeNeeds = map[ChangeObject]Permission{
	ChangedAppointment: AppointmentsRead, ChangedSeries: AppointmentsRead, ChangedHold: AppointmentsRead,
	ChangedTicket: QueueRead, ChangedWaitlistEntry: WaitlistRead, ChangedPatient: PatientsRead,
	ChangedDoctor: DirectoryRead, ChangedRoom: DirectoryRead, ChangedType: DirectoryRead,
	ChangedHours: CalendarRead, ChangedTimeOff: CalendarRead, ChangedClosure: CalendarRead,
}

// IsChangeObject reports whether changes of a kind of record are told.
func IsChangeObject(object string) bool { return changeNeeds[ChangeObject(object)] != "" }

// ChangeTypes lists every type that a change can have, by name. Statuses that no
// transition leads to are types too: undoing leads back to them.
func ChangeTypes() []string {
	var types []string
	for object := range changeNeeds {
		verbs := []string{"created", "updated", "deleted"}
		if object == ChangedAppointment {
			verbs = []string{"booked", "rescheduled", "updated", "deleted"}
			for status := range transitions {
				verbs = append(verbs, string(status))
			}
		}
		for _, verb := range verbs {
			types = append(types, string(object)+"."+verb)
		}
	}
	slices.Sort(types)
	return types
}

// Told are the kinds that a caller may be told of, by name; only wanted ones, when
// any are named. Errors: CodeValidationFailed for a kind that does not exist.
func (a Access) Told(wanted []string) ([]ChangeObject, error) {
	for _, w := range wanted {
		if !IsChangeObject(w) {
			return nil, Invalid(Violation{Parameter: "objects", Code: "enum", Detail: "must be kinds of record, separated by commas"})
		}
	}
	var told []ChangeObject
	for object, needs := range changeNeeds {
		if object == ChangedPatient && !a.Reach.All || len(wanted) > 0 && !slices.Contains(wanted, string(object)) {
			continue
		}
		if a.Subject == "system" || a.May(needs) {
			told = append(told, object)
		}
	}
	slices.Sort(told)
	return told, nil
}

// Unbound are the kinds that a caller bound to a calendar or a key is told of
// wherever they belong: hours, absences and the directory are for everybody.
func Unbound() []ChangeObject {
	var unbound []ChangeObject
	for object, needs := range changeNeeds {
		if needs == DirectoryRead || needs == CalendarRead {
			unbound = append(unbound, object)
		}
	}
	slices.Sort(unbound)
	return unbound
}

// Sees reports whether a change is within reach.
func (r Reach) Sees(c *RecordChange) bool {
	is := func(id *int64, mine int64) bool { return id != nil && mine != 0 && *id == mine }
	return r.All || slices.Contains(Unbound(), c.Object) ||
		is(c.Place.DoctorID, r.DoctorID) || is(c.Place.LeftDoctor, r.DoctorID) || is(c.Place.MadeBy, r.KeyID)
}

// NewRecordChange tells what happened to a record from its state before and after, nil
// for one that does not exist.
func NewRecordChange(at time.Time, object ChangeObject, id int64, before, after any) RecordChange {
	c := RecordChange{At: at, Object: object, ObjectID: id, Type: string(object) + "." + changeVerb(before, after)}
	was, is := placeOf(object, id, before), placeOf(object, id, after)
	c.Place = is
	if after == nil {
		c.Place = was
	}
	if was.DoctorID != nil && is.DoctorID != nil && *was.DoctorID != *is.DoctorID {
		c.Place.LeftDoctor = was.DoctorID
	}
	return c
}

func changeVerb(before, after any) string {
	is, booked := after.(Appointment)
	was, known := before.(Appointment)
	switch {
	case after == nil:
		return "deleted"
	case before == nil && booked:
		return "booked"
	case before == nil:
		return "created"
	case booked && known && (!was.Time.Start.Equal(is.Time.Start) || !was.Time.End.Equal(is.Time.End) || was.DoctorID != is.DoctorID):
		return "rescheduled" // which may also make it unconfirmed
	case booked && known && was.Status != is.Status:
		return string(is.Status)
	}
	return "updated"
}

// placeOf is where a record belongs, as far as its state tells.
func placeOf(object ChangeObject, id int64, record any) Place {
	doctor := func(id int64) *int64 { return &id }
	switch r := record.(type) {
	case Appointment:
		return Place{DoctorID: doctor(r.DoctorID), MadeBy: r.MadeBy}
	case Series:
		return Place{DoctorID: doctor(r.DoctorID), MadeBy: r.MadeBy}
	case Hold:
		return Place{DoctorID: doctor(r.DoctorID), MadeBy: r.MadeBy}
	case Ticket:
		return Place{DoctorID: doctor(r.DoctorID)}
	case TimeOff:
		return Place{DoctorID: doctor(r.DoctorID)}
	case struct{ DoctorID int64 }:
		return Place{DoctorID: doctor(r.DoctorID)}
	case WaitlistEntry:
		return Place{MadeBy: r.MadeBy}
	case Patient:
		return Place{MadeBy: r.MadeBy}
	}
	if object == ChangedHours {
		return Place{DoctorID: doctor(id)}
	}
	return Place{}
}
