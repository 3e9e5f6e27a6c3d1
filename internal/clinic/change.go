package clinic

import (
	"cmp"
	"slices"
	"time"
)

// ChangeRecord is a change of one record, for the audit trail and the change feed.
// [Created], [Changed], [Deleted] and [Touched] return one.
type ChangeRecord struct {
	Kind   Kind
	ID     int64 // of working hours, the doctor's
	Action AuditAction
	// Before and After are the record's states, or the known [Members]; nil for a state that
	// does not exist or was not read.
	Before, After any
	Reason        *string
	// Audience is set for a change whose states do not determine it.
	Audience *Audience
}

// Members holds the known members of a record that was not read as a whole.
type Members map[string]any

// Created returns the creation of a record.
func Created(kind Kind, id int64, after any) ChangeRecord {
	return ChangeRecord{Kind: kind, ID: id, Action: AuditCreated, After: after}
}

// Changed returns the change of a record from one state to another.
func Changed(kind Kind, id int64, before, after any) ChangeRecord {
	return ChangeRecord{Kind: kind, ID: id, Action: AuditChanged, Before: before, After: after}
}

// Deleted returns the deletion of a record; before is nil when it was not read.
func Deleted(kind Kind, id int64, before any) ChangeRecord {
	return ChangeRecord{Kind: kind, ID: id, Action: AuditDeleted, Before: before}
}

// Touched returns the change of a record whose previous state was not read; after is nil
// when the new state was not read either.
func Touched(kind Kind, id int64, after any) ChangeRecord {
	return ChangeRecord{Kind: kind, ID: id, Action: AuditChanged, After: after}
}

// Because returns the change with a reason.
func (c ChangeRecord) Because(reason string) ChangeRecord {
	c.Reason = &reason
	return c
}

// For returns the change with an audience that its states do not determine.
func (c ChangeRecord) For(audience Audience) ChangeRecord {
	c.Audience = &audience
	return c
}

// PatientID returns the patient that the change concerns, 0 for none.
func (c ChangeRecord) PatientID() int64 {
	if id := c.Kind.PatientOf(c.ID, c.After); id != 0 {
		return id
	}
	return c.Kind.PatientOf(c.ID, c.Before)
}

// verb returns the change's verb, the second part of its type.
func (c ChangeRecord) verb() string {
	is, booked := c.After.(Appointment)
	was, known := c.Before.(Appointment)
	switch {
	case c.Action == AuditDeleted:
		return VerbDeleted
	case c.Action == AuditCreated && booked:
		return VerbBooked
	case c.Action == AuditCreated:
		return "created"
	case booked && known && (!was.Time.Start.Equal(is.Time.Start) || !was.Time.End.Equal(is.Time.End) || was.DoctorID != is.DoctorID):
		return "rescheduled" // which may also reset the confirmation
	case booked && known && was.Status != is.Status:
		return string(is.Status)
	}
	return VerbUpdated
}

// Verbs of changes that one statement makes to many records.
const (
	VerbBooked  = "booked"
	VerbUpdated = "updated"
	VerbDeleted = "deleted"
)

// FeedChange is one change in the feed: that a record changed, not what it holds.
type FeedChange struct {
	Position int64 // in the feed: 1, 2, 3 ... without gaps
	At       time.Time
	Type     string // such as "appointment.booked"
	Object   Kind
	ObjectID int64 // of working hours, the doctor's
	Audience Audience
	// Record is the record's present state, nil when it was not requested, is deleted or out
	// of reach.
	Record any
}

// Deleted reports whether the record was deleted.
func (c *FeedChange) Deleted() bool { return c.Type == c.Object.name+"."+VerbDeleted }

// Audience lists who, besides staff, may see a change.
type Audience struct {
	DoctorID   *int64 // in whose calendar the record is
	LeftDoctor *int64 // from whose calendar it was rescheduled
	MadeBy     *int64 // the API key that created the record
}

// NewFeedChange returns a change as the feed has it.
func NewFeedChange(at time.Time, c ChangeRecord) FeedChange {
	line := FeedChange{At: at, Object: c.Kind, ObjectID: c.ID, Type: c.Kind.name + "." + c.verb()}
	if c.Audience != nil {
		line.Audience = *c.Audience
		return line
	}
	was, is := c.Kind.audienceOf(c.ID, c.Before), c.Kind.audienceOf(c.ID, c.After)
	line.Audience = is
	if c.Action == AuditDeleted {
		line.Audience = was
	}
	if was.DoctorID != nil && is.DoctorID != nil && *was.DoctorID != *is.DoctorID {
		line.Audience.LeftDoctor = was.DoctorID
	}
	return line
}

// ChangeTypes lists every type of change, by name. Statuses to which no transition leads
// are types, too: undoing restores them.
func ChangeTypes() []string {
	var types []string
	for _, kind := range kindTable {
		if kind.permission == "" {
			continue
		}
		verbs := []string{"created", VerbUpdated, VerbDeleted}
		if kind.Kind == KindAppointment {
			verbs = []string{VerbBooked, "rescheduled", VerbUpdated, VerbDeleted}
			for status := range transitions {
				verbs = append(verbs, string(status))
			}
		}
		for _, verb := range verbs {
			types = append(types, kind.name+"."+verb)
		}
	}
	slices.Sort(types)
	return types
}

// VisibleKinds returns the kinds whose changes a caller may see, by name, restricted to
// wanted unless that is empty. Errors: CodeValidationFailed for a kind that the feed does
// not have.
func (a Access) VisibleKinds(wanted []string) ([]Kind, error) {
	for _, w := range wanted {
		if !KindNamed(w).InFeed() {
			return nil, Invalid(Violation{Parameter: "objects", Code: "enum", Detail: "must be kinds of record, separated by commas"})
		}
	}
	return kindsByName(func(f kindFacts) bool {
		if f.wholeClinic && !a.Reach.All || len(wanted) > 0 && !slices.Contains(wanted, f.name) {
			return false
		}
		return a.Subject == "system" || a.May(f.permission)
	}), nil
}

// UnrestrictedKinds returns the kinds of which a caller that is restricted to a calendar or
// a key sees every change: hours, absences and the directory.
func UnrestrictedKinds() []Kind {
	return kindsByName(kindFacts.unrestricted)
}

func (f kindFacts) unrestricted() bool {
	return f.permission == DirectoryRead || f.permission == CalendarRead
}

// kindsByName returns the kinds of the feed for which holds is true, by name.
func kindsByName(holds func(kindFacts) bool) []Kind {
	var kinds []Kind
	for _, f := range kindTable {
		if f.permission != "" && holds(f) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return cmp.Compare(a.name, b.name) })
	return kinds
}

// Sees reports whether r includes a change.
func (r Reach) Sees(c *FeedChange) bool {
	is := func(id *int64, mine int64) bool { return id != nil && mine != 0 && *id == mine }
	return r.All || c.Object.facts().unrestricted() ||
		is(c.Audience.DoctorID, r.DoctorID) || is(c.Audience.LeftDoctor, r.DoctorID) || is(c.Audience.MadeBy, r.KeyID)
}
