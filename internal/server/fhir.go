package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/fhir"
	"mems/internal/store"
)

// GetFhirCapabilities returns the facade's CapabilityStatement: GET /fhir/metadata.
func (s *Server) GetFhirCapabilities(ctx context.Context, _ api.GetFhirCapabilitiesRequestObject) (api.GetFhirCapabilitiesResponseObject, error) {
	statement := s.fhir
	statement.Implementation.URL = s.fhirBase(ctx).Address
	return api.GetFhirCapabilities200ApplicationFhirPlusJSONResponse(statement), nil
}

// fhirBase returns the facade's base URL: for links the one that is certain to be this
// server's, for parsing references also the one that the client used.
func (s *Server) fhirBase(ctx context.Context) fhir.Base {
	request, ok := ctx.Value(clientKey{}).(*http.Request)
	if !ok {
		return fhir.Base{Address: s.cfg.PublicURL + "/fhir"} // not a request of this server
	}
	return fhir.Base{Address: s.home(request) + "/fhir", Asked: s.called(request) + "/fhir"}
}

// fhirLinks returns the links to this page of a search and, unless next is "", to the next
// one.
func (s *Server) fhirLinks(ctx context.Context, kind, next string) []api.FhirLink {
	query := url.Values{}
	if request, ok := ctx.Value(clientKey{}).(*http.Request); ok {
		query = request.URL.Query()
	}
	if limit, _ := strconv.Atoi(query.Get("_count")); limit > fhir.MaxCount {
		query.Set("_count", strconv.Itoa(fhir.MaxCount)) // the effective count
	}
	link := func(relation api.FhirLinkRelation) api.FhirLink {
		address := s.fhirBase(ctx).Address + "/" + kind
		if len(query) > 0 {
			address += "?" + query.Encode()
		}
		return api.FhirLink{Relation: relation, URL: address}
	}
	links := []api.FhirLink{link("self")}
	if next != "" {
		query.Set("cursor", next)
		links = append(links, link("next"))
	}
	return links
}

// nextPage returns the cursor of the next page, "" on the last one.
func nextPage[T any](list filter, p store.Page[T], place func(T) store.After) string {
	if !p.More {
		return ""
	}
	return encodeCursor(list, endOf(p, place))
}

func weak(version int64) string { return "W/" + etag(version) }

// SearchFhirPatients finds patients: GET /fhir/Patient.
func (s *Server) SearchFhirPatients(ctx context.Context, r api.SearchFhirPatientsRequestObject) (api.SearchFhirPatientsResponseObject, error) {
	p := r.Params
	search, err := fhir.ParsePatientSearch(p)
	if err != nil {
		return nil, err
	}
	limit, total := fhir.ParseCount(p.UnderscoreCount)
	q := store.PatientQuery{
		Name: deref(p.Name), LastName: deref(p.Family), FirstName: deref(p.Given), Email: deref(p.Email), Phone: deref(p.Phone),
		IDs: search.IDs, ID: search.ID, IdentifierSystem: search.IdentifierSystem, Identifier: search.Identifier,
		BirthFrom: search.BirthFrom, BirthBefore: search.BirthBefore, Limit: limit,
	}
	list := filter{
		"fhir-patients", q.Name, q.LastName, q.FirstName, q.Email, q.Phone, deref(p.Identifier), deref(p.UnderscoreID), strings.Join(p.Birthdate, ","),
	}
	after, err := decodeCursor(list, p.Cursor)
	if err != nil {
		return nil, err
	}
	q.After = after.ID
	var page store.Page[clinic.Patient]
	var count *int64
	switch {
	case total:
		n := int64(0)
		if !search.None {
			n, err = s.cfg.Store.CountPatients(ctx, requestOf(ctx), q)
		}
		if count = &n; err != nil {
			return nil, err
		}
	case !search.None:
		if page, err = s.cfg.Store.ListPatients(ctx, requestOf(ctx), q); err != nil {
			return nil, err
		}
	}
	base := s.fhirBase(ctx)
	return api.SearchFhirPatients200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: count,
		Link: s.fhirLinks(ctx, "Patient", nextPage(list, page, func(p clinic.Patient) store.After { return store.After{ID: p.ID} })),
		Entry: items(page.Items, func(p clinic.Patient) api.FhirPatientEntry {
			return api.FhirPatientEntry{FullURL: base.Of("Patient", fhir.ID(p.ID)), Resource: fhir.Patient(p), Search: fhir.Match}
		}),
	}, nil
}

