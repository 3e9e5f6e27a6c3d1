package contract

import (
	"net/http"
	"slices"

	"mems/gen/api"
)

// A ProblemType is a row of the table that maps errors to responses.
type ProblemType struct {
	Slug   api.ProblemSlug
	Status int
	Title  string
	// Detail is the default detail, for people: what to do next.
	Detail string
	// Explanation is the remaining text of the page /problems/<slug>.
	Explanation string
}

// StatusText returns the reason phrase of the problem's status.
func (t ProblemType) StatusText() string { return http.StatusText(t.Status) }

// ProblemTypes returns all problem types, for /problems and the published site.
func ProblemTypes() []ProblemType { return slices.Clone(problemTypes) }

// ProblemTypeOf returns the row of a slug, or that of internal-error if there is none.
func ProblemTypeOf(slug api.ProblemSlug) ProblemType {
	if t, ok := problemBySlug[slug]; ok {
		return t
	}
	return problemBySlug[api.ProblemSlugInternalError]
}

// problemTypes lists every way in which a request can fail. Tests compare it with the
// contract's ProblemSlug and examples. Which problem is reported if a request has several:
// "Errors" in the contract.
var problemTypes = []ProblemType{
	{
		api.ProblemSlugUnauthenticated, 401, "Authentication required",
		"Send an API key as X-API-Key, or a token as Authorization: Bearer.",
		"The API key or token is missing or not valid: unknown, expired, revoked, or issued for another audience. The response does not reveal which.",
	},
	{
		api.ProblemSlugForbidden, 403, "Permission denied",
		"Ask the clinic for the permission, or have someone who has it make the request.",
		"The caller is authenticated but may not do this. permission is the missing one; if it is absent, detail says what is not allowed: the calendar is another doctor's, or a member may be changed by the clinic's staff only.",
	},
	{
		api.ProblemSlugCrossOrigin, 403, "Cross-site request",
		"Call the API from a page of this server or from a program. To allow pages of another site, add their origin to MEMS_CORS_ORIGINS.",
		"According to Origin or Sec-Fetch-Site, a browser page of another site sent a request that may change data. Nothing was changed.",
	},
	{
		api.ProblemSlugLocalOnly, 403, "Local access only",
		"Use http://localhost or http://127.0.0.1 with the port, or set MEMS_AUTH=required and create API keys.",
		"This server does not authenticate callers, so it accepts requests from its own machine only: Host must name it, and no proxy may have forwarded the request.",
	},
	{
		api.ProblemSlugRateLimited, 429, "Too many requests",
		"Wait for the number of seconds in Retry-After, and pace requests by RateLimit.",
		"Each caller has a limit of requests per minute, and so does each address with an invalid or missing credential. RateLimit-Policy gives the limit.",
	},
	{
		api.ProblemSlugAPIKeyNotFound, 404, "API key not found",
		"Check the key's id.",
		"No API key has this id.",
	},
	{
		api.ProblemSlugWebhookNotFound, 404, "Webhook not found",
		"Check the webhook's id.",
		"No webhook has this id.",
	},
	{
		api.ProblemSlugDeliveryNotFound, 404, "Message not found",
		"Check the message's id.",
		"The webhook has no message with this id. Delivered messages are kept for 7 days, dead ones for 30.",
	},
	{
		api.ProblemSlugCalendarFeedNotFound, 404, "Calendar feed not found",
		"Check the feed's id or URL; ask the clinic for a new URL if this one no longer works.",
		"No calendar feed has this id or URL, or it was revoked or has expired. The response does not reveal which.",
	},
	{
		api.ProblemSlugHasOpenAppointments, 409, "Patient has open appointments",
		"Complete or cancel everything open, then erase.",
		"The patient has an open appointment, ticket or waitlist offer. An erased patient could no longer be contacted.",
	},
	{
		api.ProblemSlugIdempotencyKeyReused, 422, "Idempotency key reused",
		"Use a new key for each operation; repeat exactly the same request to retry it.",
		"A different request was sent with this Idempotency-Key within the last 24 hours. This request was not executed.",
	},
	{
		api.ProblemSlugIdempotencyKeyInUse, 409, "Idempotency key in use",
		"Wait a moment and send the same request again.",
		"A request with this Idempotency-Key is being carried out at this moment. Its answer will be returned to a repeated request afterwards.",
	},
	{
		api.ProblemSlugNotFound, 404, "Not found",
		"Check the path; the contract at /openapi.yaml lists all of them.",
		"The path is not part of this API.",
	},
	{
		api.ProblemSlugMethodNotAllowed, 405, "Method not allowed",
		"Use one of the methods in the Allow header.",
		"The path exists, but not with this HTTP method. The Allow header lists the supported ones.",
	},
	{
		api.ProblemSlugNotAcceptable, 406, "No acceptable media type",
		"Allow one of this operation's media types in Accept.",
		"The Accept header allows none of the media types that the operation returns.",
	},
	{
		api.ProblemSlugPayloadTooLarge, 413, "Request body too large",
		"Send a smaller body.",
		"The body exceeds the server's limit. No valid request comes near it, so check what is being sent.",
	},
	{
		api.ProblemSlugUnsupportedMediaType, 415, "Unsupported media type",
		"Send the body in a media type of this operation.",
		"The Content-Type is missing or not accepted by the operation. POST takes application/json; PATCH takes application/merge-patch+json (RFC 7396).",
	},
	{
		api.ProblemSlugMalformedRequest, 400, "Malformed request",
		"Send well-formed JSON in UTF-8.",
		"The request cannot be parsed: invalid JSON, text after its end, duplicate member names, invalid UTF-8, or a query string that does not decode.",
	},
	{
		api.ProblemSlugValidationFailed, 422, "Invalid request",
		"Correct what is listed in errors and send the request again.",
		"One or more values have the wrong type, format or size, are missing, or are unknown. errors lists all violations: pointer is the location in the body (JSON Pointer), parameter the name of a path, query or header parameter, code is machine-readable, detail human-readable.",
	},
	{
		api.ProblemSlugStartInPast, 422, "Start in the past",
		"An appointment must start later than now.",
		"The start time is not later than the server's clock. Check the offset that was sent: 09:00Z and 09:00+02:00 are two hours apart.",
	},
	{
		api.ProblemSlugPatientNotFound, 404, "Patient not found",
		"Check the patient's id, or search with GET /patients.",
		"No patient has this id. Ids are never reused, so the record was deleted or never existed.",
	},
	{
		api.ProblemSlugDoctorNotFound, 404, "Doctor not found",
		"Check the doctor's id, or search with GET /doctors.",
		"No doctor has this id. Ids are never reused, so the record was deleted or never existed.",
	},
	{
		api.ProblemSlugAppointmentNotFound, 404, "Appointment not found",
		"Check the appointment's id.",
		"No appointment has this id.",
	},
	{
		api.ProblemSlugAppointmentTypeNotFound, 404, "Appointment type not found",
		"Check the appointment type's id.",
		"No appointment type has this id. Ids are never reused, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugRoomNotFound, 404, "Room not found",
		"Check the room's id.",
		"No room has this id. Ids are never reused, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugTimeOffNotFound, 404, "Time off not found",
		"Check the id of the time off.",
		"No time off has this id. Ids are never reused, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugClosureNotFound, 404, "Closure not found",
		"Check the closure's id.",
		"No closure has this id. Ids are never reused, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugHoldNotFound, 404, "Hold not found",
		"It was booked, released or has expired. Search for a free time again.",
		"No active hold has this id or token. A hold ends when it is booked, released, or expires.",
	},
	{
		api.ProblemSlugPlanNotFound, 404, "Plan not found",
		"Check the plan's id.",
		"No plan has this id.",
	},
	{
		api.ProblemSlugTicketNotFound, 404, "Ticket not found",
		"Check the ticket's id, or read the queue.",
		"No ticket has this id.",
	},
	{
		api.ProblemSlugSeriesNotFound, 404, "Series not found",
		"Check the series' id.",
		"No series has this id.",
	},
	{
		api.ProblemSlugWaitlistEntryNotFound, 404, "Waitlist entry not found",
		"Check the entry's id.",
		"No waitlist entry has this id.",
	},
	{
		api.ProblemSlugPreconditionFailed, 412, "Record changed in the meantime",
		"Read the record again, reapply your change, and send its new ETag.",
		"The version in If-Match is no longer the current one: the record was changed concurrently. Nothing was changed.",
	},
	{
		api.ProblemSlugEmailTaken, 409, "E-mail address already registered",
		"Another patient is registered with this e-mail address. Search by e-mail to find the record, or use another address.",
		"E-mail addresses are unique among patients, compared after trimming, normalisation (NFC) and case folding. The response does not reveal whose address it is.",
	},
	{
		api.ProblemSlugIdentifierTaken, 409, "Identifier already registered",
		"Another patient is registered with this identifier. Search by it to find the record, or correct it.",
		"Identifiers are unique among patients, by system and value. The response does not reveal whose it is.",
	},
	{
		api.ProblemSlugPossibleDuplicate, 409, "Possible duplicate patient",
		"Compare with candidates. If this is a different person, send the request again without on_possible_duplicate: refuse.",
		"The request has on_possible_duplicate: refuse, and a patient with the same name, in either order and spelling, and the same birth date or phone number is registered. candidates lists those that the caller can access.",
	},
	{
		api.ProblemSlugPatientMerged, 409, "Patient merged into another record",
		"Use the patient in merged_into.",
		"The record was a duplicate and is now part of the record in merged_into, with all of its appointments. Reading the old id redirects there.",
	},
	{
		api.ProblemSlugMergeConflict, 409, "Overlapping appointments of the two patients",
		"Reschedule or cancel one of each pair in appointments, and merge again.",
		"One person cannot attend two appointments at once, so the records cannot be merged while they have overlapping ones. Nothing was changed.",
	},
	{
		api.ProblemSlugNameTaken, 409, "Name already in use",
		"Choose another name.",
		"Names of rooms and of appointment types are unique, ignoring case and accents.",
	},
	{
		api.ProblemSlugDoctorInactive, 409, "Inactive doctor",
		"Choose another doctor, or set is_active to true.",
		"The doctor's is_active is false. Existing appointments stay; new ones are refused.",
	},
	{
		api.ProblemSlugAppointmentTypeInactive, 409, "Inactive appointment type",
		"Choose another type, or set its is_active to true.",
		"The type was deactivated. Existing appointments of this type stay.",
	},
	{
		api.ProblemSlugRoomInactive, 409, "Inactive room",
		"Choose another room, or set its is_active to true.",
		"The room was deactivated. Existing appointments in it stay.",
	},
	{
		api.ProblemSlugAppointmentTypeNotAllowed, 409, "Appointment type not allowed for the doctor",
		"Choose another doctor or another type.",
		"The type lists the specializations and doctors that may be booked for it, and this doctor is not among them.",
	},
	{
		api.ProblemSlugRoomNotSuitable, 409, "Room not suitable for the appointment type",
		"Choose one of the type's rooms, or none to have one assigned.",
		"The type lists the rooms in which it may take place, and this room is not among them.",
	},
	{
		api.ProblemSlugHoldNotUsable, 409, "Hold not usable for this booking",
		"Send the doctor, time, type, room and patient of the hold, before it expires.",
		"The hold has expired, or is for another doctor, time, type, room or patient.",
	},
	{
		api.ProblemSlugOutsideBookingWindow, 409, "Outside the booking window",
		"Choose a start from earliest_start to latest_start.",
		"The clinic limits how soon and how far ahead a partner with access to only its own records may book. earliest_start and latest_start are the current limits; an absent one means no limit.",
	},
	{
		api.ProblemSlugTooManyHolds, 409, "Too many holds",
		"Book or release a hold, or wait until one expires.",
		"A partner with access to only its own records may have 5 active holds at a time, so that times stay free for others.",
	},
	{
		api.ProblemSlugTooManyWaitlistEntries, 409, "Too many waitlist entries",
		"Withdraw entries that are no longer needed.",
		"A partner with access to only its own records may have 50 open waitlist entries at a time.",
	},
	{
		api.ProblemSlugTooManyStreams, 429, "Too many streams",
		"Close a stream, or use one stream for all kinds of objects.",
		"A caller may have 20 open streams at a time on each server.",
	},
	{
		api.ProblemSlugOutsideWorkingHours, 409, "Outside the doctor's working hours",
		"Choose one of the alternatives, or override the rule with a reason.",
		"The time is not entirely within the doctor's working hours. conflict is the first part outside them; alternatives are the nearest free times.",
	},
	{
		api.ProblemSlugTimeOff, 409, "Doctor or clinic away",
		"Choose one of the alternatives.",
		"The time overlaps the doctor's time off or a closure of the clinic, given as conflict; alternatives are the nearest free times.",
	},
	{
		api.ProblemSlugDoctorOverlap, 409, "Doctor not free",
		"The doctor has another appointment at this time. Choose a time that does not overlap conflict.",
		"A doctor never has two appointments at once, nor an appointment while the time is held for another booking. conflict is the earliest overlapping time; it does not reveal whose it is. Times are half-open: an appointment may start at the instant at which another ends.",
	},
	{
		api.ProblemSlugPatientOverlap, 409, "Patient not free",
		"The patient has another appointment at this time. Choose a time that does not overlap conflict.",
		"A patient never has two appointments at once, with any doctors. conflict is the earliest overlapping time.",
	},
	{
		api.ProblemSlugRoomOverlap, 409, "Room not free",
		"Choose another room, or one of the alternatives.",
		"A room is never used twice at once. conflict is the earliest overlapping time, with its buffers; alternatives are the nearest times at which the room is free.",
	},
	{
		api.ProblemSlugNoRoomFree, 409, "No suitable room free",
		"Choose one of the alternatives.",
		"The appointment needs a room, and every suitable one is occupied at this time; alternatives are the nearest times at which one is free.",
	},
	{
		api.ProblemSlugTooManyVisits, 409, "Too many appointments for one plan",
		"Plan for a shorter period.",
		"A plan has at most 200 appointments, so that it can be applied in one transaction.",
	},
	{
		api.ProblemSlugPlanNotApplied, 409, "Plan not applied",
		"Read report, resolve the conflicts or create a new plan, or apply the plan one appointment at a time.",
		"The plan was to be applied as a whole, but at least one appointment can no longer be moved to its proposed time. None was moved. report lists every appointment with its conflict, if any.",
	},
	{
		api.ProblemSlugAlreadyInQueue, 409, "Patient already in the queue",
		"Read the queue.",
		"The patient is already waiting for, or being seen by, this doctor today; one ticket is enough.",
	},
	{
		api.ProblemSlugQueueEmpty, 409, "Queue is empty",
		"Wait for the next patient.",
		"No patient is waiting for this doctor and has not been called.",
	},
	{
		api.ProblemSlugNobodyWorks, 409, "No doctor of the specialization working now",
		"Choose a doctor, or search for a free time with GET /availability/next.",
		"No active doctor of the specialization is within working hours and present right now.",
	},
	{
		api.ProblemSlugSeriesConflict, 409, "Conflicts in the series",
		"Choose other times, or send on_conflict as skip to omit such dates.",
		"A date of the series cannot be booked or rescheduled, or, with skip, none can. Nothing was changed. dates lists every date: free, or refused with its conflict.",
	},
	{
		api.ProblemSlugWaitlistEntryClosed, 409, "Waitlist entry closed",
		"Create a new entry.",
		"The entry is already booked, withdrawn or expired.",
	},
	{
		api.ProblemSlugNoOffer, 409, "No open offer",
		"Read the entry; it may get another offer.",
		"The entry has no open offer: there never was one, it was accepted or declined, or it has expired and the time was offered to the next entry.",
	},
	{
		api.ProblemSlugHasAppointments, 409, "Record has appointments",
		"It cannot be deleted. A doctor can be deactivated instead: set is_active to false.",
		"A patient or doctor with any appointment, even a cancelled one, is part of the clinic's history and cannot be deleted.",
	},
	{
		api.ProblemSlugInvalidTransition, 409, "Invalid status transition",
		"Read the appointment again; allowed_statuses lists the allowed next ones.",
		"The appointment's status does not allow this step. current_status is its status, allowed_statuses the allowed next ones; if that is absent, there are none.",
	},
	{
		api.ProblemSlugTooEarly, 409, "Too early for this appointment",
		"Wait until earliest, or reschedule the appointment to the time at which the patient is here.",
		"A patient can be checked in, and an appointment started or completed, on the clinic's day of the appointment or up to 4 hours before its start. earliest is when that begins.",
	},
	{
		api.ProblemSlugInvalidTicketTransition, 409, "Invalid ticket transition",
		"Read the ticket again; allowed_ticket_statuses lists the allowed next ones.",
		"The ticket's status does not allow this step. current_ticket_status is its status, allowed_ticket_statuses the allowed next ones; if that is absent, there are none.",
	},
	{
		api.ProblemSlugInternalError, 500, "Internal server error",
		"The request is not known to be wrong. Report the request_id to the operator.",
		"An unexpected error occurred in the server and was logged with the request_id. Whether a change was made cannot be told from this response: check before retrying.",
	},
	{
		api.ProblemSlugUnavailable, 503, "Service unavailable",
		"Nothing was changed. Send the same request again after the number of seconds in Retry-After.",
		"The database is unreachable or overloaded, the server is overloaded, or it is shutting down. Nothing was changed.",
	},
	{
		api.ProblemSlugOutcomeUnknown, 503, "Outcome unknown",
		"The connection was lost while the change was being committed. Check whether it was made before retrying.",
		"The database connection was lost after the commit was sent and before it was confirmed. The change was made completely or not at all. Send the same request with the same Idempotency-Key, which makes it at most once, or read the record or the day's list to find out. A plan that is applied step by step may be applied in part.",
	},
}

var problemBySlug = func() map[api.ProblemSlug]ProblemType {
	m := map[api.ProblemSlug]ProblemType{}
	for _, p := range problemTypes {
		m[p.Slug] = p
	}
	return m
}()
