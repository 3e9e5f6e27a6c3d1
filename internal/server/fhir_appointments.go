package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/fhir"
	"mems/internal/store"
)

// SearchFhirAppointments finds appointments: GET /fhir/Appointment.
func (s *Server) SearchFhirAppointments(ctx context.Context, r api.SearchFhirAppointmentsRequestObject) (api.SearchFhirAppointmentsResponseObject, error) {
	p := r.Params
	q, found, total, err := s.fhirAppointmentQuery(s.fhirBase(ctx), p)
	if err != nil {
		return nil, err
	}
	list := filter{
		byTime, "fhir-appointments", deref(p.UnderscoreID), deref(p.Patient), deref(p.Practitioner), deref(p.Actor), deref(p.Status), strings.Join(p.Date, ","),
	}
	if q.After, err = decodeCursor(list, p.Cursor); err != nil {
		return nil, err
	}
	var page store.Page[clinic.Appointment]
	var count *int64
	switch {
	case total:
		n := int64(0)
		if found {
			n, err = s.cfg.Store.CountAppointments(ctx, q)
		}
		if count = &n; err != nil {
			return nil, err
		}
		if n > store.MaxCountedAppointments {
			return nil, clinic.Invalid(clinic.Violation{Parameter: "date", Code: "maximum", Detail: fmt.Sprintf("spans too many appointments to count, at most %d are; ask for fewer days", store.MaxCountedAppointments)})
		}
	case found:
		if page, err = s.cfg.Store.ListAppointments(ctx, q); err != nil {
			return nil, err
		}
	}
	said, err := s.fhirAppointments(ctx, page.Items)
	if err != nil {
		return nil, err
	}
	base := s.fhirBase(ctx)
	return api.SearchFhirAppointments200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: count,
		Link: s.fhirLinks(ctx, "Appointment", nextPage(list, page, func(a clinic.Appointment) store.After {
			return store.After{Start: a.Time.Start, ID: a.ID}
		})),
		Entry: items(said, func(a api.FhirAppointment) api.FhirAppointmentEntry {
			return api.FhirAppointmentEntry{FullURL: base.Of("Appointment", *a.ID), Resource: a, Search: fhir.Match}
		}),
	}, nil
}

// fhirAppointmentQuery reads what is searched for; found is false when it can be
// nothing, and total is true when only the number of matches is wanted.
func (s *Server) fhirAppointmentQuery(base fhir.Base, p api.SearchFhirAppointmentsParams) (q store.AppointmentQuery, found, total bool, err error) {
	q.Limit, total = fhirCount(p.UnderscoreCount)
	found = true
	if p.UnderscoreID != nil {
		q.IDs, found = fhir.ParseIDs(*p.UnderscoreID)
	}
	for _, by := range []struct {
		parameter string
		value     *string
		kinds     []string
	}{{"patient", p.Patient, []string{"Patient"}}, {"practitioner", p.Practitioner, []string{"Practitioner"}}, {"actor", p.Actor, []string{"Patient", "Practitioner"}}} {
		if by.value == nil {
			continue
		}
		kind, n, ok, err := base.SearchReference(by.parameter, *by.value, by.kinds...)
		if err != nil {
			return q, false, false, err
		}
		id := &q.DoctorID
		if kind == "Patient" {
			id = &q.PatientID
		}
		if !ok || *id != 0 && *id != n {
			found = false
		}
		*id = n
	}
	if p.Status != nil {
		q.Statuses = fhir.Statuses(*p.Status)
		found = found && len(q.Statuses) > 0
	}
	dates, err := fhir.ParseDates("date", p.Date, s.cfg.Zone)
	if err != nil {
		return q, false, false, err
	}
	q.Window = clinic.Window{Interval: clinic.Interval{Start: dates.From, End: dates.To}, ByStart: true}
	if dates.From.IsZero() {
		q.Window.Start = clinic.MinInstant
	}
	if dates.To.IsZero() {
		q.Window.End = clinic.MaxInstant
	}
	return q, found, total, nil
}

// fhirAppointments says appointments with their doctors' names: one statement for
// all of them.
func (s *Server) fhirAppointments(ctx context.Context, as []clinic.Appointment) ([]api.FhirAppointment, error) {
	ids := make([]int64, len(as))
	for i, a := range as {
		ids[i] = a.DoctorID
	}
	_, doctors, err := s.cfg.Store.People(ctx, nil, ids)
	if err != nil {
		return nil, err
	}
	return items(as, func(a clinic.Appointment) api.FhirAppointment {
		return fhir.Appointment(a, doctors[a.DoctorID].FullName)
	}), nil
}

