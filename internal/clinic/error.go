package clinic

import (
	"fmt"
	"time"
)

// Code names the rule that a request broke. Codes are part of the contract:
// `/problems/<code>` is the problem type that a client sees, so a code is never renamed or
// given another meaning. The set is closed; a test compares it with the contract's
// ProblemSlug.
type Code string

// The codes of this package's rules and of the store. Package contract has those of
// malformed requests (JSON, media types).
const (
	CodeValidationFailed       Code = "validation-failed"
	CodeStartInPast            Code = "start-in-past"
	CodePatientNotFound        Code = "patient-not-found"
	CodeDoctorNotFound         Code = "doctor-not-found"
	CodeAppointmentNotFound    Code = "appointment-not-found"
	CodeTypeNotFound           Code = "appointment-type-not-found"
	CodeRoomNotFound           Code = "room-not-found"
	CodeTimeOffNotFound        Code = "time-off-not-found"
	CodeClosureNotFound        Code = "closure-not-found"
	CodeHoldNotFound           Code = "hold-not-found"
	CodePlanNotFound           Code = "plan-not-found"
	CodePatientMerged          Code = "patient-merged"
	CodeIdentifierTaken        Code = "identifier-taken"
	CodePossibleDuplicate      Code = "possible-duplicate"
	CodeMergeConflict          Code = "merge-conflict"
	CodeWaitlistNotFound       Code = "waitlist-entry-not-found"
	CodeWaitlistClosed         Code = "waitlist-entry-closed"
	CodeNoOffer                Code = "no-offer"
	CodeSeriesNotFound         Code = "series-not-found"
	CodeSeriesConflict         Code = "series-conflict"
	CodeTicketNotFound         Code = "ticket-not-found"
	CodeAlreadyInQueue         Code = "already-in-queue"
	CodeQueueEmpty             Code = "queue-empty"
	CodeNobodyWorks            Code = "nobody-works"
	CodeTooManyVisits          Code = "too-many-visits"
	CodePlanNotApplied         Code = "plan-not-applied"
	CodeEmailTaken             Code = "email-taken"
	CodeNameTaken              Code = "name-taken"
	CodeDoctorInactive         Code = "doctor-inactive"
	CodeTypeInactive           Code = "appointment-type-inactive"
	CodeRoomInactive           Code = "room-inactive"
	CodeTypeNotAllowed         Code = "appointment-type-not-allowed"
	CodeRoomNotSuitable        Code = "room-not-suitable"
	CodeHoldNotUsable          Code = "hold-not-usable"
	CodeOutsideBookingWindow   Code = "outside-booking-window"
	CodeTooManyHolds           Code = "too-many-holds"
	CodeTooManyWaitlistEntries Code = "too-many-waitlist-entries"
	CodeOutsideWorkingHours    Code = "outside-working-hours"
	CodeTimeOff                Code = "time-off"
	CodeDoctorOverlap          Code = "doctor-overlap"
	CodePatientOverlap         Code = "patient-overlap"
	CodeRoomOverlap            Code = "room-overlap"
	CodeNoRoomFree             Code = "no-room-free"
	CodeHasAppointments        Code = "has-appointments"
	CodeInvalidTransition      Code = "invalid-transition"
	CodeTooEarly               Code = "too-early"
	// CodeInvalidTicketTransition is the CodeInvalidTransition of tickets.
	CodeInvalidTicketTransition Code = "invalid-ticket-transition"
	CodePreconditionFailed      Code = "precondition-failed"
	CodeUnauthenticated         Code = "unauthenticated"
	CodeForbidden               Code = "forbidden"
	CodeKeyNotFound             Code = "api-key-not-found"
	CodeWebhookNotFound         Code = "webhook-not-found"
	CodeDeliveryNotFound        Code = "delivery-not-found"
	CodeCalendarFeedNotFound    Code = "calendar-feed-not-found"
	CodeHasOpenAppointments     Code = "has-open-appointments"
	CodeIdempotencyKeyReused    Code = "idempotency-key-reused"
	CodeIdempotencyKeyInUse     Code = "idempotency-key-in-use"
	CodeUnavailable             Code = "unavailable"
	CodeOutcomeUnknown          Code = "outcome-unknown"
)

// Error reports a broken rule. Everything in it except Cause may be shown to the client; it
// never holds another person's data.
type Error struct {
	Code Code
	// Conflict is what occupies the requested time, with the codes of overlaps, hours and
	// time off; zero when not known.
	Conflict Interval
	// Held reports that the conflict is a hold, not an appointment.
	Held bool
	// Alternatives is set with the same codes: nearby times that were free at that moment,
	// those of the same doctor first.
	Alternatives []Slot
	// Current and Allowed are set with CodeInvalidTransition.
	Current Status
	Allowed []Status
	// Earliest is set with CodeTooEarly.
	Earliest time.Time
	// Ticket and AllowedTicket are set with CodeInvalidTicketTransition.
	Ticket        TicketStatus
	AllowedTicket []TicketStatus
	// Dates is set with CodeSeriesConflict: the conflict of each date.
	Dates []SeriesDate
	// Patient is the requested patient, with CodePatientNotFound; for the audit trail only.
	Patient int64 `json:"-"`
	// EarliestStart and LatestStart are set with CodeOutsideBookingWindow; zero: no bound.
	EarliestStart, LatestStart time.Time
	// MergedInto is set with CodePatientMerged.
	MergedInto int64
	// Alike is set with CodePossibleDuplicate: the patients' ids. A stored response for an
	// idempotency key has nothing else of them, so that erasing them leaves nothing behind.
	Alike []int64
	// Candidates are those of Alike that the caller may see.
	Candidates []Candidate `json:"-"`
	// Appointments is set with CodeMergeConflict: those of the two that overlap.
	Appointments []Appointment
	// Report is set with CodePlanNotApplied: the outcome of each appointment.
	Report []PlanItem
	// Violations is set with CodeValidationFailed.
	Violations []Violation
	// Permission is set with CodeForbidden: the missing permission, if that is the reason.
	Permission Permission
	// StaffOnly is set with CodeForbidden: the member that only staff may change, if that is
	// the reason. With neither, the calendar is another doctor's.
	StaffOnly string
	// Undo is set with CodeInvalidTransition when there is no change that can be undone.
	Undo UndoRefusal
	// Cause is for the log only.
	Cause error `json:"-"`
}

