package server

import (
	"context"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreateDoctor adds a doctor: POST /doctors.
func (s *Server) CreateDoctor(ctx context.Context, r api.CreateDoctorRequestObject) (api.CreateDoctorResponseObject, error) {
	d, err := s.cfg.Store.CreateDoctor(ctx, requestOf(ctx), doctorFromAPI(*r.Body))
	if err != nil {
		return nil, err
	}
	return api.CreateDoctor201JSONResponse{
		Body:    doctorToAPI(d),
		Headers: api.CreateDoctor201ResponseHeaders{Location: "/doctors/" + strconv.FormatInt(d.ID, 10), ETag: etag(d.Version)},
	}, nil
}

// ListDoctors finds doctors: GET /doctors.
func (s *Server) ListDoctors(ctx context.Context, r api.ListDoctorsRequestObject) (api.ListDoctorsResponseObject, error) {
	q := store.DoctorQuery{
		Name: deref(r.Params.Name), Specialization: deref(r.Params.Specialization), IsActive: r.Params.IsActive, Limit: limitOf(r.Params.Limit),
	}
	list := filter{"doctors", q.Name, q.Specialization, flag(q.IsActive)}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	q.After = after.ID
	page, err := s.cfg.Store.ListDoctors(ctx, q)
	if err != nil {
		return nil, err
	}
	return api.ListDoctors200JSONResponse{
		Items:      items(page.Items, doctorToAPI),
		NextCursor: nextCursor(list, page, func(d clinic.Doctor) store.After { return store.After{ID: d.ID} }),
	}, nil
}

// GetDoctor reads a doctor: GET /doctors/{id}.
func (s *Server) GetDoctor(ctx context.Context, r api.GetDoctorRequestObject) (api.GetDoctorResponseObject, error) {
	d, err := s.cfg.Store.Doctor(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetDoctor200JSONResponse{
		Body: doctorToAPI(d), Headers: api.GetDoctor200ResponseHeaders{ETag: etag(d.Version)},
	}, nil
}

// UpdateDoctor changes a doctor: PATCH /doctors/{id}.
func (s *Server) UpdateDoctor(ctx context.Context, r api.UpdateDoctorRequestObject) (api.UpdateDoctorResponseObject, error) {
	d, affected, err := s.cfg.Store.UpdateDoctor(ctx, requestOf(ctx), r.ID, doctorPatchFromAPI(*r.Body), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateDoctor200JSONResponse{
		Body: api.DoctorChanged{
			ID: d.ID, FullName: d.FullName, Specialization: d.Specialization, IsActive: d.IsActive,
			OverbookCap: int32(d.OverbookCap), //nolint:gosec // G115: at most 10
			CreatedAt:   d.CreatedAt, UpdatedAt: d.UpdatedAt, AffectedAppointments: items(affected, appointmentToAPI),
		},
		Headers: api.UpdateDoctor200ResponseHeaders{ETag: etag(d.Version)},
	}, nil
}

// DeleteDoctor deletes a doctor without appointments: DELETE /doctors/{id}.
func (s *Server) DeleteDoctor(ctx context.Context, r api.DeleteDoctorRequestObject) (api.DeleteDoctorResponseObject, error) {
	if err := s.cfg.Store.DeleteDoctor(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteDoctor204Response{}, nil
}
