package server

import (
	"context"
	"maps"
	"slices"
	"strings"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// theFeed is the filter of the feed's cursors, which are valid for any parameters.
var theFeed = filter{"changes"}

// changeCursor returns the cursor of a position in the feed; 0 is its beginning.
func changeCursor(position int64) string {
	return encodeCursor(theFeed, store.After{ID: position + 1}) // cursors do not encode 0
}

// changePosition returns the position in a cursor of the feed; nil for no cursor.
// Violations name parameter.
func changePosition(parameter string, cursor *string) (*int64, error) {
	after, err := decodeParameter(parameter, theFeed, cursor)
	if err != nil || cursor == nil {
		return nil, err
	}
	position := after.ID - 1
	return &position, nil
}

// ListChanges returns the next changes: GET /changes.
func (s *Server) ListChanges(ctx context.Context, r api.ListChangesRequestObject) (api.ListChangesResponseObject, error) {
	after, err := changePosition("cursor", r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListChanges(ctx, store.ChangesQuery{
		After: deref(after), Limit: limitOf(r.Params.Limit), Objects: kinds(r.Params.Objects), Records: r.Params.Include != nil,
	})
	if err != nil {
		return nil, err
	}
	changes := items(page.Items, changeToAPI)
	if deref(r.Params.Include) == api.ListChangesParamsIncludeRecordPatient {
		if err := s.includePatients(ctx, changes); err != nil {
			return nil, err
		}
	}
	return api.ListChanges200JSONResponse{Items: changes, NextCursor: changeCursor(page.Next), More: page.More}, nil
}

// includePatients adds the patients of changed appointments, which are in the caller's reach.
func (s *Server) includePatients(ctx context.Context, changes []api.Change) error {
	ids := map[int64]bool{}
	for _, c := range changes {
		if c.Appointment != nil {
			ids[c.Appointment.PatientID] = true
		}
	}
	patients, _, err := s.cfg.Store.People(ctx, slices.Sorted(maps.Keys(ids)), nil)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.Appointment == nil {
			continue
		}
		if p, found := patients[c.Appointment.PatientID]; found {
			c.Appointment.Patient = new(patientToAPI(p))
		}
	}
	return nil
}

// kinds splits a list at commas.
func kinds(list *string) []string {
	if list == nil {
		return nil
	}
	return strings.Split(*list, ",")
}

func changeToAPI(c clinic.FeedChange) api.Change {
	a := api.Change{
		Cursor: changeCursor(c.Position), At: c.At, Type: c.Type, Object: api.ChangeObject(c.Object.String()), ObjectID: c.ObjectID,
		DoctorID: orNull(c.Audience.DoctorID), Deleted: c.Deleted(),
	}
	addRecord(&a, c.Record)
	return a
}

// addRecord sets the member for the record's kind.
func addRecord(a *api.Change, record any) {
	switch r := record.(type) {
	case clinic.Appointment:
		a.Appointment = new(appointmentToAPI(r))
	case clinic.Series:
		a.Series = new(seriesToAPI(r))
	case clinic.Hold:
		a.Hold = new(holdToAPI(r))
	case clinic.Ticket:
		a.Ticket = new(ticketToAPI(r))
	case clinic.WaitlistEntry:
		a.WaitlistEntry = new(entryToAPI(r))
	case clinic.Patient:
		a.Patient = new(patientToAPI(r))
	case clinic.Doctor:
		a.Doctor = new(doctorToAPI(r))
	case clinic.Room:
		a.Room = new(roomToAPI(r))
	case clinic.AppointmentType:
		a.AppointmentType = new(typeToAPI(r))
	case clinic.WorkingHours:
		a.WorkingHours = new(hoursToAPI(r))
	case clinic.TimeOff:
		a.TimeOff = new(timeOffToAPI(r))
	case clinic.Closure:
		a.Closure = new(closureToAPI(r))
	}
}
