package fhir

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// AppointmentOf returns the Appointment in a body: the body itself, or the resource of its
// parameter appt-resource (Argonaut Scheduling 1.0). Errors: clinic.CodeValidationFailed.
func AppointmentOf(body []byte) ([]byte, error) {
	var parameters struct {
		ResourceType string `json:"resourceType"`
		Parameter    []struct {
			Name     string          `json:"name"`
			Resource json.RawMessage `json:"resource"`
		} `json:"parameter"`
	}
	if err := json.Unmarshal(body, &parameters); err != nil || parameters.ResourceType != "Parameters" {
		if kind := resourceType(body); kind != "Parameters" {
			return body, nil // the contract's schema reports what is wrong with it
		}
		return nil, clinic.Invalid(clinic.Violation{Pointer: "#/parameter", Code: "type", Detail: "must be a list of parameters"})
	}
	if len(parameters.Parameter) != 1 {
		return nil, clinic.Invalid(clinic.Violation{Pointer: "#/parameter", Code: "invalid", Detail: "must be one parameter, appt-resource"})
	}
	switch p := parameters.Parameter[0]; {
	case p.Name != "appt-resource":
		return nil, clinic.Invalid(clinic.Violation{Pointer: "#/parameter/0/name", Code: "enum", Detail: "must be appt-resource"})
	case len(p.Resource) == 0:
		return nil, clinic.Invalid(clinic.Violation{Pointer: "#/parameter/0/resource", Code: "required", Detail: "is required"})
	default:
		return p.Resource, nil
	}
}

func resourceType(body []byte) string {
	var members map[string]json.RawMessage
	var kind string
	if json.Unmarshal(body, &members) != nil || json.Unmarshal(members["resourceType"], &kind) != nil {
		return ""
	}
	return kind
}

// passedOver lists the members of R4 that a booking ignores, by element. A primitive's own
// member (_start) counts as the primitive.
var passedOver = map[string][]string{
	"Appointment": {
		"id", "meta", "language", "text", "contained", "extension", "identifier", "serviceCategory", "specialty", "appointmentType",
		"reasonCode", "reasonReference", "priority", "supportingInformation", "created", "patientInstruction",
		"basedOn", "requestedPeriod", "_language", "_status", "_priority", "_description", "_start", "_end", "_minutesDuration",
		"_created", "_comment", "_patientInstruction",
	},
	"Participant":     {"id", "extension", "type", "required", "status", "period", "_required", "_status"},
	"Reference":       {"id", "extension", "type", "identifier", "display", "_reference", "_type", "_display"},
	"CodeableConcept": {"id", "extension", "text", "_text"},
	"Coding":          {"id", "extension", "version", "display", "userSelected", "_system", "_version", "_code", "_display", "_userSelected"},
}

// bookingReader collects the violations of a request.
type bookingReader struct {
	base       Base
	booking    clinic.Booking
	violations []clinic.Violation
}

func (r *bookingReader) refuse(pointer, code, detail string) {
	r.violations = append(r.violations, clinic.Violation{Pointer: pointer, Code: code, Detail: detail})
}

// others rejects members that R4 does not have, and modifier elements
// (https://hl7.org/fhir/R4/conformance-rules.html#isModifier).
func (r *bookingReader) others(pointer, element string, members map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := pointer + "/" + pointerSegment(name)
		switch {
		case name == "modifierExtension", name == "implicitRules", name == "_implicitRules":
			r.refuse(at, "invalid", "is not supported: it would change what the rest means")
		case name == "cancelationReason":
			r.refuse(at, "invalid", "is for an appointment that was cancelled")
		case !slices.Contains(passedOver[element], name):
			r.refuse(at, "unknown", "is not a member of "+element+" in FHIR R4")
		}
	}
}

// pointerSegment returns a client's member name, shortened, as a segment of a JSON Pointer
// in a URI fragment (RFC 6901 sections 3 and 6).
func pointerSegment(name string) string {
	const enough = 80
	runes := []rune(name)
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(string(runes[:min(len(runes), enough)])))
}

// Booking returns the booking that a resource requests. Errors: clinic.CodeValidationFailed
// with all violations.
func (b Base) Booking(request api.FhirAppointmentRequest) (clinic.Booking, error) {
	r := &bookingReader{base: b}
	r.others("#", "Appointment", request.AdditionalProperties)
	r.participants(request.Participant)
	end := r.times(request)
	r.serviceType(request.ServiceType)
	r.length(request, end)
	r.booking.Reason, r.booking.Note = request.Description, request.Comment
	if len(r.violations) > 0 {
		return r.booking, &clinic.Error{Code: clinic.CodeValidationFailed, Violations: r.violations}
	}
	return r.booking, nil
}

