package server

import (
	"context"
	"strconv"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreatePlan creates a plan for an absence: POST /plans.
func (s *Server) CreatePlan(ctx context.Context, r api.CreatePlanRequestObject) (api.CreatePlanResponseObject, error) {
	b := r.Body
	away, err := clinic.Span(instant(b.StartTime), instant(b.EndTime), dateFromAPI(b.FirstDate), dateFromAPI(b.LastDate), s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	p, err := s.cfg.Store.CreatePlan(ctx, requestOf(ctx), b.DoctorID, away, time.Duration(deref(b.HorizonDays))*24*time.Hour)
	if err != nil {
		return nil, err
	}
	return api.CreatePlan201JSONResponse{
		Body:    planToAPI(p),
		Headers: api.CreatePlan201ResponseHeaders{Location: "/plans/" + strconv.FormatInt(p.ID, 10), ETag: etag(p.Version)},
	}, nil
}

// GetPlan returns a plan: GET /plans/{id}.
func (s *Server) GetPlan(ctx context.Context, r api.GetPlanRequestObject) (api.GetPlanResponseObject, error) {
	p, err := s.cfg.Store.Plan(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetPlan200JSONResponse{Body: planToAPI(p), Headers: api.GetPlan200ResponseHeaders{ETag: etag(p.Version)}}, nil
}

// ApplyPlan applies a plan: POST /plans/{id}/apply.
func (s *Server) ApplyPlan(ctx context.Context, r api.ApplyPlanRequestObject) (api.ApplyPlanResponseObject, error) {
	together := deref(r.Body.Mode) == api.PlanApplyModeAllOrNothing
	p, err := s.cfg.Store.ApplyPlan(ctx, acting(ctx, r.Params.MEMSActor), r.ID, store.PlanSelection{Only: r.Body.AppointmentIds, Together: together}, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.ApplyPlan200JSONResponse{Body: planToAPI(p), Headers: api.ApplyPlan200ResponseHeaders{ETag: etag(p.Version)}}, nil
}

func planToAPI(p clinic.Plan) api.Plan {
	return api.Plan{
		ID: p.ID, DoctorID: p.DoctorID, StartTime: p.Time.Start, EndTime: p.Time.End,
		Items: items(p.Items, planItemToAPI), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

func planItemToAPI(i clinic.PlanItem) api.PlanItem {
	out := api.PlanItem{
		Appointment: appointmentToAPI(i.Visit), RoomID: orNull(i.RoomID), Outcome: api.PlanItemOutcome(i.Outcome),
	}
	if i.Proposal == nil {
		out.Proposal.SetNull()
	} else {
		out.Proposal.Set(slotToAPI(*i.Proposal))
	}
	if i.Refusal != nil {
		slug := "/problems/" + string(i.Refusal.Code)
		out.Problem = &slug
	}
	return out
}
