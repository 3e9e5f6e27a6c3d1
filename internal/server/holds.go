package server

import (
	"context"
	"strconv"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// CreateHold creates a hold: POST /holds.
func (s *Server) CreateHold(ctx context.Context, r api.CreateHoldRequestObject) (api.CreateHoldResponseObject, error) {
	b := r.Body
	h, err := s.cfg.Store.CreateHold(ctx, requestOf(ctx), clinic.Booking{
		DoctorID: b.DoctorID, TypeID: b.TypeID, RoomID: b.RoomID, AnyRoom: deref(b.AnyRoom),
		Start: b.StartTime, Duration: minutes(deref(b.DurationMinutes)),
	}, b.PatientID, time.Duration(deref(b.Seconds))*time.Second)
	if err != nil {
		return nil, err
	}
	return api.CreateHold201JSONResponse{
		Body: api.HoldCreated{
			ID: h.ID, Token: h.Token, DoctorID: h.DoctorID, PatientID: orNull(h.PatientID), TypeID: orNull(h.TypeID), RoomID: orNull(h.RoomID),
			StartTime: h.Time.Start, EndTime: h.Time.End, DurationMinutes: wholeMinutes(h.Time.End.Sub(h.Time.Start)),
			ExpiresAt: h.ExpiresAt, CreatedAt: h.CreatedAt,
		},
		Headers: api.CreateHold201ResponseHeaders{Location: "/holds/" + strconv.FormatInt(h.ID, 10), ETag: etag(clinic.HoldVersion)},
	}, nil
}

// GetHold returns a hold: GET /holds/{id}.
func (s *Server) GetHold(ctx context.Context, r api.GetHoldRequestObject) (api.GetHoldResponseObject, error) {
	h, err := s.cfg.Store.Hold(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetHold200JSONResponse{Headers: api.GetHold200ResponseHeaders{ETag: etag(clinic.HoldVersion)}, Body: holdToAPI(h)}, nil
}

func holdToAPI(h clinic.Hold) api.Hold {
	return api.Hold{
		ID: h.ID, DoctorID: h.DoctorID, PatientID: orNull(h.PatientID), TypeID: orNull(h.TypeID), RoomID: orNull(h.RoomID),
		StartTime: h.Time.Start, EndTime: h.Time.End, DurationMinutes: wholeMinutes(h.Time.End.Sub(h.Time.Start)),
		ExpiresAt: h.ExpiresAt, CreatedAt: h.CreatedAt,
	}
}

// DeleteHold releases a hold: DELETE /holds/{id}.
func (s *Server) DeleteHold(ctx context.Context, r api.DeleteHoldRequestObject) (api.DeleteHoldResponseObject, error) {
	if err := s.cfg.Store.DeleteHold(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteHold204Response{}, nil
}
