package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// greet checks the public operations and the caller.
func (s *suite) greet() {
	s.check("the server has this contract", ask{method: http.MethodGet, path: "/version"}, 200, "", func(_ Answer, content object) []string {
		theirs, _ := content["contract_version"].(string)
		if major(theirs) != major(s.contract.Version()) {
			return []string{fmt.Sprintf("it has version %s, this program %s: use the program of the server's release", theirs, s.contract.Version())}
		}
		return nil
	})
	s.check("the server is ready", ask{method: http.MethodGet, path: "/readyz"}, 200, "", nil)
	s.need("the caller is known", ask{method: http.MethodGet, path: "/me"}, 200, nil)
	s.check("an unknown address is a problem document", ask{method: http.MethodGet, path: "/no-such-thing"}, 404, "not-found", nil)
}

func major(version string) string {
	number, _, _ := strings.Cut(version, ".")
	return number
}

// prepare creates the story's patients and doctor.
func (s *suite) prepare() {
	for i := range s.patients {
		body := object{"first_name": "Conformance", "last_name": fmt.Sprintf("Run %s %d", s.run, i+1)}
		create := ask{http.MethodPost, "/patients", body, s.key(fmt.Sprintf("patient-%d", i))}
		s.need(fmt.Sprintf("patient %d is registered", i+1), create, 201, func(a Answer, content object) []string {
			s.patients[i] = idOf(content)
			return wantHeaders(a, "Location", "ETag")
		})
		if i == 0 {
			s.check("the same request with the same Idempotency-Key is done once", create, 201, "", func(_ Answer, content object) []string {
				if id := idOf(content); id != s.patients[0] {
					return []string{fmt.Sprintf("a second patient %d was made beside %d", id, s.patients[0])}
				}
				return nil
			})
			other := ask{http.MethodPost, "/patients", object{"first_name": "Other", "last_name": "Body"}, create.header}
			s.check("the key with another request is refused", other, 422, "idempotency-key-reused", nil)
		}
	}
	if s.Doctor == 0 {
		body := object{"full_name": "Dr. Conformance " + s.run, "specialization": "Conformance"}
		s.need("a doctor is added", ask{http.MethodPost, "/doctors", body, s.key("doctor")}, 201, func(_ Answer, content object) []string {
			s.Doctor = idOf(content)
			return nil
		})
		s.start = s.Now.UTC().Truncate(time.Hour).AddDate(0, 0, 30)
		return
	}
	query := url.Values{
		"doctor_id": {fmt.Sprint(s.Doctor)}, "duration_minutes": {"30"}, "limit": {"1"},
		"from": {s.Now.UTC().AddDate(0, 0, 1).Format(time.RFC3339)}, "to": {s.Now.UTC().AddDate(0, 0, 29).Format(time.RFC3339)},
	}
	s.need("a free time is found", ask{method: http.MethodGet, path: "/availability?" + query.Encode()}, 200, func(_ Answer, content object) []string {
		items, _ := content["items"].([]any)
		if len(items) > 0 {
			first, _ := items[0].(object)
			text, _ := first["start_time"].(string)
			start, err := time.Parse(time.RFC3339, text)
			if err == nil {
				s.start = start
				return nil
			}
		}
		s.missed = true
		return []string{fmt.Sprintf("doctor %d has no free half hour in the next four weeks: set working hours, or name another with --doctor", s.Doctor)}
	})
}

func wantHeaders(a Answer, names ...string) []string {
	var faults []string
	for _, name := range names {
		if a.Header.Get(name) == "" {
			faults = append(faults, "no header "+name)
		}
	}
	return faults
}

// refusals sends requests that every server must refuse.
func (s *suite) refusals() {
	with := func(name string, value any) object {
		body := object{"patient_id": s.patients[0], "doctor_id": s.Doctor, "start_time": s.start.Format(time.RFC3339), "duration_minutes": 30}
		body[name] = value
		return body
	}
	for _, c := range []struct {
		name, member string
		value        any
	}{
		{"a time without an offset", "start_time", s.start.Format("2006-01-02T15:04:05")},
		{"a member that the contract does not have", "colour", "red"},
		{"fourteen minutes", "duration_minutes", 14},
		{"a number as text", "patient_id", "1"},
	} {
		s.check("refused: "+c.name, ask{method: http.MethodPost, path: "/appointments", body: with(c.member, c.value)}, 422, "validation-failed", func(_ Answer, content object) []string {
			list, _ := content["errors"].([]any)
			for _, e := range list {
				if fault, _ := e.(object); fault["pointer"] == "#/"+c.member {
					return nil
				}
			}
			return []string{"no pointer #/" + c.member + " in errors"}
		})
	}
	past := with("start_time", s.Now.UTC().AddDate(0, 0, -1).Format(time.RFC3339))
	s.check("refused: a time in the past", ask{method: http.MethodPost, path: "/appointments", body: past}, 422, "start-in-past", nil)
}

