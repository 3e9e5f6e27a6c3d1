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
