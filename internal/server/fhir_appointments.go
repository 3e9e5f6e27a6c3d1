package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/fhir"
	"mems/internal/store"
)

// SearchFhirAppointments finds appointments: GET /fhir/Appointment.
func (s *Server) SearchFhirAppointments(ctx context.Context, r api.SearchFhirAppointmentsRequestObject) (api.SearchFhirAppointmentsResponseObject, error) {
	p := r.Params
	search, err := s.fhirBase(ctx).ParseAppointmentSearch(p, s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	limit, total := fhir.ParseCount(p.UnderscoreCount)
	q := store.AppointmentQuery{
		IDs: search.IDs, PatientID: search.PatientID, DoctorID: search.DoctorID, Statuses: search.Statuses, Window: search.Window, Limit: limit,
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
		if !search.None {
			n, err = s.cfg.Store.CountAppointments(ctx, requestOf(ctx), q)
		}
		if count = &n; err != nil {
			return nil, err
		}
		if n > store.MaxCountedAppointments {
			return nil, fhir.TooManyAppointments(store.MaxCountedAppointments)
		}
	case !search.None:
		if page, err = s.cfg.Store.ListAppointments(ctx, requestOf(ctx), q); err != nil {
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

// fhirAppointments returns appointments as resources with their doctors' names, which one
// statement reads.
func (s *Server) fhirAppointments(ctx context.Context, as []clinic.Appointment) ([]api.FhirAppointment, error) {
	ids := make([]int64, len(as))
	for i, a := range as {
		ids[i] = a.DoctorID
	}
	_, doctors, err := s.cfg.Store.People(ctx, requestOf(ctx), nil, ids)
	if err != nil {
		return nil, err
	}
	return items(as, func(a clinic.Appointment) api.FhirAppointment {
		return fhir.Appointment(a, doctors[a.DoctorID].FullName)
	}), nil
}

// ReadFhirAppointment returns an appointment: GET /fhir/Appointment/{id}.
func (s *Server) ReadFhirAppointment(ctx context.Context, r api.ReadFhirAppointmentRequestObject) (api.ReadFhirAppointmentResponseObject, error) {
	id, ok := fhir.ParseID(r.ID)
	if !ok {
		return nil, clinic.ErrAppointmentNotFound
	}
	a, err := s.cfg.Store.Appointment(ctx, requestOf(ctx), id)
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

// BookFhirAppointment books an appointment: POST /fhir/Appointment/$book.
func (s *Server) BookFhirAppointment(ctx context.Context, r api.BookFhirAppointmentRequestObject) (api.BookFhirAppointmentResponseObject, error) {
	request, err := r.ApplicationFhirPlusJSONBody.AsFhirAppointmentRequest()
	if err != nil {
		return nil, err
	}
	booking, err := s.fhirBase(ctx).Booking(request)
	if err != nil {
		return nil, err
	}
	a, err := s.cfg.Store.BookAppointment(ctx, requestOf(ctx), booking)
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
	found, err := s.fhirFree(ctx, fhir.FreeParameters{
		Kind: "Schedule", Of: p.Schedule, ServiceType: p.ServiceType, Duration: minutes(deref(p.Duration)), Start: p.Start,
	}, deref(p.Specialty), p.UnderscoreCount, p.Cursor)
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
	found, err := s.fhirFree(ctx, fhir.FreeParameters{
		Kind: "Practitioner", Of: p.Practitioner, ServiceType: p.ServiceType, Duration: minutes(deref(p.Duration)), Start: p.Start,
	}, deref(p.Specialty), p.UnderscoreCount, p.Cursor)
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

type foundTimes struct {
	slots  []clinic.Slot
	typeID *int64
	next   string
	total  *int64 // if only the count is requested
}

// slotStep is the grid of free times, the default of GET /availability.
const slotStep = 15 * time.Minute

// fhirFree finds free times, as ListAvailability does.
func (s *Server) fhirFree(ctx context.Context, p fhir.FreeParameters, specialty string, count *api.FhirCount, cursor *string) (out foundTimes, err error) {
	list := filter{
		byTime, "fhir-" + p.Kind, deref(p.Of), specialty, deref(p.ServiceType), strconv.Itoa(int(p.Duration / time.Minute)), strings.Join(p.Start, ","),
	}
	limit, counted := fhir.ParseCount(count)
	if counted {
		limit, out.total = fhir.MaxCountedTimes, new(int64)
	}
	after, err := decodeCursor(list, cursor)
	if err != nil {
		return out, err
	}
	search, err := s.fhirBase(ctx).ParseFreeSearch(p, clinic.Instant(s.cfg.Now()), s.cfg.Zone)
	if err != nil || search.None {
		return out, err
	}
	out.typeID = search.TypeID
	page, err := s.cfg.Store.ListAvailability(ctx, requestOf(ctx), store.AvailabilityQuery{
		DoctorIDs: search.DoctorIDs, Specialization: specialty, TypeID: search.TypeID, Window: search.Window,
		Duration: search.Duration, Step: slotStep, After: after, Limit: limit,
	})
	if isMissing(err) {
		return out, nil
	}
	if counted && page.More {
		return out, fhir.TooManyTimes(store.MaxDoctorDays)
	}
	if counted {
		*out.total = int64(len(page.Items))
		return out, err
	}
	out.slots = page.Items
	out.next = nextPage(list, page, func(v clinic.Slot) store.After { return store.After{Start: v.Time.Start, ID: v.DoctorID} })
	return out, err
}

// ReadFhirSlot returns a slot and whether it is still free: GET /fhir/Slot/{id}.
func (s *Server) ReadFhirSlot(ctx context.Context, r api.ReadFhirSlotRequestObject) (api.ReadFhirSlotResponseObject, error) {
	slot, ok := fhir.ParseSlotID(r.ID)
	if !ok {
		return nil, &contract.Error{Slug: api.ProblemSlugNotFound, Detail: "There is no such slot; search for the free ones."}
	}
	page, err := s.cfg.Store.ListAvailability(ctx, requestOf(ctx), store.AvailabilityQuery{
		DoctorIDs: []int64{slot.DoctorID}, Duration: slot.Time.End.Sub(slot.Time.Start), Step: time.Minute, Limit: 1,
		Window: slot.StartWindow(),
	})
	if err != nil {
		return nil, err
	}
	return api.ReadFhirSlot200ApplicationFhirPlusJSONResponse(fhir.Slot(slot, nil, slot.In(page.Items))), nil
}