// Error returns the code and the cause, for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	}
	return string(e.Code)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error with the same code, so that errors.Is(err,
// clinic.ErrDoctorOverlap) compares only the rule.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errors without details, and targets for errors.Is.
var (
	ErrStartInPast            = &Error{Code: CodeStartInPast}
	ErrPatientNotFound        = &Error{Code: CodePatientNotFound}
	ErrDoctorNotFound         = &Error{Code: CodeDoctorNotFound}
	ErrAppointmentNotFound    = &Error{Code: CodeAppointmentNotFound}
	ErrTypeNotFound           = &Error{Code: CodeTypeNotFound}
	ErrRoomNotFound           = &Error{Code: CodeRoomNotFound}
	ErrTimeOffNotFound        = &Error{Code: CodeTimeOffNotFound}
	ErrClosureNotFound        = &Error{Code: CodeClosureNotFound}
	ErrHoldNotFound           = &Error{Code: CodeHoldNotFound}
	ErrPlanNotFound           = &Error{Code: CodePlanNotFound}
	ErrPatientMerged          = &Error{Code: CodePatientMerged}
	ErrIdentifierTaken        = &Error{Code: CodeIdentifierTaken}
	ErrWaitlistNotFound       = &Error{Code: CodeWaitlistNotFound}
	ErrWaitlistClosed         = &Error{Code: CodeWaitlistClosed}
	ErrNoOffer                = &Error{Code: CodeNoOffer}
	ErrSeriesNotFound         = &Error{Code: CodeSeriesNotFound}
	ErrTicketNotFound         = &Error{Code: CodeTicketNotFound}
	ErrAlreadyInQueue         = &Error{Code: CodeAlreadyInQueue}
	ErrQueueEmpty             = &Error{Code: CodeQueueEmpty}
	ErrNobodyWorks            = &Error{Code: CodeNobodyWorks}
	ErrTooManyVisits          = &Error{Code: CodeTooManyVisits}
	ErrPlanNotApplied         = &Error{Code: CodePlanNotApplied}
	ErrEmailTaken             = &Error{Code: CodeEmailTaken}
	ErrNameTaken              = &Error{Code: CodeNameTaken}
	ErrDoctorInactive         = &Error{Code: CodeDoctorInactive}
	ErrTypeInactive           = &Error{Code: CodeTypeInactive}
	ErrRoomInactive           = &Error{Code: CodeRoomInactive}
	ErrTypeNotAllowed         = &Error{Code: CodeTypeNotAllowed}
	ErrRoomNotSuitable        = &Error{Code: CodeRoomNotSuitable}
	ErrHoldNotUsable          = &Error{Code: CodeHoldNotUsable}
	ErrTooManyHolds           = &Error{Code: CodeTooManyHolds}
	ErrTooManyWaitlistEntries = &Error{Code: CodeTooManyWaitlistEntries}
	ErrDoctorOverlap          = &Error{Code: CodeDoctorOverlap}
	ErrPatientOverlap         = &Error{Code: CodePatientOverlap}
	ErrRoomOverlap            = &Error{Code: CodeRoomOverlap}
	ErrHasAppointments        = &Error{Code: CodeHasAppointments}
	ErrPreconditionFailed     = &Error{Code: CodePreconditionFailed}
	ErrUnauthenticated        = &Error{Code: CodeUnauthenticated}
	ErrKeyNotFound            = &Error{Code: CodeKeyNotFound}
	ErrWebhookNotFound        = &Error{Code: CodeWebhookNotFound}
	ErrDeliveryNotFound       = &Error{Code: CodeDeliveryNotFound}
	ErrCalendarFeedNotFound   = &Error{Code: CodeCalendarFeedNotFound}
	ErrHasOpenAppointments    = &Error{Code: CodeHasOpenAppointments}
	ErrIdempotencyReused      = &Error{Code: CodeIdempotencyKeyReused}
	ErrIdempotencyInUse       = &Error{Code: CodeIdempotencyKeyInUse}
	ErrUnavailable            = &Error{Code: CodeUnavailable}
	ErrOutcomeUnknown         = &Error{Code: CodeOutcomeUnknown}
)

// Violation is one place where a request does not match the contract. Either Pointer (JSON
// Pointer as a URI fragment, RFC 6901 section 6, for the body) or Parameter (for everything
// else) is set. Detail never repeats the value.
type Violation struct {
	Pointer   string
	Parameter string
	Code      string
	Detail    string
}

// Invalid returns the error for one violation.
func Invalid(v Violation) *Error {
	return &Error{Code: CodeValidationFailed, Violations: []Violation{v}}
}

// invalid returns the error for all of vs, nil when there are none.
func invalid(vs []Violation) error {
	if len(vs) == 0 {
		return nil
	}
	return &Error{Code: CodeValidationFailed, Violations: vs}
}
