package server

import (
	"context"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreatePatient registers a patient: POST /patients.
func (s *Server) CreatePatient(ctx context.Context, r api.CreatePatientRequestObject) (api.CreatePatientResponseObject, error) {
	refuse := deref(r.Body.OnPossibleDuplicate) == api.PatientCreateOnPossibleDuplicateRefuse
	p, alike, err := s.cfg.Store.CreatePatient(ctx, requestOf(ctx), store.NewPatient{Patient: patientFromAPI(*r.Body), RefuseDuplicate: refuse})
	if err != nil {
		return nil, err
	}
	return api.CreatePatient201JSONResponse{
		Body:    patientSavedToAPI(p, alike),
		Headers: api.CreatePatient201ResponseHeaders{Location: "/patients/" + strconv.FormatInt(p.ID, 10), ETag: etag(p.Version)},
	}, nil
}

// ListPatients finds patients: GET /patients.
func (s *Server) ListPatients(ctx context.Context, r api.ListPatientsRequestObject) (api.ListPatientsResponseObject, error) {
	p := r.Params
	mrn, err := clinic.PatientParameters{
		MRN: p.Mrn, Identifier: p.Identifier, IdentifierSystem: p.IdentifierSystem,
		Others: p.Q != nil || p.BirthDate != nil || p.Name != nil || p.Email != nil || p.Phone != nil,
	}.Parse()
	if err != nil {
		return nil, err
	}
	if mrn != 0 {
		return s.mrnSearch(ctx, mrn)
	}
	q := store.PatientQuery{
		Name: deref(p.Name), Email: deref(p.Email), Phone: deref(p.Phone), Limit: limitOf(p.Limit),
		IdentifierSystem: deref(p.IdentifierSystem), Identifier: deref(p.Identifier),
		BirthDate: dateFromAPI(p.BirthDate), Search: deref(p.Q),
	}
	born := ""
	if q.BirthDate != nil {
		born = q.BirthDate.String()
	}
	list := filter{"patients", q.Search, born, q.Name, q.Email, q.Phone, q.IdentifierSystem, q.Identifier}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	q.After = after.ID
	page, err := s.cfg.Store.ListPatients(ctx, requestOf(ctx), q)
	if err != nil {
		return nil, err
	}
	return api.ListPatients200JSONResponse{
		Items:      items(page.Items, patientToAPI),
		NextCursor: nextCursor(list, page, func(p clinic.Patient) store.After { return store.After{ID: p.ID} }),
	}, nil
}

// GetPatient returns a patient: GET /patients/{id}.
func (s *Server) GetPatient(ctx context.Context, r api.GetPatientRequestObject) (api.GetPatientResponseObject, error) {
	p, err := s.cfg.Store.Patient(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	if p.MergedInto != nil {
		return api.GetPatient308Response{Headers: api.GetPatient308ResponseHeaders{Location: mergedLocation(*p.MergedInto)}}, nil
	}
	return api.GetPatient200JSONResponse{
		Body: patientToAPI(p), Headers: api.GetPatient200ResponseHeaders{ETag: etag(p.Version)},
	}, nil
}

// UpdatePatient changes a patient: PATCH /patients/{id}.
func (s *Server) UpdatePatient(ctx context.Context, r api.UpdatePatientRequestObject) (api.UpdatePatientResponseObject, error) {
	p, alike, err := s.cfg.Store.UpdatePatient(ctx, requestOf(ctx), r.ID, patientPatchFromAPI(*r.Body), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdatePatient200JSONResponse{
		Body: patientSavedToAPI(p, alike), Headers: api.UpdatePatient200ResponseHeaders{ETag: etag(p.Version)},
	}, nil
}

// DeletePatient deletes a patient without appointments: DELETE /patients/{id}.
func (s *Server) DeletePatient(ctx context.Context, r api.DeletePatientRequestObject) (api.DeletePatientResponseObject, error) {
	if err := s.cfg.Store.DeletePatient(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeletePatient204Response{}, nil
}
