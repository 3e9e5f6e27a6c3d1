package contract

import (
	"net/http"
	"slices"

	"mems/gen/api"
)

// A ProblemType is a row of the one table that turns errors into answers.
type ProblemType struct {
	Slug   api.ProblemSlug
	Status int
	Title  string
	// Detail is what an answer says unless there is more to say; for people,
	// with what to do next.
	Detail string
	// Explanation is the rest of the page /problems/<slug>.
	Explanation string
}

// StatusText returns the words of HTTP for the problem's status.
func (t ProblemType) StatusText() string { return http.StatusText(t.Status) }

// ProblemTypes returns all problem types: what /problems shows, and the published site.
func ProblemTypes() []ProblemType { return slices.Clone(problemTypes) }

// ProblemTypeOf returns the row of a slug; that of internal-error for one that the
// table does not have.
func ProblemTypeOf(slug api.ProblemSlug) ProblemType {
	if t, ok := problemBySlug[slug]; ok {
		return t
	}
	return problemBySlug[api.ProblemSlugInternalError]
}

// problemTypes is every way in which a request can fail. A test holds it equal to
// the contract's ProblemSlug, and the contract's examples to it. Which problem is
// reported when a request has several: "Errors" in the contract.
var problemTypes = []ProblemType{
	{
		api.ProblemSlugUnauthenticated, 401, "Not authenticated",
		"Send an API key as X-API-Key, or a token as Authorization: Bearer.",
		"There is no API key and no token, or what was sent is not valid: unknown, expired, revoked, or meant for somebody else. The answer does not say which.",
	},
	{
		api.ProblemSlugForbidden, 403, "Not allowed",
		"Ask the clinic for the permission, or let somebody do it who has it.",
		"The caller is known and may not do this. permission is the one that is missing; without it, the calendar is another doctor's.",
	},
	{
		api.ProblemSlugCrossOrigin, 403, "Request of another site",
		"Call the API from a page of this server or from a program. The pages of another site need their origin in MEMS_CORS_ORIGINS.",
		"A browser says in Origin or Sec-Fetch-Site that a page of another site sent a request that may change something. Nothing was done.",
	},
	{
		api.ProblemSlugLocalOnly, 403, "Local access only",
		"Use http://localhost or http://127.0.0.1 with the port, or set MEMS_AUTH=required and create API keys.",
		"This server does not authenticate callers, so it serves clients of its own machine only: Host must name it, and no proxy may have forwarded the request.",
	},
	{
		api.ProblemSlugRateLimited, 429, "Too many requests",
		"Wait for the seconds in Retry-After; spread requests as RateLimit tells.",
		"Every caller may send so many requests a minute, and so may every address with a wrong credential or none. RateLimit-Policy says how many.",
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
		"The webhook has no message with this id. Messages that were taken are kept for 7 days, dead ones for 30.",
	},
	{
		api.ProblemSlugCalendarFeedNotFound, 404, "There is no such calendar feed",
		"Check the feed's id or address; ask the clinic for a new address if this one has ended.",
		"No calendar feed has this id or this address, or it was revoked or has expired. The answer does not say which.",
	},
	{
		api.ProblemSlugHasOpenAppointments, 409, "The patient is still expected",
		"Complete or cancel what is open, then erase.",
		"The patient has an appointment, a place in the queue or an offer of the waitlist that is not over. An erased patient can no longer be called.",
	},
	{
		api.ProblemSlugIdempotencyKeyReused, 422, "The Idempotency-Key belongs to another request",
		"Use a fresh key for each thing to be done; send the very same request to repeat it.",
		"A different request was sent with this Idempotency-Key within the last 24 hours. Nothing was done for this one.",
	},
	{
		api.ProblemSlugIdempotencyKeyInUse, 409, "The first request is still under way",
		"Wait a moment and send the same request again.",
		"A request with this Idempotency-Key is being carried out at this moment. Its answer will be returned to a repeated request afterwards.",
	},
	{
		api.ProblemSlugNotFound, 404, "There is nothing at this address",
		"Check the path; the contract at /openapi.yaml lists every one.",
		"The path is not one of this API.",
	},
	{
		api.ProblemSlugMethodNotAllowed, 405, "This address does not take this method",
		"Use one of the methods in the Allow header.",
		"The path exists, but not with this HTTP method. The answer's Allow header lists those that it takes.",
	},
	{
		api.ProblemSlugNotAcceptable, 406, "No acceptable media type",
		"Allow one of this operation's media types in Accept.",
		"The request's Accept header allows none of the media types in which the operation answers.",
	},
	{
		api.ProblemSlugPayloadTooLarge, 413, "The body is too large",
		"Send a smaller body.",
		"The body is larger than the server takes. Nothing in this contract comes near the limit, so look at what is being sent.",
	},
	{
		api.ProblemSlugUnsupportedMediaType, 415, "The body's media type is not supported",
		"Send the body in a media type of this operation.",
		"The Content-Type is missing or is not one that the operation takes. POST takes application/json; PATCH takes application/merge-patch+json (RFC 7396).",
	},
	{
		api.ProblemSlugMalformedRequest, 400, "The request cannot be read",
		"Send well-formed JSON in UTF-8.",
		"The request is broken before its meaning matters: JSON that does not parse, text after its end, two members of one name, bytes that are not UTF-8, or a query string that does not decode.",
	},
	{
		api.ProblemSlugValidationFailed, 422, "The request does not match the contract",
		"Correct what is listed in errors and send the request again.",
		"One or several values have the wrong type, format or size, are missing, or are not known. Every violation is listed in errors at once: pointer says where in the body (JSON Pointer), parameter names a path, query or header parameter, code is for programs, detail for people.",
	},
	{
		api.ProblemSlugStartInPast, 422, "The start lies in the past",
		"An appointment must start later than now.",
		"The start time is not later than the server's clock. Check the offset of the time that was sent: 09:00Z and 09:00+02:00 are two hours apart.",
	},
	{
		api.ProblemSlugPatientNotFound, 404, "There is no such patient",
		"Check the patient's id, or search with GET /patients.",
		"No patient has this id. Ids are never used again, so the record was deleted or never existed.",
	},
	{
		api.ProblemSlugDoctorNotFound, 404, "There is no such doctor",
		"Check the doctor's id, or search with GET /doctors.",
		"No doctor has this id. Ids are never used again, so the record was deleted or never existed.",
	},
	{
		api.ProblemSlugAppointmentNotFound, 404, "There is no such appointment",
		"Check the appointment's id.",
		"No appointment has this id.",
	},
	{
		api.ProblemSlugAppointmentTypeNotFound, 404, "There is no such appointment type",
		"Check the appointment type's id.",
		"No appointment type has this id. Ids are never used again, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugRoomNotFound, 404, "There is no such room",
		"Check the room's id.",
		"No room has this id. Ids are never used again, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugTimeOffNotFound, 404, "There is no such time off",
		"Check the time off's id.",
		"No time off has this id. Ids are never used again, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugClosureNotFound, 404, "There is no such closure",
		"Check the closure's id.",
		"No closure has this id. Ids are never used again, so it was deleted or never existed.",
	},
	{
		api.ProblemSlugHoldNotFound, 404, "There is no such hold",
		"It was used, given back or has expired. Look for a free time again.",
		"No live hold has this id or token. A hold ends when it is booked, given back, or expires.",
	},
	{
		api.ProblemSlugPlanNotFound, 404, "There is no such plan",
		"Check the plan's id.",
		"No plan has this id.",
	},
	{
		api.ProblemSlugTicketNotFound, 404, "There is no such ticket",
		"Check the ticket's id, or read the queue.",
		"No ticket has this id.",
	},
	{
		api.ProblemSlugSeriesNotFound, 404, "There is no such series",
		"Check the series' id.",
		"No series has this id.",
	},
	{
		api.ProblemSlugWaitlistEntryNotFound, 404, "There is no such waitlist entry",
		"Check the entry's id.",
		"No waitlist entry has this id.",
	},
	{
		api.ProblemSlugPreconditionFailed, 412, "The record has changed meanwhile",
		"Read the record again, decide anew, and send its new ETag.",
		"The If-Match header names a version that is no longer the current one: somebody else was faster. Nothing was changed.",
	},
	{
		api.ProblemSlugEmailTaken, 409, "E-mail address already registered",
		"Another patient is registered with this e-mail address. Search by e-mail to find the record, or use another address.",
		"E-mail addresses are unique among patients, compared after trimming, normalising (NFC) and folding case. The answer does not say whose address it is.",
	},
	{
		api.ProblemSlugIdentifierTaken, 409, "Identifier already registered",
		"Another patient is registered with this identifier. Search by it to find the record, or correct it.",
		"Identifiers are unique among patients, by system and value. The answer does not say whose it is.",
	},
	{
		api.ProblemSlugPossibleDuplicate, 409, "This may be somebody who is registered",
		"Compare with candidates. If it is somebody else, send the request again without on_possible_duplicate: refuse.",
		"The request says on_possible_duplicate: refuse, and a patient with the same name, in either order and however it is written, and the same birth date or phone number is registered. candidates lists the patients whom the caller may know of.",
	},
	{
		api.ProblemSlugPatientMerged, 409, "The record was merged into another",
		"Use the patient in merged_into.",
		"The record turned out to be a duplicate; the one in merged_into goes on for it, with all of its appointments. Reading the old id leads there.",
	},
	{
		api.ProblemSlugMergeConflict, 409, "The two have appointments that overlap",
		"Move or cancel one of each pair in appointments, and merge again.",
		"One person cannot be in two appointments at once, so the records cannot become one while they have such. Nothing was changed.",
	},
	{
		api.ProblemSlugNameTaken, 409, "Another one has this name",
		"Choose another name.",
		"Names of rooms and of appointment types are unique, without regard to case and accents.",
	},
	{
		api.ProblemSlugDoctorInactive, 409, "The doctor takes no bookings",
		"Choose another doctor, or set is_active to true.",
		"The doctor's is_active is false. Appointments already booked stand; new ones are refused.",
	},
	{
		api.ProblemSlugAppointmentTypeInactive, 409, "The appointment type takes no bookings",
		"Choose another type, or set its is_active to true.",
		"The type has been deactivated. What is booked of it stays.",
	},
	{
		api.ProblemSlugRoomInactive, 409, "The room takes no bookings",
		"Choose another room, or set its is_active to true.",
		"The room has been deactivated. What is booked in it stays.",
	},
	{
		api.ProblemSlugAppointmentTypeNotAllowed, 409, "The doctor does not do this type",
		"Choose another doctor or another type.",
		"The type lists the specializations and doctors that may be booked for it, and this doctor is not among them.",
	},
	{
		api.ProblemSlugRoomNotSuitable, 409, "The room does not suit the type",
		"Choose one of the type's rooms, or none to have one chosen.",
		"The type lists the rooms in which it may take place, and this room is not among them.",
	},
	{
		api.ProblemSlugHoldNotUsable, 409, "The hold is not for this booking",
		"Send the doctor, time, type, room and patient of the hold, before it expires.",
		"The hold has expired, or is for another doctor, time, type, room or patient.",
	},
	{
		api.ProblemSlugOutsideBookingWindow, 409, "Outside the booking window",
		"Choose a start from earliest_start to latest_start.",
		"The clinic bounds how soon and how far ahead partners book that can access only their own records. earliest_start and latest_start are the bounds now; one that is absent does not bound.",
	},
	{
		api.ProblemSlugTooManyHolds, 409, "Too many holds",
		"Book or release a hold, or wait until one expires.",
		"A partner that can access only its own records may have 5 live holds at one time, so that free times stay free.",
	},
	{
		api.ProblemSlugTooManyWaitlistEntries, 409, "Too many waitlist entries",
		"Withdraw entries that are no longer needed.",
		"A partner that can access only its own records may have 50 open waitlist entries at one time.",
	},
	{
		api.ProblemSlugTooManyStreams, 429, "Too many streams",
		"Close a stream, or use one stream for all kinds of objects.",
		"A caller may have 20 streams open at one time on each server.",
	},
	{
		api.ProblemSlugOutsideWorkingHours, 409, "Outside the doctor's working hours",
		"Choose one of the alternatives, or override the rule with a reason.",
		"The doctor has working hours, and the time does not lie wholly inside of them. conflict is the first part of it that does not; alternatives are the nearest free times.",
	},
	{
		api.ProblemSlugTimeOff, 409, "The doctor or the clinic is away",
		"Choose one of the alternatives.",
		"The time touches a time off of the doctor or a closure of the clinic, given as conflict; alternatives are the nearest free times.",
	},
	{
		api.ProblemSlugDoctorOverlap, 409, "The doctor is not free",
		"The doctor already has an appointment in this time. Choose a time that does not overlap the one given in conflict.",
		"A doctor is never in two appointments at once. conflict is the earliest time in the way; it does not say whose it is. Times are half-open: an appointment may start in the moment another one ends.",
	},
	{
		api.ProblemSlugPatientOverlap, 409, "The patient is not free",
		"The patient already has an appointment in this time. Choose a time that does not overlap the one given in conflict.",
		"A patient is never in two appointments at once, with whichever doctors. conflict is the earliest time in the way.",
	},
	{
		api.ProblemSlugRoomOverlap, 409, "The room is not free",
		"Choose another room, or one of the alternatives.",
		"A room is never used twice at once. conflict is the earliest time in the way, with its buffers; alternatives are the nearest times at which the room is free.",
	},
	{
		api.ProblemSlugNoRoomFree, 409, "No suitable room is free",
		"Choose one of the alternatives.",
		"The appointment needs a room, and every suitable one is taken in this time; alternatives are the nearest times at which one is free.",
	},
	{
		api.ProblemSlugTooManyVisits, 409, "Too many visits for one plan",
		"Plan for a shorter time.",
		"A plan holds at most 200 visits, so that it can be carried out in one transaction.",
	},
	{
		api.ProblemSlugPlanNotApplied, 409, "Not every visit could be moved",
		"Read report, mend what is in the way or plan anew, or apply the plan visit by visit.",
		"The plan was to be applied as a whole, and at least one visit cannot be moved to its proposed time any more. None was moved. report lists every visit with what is in its way.",
	},
	{
		api.ProblemSlugAlreadyInQueue, 409, "The patient is in this queue already",
		"Read the queue.",
		"The patient waits for, or is with, this doctor today; one ticket is enough.",
	},
	{
		api.ProblemSlugQueueEmpty, 409, "Nobody waits",
		"Wait for the next patient.",
		"Nobody who has not been called waits for this doctor today.",
	},
	{
		api.ProblemSlugNobodyWorks, 409, "No doctor of the specialization works now",
		"Name a doctor, or look for a free time with GET /availability/next.",
		"No active doctor of the specialization is within working hours and present at this moment.",
	},
	{
		api.ProblemSlugSeriesConflict, 409, "Not every date of the series is free",
		"Choose other times, or send on_conflict as skip to leave such dates out.",
		"A date of the series cannot be booked or moved, or, with skip, none can. Nothing was changed. dates lists every date: free, or refused with what is in its way.",
	},
	{
		api.ProblemSlugWaitlistEntryClosed, 409, "The waitlist entry is closed",
		"Make a new entry.",
		"The entry is booked, withdrawn or expired already.",
	},
	{
		api.ProblemSlugNoOffer, 409, "There is no offer",
		"Read the entry; it may get another offer.",
		"No time is on offer to the entry: there never was one, it was accepted or declined, or it has expired and went to the next.",
	},
	{
		api.ProblemSlugHasAppointments, 409, "The record has appointments",
		"It must stay. A doctor can be deactivated instead: set is_active to false.",
		"A patient or doctor with any appointment, cancelled ones included, is part of the clinic's history and cannot be deleted.",
	},
	{
		api.ProblemSlugInvalidTransition, 409, "Not possible in the current status",
		"Read the appointment again; see allowed_statuses for what may follow.",
		"The appointment's status does not allow this step. current_status is where it stands, allowed_statuses lists what may follow; when that is absent, nothing may.",
	},
	{
		api.ProblemSlugTooEarly, 409, "Too early for this visit",
		"Wait until earliest, or move the appointment to the time at which the patient is here.",
		"A patient can be checked in, and a visit started or completed, on the clinic's day of the appointment or at most 4 hours before its start. earliest is when that begins.",
	},
	{
		api.ProblemSlugInvalidTicketTransition, 409, "Not possible in the ticket's current status",
		"Read the ticket again; see allowed_ticket_statuses for what may follow.",
		"The ticket's status does not allow this step. current_ticket_status is where it stands, allowed_ticket_statuses lists what may follow; when that is absent, nothing may.",
	},
	{
		api.ProblemSlugInternalError, 500, "A fault of the server",
		"Nothing is wrong with the request as far as we know. Tell the operator the request_id.",
		"The server met something that it did not expect. The log has it under the request_id. Whether a change was made cannot be told from this answer: read before sending it again.",
	},
	{
		api.ProblemSlugUnavailable, 503, "The service cannot answer at the moment",
		"Nothing was changed. Send the same request again after the seconds in Retry-After.",
		"The database cannot be reached or is too busy, or the process is shutting down. Nothing was changed.",
	},
	{
		api.ProblemSlugOutcomeUnknown, 503, "It is not known whether the change was made",
		"The connection was lost while the change was being confirmed. Look whether it was made before sending it again.",
		"The database went away between being told to commit and saying that it had. The change has either been made in full or not at all. Read the record, or the day's list, to find out which; a booking that was made shows up there.",
	},
}

var problemBySlug = func() map[api.ProblemSlug]ProblemType {
	m := map[api.ProblemSlug]ProblemType{}
	for _, p := range problemTypes {
		m[p.Slug] = p
	}
	return m
}()
