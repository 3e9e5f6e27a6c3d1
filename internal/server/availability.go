package server

import (
	"context"
	"fmt"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// ListAvailability finds free times: GET /availability.
func (s *Server) ListAvailability(ctx context.Context, r api.ListAvailabilityRequestObject) (api.ListAvailabilityResponseObject, error) {
	p := r.Params
	window, err := clinic.SearchWindow(p.From, p.To)
	if err != nil {
		return nil, err
	}
	q := store.AvailabilityQuery{
		DoctorIDs: p.DoctorID, Specialization: deref(p.Specialization), TypeID: p.TypeID, PatientID: p.PatientID,
		Window: window, Duration: minutes(deref(p.DurationMinutes)), Step: minutes(deref(p.StepMinutes)), Limit: limitOf(p.Limit),
	}
	list := filter{
		byTime, "availability", fmt.Sprint(q.DoctorIDs), q.Specialization, fmt.Sprint(deref(q.TypeID)), fmt.Sprint(deref(q.PatientID)),
		window.Start.String(), window.End.String(), q.Duration.String(), q.Step.String(),
	}
	if q.After, err = decodeCursor(list, p.Cursor); err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListAvailability(ctx, requestOf(ctx), q)
	if err != nil {
		return nil, err
	}
	return api.ListAvailability200JSONResponse{
		Items: items(page.Items, slotToAPI),
		NextCursor: nextCursor(list, page, func(v clinic.Slot) store.After {
			return store.After{Start: v.Time.Start, ID: v.DoctorID}
		}),
		From: window.Start, To: window.End, TimeZone: s.cfg.Zone.String(),
	}, nil
}

// ListNextAvailable finds the first free times: GET /availability/next.
func (s *Server) ListNextAvailable(ctx context.Context, r api.ListNextAvailableRequestObject) (api.ListNextAvailableResponseObject, error) {
	p := r.Params
	free, searchedTo, err := s.cfg.Store.ListNextAvailable(ctx, requestOf(ctx), instant(p.From), store.AvailabilityQuery{
		DoctorIDs: p.DoctorID, Specialization: deref(p.Specialization), TypeID: p.TypeID, PatientID: p.PatientID,
		Duration: minutes(deref(p.DurationMinutes)), Step: minutes(deref(p.StepMinutes)),
	})
	if err != nil {
		return nil, err
	}
	if deref(p.Per) == api.ListNextAvailableParamsPerSpecialization {
		free = clinic.FirstPerSpecialization(free)
	}
	return api.ListNextAvailable200JSONResponse{
		Items: items(free, nextToAPI), SearchedTo: searchedTo, TimeZone: s.cfg.Zone.String(),
	}, nil
}

func nextToAPI(f clinic.NextFree) api.NextAvailable {
	out := api.NextAvailable{DoctorID: f.DoctorID, Specialization: f.Specialization}
	if f.Slot == nil {
		out.Slot.SetNull()
		return out
	}
	out.Slot.Set(slotToAPI(*f.Slot))
	return out
}

func slotToAPI(v clinic.Slot) api.Slot {
	return api.Slot{DoctorID: v.DoctorID, StartTime: v.Time.Start, EndTime: v.Time.End}
}