// ReadFhirAppointment reads one: GET /fhir/Appointment/{id}.
func (s *Server) ReadFhirAppointment(ctx context.Context, r api.ReadFhirAppointmentRequestObject) (api.ReadFhirAppointmentResponseObject, error) {
	id, ok := fhir.ParseID(r.ID)
	if !ok {
		return nil, clinic.ErrAppointmentNotFound
	}
	a, err := s.cfg.Store.Appointment(ctx, id)
	if err != nil {
		return nil, err
	}
	said, err := s.fhirAppointments(ctx, []clinic.Appointment{a})
	if err != nil {
		return nil, err
	}
	return api.ReadFhirAppointment200ApplicationFhirPlusJSONResponse{
		Body: said[0], Headers: api.ReadFhirAppointment200ResponseHeaders{ETag: weak(a.Version)},
	}, nil
}

// BookFhirAppointment books: POST /fhir/Appointment/$book.
func (s *Server) BookFhirAppointment(ctx context.Context, r api.BookFhirAppointmentRequestObject) (api.BookFhirAppointmentResponseObject, error) {
	request, err := r.ApplicationFhirPlusJSONBody.AsFhirAppointmentRequest()
	if err != nil {
		return nil, err
	}
	booking, err := s.fhirBase(ctx).Booking(request)
	if err != nil {
		return nil, err
	}
	a, err := s.cfg.Store.BookAppointment(ctx, booking)
	if err != nil {
		return nil, err
	}
	return api.BookFhirAppointment201ApplicationFhirPlusJSONResponse{
		Body:    fhir.Appointment(a, ""),
		Headers: api.BookFhirAppointment201ResponseHeaders{Location: "/fhir/Appointment/" + fhir.ID(a.ID), ETag: weak(a.Version)},
	}, nil
}

// SearchFhirSlots finds free times: GET /fhir/Slot.
func (s *Server) SearchFhirSlots(ctx context.Context, r api.SearchFhirSlotsRequestObject) (api.SearchFhirSlotsResponseObject, error) {
	p := r.Params
	found, err := s.fhirFree(ctx, freeTimes{
		kind: "Schedule", of: p.Schedule, specialty: deref(p.Specialty), serviceType: p.ServiceType, duration: p.Duration,
		start: p.Start, count: p.UnderscoreCount, cursor: p.Cursor,
	})
	if err != nil {
		return nil, err
	}
	base := s.fhirBase(ctx)
	return api.SearchFhirSlots200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: found.total, Link: s.fhirLinks(ctx, "Slot", found.next),
		Entry: items(found.slots, func(v clinic.Slot) api.FhirSlotEntry {
			return api.FhirSlotEntry{FullURL: base.Of("Slot", fhir.SlotID(v)), Resource: fhir.Slot(v, found.typeID, true), Search: fhir.Match}
		}),
	}, nil
}

// FindFhirAppointments proposes free times: GET /fhir/Appointment/$find.
func (s *Server) FindFhirAppointments(ctx context.Context, r api.FindFhirAppointmentsRequestObject) (api.FindFhirAppointmentsResponseObject, error) {
	p := r.Params
	found, err := s.fhirFree(ctx, freeTimes{
		kind: "Practitioner", of: p.Practitioner, specialty: deref(p.Specialty), serviceType: p.ServiceType, duration: p.Duration,
		start: p.Start, count: p.UnderscoreCount, cursor: p.Cursor,
	})
	if err != nil {
		return nil, err
	}
	return api.FindFhirAppointments200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: found.total, Link: s.fhirLinks(ctx, "Appointment/$find", found.next),
		Entry: items(found.slots, func(v clinic.Slot) api.FhirAppointmentEntry {
			return api.FhirAppointmentEntry{Resource: fhir.Proposal(v, found.typeID), Search: fhir.Match}
		}),
	}, nil
}

// freeTimes is what a search for free times asks, by slots or by proposals.
type freeTimes struct {
	kind        string  // of resource that says whose times
	of          *string // references, separated by commas
	specialty   string
	serviceType *string
	duration    *int32
	start       []string
	count       *api.FhirCount
	cursor      *string
}

type foundTimes struct {
	slots  []clinic.Slot
	typeID *int64
	next   string
	total  *int64 // where only that is wanted
}

