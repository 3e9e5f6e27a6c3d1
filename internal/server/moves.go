package server

import (
	"context"
	"time"

	"mems/gen/api"
	"mems/internal/clinic"
)

// move changes an appointment's status.
func (s *Server) move(ctx context.Context, id int64, action clinic.Action, match *api.IfMatch, actor *api.Actor) (api.Appointment, string, error) {
	a, err := s.cfg.Store.MoveAppointment(ctx, acting(ctx, actor), id, action, versions(match))
	return appointmentToAPI(a), etag(a.Version), err
}

// ConfirmAppointment confirms an appointment: POST /appointments/{id}/confirm.
func (s *Server) ConfirmAppointment(ctx context.Context, r api.ConfirmAppointmentRequestObject) (api.ConfirmAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionConfirm, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.ConfirmAppointment200JSONResponse{Body: a, Headers: api.ConfirmAppointment200ResponseHeaders{ETag: tag}}, nil
}

// CheckInAppointment checks a patient in: POST /appointments/{id}/check-in.
func (s *Server) CheckInAppointment(ctx context.Context, r api.CheckInAppointmentRequestObject) (api.CheckInAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionCheckIn, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CheckInAppointment200JSONResponse{Body: a, Headers: api.CheckInAppointment200ResponseHeaders{ETag: tag}}, nil
}

// StartAppointment starts a visit: POST /appointments/{id}/start.
func (s *Server) StartAppointment(ctx context.Context, r api.StartAppointmentRequestObject) (api.StartAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionStart, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.StartAppointment200JSONResponse{Body: a, Headers: api.StartAppointment200ResponseHeaders{ETag: tag}}, nil
}

// CompleteAppointment completes a visit: POST /appointments/{id}/complete.
func (s *Server) CompleteAppointment(ctx context.Context, r api.CompleteAppointmentRequestObject) (api.CompleteAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionComplete, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CompleteAppointment200JSONResponse{Body: a, Headers: api.CompleteAppointment200ResponseHeaders{ETag: tag}}, nil
}

// NoShowAppointment marks an appointment as no-show: POST /appointments/{id}/no-show.
func (s *Server) NoShowAppointment(ctx context.Context, r api.NoShowAppointmentRequestObject) (api.NoShowAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionNoShow, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.NoShowAppointment200JSONResponse{Body: a, Headers: api.NoShowAppointment200ResponseHeaders{ETag: tag}}, nil
}

// LeaveAppointment records that the patient left without being seen: POST
// /appointments/{id}/leave.
func (s *Server) LeaveAppointment(ctx context.Context, r api.LeaveAppointmentRequestObject) (api.LeaveAppointmentResponseObject, error) {
	a, tag, err := s.move(ctx, r.ID, clinic.ActionLeave, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.LeaveAppointment200JSONResponse{Body: a, Headers: api.LeaveAppointment200ResponseHeaders{ETag: tag}}, nil
}

// UndoAppointment undoes the last change: POST /appointments/{id}/undo.
func (s *Server) UndoAppointment(ctx context.Context, r api.UndoAppointmentRequestObject) (api.UndoAppointmentResponseObject, error) {
	a, err := s.cfg.Store.UndoAppointment(ctx, acting(ctx, r.Params.MEMSActor), r.ID, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UndoAppointment200JSONResponse{
		Body: appointmentToAPI(a), Headers: api.UndoAppointment200ResponseHeaders{ETag: etag(a.Version)},
	}, nil
}

// RescheduleAppointment reschedules an appointment: POST /appointments/{id}/reschedule.
func (s *Server) RescheduleAppointment(ctx context.Context, r api.RescheduleAppointmentRequestObject) (api.RescheduleAppointmentResponseObject, error) {
	change := clinic.Reschedule{
		Start: instant(r.Body.StartTime), Duration: minutes(deref(r.Body.DurationMinutes)), DoctorID: deref(r.Body.DoctorID),
		AnyRoom: deref(r.Body.AnyRoom), Override: overrideFromAPI(r.Body.Override),
	}
	if r.Body.RoomID.IsSpecified() {
		change.RoomID = clinic.ChangeTo(orNil(r.Body.RoomID))
	}
	a, err := s.cfg.Store.RescheduleAppointment(ctx, acting(ctx, r.Params.MEMSActor), r.ID, change, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.RescheduleAppointment200JSONResponse{
		Body: appointmentToAPI(a), Headers: api.RescheduleAppointment200ResponseHeaders{ETag: etag(a.Version)},
	}, nil
}

// GetAppointmentHistory returns an appointment's history: GET /appointments/{id}/history.
func (s *Server) GetAppointmentHistory(ctx context.Context, r api.GetAppointmentHistoryRequestObject) (api.GetAppointmentHistoryResponseObject, error) {
	events, err := s.cfg.Store.History(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetAppointmentHistory200JSONResponse{Items: items(events, eventToAPI)}, nil
}

func eventToAPI(e clinic.Event) api.AppointmentEvent {
	return api.AppointmentEvent{
		At: e.At, Action: api.AppointmentEventAction(e.Action), Actor: orNull(e.Actor),
		FromStatus: orNull((*string)(e.FromStatus)), ToStatus: api.AppointmentStatus(e.ToStatus),
		Reason: orNull(e.Reason), Note: orNull(e.Note),
		StartTime: e.Time.Start, DurationMinutes: wholeMinutes(e.Time.End.Sub(e.Time.Start)),
		DoctorID: e.DoctorID, PatientID: e.PatientID, RoomID: orNull(e.RoomID),
	}
}

func overrideFromAPI(o *api.Override) clinic.Override {
	if o == nil {
		return clinic.Override{}
	}
	rules := make([]clinic.Rule, len(o.Rules))
	for i, r := range o.Rules {
		rules[i] = clinic.Rule(r)
	}
	return clinic.Override{Rules: rules, Reason: o.Reason}
}

// minutes converts a number of minutes.
func minutes[T ~int32](n T) time.Duration { return time.Duration(n) * time.Minute }

// wholeMinutes converts a duration to minutes. Appointments' lengths fit easily.
func wholeMinutes(d time.Duration) int32 {
	return int32(d / time.Minute) //nolint:gosec // G115: at most 180
}
