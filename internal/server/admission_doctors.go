package server

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
)

// doctorsIn says where a request tells whose calendars it writes.
type doctorsIn struct {
	path   string      // parameter with a doctor's id
	body   bool        // doctor_id or a single one in doctor_ids
	fhir   bool        // a participant
	record clinic.Kind // the database knows, by the id in the path
}

// doctorsOf is what takes turns, by operationId: every write that guards a doctor's
// row, if whose it is can be told before. What takes none writes no doctor's row, or
// many of them (a closure, a merge of patients, which are rare), or finds the doctor
// only under way (a walk-in for a specialization; the one whom an undo goes back to):
// such a request waits for the row in its place.
var doctorsOf = map[string]doctorsIn{
	"bookAppointment":     {body: true},
	"bookFhirAppointment": {fhir: true},
	"createHold":          {body: true},
	"createSeries":        {body: true},
	"createWalkIn":        {body: true},
	"callNext":            {body: true},
	"createWaitlistEntry": {body: true},

	"updateDoctor":        {path: "id"},
	"deleteDoctor":        {path: "id"},
	"replaceWorkingHours": {path: "id"},
	"createTimeOff":       {path: "id"},
	"deleteTimeOff":       {path: "id"},

	"cancelAppointment":     {record: clinic.KindAppointment},
	"confirmAppointment":    {record: clinic.KindAppointment},
	"checkInAppointment":    {record: clinic.KindAppointment},
	"startAppointment":      {record: clinic.KindAppointment},
	"completeAppointment":   {record: clinic.KindAppointment},
	"noShowAppointment":     {record: clinic.KindAppointment},
	"leaveAppointment":      {record: clinic.KindAppointment},
	"undoAppointment":       {record: clinic.KindAppointment},
	"rescheduleAppointment": {record: clinic.KindAppointment, body: true},
	"cancelSeries":          {record: clinic.KindSeries},
	"rescheduleSeries":      {record: clinic.KindSeries, body: true},
	"deleteHold":            {record: clinic.KindHold},
	"applyPlan":             {record: clinic.KindPlan},
	"callTicket":            {record: clinic.KindTicket},
	"startTicket":           {record: clinic.KindTicket},
	"completeTicket":        {record: clinic.KindTicket},
	"leaveTicket":           {record: clinic.KindTicket},
	"transferTicket":        {record: clinic.KindTicket, body: true},
	"withdrawWaitlistEntry": {record: clinic.KindWaitlistEntry},
	"acceptOffer":           {record: clinic.KindWaitlistEntry},
	"declineOffer":          {record: clinic.KindWaitlistEntry},
}

// inRequest reads the doctors that the request names. It has not been validated: what
// cannot be read names nobody, and will be rejected for that.
func (d doctorsIn) inRequest(s *Server, c echo.Context) []int64 {
	switch {
	case d.path != "":
		if id, err := strconv.ParseInt(c.Param(d.path), 10, 64); err == nil {
			return []int64{id}
		}
	case d.fhir:
		var request api.FhirAppointmentRequest
		if json.Unmarshal(peekBody(c), &request) != nil {
			return nil
		}
		if booking, err := s.fhirBase(c.Request().Context()).Booking(request); err == nil {
			return []int64{booking.DoctorID}
		}
	case d.body:
		var named struct {
			ID  float64   `json:"doctor_id"` // 1.0 is an integer, too
			IDs []float64 `json:"doctor_ids"`
		}
		if json.Unmarshal(peekBody(c), &named) != nil {
			return nil
		}
		if len(named.IDs) == 1 { // of several, the database finds the one who is free
			named.ID = named.IDs[0]
		}
		if named.ID >= 1 {
			return []int64{int64(named.ID)}
		}
	}
	return nil
}

// peekBody reads a body that checkBody has read, and leaves it to be read again.
func peekBody(c echo.Context) []byte {
	r := c.Request()
	body, _ := io.ReadAll(r.Body) // it is in memory
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// ofRecord adds the doctors of the record that the path names; of one that is not
// there, none.
func (d doctorsIn) ofRecord(s *Server, c echo.Context, doctors []int64) ([]int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return doctors, nil //nolint:nilerr // the check of the contract will say so
	}
	of, err := s.cfg.Store.DoctorsOf(c.Request().Context(), d.record, id)
	return append(doctors, of...), err
}
