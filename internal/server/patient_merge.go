package server

import (
	"context"
	"errors"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// MergePatients merges a duplicate: POST /patients/{id}/merge.
func (s *Server) MergePatients(ctx context.Context, r api.MergePatientsRequestObject) (api.MergePatientsResponseObject, error) {
	m, err := s.cfg.Store.MergePatients(ctx, acting(ctx, r.Params.MEMSActor), store.MergePair{Survivor: r.ID, Duplicate: r.Body.DuplicateID}, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.MergePatients200JSONResponse{
		Body: api.MergeResult{
			Patient: patientToAPI(m.Survivor), Gained: items(m.Gained, func(g string) api.MergeResultGained { return api.MergeResultGained(g) }),
			Appointments: items(m.Appointments, appointmentToAPI),
		},
		Headers: api.MergePatients200ResponseHeaders{ETag: etag(m.Survivor.Version)},
	}, nil
}

// PreviewMerge returns what a merge would do: GET /patients/{id}/merge-preview.
func (s *Server) PreviewMerge(ctx context.Context, r api.PreviewMergeRequestObject) (api.PreviewMergeResponseObject, error) {
	m, err := s.cfg.Store.PreviewMerge(ctx, requestOf(ctx), store.MergePair{Survivor: r.ID, Duplicate: r.Params.DuplicateID})
	if err != nil {
		return nil, err
	}
	return api.PreviewMerge200JSONResponse{
		Body: api.MergePreview{
			Patient: patientToAPI(m.Survivor), Gained: items(m.Gained, func(g string) api.MergePreviewGained { return api.MergePreviewGained(g) }),
			Appointments: items(m.Appointments, appointmentToAPI), Conflicts: items(m.Conflicts, appointmentToAPI),
		},
		Headers: api.PreviewMerge200ResponseHeaders{ETag: etag(m.Survivor.Version)},
	}, nil
}

func identifiersFromAPI(is []api.Identifier) []clinic.Identifier {
	return items(is, func(i api.Identifier) clinic.Identifier { return clinic.Identifier{System: i.System, Value: i.Value} })
}

func identifierToAPI(i clinic.Identifier) api.Identifier {
	return api.Identifier{System: i.System, Value: i.Value}
}

func candidateToAPI(c clinic.Candidate) api.Candidate {
	out := api.Candidate{ID: c.ID, Mrn: c.MRN, MaskedName: c.MaskedName, PhoneEnds: orNull(c.PhoneEnds)}
	out.BirthYear.SetNull()
	if c.BirthYear != nil {
		out.BirthYear.Set(int32(*c.BirthYear)) //nolint:gosec // G115: a year
	}
	if p := c.Patient; p != nil {
		out.FirstName, out.LastName = &p.FirstName, &p.LastName
		out.BirthDate, out.Phone = orNull(dateToAPI(p.BirthDate)), orNull(p.Phone)
	}
	return out
}

func patientSavedToAPI(p clinic.Patient, alike []clinic.Candidate) api.PatientSaved {
	return api.PatientSaved{
		ID: p.ID, Mrn: clinic.MRN(p.ID), FirstName: p.FirstName, LastName: p.LastName,
		Email: orNull(p.Email), Phone: orNull(p.Phone), BirthDate: orNull(dateToAPI(p.BirthDate)),
		Identifiers: items(p.Identifiers, identifierToAPI),
		CreatedAt:   p.CreatedAt, UpdatedAt: p.UpdatedAt,
		PossibleDuplicates: items(alike, candidateToAPI),
	}
}

// mrnSearch returns the result of a search by medical record number: one patient or none.
func (s *Server) mrnSearch(ctx context.Context, id int64) (api.ListPatientsResponseObject, error) {
	out := api.ListPatients200JSONResponse{Items: []api.Patient{}, NextCursor: orNull[string](nil)}
	p, err := s.cfg.Store.PatientByMRN(ctx, requestOf(ctx), id)
	if err == nil {
		out.Items = append(out.Items, patientToAPI(p))
	} else if !errors.Is(err, clinic.ErrPatientNotFound) {
		return nil, err
	}
	return out, nil
}

// mergedLocation returns the path of the surviving record.
func mergedLocation(id int64) string { return "/patients/" + strconv.FormatInt(id, 10) }
