package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// GetWorkingHours returns a doctor's working hours: GET /doctors/{id}/working-hours.
func (s *Server) GetWorkingHours(ctx context.Context, r api.GetWorkingHoursRequestObject) (api.GetWorkingHoursResponseObject, error) {
	h, err := s.cfg.Store.WorkingHours(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetWorkingHours200JSONResponse{
		Body: hoursToAPI(h), Headers: api.GetWorkingHours200ResponseHeaders{ETag: etag(h.Version)},
	}, nil
}

// ReplaceWorkingHours replaces a doctor's working hours: PUT /doctors/{id}/working-hours.
func (s *Server) ReplaceWorkingHours(ctx context.Context, r api.ReplaceWorkingHoursRequestObject) (api.ReplaceWorkingHoursResponseObject, error) {
	hours, err := s.hoursFromAPI(*r.Body)
	if err != nil {
		return nil, err
	}
	h, affected, err := s.cfg.Store.ReplaceWorkingHours(ctx, r.ID, hours, versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	set := hoursToAPI(h)
	return api.ReplaceWorkingHours200JSONResponse{
		Body: api.WorkingHoursReplaced{
			TimeZone: set.TimeZone, Timetables: set.Timetables, Exceptions: set.Exceptions,
			AffectedAppointments: items(affected, appointmentToAPI),
		},
		Headers: api.ReplaceWorkingHours200ResponseHeaders{ETag: etag(h.Version)},
	}, nil
}

// CreateTimeOff creates time off: POST /doctors/{id}/time-off.
func (s *Server) CreateTimeOff(ctx context.Context, r api.CreateTimeOffRequestObject) (api.CreateTimeOffResponseObject, error) {
	b := r.Body
	span, err := clinic.Span(instant(b.StartTime), instant(b.EndTime), dateFromAPI(b.FirstDate), dateFromAPI(b.LastDate), s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	o, affected, err := s.cfg.Store.CreateTimeOff(ctx, clinic.TimeOff{
		DoctorID: r.ID, Time: span, Reason: clinic.TimeOffReason(b.Reason), Note: orNil(b.Note),
	})
	if err != nil {
		return nil, err
	}
	return api.CreateTimeOff201JSONResponse{
		Body: api.TimeOffCreated{TimeOff: timeOffToAPI(o), AffectedAppointments: items(affected, appointmentToAPI)},
		Headers: api.CreateTimeOff201ResponseHeaders{
			Location: fmt.Sprintf("/doctors/%d/time-off/%d", o.DoctorID, o.ID), ETag: etag(o.Version),
		},
	}, nil
}

// ListTimeOff lists a doctor's time off: GET /doctors/{id}/time-off.
func (s *Server) ListTimeOff(ctx context.Context, r api.ListTimeOffRequestObject) (api.ListTimeOffResponseObject, error) {
	list := filter{byTime, "time-off", strconv.FormatInt(r.ID, 10), fmt.Sprint(r.Params.From)}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListTimeOff(ctx, r.ID, instant(r.Params.From), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListTimeOff200JSONResponse{
		Items: items(page.Items, timeOffToAPI),
		NextCursor: nextCursor(list, page, func(o clinic.TimeOff) store.After {
			return store.After{Start: o.Time.End, ID: o.ID}
		}),
	}, nil
}

// GetTimeOff returns time off: GET /doctors/{id}/time-off/{time_off_id}.
func (s *Server) GetTimeOff(ctx context.Context, r api.GetTimeOffRequestObject) (api.GetTimeOffResponseObject, error) {
	o, err := s.cfg.Store.TimeOff(ctx, r.ID, r.TimeOffID)
	if err != nil {
		return nil, err
	}
	return api.GetTimeOff200JSONResponse{Body: timeOffToAPI(o), Headers: api.GetTimeOff200ResponseHeaders{ETag: etag(o.Version)}}, nil
}

// DeleteTimeOff deletes time off: DELETE /doctors/{id}/time-off/{time_off_id}.
func (s *Server) DeleteTimeOff(ctx context.Context, r api.DeleteTimeOffRequestObject) (api.DeleteTimeOffResponseObject, error) {
	if err := s.cfg.Store.DeleteTimeOff(ctx, r.ID, r.TimeOffID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteTimeOff204Response{}, nil
}

// CreateClosure creates a closure: POST /closures.
func (s *Server) CreateClosure(ctx context.Context, r api.CreateClosureRequestObject) (api.CreateClosureResponseObject, error) {
	b := r.Body
	span, err := clinic.Span(instant(b.StartTime), instant(b.EndTime), dateFromAPI(b.FirstDate), dateFromAPI(b.LastDate), s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	c, affected, err := s.cfg.Store.CreateClosure(ctx, clinic.Closure{Time: span, Name: b.Name})
	if err != nil {
		return nil, err
	}
	return api.CreateClosure201JSONResponse{
		Body:    api.ClosureCreated{Closure: closureToAPI(c), AffectedAppointments: items(affected, appointmentToAPI)},
		Headers: api.CreateClosure201ResponseHeaders{Location: "/closures/" + strconv.FormatInt(c.ID, 10), ETag: etag(c.Version)},
	}, nil
}

// ListClosures lists closures: GET /closures.
func (s *Server) ListClosures(ctx context.Context, r api.ListClosuresRequestObject) (api.ListClosuresResponseObject, error) {
	list := filter{byTime, "closures", fmt.Sprint(r.Params.From)}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListClosures(ctx, instant(r.Params.From), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListClosures200JSONResponse{
		Items: items(page.Items, closureToAPI),
		NextCursor: nextCursor(list, page, func(c clinic.Closure) store.After {
			return store.After{Start: c.Time.End, ID: c.ID}
		}),
	}, nil
}

// GetClosure returns a closure: GET /closures/{id}.
func (s *Server) GetClosure(ctx context.Context, r api.GetClosureRequestObject) (api.GetClosureResponseObject, error) {
	c, err := s.cfg.Store.Closure(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetClosure200JSONResponse{Body: closureToAPI(c), Headers: api.GetClosure200ResponseHeaders{ETag: etag(c.Version)}}, nil
}

// DeleteClosure deletes a closure: DELETE /closures/{id}.
func (s *Server) DeleteClosure(ctx context.Context, r api.DeleteClosureRequestObject) (api.DeleteClosureResponseObject, error) {
	if err := s.cfg.Store.DeleteClosure(ctx, r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteClosure204Response{}, nil
}

// GetSchedule returns the schedule of several doctors: GET /schedule.
func (s *Server) GetSchedule(ctx context.Context, r api.GetScheduleRequestObject) (api.GetScheduleResponseObject, error) {
	p := r.Params
	window, err := clinic.ScheduleWindow(day(p.FirstDate), day(p.LastDate), len(p.DoctorID), s.cfg.Zone)
	if err != nil {
		return nil, err
	}
	list := filter{byTime, "schedule", window.Start.String(), window.End.String(), fmt.Sprint(p.DoctorID)}
	after, err := decodeCursor(list, p.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := s.cfg.Store.Schedule(ctx, store.ScheduleQuery{
		Window: window, DoctorIDs: p.DoctorID, After: after,
		Patients: slices.Contains(p.Include, "patient"), Doctors: slices.Contains(p.Include, "doctor"),
	})
	if err != nil {
		return nil, err
	}
	out := api.GetSchedule200JSONResponse{
		Appointments: items(found.Appointments.Items, appointmentToAPI),
		NextCursor: nextCursor(list, found.Appointments, func(a clinic.Appointment) store.After {
			return store.After{Start: a.Time.Start, ID: a.ID}
		}),
		From: window.Start, To: window.End, TimeZone: s.cfg.Zone.String(),
	}
	includePeople(out.Appointments, found.Patients, found.Doctors)
	if found.Calendars != nil {
		out.Calendars = &api.ScheduleCalendars{
			Doctors: items(found.Calendars, func(c store.DoctorCalendar) api.DoctorSchedule {
				return api.DoctorSchedule{
					DoctorID: c.DoctorID, WorkingHours: hoursToAPI(c.Hours), TimeOff: items(c.TimeOff, timeOffToAPI),
				}
			}),
			Closures: items(found.Closures, closureToAPI),
		}
	}
	return out, nil
}

func timeOffToAPI(o clinic.TimeOff) api.TimeOff {
	return api.TimeOff{
		ID: o.ID, DoctorID: o.DoctorID, StartTime: o.Time.Start, EndTime: o.Time.End,
		Reason: new(api.TimeOffReason(o.Reason)), Note: orNull(o.Note), CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
	}
}

func closureToAPI(c clinic.Closure) api.Closure {
	return api.Closure{
		ID: c.ID, StartTime: c.Time.Start, EndTime: c.Time.End, Name: c.Name, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
}

func hoursToAPI(h clinic.WorkingHours) api.WorkingHours {
	out := api.WorkingHours{TimeZone: orNull[string](nil), Timetables: []api.Timetable{}, Exceptions: []api.DateHours{}}
	if h.Given() {
		zone := h.Zone.String()
		out.TimeZone = orNull(&zone)
	}
	for _, t := range h.Timetables {
		blocks := items(t.Blocks, func(b clinic.WeeklyBlock) api.WeekBlock {
			return api.WeekBlock{Weekday: int32(b.Weekday), Start: timeOfDay(b.Start), End: timeOfDay(b.End)} //nolint:gosec // G115: 1 to 7
		})
		out.Timetables = append(out.Timetables, api.Timetable{EffectiveFrom: *dateToAPI(&t.From), Blocks: blocks})
	}
	for _, e := range h.Exceptions {
		blocks := items(e.Blocks, func(b clinic.Block) api.DayBlock {
			return api.DayBlock{Start: timeOfDay(b.Start), End: timeOfDay(b.End)}
		})
		out.Exceptions = append(out.Exceptions, api.DateHours{Date: *dateToAPI(&e.Date), Blocks: blocks})
	}
	return out
}

func (s *Server) hoursFromAPI(w api.WorkingHours) (clinic.WorkingHours, error) {
	h := clinic.WorkingHours{Zone: s.cfg.Zone}
	if name := orNil(w.TimeZone); name != nil {
		zone, err := clinic.ParseZone(*name)
		if err != nil {
			return h, err
		}
		h.Zone = zone
	}
	for _, t := range w.Timetables {
		table := clinic.Timetable{From: day(t.EffectiveFrom)}
		for _, b := range t.Blocks {
			table.Blocks = append(table.Blocks, clinic.WeeklyBlock{
				Weekday: int(b.Weekday), Block: clinic.Block{Start: minuteOfDay(b.Start), End: minuteOfDay(b.End)},
			})
		}
		h.Timetables = append(h.Timetables, table)
	}
	for _, e := range w.Exceptions {
		hours := clinic.DateHours{Date: day(e.Date)}
		for _, b := range e.Blocks {
			hours.Blocks = append(hours.Blocks, clinic.Block{Start: minuteOfDay(b.Start), End: minuteOfDay(b.End)})
		}
		h.Exceptions = append(h.Exceptions, hours)
	}
	return h, nil
}

func day(d openapi_types.Date) clinic.Date { return clinic.DateOf(d.Time) }

// timeOfDay formats minutes since midnight as "08:00", up to "24:00".
func timeOfDay(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// minuteOfDay parses a time of day that matches the contract's pattern.
func minuteOfDay(s string) int {
	hours, minutes, _ := strings.Cut(s, ":")
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes)
	return h*60 + m
}
