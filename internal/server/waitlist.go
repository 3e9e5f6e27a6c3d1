package server

import (
	"context"
	"strconv"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreateWaitlistEntry adds a patient to the waitlist: POST /waitlist.
func (s *Server) CreateWaitlistEntry(ctx context.Context, r api.CreateWaitlistEntryRequestObject) (api.CreateWaitlistEntryResponseObject, error) {
	b := r.Body
	e, err := s.cfg.Store.CreateWaitlistEntry(ctx, clinic.WaitlistEntry{
		PatientID: b.PatientID, DoctorIDs: b.DoctorIds, Specialization: b.Specialization, TypeID: b.TypeID,
		Duration: minutes(deref(b.DurationMinutes)), Note: orNil(b.Note),
		Window: clinic.Interval{Start: clinic.Instant(b.From), End: clinic.Instant(b.To)},
	})
	if err != nil {
		return nil, err
	}
	return api.CreateWaitlistEntry201JSONResponse{
		Body:    entryToAPI(e),
		Headers: api.CreateWaitlistEntry201ResponseHeaders{Location: "/waitlist/" + strconv.FormatInt(e.ID, 10), ETag: etag(e.Version)},
	}, nil
}

// ListWaitlist lists entries: GET /waitlist.
func (s *Server) ListWaitlist(ctx context.Context, r api.ListWaitlistRequestObject) (api.ListWaitlistResponseObject, error) {
	q := store.WaitlistQuery{
		PatientID: deref(r.Params.PatientID), Status: string(deref(r.Params.Status)), Limit: limitOf(r.Params.Limit),
	}
	listed := filter{"waitlist", strconv.FormatInt(q.PatientID, 10), q.Status}
	after, err := decodeCursor(listed, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	q.After = after.ID
	page, err := s.cfg.Store.ListWaitlist(ctx, q)
	if err != nil {
		return nil, err
	}
	return api.ListWaitlist200JSONResponse{
		Items:      items(page.Items, entryToAPI),
		NextCursor: nextCursor(listed, page, func(e clinic.WaitlistEntry) store.After { return store.After{ID: e.ID} }),
	}, nil
}

// GetWaitlistEntry returns an entry: GET /waitlist/{id}.
func (s *Server) GetWaitlistEntry(ctx context.Context, r api.GetWaitlistEntryRequestObject) (api.GetWaitlistEntryResponseObject, error) {
	e, err := s.cfg.Store.WaitlistEntry(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetWaitlistEntry200JSONResponse{
		Body: entryToAPI(e), Headers: api.GetWaitlistEntry200ResponseHeaders{ETag: etag(e.Version)},
	}, nil
}

// WithdrawWaitlistEntry withdraws an entry: DELETE /waitlist/{id}.
func (s *Server) WithdrawWaitlistEntry(ctx context.Context, r api.WithdrawWaitlistEntryRequestObject) (api.WithdrawWaitlistEntryResponseObject, error) {
	if err := s.cfg.Store.WithdrawWaitlistEntry(ctx, r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.WithdrawWaitlistEntry204Response{}, nil
}

// AcceptOffer books the offered time: POST /waitlist/{id}/accept.
func (s *Server) AcceptOffer(ctx context.Context, r api.AcceptOfferRequestObject) (api.AcceptOfferResponseObject, error) {
	a, err := s.cfg.Store.AcceptOffer(acting(ctx, r.Params.MEMSActor), r.ID, deref(r.Params.OfferID), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.AcceptOffer201JSONResponse{
		Body:    appointmentToAPI(a),
		Headers: api.AcceptOffer201ResponseHeaders{Location: "/appointments/" + strconv.FormatInt(a.ID, 10), ETag: etag(a.Version)},
	}, nil
}

// DeclineOffer declines the offered time: POST /waitlist/{id}/decline.
func (s *Server) DeclineOffer(ctx context.Context, r api.DeclineOfferRequestObject) (api.DeclineOfferResponseObject, error) {
	e, err := s.cfg.Store.DeclineOffer(ctx, r.ID, deref(r.Params.OfferID), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.DeclineOffer200JSONResponse{
		Body: entryToAPI(e), Headers: api.DeclineOffer200ResponseHeaders{ETag: etag(e.Version)},
	}, nil
}

func entryToAPI(e clinic.WaitlistEntry) api.WaitlistEntry {
	out := api.WaitlistEntry{
		ID: e.ID, PatientID: e.PatientID, DoctorIds: orEmpty(e.DoctorIDs), Specialization: orNull(e.Specialization),
		TypeID: orNull(e.TypeID), DurationMinutes: wholeMinutes(e.Duration), From: e.Window.Start, To: e.Window.End,
		Note: orNull(e.Note), Status: api.WaitlistStatus(e.Status), MissedOffers: int32(e.MissedOffers), //nolint:gosec // G115: one in ten minutes
		AppointmentID: orNull(e.AppointmentID), CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	out.Offer.SetNull()
	if o := e.Offer; o != nil {
		out.Offer.Set(struct {
			DoctorID  api.ID      `json:"doctor_id"`
			EndTime   api.Instant `json:"end_time"`
			ExpiresAt time.Time   `json:"expires_at"`
			ID        api.ID      `json:"id"`
			StartTime api.Instant `json:"start_time"`
		}{o.Slot.DoctorID, o.Slot.Time.End, o.ExpiresAt, o.HoldID, o.Slot.Time.Start})
	}
	return out
}
