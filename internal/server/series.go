package server

import (
	"context"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
)

// CreateSeries books a recurring appointment: POST /appointment-series.
func (s *Server) CreateSeries(ctx context.Context, r api.CreateSeriesRequestObject) (api.CreateSeriesResponseObject, error) {
	b := r.Body
	req := acting(ctx, r.Params.MEMSActor)
	asked := clinic.SeriesBooking{
		Booking: clinic.Booking{
			PatientID: b.PatientID, DoctorID: b.DoctorID, TypeID: b.TypeID, RoomID: b.RoomID, AnyRoom: deref(b.AnyRoom),
			Start: b.StartTime, Duration: minutes(deref(b.DurationMinutes)), Override: overrideFromAPI(b.Override),
			Reason: orNil(b.Reason), Note: orNil(b.Note),
		},
		Rule: b.Rule, Zone: b.TimeZone, Skip: deref(b.OnConflict) == api.SeriesCreateOnConflictSkip,
	}
	if deref(b.DryRun) {
		dates, err := s.cfg.Store.PreviewSeries(ctx, req, asked)
		if err != nil {
			return nil, err
		}
		return api.CreateSeries200JSONResponse{Dates: items(dates, seriesDateToAPI)}, nil
	}
	series, dates, err := s.cfg.Store.CreateSeries(ctx, req, asked)
	if err != nil {
		return nil, err
	}
	return api.CreateSeries201JSONResponse{
		Body: api.SeriesBooked{Series: seriesToAPI(series), Dates: items(dates, seriesDateToAPI)},
		Headers: api.CreateSeries201ResponseHeaders{
			Location: "/appointment-series/" + strconv.FormatInt(series.ID, 10), ETag: etag(series.Version),
		},
	}, nil
}

// GetSeries returns a series: GET /appointment-series/{id}.
func (s *Server) GetSeries(ctx context.Context, r api.GetSeriesRequestObject) (api.GetSeriesResponseObject, error) {
	series, err := s.cfg.Store.Series(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetSeries200JSONResponse{Body: seriesToAPI(series), Headers: api.GetSeries200ResponseHeaders{ETag: etag(series.Version)}}, nil
}

// CancelSeries cancels dates of a series: POST /appointment-series/{id}/cancel.
func (s *Server) CancelSeries(ctx context.Context, r api.CancelSeriesRequestObject) (api.CancelSeriesResponseObject, error) {
	series, err := s.cfg.Store.CancelSeries(ctx, acting(ctx, r.Params.MEMSActor), r.ID, clinic.SeriesScope{From: r.Body.FromAppointmentID},
		clinic.CancellationReason(r.Body.Reason), orNil(r.Body.Note), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.CancelSeries200JSONResponse{Body: seriesToAPI(series), Headers: api.CancelSeries200ResponseHeaders{ETag: etag(series.Version)}}, nil
}

// RescheduleSeries reschedules dates of a series: POST /appointment-series/{id}/reschedule.
func (s *Server) RescheduleSeries(ctx context.Context, r api.RescheduleSeriesRequestObject) (api.RescheduleSeriesResponseObject, error) {
	b := r.Body
	change := clinic.SeriesChange{
		Days: int(deref(b.ShiftDays)), Skip: deref(b.OnConflict) == api.SeriesRescheduleOnConflictSkip,
		Reschedule: clinic.Reschedule{
			Duration: minutes(deref(b.DurationMinutes)), DoctorID: deref(b.DoctorID), AnyRoom: deref(b.AnyRoom),
			Override: overrideFromAPI(b.Override),
		},
	}
	if b.StartTimeOfDay != nil {
		minute := minuteOfDay(*b.StartTimeOfDay)
		change.MinuteOfDay = &minute
	}
	if b.RoomID.IsSpecified() {
		change.Reschedule.RoomID = clinic.ChangeTo(orNil(b.RoomID))
	}
	series, dates, err := s.cfg.Store.RescheduleSeries(ctx, acting(ctx, r.Params.MEMSActor), r.ID,
		clinic.SeriesScope{From: b.FromAppointmentID}, change, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.RescheduleSeries200JSONResponse{
		Body:    api.SeriesBooked{Series: seriesToAPI(series), Dates: items(dates, seriesDateToAPI)},
		Headers: api.RescheduleSeries200ResponseHeaders{ETag: etag(series.Version)},
	}, nil
}

func seriesToAPI(s clinic.Series) api.Series {
	return api.Series{
		ID: s.ID, Rule: s.Rule, TimeZone: s.Zone.String(), PatientID: s.PatientID, DoctorID: s.DoctorID, StartTime: s.Start,
		DurationMinutes: wholeMinutes(s.Duration), Appointments: items(s.Appointments, appointmentToAPI),
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

func seriesDateToAPI(d clinic.SeriesDate) api.SeriesDate {
	out := api.SeriesDate{StartTime: d.Start, Outcome: api.SeriesDateOutcomeFree}
	out.AppointmentID.SetNull()
	if d.Appointment != nil {
		out.Outcome = api.SeriesDateOutcomeDone
		out.AppointmentID.Set(d.Appointment.ID)
	}
	if d.Refusal != nil {
		slug := "/problems/" + string(d.Refusal.Code)
		out.Outcome, out.Problem = api.SeriesDateOutcomeRefused, &slug
		if c := d.Refusal.Conflict; !c.Start.IsZero() {
			out.Conflict = &api.Interval{StartTime: c.Start, EndTime: c.End}
		}
		out.Alternatives = items(d.Refusal.Alternatives, slotToAPI)
	}
	return out
}