const (
	usualSlot   = 30 * time.Minute
	usualWindow = 14 * 24 * time.Hour
	slotStep    = 15 * time.Minute // of the grid, as GET /availability has it

	maxFHIRDoctors = 20     // of one search for free times
	maxFHIRTimes   = 50_000 // that are counted
)

// fhirFree finds free times, as ListAvailability does.
func (s *Server) fhirFree(ctx context.Context, ask freeTimes) (out foundTimes, err error) {
	list := filter{byTime, "fhir-" + ask.kind, deref(ask.of), ask.specialty, deref(ask.serviceType), strconv.Itoa(int(deref(ask.duration))), strings.Join(ask.start, ",")}
	q := store.AvailabilityQuery{Specialization: ask.specialty, Step: slotStep, Duration: minutes(deref(ask.duration))}
	limit, counted := fhirCount(ask.count)
	if q.Limit = limit; counted {
		q.Limit, out.total = maxFHIRTimes, new(int64)
	}
	if q.After, err = decodeCursor(list, ask.cursor); err != nil {
		return out, err
	}
	dates, err := fhir.ParseDates("start", ask.start, s.cfg.Zone)
	if err != nil {
		return out, err
	}
	q.Window = clinic.Interval{Start: dates.From, End: dates.To}
	now := clinic.Instant(s.cfg.Now())
	if q.Window.Start.IsZero() || q.Window.End.IsZero() && q.Window.Start.Before(now) {
		q.Window.Start = now // the past has no free times, and must not fill the window
	}
	if q.Window.End.IsZero() {
		q.Window.End = q.Window.Start.Add(usualWindow)
	}
	if q.Window.End.Sub(q.Window.Start) > clinic.MaxSearch {
		return out, clinic.Invalid(clinic.Violation{Parameter: "start", Code: "maximum", Detail: "must span at most 92 days: give both bounds"})
	}
	if ask.serviceType != nil {
		id, ok := fhir.ParseType(*ask.serviceType)
		if !ok {
			return out, nil
		}
		out.typeID, q.TypeID = &id, &id
	} else if q.Duration == 0 {
		q.Duration = usualSlot
	}
	if ask.of != nil {
		references := strings.Split(*ask.of, ",")
		parameter := strings.ToLower(ask.kind)
		if len(references) > maxFHIRDoctors {
			return out, clinic.Invalid(clinic.Violation{Parameter: parameter, Code: "invalid", Detail: "must be at most 20, separated by commas"})
		}
		for _, reference := range references {
			_, id, ok, err := s.fhirBase(ctx).SearchReference(parameter, reference, ask.kind)
			if err != nil || !ok {
				return out, err
			}
			if !slices.Contains(q.DoctorIDs, id) {
				q.DoctorIDs = append(q.DoctorIDs, id)
			}
		}
	}
	page, err := s.cfg.Store.Availability(ctx, q)
	if isMissing(err) {
		return out, nil
	}
	if counted && page.More {
		return out, clinic.Invalid(clinic.Violation{Parameter: "start", Code: "maximum", Detail: fmt.Sprintf("spans too many times to count, more than %d or more than %d doctor-days; ask for fewer doctors or days", maxFHIRTimes, store.MaxDoctorDays)})
	}
	if counted {
		*out.total = int64(len(page.Items))
		return out, err
	}
	out.slots = page.Items
	out.next = nextPage(list, page, func(v clinic.Slot) store.After { return store.After{Start: v.Time.Start, ID: v.DoctorID} })
	return out, err
}

// ReadFhirSlot tells whether a slot is still free: GET /fhir/Slot/{id}.
func (s *Server) ReadFhirSlot(ctx context.Context, r api.ReadFhirSlotRequestObject) (api.ReadFhirSlotResponseObject, error) {
	slot, ok := fhir.ParseSlotID(r.ID)
	if !ok {
		return nil, &problem{slug: api.ProblemSlugNotFound, detail: "There is no such slot; search for the free ones."}
	}
	page, err := s.cfg.Store.Availability(ctx, store.AvailabilityQuery{
		DoctorIDs: []int64{slot.DoctorID}, Duration: slot.Time.End.Sub(slot.Time.Start), Step: time.Minute, Limit: 1,
		Window: clinic.Interval{Start: slot.Time.Start, End: slot.Time.Start.Add(time.Microsecond)},
	})
	if err != nil {
		return nil, err
	}
	free := len(page.Items) == 1 && page.Items[0] == slot
	return api.ReadFhirSlot200ApplicationFhirPlusJSONResponse(fhir.Slot(slot, nil, free)), nil
}
