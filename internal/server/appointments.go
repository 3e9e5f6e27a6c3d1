package server

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/oapi-codegen/nullable"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// BookAppointment books a time: POST /appointments.
func (s *Server) BookAppointment(ctx context.Context, r api.BookAppointmentRequestObject) (api.BookAppointmentResponseObject, error) {
	a, err := s.cfg.Store.BookAppointment(ctx, acting(ctx, r.Params.MEMSActor), bookingFromAPI(*r.Body))
	if err != nil {
		return nil, err
	}
	return api.BookAppointment201JSONResponse{
		Body:    appointmentToAPI(a),
		Headers: api.BookAppointment201ResponseHeaders{Location: "/appointments/" + strconv.FormatInt(a.ID, 10), ETag: etag(a.Version)},
	}, nil
}

// ListAppointments lists a window: GET /appointments.
func (s *Server) ListAppointments(ctx context.Context, r api.ListAppointmentsRequestObject) (api.ListAppointmentsResponseObject, error) {
	p := r.Params
	window, err := clinic.ListWindow(dateFromAPI(p.Date), instant(p.From), instant(p.To), p.PatientID != nil, s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	q := store.AppointmentQuery{
		Window: window, DoctorID: deref(p.DoctorID), PatientID: deref(p.PatientID), Limit: limitOf(p.Limit),
	}
	list := filter{
		byTime, strconv.FormatBool(window.ByStart), window.Start.String(), window.End.String(),
		strconv.FormatInt(q.DoctorID, 10), strconv.FormatInt(q.PatientID, 10),
	}
	if q.After, err = decodeCursor(list, p.Cursor); err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListAppointments(ctx, requestOf(ctx), q)
	if err != nil {
		return nil, err
	}
	listed, err := s.withPeople(ctx, page.Items, p.Include)
	if err != nil {
		return nil, err
	}
	out := api.ListAppointments200JSONResponse{
		Items: listed,
		NextCursor: nextCursor(list, page, func(a clinic.Appointment) store.After {
			return store.After{Start: a.Time.Start, ID: a.ID}
		}),
		From: nullable.NewNullNullable[time.Time](), To: nullable.NewNullNullable[time.Time](),
		TimeZone: s.cfg.Zone.String(),
	}
	if !window.Unbounded {
		out.From, out.To = orNull(&window.Start), orNull(&window.End)
	}
	return out, nil
}

// withPeople translates appointments and includes their patients and doctors if requested,
// with one statement each.
func (s *Server) withPeople(ctx context.Context, as []clinic.Appointment, include api.Include) ([]api.Appointment, error) {
	out := items(as, appointmentToAPI)
	var patientIDs, doctorIDs []int64
	for _, a := range as {
		if slices.Contains(include, "patient") {
			patientIDs = append(patientIDs, a.PatientID)
		}
		if slices.Contains(include, "doctor") {
			doctorIDs = append(doctorIDs, a.DoctorID)
		}
	}
	byPatient, byDoctor, err := s.cfg.Store.People(ctx, requestOf(ctx), patientIDs, doctorIDs)
	if err != nil {
		return nil, err
	}
	includePeople(out, byPatient, byDoctor)
	return out, nil
}

// includePeople sets the patients and doctors that were read for appointments.
func includePeople(as []api.Appointment, patients map[int64]clinic.Patient, doctors map[int64]clinic.Doctor) {
	for i := range as {
		if p, found := patients[as[i].PatientID]; found {
			as[i].Patient = new(patientToAPI(p))
		}
		if d, found := doctors[as[i].DoctorID]; found {
			as[i].Doctor = new(doctorToAPI(d))
		}
	}
}

// GetAppointment returns an appointment: GET /appointments/{id}.
func (s *Server) GetAppointment(ctx context.Context, r api.GetAppointmentRequestObject) (api.GetAppointmentResponseObject, error) {
	a, err := s.cfg.Store.Appointment(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	read, err := s.withPeople(ctx, []clinic.Appointment{a}, r.Params.Include)
	if err != nil {
		return nil, err
	}
	return api.GetAppointment200JSONResponse{
		Body: read[0], Headers: api.GetAppointment200ResponseHeaders{ETag: etag(a.Version)},
	}, nil
}

// UpdateAppointment changes what an appointment is for, or its note: PATCH /appointments/{id}.
func (s *Server) UpdateAppointment(ctx context.Context, r api.UpdateAppointmentRequestObject) (api.UpdateAppointmentResponseObject, error) {
	var patch clinic.AppointmentPatch
	if r.Body.Reason.IsSpecified() {
		patch.Reason = clinic.ChangeTo(orNil(r.Body.Reason))
	}
	if r.Body.Note.IsSpecified() {
		patch.Note = clinic.ChangeTo(orNil(r.Body.Note))
	}
	a, err := s.cfg.Store.UpdateAppointment(ctx, acting(ctx, r.Params.MEMSActor), r.ID, patch, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateAppointment200JSONResponse{
		Body: appointmentToAPI(a), Headers: api.UpdateAppointment200ResponseHeaders{ETag: etag(a.Version)},
	}, nil
}

// CancelAppointment cancels an appointment: POST /appointments/{id}/cancel.
func (s *Server) CancelAppointment(ctx context.Context, r api.CancelAppointmentRequestObject) (api.CancelAppointmentResponseObject, error) {
	a, err := s.cfg.Store.CancelAppointment(ctx, acting(ctx, r.Params.MEMSActor), r.ID, clinic.CancellationReason(r.Body.Reason), orNil(r.Body.Note), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.CancelAppointment200JSONResponse{
		Body: appointmentToAPI(a), Headers: api.CancelAppointment200ResponseHeaders{ETag: etag(a.Version)},
	}, nil
}

// instant converts a parameter's time to the stored form.
func instant(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	kept := clinic.Instant(*t)
	return &kept
}

// changeAppointmentStatus changes an appointment's status.
func (s *Server) changeAppointmentStatus(ctx context.Context, id int64, action clinic.Action, match *api.IfMatch, actor *api.Actor) (api.Appointment, string, error) {
	a, err := s.cfg.Store.ChangeAppointmentStatus(ctx, acting(ctx, actor), id, action, versions(match))
	return appointmentToAPI(a), etag(a.Version), err
}

// ConfirmAppointment confirms an appointment: POST /appointments/{id}/confirm.
func (s *Server) ConfirmAppointment(ctx context.Context, r api.ConfirmAppointmentRequestObject) (api.ConfirmAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionConfirm, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.ConfirmAppointment200JSONResponse{Body: a, Headers: api.ConfirmAppointment200ResponseHeaders{ETag: tag}}, nil
}

// CheckInAppointment checks a patient in: POST /appointments/{id}/check-in.
func (s *Server) CheckInAppointment(ctx context.Context, r api.CheckInAppointmentRequestObject) (api.CheckInAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionCheckIn, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CheckInAppointment200JSONResponse{Body: a, Headers: api.CheckInAppointment200ResponseHeaders{ETag: tag}}, nil
}

// StartAppointment starts a visit: POST /appointments/{id}/start.
func (s *Server) StartAppointment(ctx context.Context, r api.StartAppointmentRequestObject) (api.StartAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionStart, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.StartAppointment200JSONResponse{Body: a, Headers: api.StartAppointment200ResponseHeaders{ETag: tag}}, nil
}

// CompleteAppointment completes a visit: POST /appointments/{id}/complete.
func (s *Server) CompleteAppointment(ctx context.Context, r api.CompleteAppointmentRequestObject) (api.CompleteAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionComplete, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.CompleteAppointment200JSONResponse{Body: a, Headers: api.CompleteAppointment200ResponseHeaders{ETag: tag}}, nil
}

// NoShowAppointment marks an appointment as no-show: POST /appointments/{id}/no-show.
func (s *Server) NoShowAppointment(ctx context.Context, r api.NoShowAppointmentRequestObject) (api.NoShowAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionNoShow, r.Params.IfMatch, r.Params.MEMSActor)
	if err != nil {
		return nil, err
	}
	return api.NoShowAppointment200JSONResponse{Body: a, Headers: api.NoShowAppointment200ResponseHeaders{ETag: tag}}, nil
}

// LeaveAppointment records that the patient left without being seen: POST
// /appointments/{id}/leave.
func (s *Server) LeaveAppointment(ctx context.Context, r api.LeaveAppointmentRequestObject) (api.LeaveAppointmentResponseObject, error) {
	a, tag, err := s.changeAppointmentStatus(ctx, r.ID, clinic.ActionLeave, r.Params.IfMatch, r.Params.MEMSActor)
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
	events, err := s.cfg.Store.AppointmentHistory(ctx, requestOf(ctx), r.ID)
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
