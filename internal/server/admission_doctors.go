package server

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
)

// doctorsInRequest returns the doctors that a request names. The request has not been
// validated: invalid parts name no doctor, and will be rejected later.
func (s *Server) doctorsInRequest(c echo.Context, named contract.DoctorIn) []int64 {
	switch named {
	case contract.DoctorInPath:
		if id, err := strconv.ParseInt(c.Param("id"), 10, 64); err == nil {
			return []int64{id}
		}
	case contract.DoctorInParticipant:
		var request api.FhirAppointmentRequest
		if json.Unmarshal(peekBody(c), &request) != nil {
			return nil
		}
		if booking, err := s.fhirBase(c.Request().Context()).Booking(request); err == nil {
			return []int64{booking.DoctorID}
		}
	case contract.DoctorInBody:
		var named struct {
			ID  float64   `json:"doctor_id"` // 1.0 is an integer, too
			IDs []float64 `json:"doctor_ids"`
		}
		if json.Unmarshal(peekBody(c), &named) != nil {
			return nil
		}
		if len(named.IDs) == 1 { // of several, the database selects a free one
			named.ID = named.IDs[0]
		}
		if named.ID >= 1 {
			return []int64{int64(named.ID)}
		}
	}
	return nil
}

// peekBody returns a body that checkBody has buffered, without consuming it.
func peekBody(c echo.Context) []byte {
	r := c.Request()
	body, _ := io.ReadAll(r.Body) // it is in memory
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// addDoctorsOfRecord adds the doctors of the record that the path names, none if it does
// not exist.
func (s *Server) addDoctorsOfRecord(c echo.Context, record clinic.Kind, doctors []int64) ([]int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return doctors, nil //nolint:nilerr // the contract check reports it
	}
	of, err := s.cfg.Store.DoctorsOf(c.Request().Context(), record, id)
	return append(doctors, of...), err
}
