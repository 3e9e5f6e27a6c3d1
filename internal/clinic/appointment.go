package clinic

import "time"

// Bounds of an appointment's length, both included. MaxDuration also bounds how far before
// a time the store searches for appointments that extend into it.
const (
	MinDuration = 15 * time.Minute
	MaxDuration = 180 * time.Minute
)

// Appointment is a booked time of one doctor with one patient.
type Appointment struct {
	ID             int64
	PatientID      int64
	DoctorID       int64
	TypeID         *int64 // nil: none
	RoomID         *int64 // nil: none
	SeriesID       *int64 // nil: not part of a series
	Time           Interval
	Buffers        Buffers // those it was booked with
	Status         Status
	Cancellation   *Cancellation // nil unless cancelled
	Broken         Broken        // the rules that it overrides
	OverrideReason *string       // nil unless a rule was broken
	Reason         *string       // what it is for; nil: not stated
	Note           *string       // for staff; nil: none
	Version        int64         // counts changes; the record's ETag
	CreatedAt      time.Time
	UpdatedAt      time.Time
	MadeBy         *int64 // the API key it was created with; nil: by staff
}

// Busy returns the time that the appointment occupies of its doctor and room: its own, with
// the buffers.
func (a *Appointment) Busy() Interval { return a.Buffers.around(a.Time) }

// AppointmentPatch is a merge patch of an appointment: members that are not Set stay.
type AppointmentPatch struct {
	Reason Change[*string]
	Note   Change[*string]
}

// CheckAccess returns CodeForbidden for a change of the note by a caller who may not read
// it, and would replace what staff wrote there.
func (c *AppointmentPatch) CheckAccess(a Access) error {
	if c.Note.Set && !a.Clearance().Staff {
		return &Error{Code: CodeForbidden, StaffOnly: "note"}
	}
	return nil
}

// Update applies a patch at now. Errors: CodeValidationFailed (a text is too long once
// normalised).
func (a *Appointment) Update(now time.Time, c AppointmentPatch) error {
	c.Reason.apply(&a.Reason)
	c.Note.apply(&a.Note)
	a.Reason, a.Note = optionalText(a.Reason), optionalText(a.Note)
	if err := invalid(checkTexts(nil, a.Reason, a.Note)); err != nil {
		return err
	}
	a.changed(now)
	return nil
}

// checkTexts adds a violation for a reason or a note that is too long.
func checkTexts(vs []Violation, reason, note *string) []Violation {
	return checkOptional(checkOptional(vs, "#/reason", reason, 200), "#/note", note, 500)
}

// Cancellation records when and why an appointment was cancelled.
type Cancellation struct {
	Reason CancellationReason
	Note   *string // nil: none given
	At     time.Time
}

// CancellationReason is the coded reason of a cancellation.
type CancellationReason string

// The reasons; the contract and a CHECK constraint list the same.
const (
	ReasonPatientRequest    CancellationReason = "patient_request"
	ReasonDoctorUnavailable CancellationReason = "doctor_unavailable"
	ReasonClinicClosed      CancellationReason = "clinic_closed"
	ReasonRebooked          CancellationReason = "rebooked"
	ReasonBookedInError     CancellationReason = "booked_in_error"
	ReasonOther             CancellationReason = "other"
)

// Cancel cancels the appointment at now. Errors: CodeValidationFailed (the note
// is too long once normalised), CodeInvalidTransition.
func (a *Appointment) Cancel(now time.Time, reason CancellationReason, note *string) error {
	if note != nil {
		kept := Text(*note)
		note = &kept
		if err := invalid(checkLength(nil, "#/note", kept, 500)); err != nil {
			return err
		}
	}
	if err := a.checkTransition(now, StatusCancelled); err != nil {
		return err
	}
	a.Status = StatusCancelled
	a.Cancellation = &Cancellation{Reason: reason, Note: note, At: now}
	a.changed(now)
	return nil
}