// ReadFhirPatient returns a patient: GET /fhir/Patient/{id}.
func (s *Server) ReadFhirPatient(ctx context.Context, r api.ReadFhirPatientRequestObject) (api.ReadFhirPatientResponseObject, error) {
	id, ok := fhir.ParseID(r.ID)
	if !ok {
		return nil, clinic.ErrPatientNotFound
	}
	p, err := s.cfg.Store.Patient(ctx, requestOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return api.ReadFhirPatient200ApplicationFhirPlusJSONResponse{
		Body: fhir.Patient(p), Headers: api.ReadFhirPatient200ResponseHeaders{ETag: weak(p.Version)},
	}, nil
}

// SearchFhirPractitioners finds doctors: GET /fhir/Practitioner.
func (s *Server) SearchFhirPractitioners(ctx context.Context, r api.SearchFhirPractitionersRequestObject) (api.SearchFhirPractitionersResponseObject, error) {
	p := r.Params
	q := store.DoctorQuery{Name: deref(p.Name), IsActive: p.Active}
	page, next, count, err := s.fhirDoctors(ctx, q, p.UnderscoreID, p.UnderscoreCount, p.Cursor, "fhir-practitioners")
	if err != nil {
		return nil, err
	}
	base := s.fhirBase(ctx)
	return api.SearchFhirPractitioners200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: count, Link: s.fhirLinks(ctx, "Practitioner", next),
		Entry: items(page, func(d clinic.Doctor) api.FhirPractitionerEntry {
			return api.FhirPractitionerEntry{FullURL: base.Of("Practitioner", fhir.ID(d.ID)), Resource: fhir.Practitioner(d), Search: fhir.Match}
		}),
	}, nil
}

// SearchFhirSchedules finds the doctors' calendars: GET /fhir/Schedule.
func (s *Server) SearchFhirSchedules(ctx context.Context, r api.SearchFhirSchedulesRequestObject) (api.SearchFhirSchedulesResponseObject, error) {
	p := r.Params
	doctor, err := s.fhirBase(ctx).ParseActor(p.Actor)
	if err != nil {
		return nil, err
	}
	q := store.DoctorQuery{ID: doctor, Specialization: deref(p.Specialty), IsActive: p.Active}
	page, next, count, err := s.fhirDoctors(ctx, q, p.UnderscoreID, p.UnderscoreCount, p.Cursor, "fhir-schedules")
	if err != nil {
		return nil, err
	}
	base := s.fhirBase(ctx)
	return api.SearchFhirSchedules200ApplicationFhirPlusJSONResponse{
		ResourceType: "Bundle", Type: "searchset", Total: count, Link: s.fhirLinks(ctx, "Schedule", next),
		Entry: items(page, func(d clinic.Doctor) api.FhirScheduleEntry {
			return api.FhirScheduleEntry{FullURL: base.Of("Schedule", fhir.ID(d.ID)), Resource: fhir.Schedule(d), Search: fhir.Match}
		}),
	}, nil
}

// fhirDoctors returns a page of doctors and the cursor of the next one or, for a count of
// 0, only their number.
func (s *Server) fhirDoctors(
	ctx context.Context, q store.DoctorQuery, ids *string, count *api.FhirCount, cursor *string, name string,
) (doctors []clinic.Doctor, next string, total *int64, err error) {
	list := filter{name, q.Name, q.Specialization, strconv.FormatInt(q.ID, 10), deref(ids)}
	if q.IsActive != nil {
		list = append(list, strconv.FormatBool(*q.IsActive))
	}
	after, err := decodeCursor(list, cursor)
	if err != nil {
		return nil, "", nil, err
	}
	limit, counted := fhir.ParseCount(count)
	q.After, q.Limit = after.ID, limit
	if counted {
		q.After, q.Limit, total = 0, math.MaxInt32-1, new(int64) // a clinic has hundreds at most
	}
	if ids != nil {
		var ok bool
		if q.IDs, ok = fhir.ParseIDs(*ids); !ok {
			return nil, "", total, nil
		}
	}
	page, err := s.cfg.Store.ListDoctors(ctx, q)
	if err != nil {
		return nil, "", nil, err
	}
	if counted {
		*total = int64(len(page.Items))
		return nil, "", total, nil
	}
	return page.Items, nextPage(list, page, func(d clinic.Doctor) store.After { return store.After{ID: d.ID} }), nil, nil
}

// ReadFhirPractitioner returns a doctor: GET /fhir/Practitioner/{id}.
func (s *Server) ReadFhirPractitioner(ctx context.Context, r api.ReadFhirPractitionerRequestObject) (api.ReadFhirPractitionerResponseObject, error) {
	d, err := s.fhirDoctor(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.ReadFhirPractitioner200ApplicationFhirPlusJSONResponse{
		Body: fhir.Practitioner(d), Headers: api.ReadFhirPractitioner200ResponseHeaders{ETag: weak(d.Version)},
	}, nil
}

// ReadFhirSchedule returns a doctor's calendar: GET /fhir/Schedule/{id}.
func (s *Server) ReadFhirSchedule(ctx context.Context, r api.ReadFhirScheduleRequestObject) (api.ReadFhirScheduleResponseObject, error) {
	d, err := s.fhirDoctor(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.ReadFhirSchedule200ApplicationFhirPlusJSONResponse{
		Body: fhir.Schedule(d), Headers: api.ReadFhirSchedule200ResponseHeaders{ETag: weak(d.Version)},
	}, nil
}

func (s *Server) fhirDoctor(ctx context.Context, id string) (clinic.Doctor, error) {
	n, ok := fhir.ParseID(id)
	if !ok {
		return clinic.Doctor{}, clinic.ErrDoctorNotFound
	}
	return s.cfg.Store.Doctor(ctx, n)
}

// isMissing reports whether an error says that a record named in a search does not exist:
// the search then finds nothing.
func isMissing(err error) bool {
	return errors.Is(err, clinic.ErrDoctorNotFound) || errors.Is(err, clinic.ErrTypeNotFound)
}