func (r *bookingReader) participants(participants []api.FhirRequestedParticipant) {
	for i, p := range participants {
		pointer := "#/participant/" + strconv.Itoa(i)
		r.others(pointer, "Participant", p.AdditionalProperties)
		r.others(pointer+"/actor", "Reference", p.Actor.AdditionalProperties)
		pointer += "/actor/reference"
		kind, text, complaint := r.base.Reference(p.Actor.Reference)
		of := map[string]*int64{"Patient": &r.booking.PatientID, "Practitioner": &r.booking.DoctorID}[kind]
		switch id, ok := ParseID(text); {
		case complaint != "":
			r.refuse(pointer, "invalid", complaint)
		case of == nil || !ok:
			r.refuse(pointer, "invalid", "must be a patient or a practitioner, by id")
		case *of != 0:
			r.refuse(pointer, "combination", "is the second "+kind+"; there can be one")
		default:
			*of = id
		}
	}
}

// times reads start and end, which may also come from a slot.
func (r *bookingReader) times(request api.FhirAppointmentRequest) (end time.Time) {
	b := &r.booking
	if request.Start != nil {
		b.Start = clinic.Instant(*request.Start)
	}
	if request.End != nil {
		end = clinic.Instant(*request.End)
	}
	for _, reference := range request.Slot { // at most one
		const pointer = "#/slot/0/reference"
		r.others("#/slot/0", "Reference", reference.AdditionalProperties)
		kind, id, complaint := r.base.Reference(reference.Reference)
		slot, ok := ParseSlotID(id)
		switch {
		case complaint != "":
			r.refuse(pointer, "invalid", complaint)
		case kind != "Slot" || !ok:
			r.refuse(pointer, "invalid", "is no slot that a search has given")
		case b.DoctorID != 0 && b.DoctorID != slot.DoctorID || request.Start != nil && !b.Start.Equal(slot.Time.Start) ||
			request.End != nil && !end.Equal(slot.Time.End):
			r.refuse(pointer, "combination", "must agree with the practitioner, start and end, or stand without them")
		}
		b.DoctorID, b.Start, end = slot.DoctorID, slot.Time.Start, slot.Time.End
	}
	if b.PatientID == 0 {
		r.refuse("#/participant", "required", "must have a patient")
	}
	switch {
	case len(r.violations) > 0 && len(request.Slot) > 0: // the slot is at fault
	case b.DoctorID == 0:
		r.refuse("#/participant", "required", "must have a practitioner, unless a slot is given")
	case request.Start == nil && len(request.Slot) == 0:
		r.refuse("#/start", "required", "must be given, unless a slot is")
	}
	return end
}

// serviceType reads the appointment type. Codes of other systems are allowed next to ours,
// but are not enough alone.
func (r *bookingReader) serviceType(concepts []api.FhirRequestedConcept) {
	foreign := false
	for i, concept := range concepts {
		pointer := "#/serviceType/" + strconv.Itoa(i)
		r.others(pointer, "CodeableConcept", concept.AdditionalProperties)
		for j, coding := range concept.Coding {
			r.others(pointer+"/coding/"+strconv.Itoa(j), "Coding", coding.AdditionalProperties)
			if coding.System == nil || *coding.System != SystemAppointmentType {
				foreign = true
				continue
			}
			var code string
			if coding.Code != nil {
				code = *coding.Code
			}
			switch id, ok := ParseID(code); {
			case !ok:
				r.refuse(pointer+"/coding", "invalid", "must be an appointment type: system "+SystemAppointmentType+" and its id")
			case r.booking.TypeID != nil && *r.booking.TypeID != id:
				r.refuse(pointer+"/coding", "combination", "is a second appointment type; there can be one")
			default:
				r.booking.TypeID = &id
			}
		}
	}
	if foreign && r.booking.TypeID == nil && len(r.violations) == 0 {
		r.refuse("#/serviceType/0/coding", "invalid", "must be an appointment type: system "+SystemAppointmentType+" and its id")
	}
}

func (r *bookingReader) length(request api.FhirAppointmentRequest, end time.Time) {
	if len(r.violations) > 0 {
		return
	}
	length, pointer := end.Sub(r.booking.Start), "#/end"
	if end.IsZero() && request.MinutesDuration != nil {
		length, pointer = time.Duration(*request.MinutesDuration)*time.Minute, "#/minutesDuration"
	}
	switch {
	case pointer == "#/end" && end.IsZero() && r.booking.TypeID == nil:
		r.refuse("#/end", "required", "must be given, unless the appointment type says the length")
	case pointer == "#/end" && end.IsZero():
	case length < clinic.MinDuration || length > clinic.MaxDuration || length%time.Minute != 0:
		r.refuse(pointer, "invalid", "must be 15 to 180 whole minutes after start")
	default:
		r.booking.Duration = length
	}
}
