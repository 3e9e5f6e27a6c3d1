package clinic

import "time"

// TimeOffReason is the coded reason of a doctor's time off.
type TimeOffReason string

// The reasons; the contract and a CHECK constraint list the same.
const (
	TimeOffVacation TimeOffReason = "vacation"
	TimeOffIllness  TimeOffReason = "illness"
	TimeOffTraining TimeOffReason = "training"
	TimeOffMeeting  TimeOffReason = "meeting"
	TimeOffOther    TimeOffReason = "other"
)

// TimeOff is a period in which a doctor takes no new bookings. Appointments in it stay
// until they are rescheduled or cancelled.
type TimeOff struct {
	ID        int64
	DoctorID  int64
	Time      Interval
	Reason    TimeOffReason
	Note      *string // nil: none given
	Version   int64   // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Normalize puts the note into its stored form.
func (o *TimeOff) Normalize() { o.Note = optionalText(o.Note) }

// Validate returns CodeValidationFailed for a note that is too long once normalised. o must
// be normalised.
func (o *TimeOff) Validate() error {
	return invalid(checkOptional(nil, "#/note", o.Note, 500))
}

// Closure is a period in which the whole clinic takes no new bookings, such as a public
// holiday.
type Closure struct {
	ID        int64
	Time      Interval
	Name      string
	Version   int64 // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Normalize puts the name into its stored form.
func (c *Closure) Normalize() { c.Name = Text(c.Name) }

// Validate returns CodeValidationFailed for a name that is too long once normalised. c must
// be normalised.
func (c *Closure) Validate() error {
	return invalid(checkLength(nil, "#/name", c.Name, 200))
}

// Span returns the period that the members of a time off or a closure describe: two
// instants, or a first and a last whole day in zone, both included. Errors:
// CodeValidationFailed.
func Span(start, end *time.Time, first, last *Date, zone *time.Location) (Interval, error) {
	refuse := func(pointer, code, detail string) (Interval, error) {
		return Interval{}, Invalid(Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	switch {
	case first != nil && start != nil:
		return refuse("#/first_date", "combination", "cannot be combined with start_time")
	case last != nil && end != nil:
		return refuse("#/last_date", "combination", "cannot be combined with end_time")
	case first == nil && start == nil:
		return refuse("#/start_time", "required", "give start_time and end_time, or first_date and last_date")
	case start != nil && end == nil:
		return refuse("#/end_time", "required", "must be given together with start_time")
	case first != nil && last == nil:
		return refuse("#/last_date", "required", "must be given together with first_date")
	case start != nil:
		if !start.Before(*end) {
			return refuse("#/end_time", "combination", "must be later than start_time")
		}
		return Interval{Start: Instant(*start), End: Instant(*end)}, nil
	}
	if last.Before(*first) {
		return refuse("#/last_date", "combination", "must not be before first_date")
	}
	i := Interval{Start: Day(*first, zone).Start, End: Day(*last, zone).End}
	if i.empty() {
		return refuse("#/first_date", "combination", "never happened in this time zone")
	}
	return i, nil
}