// book books an appointment.
func (s *suite) book() {
	s.booking = object{"patient_id": s.patients[0], "doctor_id": s.Doctor, "start_time": s.start.Format(time.RFC3339), "duration_minutes": 30}
	s.need("a time is booked", ask{http.MethodPost, "/appointments", s.booking, s.key("booking")}, 201, func(a Answer, content object) []string {
		s.visit, s.tag = idOf(content), a.Header.Get("ETag")
		faults := wantHeaders(a, "Location", "ETag")
		if content["status"] != "scheduled" {
			faults = append(faults, fmt.Sprintf("status %v, want scheduled", content["status"]))
		}
		if end, _ := content["end_time"].(string); !strings.HasSuffix(end, "Z") {
			faults = append(faults, "end_time "+end+" is not in UTC")
		}
		return faults
	})
	s.check("the appointment can be read", ask{method: http.MethodGet, path: s.appointment("")}, 200, "", nil)
}

func (s *suite) appointment(action string) string {
	return fmt.Sprintf("/appointments/%d%s", s.visit, action)
}

// conflicts checks that an occupied time cannot be booked.
func (s *suite) conflicts() {
	half := s.start.Add(15 * time.Minute).Format(time.RFC3339)
	doctor := object{"patient_id": s.patients[1], "doctor_id": s.Doctor, "start_time": half, "duration_minutes": 30}
	s.check("refused: the doctor twice at once", ask{method: http.MethodPost, path: "/appointments", body: doctor}, 409, "doctor-overlap", func(_ Answer, content object) []string {
		conflict, _ := content["conflict"].(object)
		if conflict["start_time"] == nil {
			return []string{"no conflict that says what is in the way"}
		}
		return nil
	})
	s.check("refused: the same booking again without its key", ask{method: http.MethodPost, path: "/appointments", body: s.booking}, 409, "doctor-overlap", nil)
	nobody := object{"patient_id": int64(1) << 52, "doctor_id": s.Doctor, "start_time": half, "duration_minutes": 30}
	s.check("refused: a patient that does not exist", ask{method: http.MethodPost, path: "/appointments", body: nobody}, 404, "patient-not-found", nil)
}

// change changes the status under If-Match.
func (s *suite) change() {
	stale := map[string]string{"If-Match": `"never"`}
	s.check("refused: a change of what was not read", ask{method: http.MethodPost, path: s.appointment("/confirm"), header: stale}, 412, "precondition-failed", nil)
	fresh := map[string]string{"If-Match": s.tag}
	s.check("the appointment is confirmed", ask{method: http.MethodPost, path: s.appointment("/confirm"), header: fresh}, 200, "", func(a Answer, content object) []string {
		if content["status"] != "confirmed" {
			return []string{fmt.Sprintf("status %v, want confirmed", content["status"])}
		}
		if a.Header.Get("ETag") == s.tag {
			return []string{"the ETag is the one from before the change"}
		}
		return nil
	})
	s.check("refused: the same ETag a second time", ask{method: http.MethodPost, path: s.appointment("/cancel"), body: object{"reason": "other"}, header: fresh}, 412, "precondition-failed", nil)
}

// cancel cancels the appointment and books its time for another patient.
func (s *suite) cancel() {
	reason := object{"reason": "patient_request"}
	s.check("the appointment is cancelled", ask{method: http.MethodPost, path: s.appointment("/cancel"), body: reason}, 200, "", nil)
	second := object{"patient_id": s.patients[1], "doctor_id": s.Doctor, "start_time": s.start.Format(time.RFC3339), "duration_minutes": 30}
	s.check("the time can be booked again", ask{http.MethodPost, "/appointments", second, s.key("second")}, 201, "", func(_ Answer, content object) []string {
		s.visit = idOf(content)
		return nil
	})
	s.check("that one is cancelled too", ask{method: http.MethodPost, path: s.appointment("/cancel"), body: reason}, 200, "", nil)
}
