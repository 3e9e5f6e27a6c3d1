package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// wait puts a patient on the waitlist for half an hour in the first week of March.
func (f *fixture) wait(members object) *contracttest.Response {
	f.t.Helper()
	body := object{"patient_id": f.patient(), "duration_minutes": 30, "from": "2027-03-01T08:00:00Z", "to": "2027-03-06T00:00:00Z"}
	maps.Copy(body, members)
	for k, v := range members {
		if v == nil {
			delete(body, k)
		}
	}
	return f.Post("/waitlist", body)
}

func (f *fixture) waits(members object) (e api.WaitlistEntry) {
	f.t.Helper()
	f.wait(members).Want(f.t, 201, "").Decode(f.t, &e)
	return e
}

func (f *fixture) entry(id int64) (e api.WaitlistEntry) {
	f.t.Helper()
	f.Get(fmt.Sprintf("/waitlist/%d", id)).Want(f.t, 200, "").Decode(f.t, &e)
	return e
}

func (f *fixture) cancel(id int64) {
	f.t.Helper()
	f.Post(fmt.Sprintf("/appointments/%d/cancel", id), object{"reason": "patient_request"}).Want(f.t, 200, "")
}

// offered returns the state of an entry and its offer.
func (f *fixture) offered(id int64) string {
	f.t.Helper()
	e := f.entry(id)
	if o, err := e.Offer.Get(); err == nil {
		return fmt.Sprint(e.Status, " ", o.DoctorID, o.StartTime.Format(" 02 15:04"))
	}
	return string(e.Status)
}

func TestWaitlist(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, colleague := f.doctorOf("Dermatology"), f.doctorOf("Cardiology")
	f.hours(doctor, "UTC", "10:00-10:30")
	f.hours(colleague, "UTC", "20:00-21:00")
	act := func(id int64, action string) *contracttest.Response {
		return f.Post(fmt.Sprintf("/waitlist/%d/%s", id, action), nil)
	}
	want := func(id int64, state string) {
		t.Helper()
		if got := f.offered(id); got != state {
			t.Errorf("entry %d: %q, want %q", id, got, state)
		}
	}
	t.Run("TheFirstThatFits", func(t *testing.T) {
		busy := f.patient()
		f.booked(busy, colleague, "2027-03-02T20:00:00Z", 30)
		f.bookedWith(colleague, "2027-03-02T10:00:00Z", object{
			"patient_id": busy, "override": object{"rules": []string{"outside-working-hours"}, "reason": "test"},
		})
		a := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
		day := func(members object) object {
			of := object{"from": "2027-03-02T10:00:00Z", "to": "2027-03-02T11:00:00Z"}
			maps.Copy(of, members)
			return of
		}
		elsewhere := f.waits(day(object{"doctor_ids": []int64{colleague}}))
		otherField := f.waits(day(object{"specialization": "cardiology"}))
		tooLong := f.waits(day(object{"duration_minutes": 45}))
		tooLate := f.waits(day(object{"from": "2027-03-02T10:15:00Z"}))
		notFree := f.waits(day(object{"patient_id": busy}))
		first := f.waits(day(object{"specialization": "dermatology"}))
		second := f.waits(day(object{"doctor_ids": []int64{doctor}}))
		f.cancel(a.ID)
		for _, id := range []int64{elsewhere.ID, otherField.ID, tooLong.ID, tooLate.ID, notFree.ID, second.ID} {
			want(id, "waiting")
		}
		slot := fmt.Sprintf("offered %d 02 10:00", doctor)
		want(first.ID, slot)
		f.book(f.patient(), doctor, "2027-03-02T10:00:00Z", 30).Want(t, 409, "doctor-overlap") // it is held
		if got := f.entry(first.ID).Offer.MustGet().ExpiresAt; !got.Equal(now.Add(10 * time.Minute)) {
			t.Errorf("offer expires at %s, want %s", got, now.Add(10*time.Minute))
		}

		act(second.ID, "accept").Want(t, 409, "no-offer")
		act(second.ID, "decline").Want(t, 409, "no-offer")
		act(first.ID, "decline").Want(t, 200, "")
		want(first.ID, "waiting")
		want(second.ID, slot)
		f.pass(10 * time.Minute) // nobody answers: nobody is left to offer it to
		want(second.ID, "waiting")
		want(first.ID, "waiting")
		if e := f.entry(second.ID); e.MissedOffers != 1 {
			t.Errorf("entry = %+v, want one missed offer", e)
		}
		b := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
		f.Post(fmt.Sprintf("/appointments/%d/reschedule", b.ID), object{"start_time": "2027-03-02T20:30:00Z", "doctor_id": colleague}).Want(t, 200, "")
		want(first.ID, "waiting") // not the same time again
		for _, id := range []int64{elsewhere.ID, otherField.ID, tooLong.ID, tooLate.ID, notFree.ID, first.ID, second.ID} {
			f.Delete(fmt.Sprintf("/waitlist/%d", id)).Want(t, 204, "")
		}
	})
	t.Run("ExpiryPassesItOn", func(t *testing.T) {
		doctor := f.doctor()
		f.hours(doctor, "UTC", "10:00-11:00", "14:00-15:00")
		a := f.booked(f.patient(), doctor, "2027-03-03T10:00:00Z", 60)
		window := object{"from": "2027-03-03T10:00:00Z", "to": "2027-03-03T10:15:00Z", "doctor_ids": []int64{doctor}}
		first, second := f.waits(window), f.waits(window)
		f.Post(fmt.Sprintf("/appointments/%d/reschedule", a.ID), object{"start_time": "2027-03-03T14:00:00Z"}).Want(t, 200, "")
		slot := fmt.Sprintf("offered %d 03 10:00", doctor)
		want(first.ID, slot)
		f.pass(10 * time.Minute)
		act(first.ID, "accept").Want(t, 409, "no-offer")
		want(second.ID, slot)
		want(first.ID, "waiting")
		r := act(second.ID, "accept").Want(t, 201, "")
		var booked api.Appointment
		r.Decode(t, &booked)
		if booked.PatientID != second.PatientID || booked.DoctorID != doctor || r.Header.Get("Location") != fmt.Sprintf("/appointments/%d", booked.ID) {
			t.Errorf("accepted: %s, want an appointment of patient %d with doctor %d, and its Location",
				r.Body, second.PatientID, doctor)
		}
		if e := f.entry(second.ID); e.Status != "booked" || e.AppointmentID.MustGet() != booked.ID {
			t.Errorf("entry = %+v, want it booked, with appointment %d", e, booked.ID)
		}
		act(second.ID, "accept").Want(t, 409, "no-offer")
		f.Delete(fmt.Sprintf("/waitlist/%d", second.ID)).Want(t, 409, "waitlist-entry-closed")
		f.Delete(fmt.Sprintf("/waitlist/%d", first.ID)).Want(t, 204, "")
	})
	t.Run("TypesAndRooms", func(t *testing.T) {
		room := f.room()
		kind := f.kind(object{"duration_minutes": 20, "buffer_before_minutes": 5, "buffer_after_minutes": 5, "needs_room": true, "room_ids": []int64{room}, "specializations": []string{"Dermatology"}})
		a := f.booked(f.patient(), doctor, "2027-03-04T10:00:00Z", 30)
		e := f.waits(object{"type_id": kind, "duration_minutes": nil, "doctor_ids": []int64{doctor}, "from": "2027-03-04T10:00:00Z", "to": "2027-03-04T11:00:00Z"})
		f.cancel(a.ID)
		want(e.ID, fmt.Sprintf("offered %d 04 10:05", doctor))
		other := f.doctor()
		f.bookWith(other, "2027-03-04T10:00:00Z", object{"room_id": room}).Want(t, 409, "room-overlap")
		f.Delete(fmt.Sprintf("/waitlist/%d", e.ID)).Want(t, 204, "") // and gives the time back
		f.bookedWith(other, "2027-03-04T10:00:00Z", object{"room_id": room})
		f.booked(f.patient(), doctor, "2027-03-04T10:00:00Z", 30)
	})
	t.Run("Refused", func(t *testing.T) {
		for name, test := range map[string]struct {
			members     object
			status      int
			problemType string
		}{
			"NoPatient": {object{"patient_id": 999_999}, 404, "patient-not-found"},
			"NoDoctor":  {object{"doctor_ids": []int64{999_999}}, 404, "doctor-not-found"},
			"NoType":    {object{"type_id": 999_999}, 404, "appointment-type-not-found"},
			"NoLength":  {object{"duration_minutes": nil}, 422, "validation-failed"},
			"Backwards": {object{"to": "2027-03-01T08:00:00Z"}, 422, "validation-failed"},
			"Past":      {object{"from": "2027-02-01T08:00:00Z", "to": "2027-02-02T08:00:00Z"}, 422, "validation-failed"},
			"Both":      {object{"doctor_ids": []int64{doctor}, "specialization": "x"}, 422, "validation-failed"},
		} {
			t.Run(name, func(t *testing.T) { f.wait(test.members).Want(t, test.status, test.problemType) })
		}
		for _, action := range []string{"accept", "decline"} {
			act(999_999, action).Want(t, 404, "waitlist-entry-not-found")
		}
		f.Get("/waitlist/999999").Want(t, 404, "waitlist-entry-not-found")
		f.Delete("/waitlist/999999").Want(t, 404, "waitlist-entry-not-found")
		e := f.waits(nil)
		f.Send(contracttest.Request{Method: "DELETE", Path: fmt.Sprintf("/waitlist/%d", e.ID), Header: http.Header{"If-Match": {`"9"`}}}).Want(t, 412, "precondition-failed")
	})
	t.Run("ListsAndExpires", func(t *testing.T) {
		e := f.waits(object{"to": "2027-03-01T12:00:00Z"})
		f.pass(12 * time.Hour)
		var list api.WaitlistEntryList
		f.Get("/waitlist", "status", "expired", "patient_id", fmt.Sprint(e.PatientID), "limit", "1").Want(t, 200, "").Decode(t, &list)
		if len(list.Items) != 1 || list.Items[0].ID != e.ID {
			t.Errorf("list = %+v, want entry %d alone", list, e.ID)
		}
		var ids []int64
		cursor := ""
		for range 50 {
			query := []string{"limit", "3"}
			if cursor != "" {
				query = append(query, "cursor", cursor)
			}
			f.Get("/waitlist", query...).Want(t, 200, "").Decode(t, &list)
			for _, item := range list.Items {
				ids = append(ids, item.ID)
			}
			next, err := list.NextCursor.Get()
			if err != nil {
				break
			}
			cursor = next
		}
		if !slices.IsSorted(ids) || len(ids) < 12 {
			t.Errorf("ids on all pages = %v, want at least 12, sorted", ids)
		}
	})
}

// Cancellations, responses to offers and bookings run at once through two servers: no time is given
// twice, no entry is booked twice, and every acknowledged booking exists.
func TestWaitlistRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	server := func(i int) *fixture { return []*fixture{f, other}[i%2] }
	doctors := []int64{f.doctor(), f.doctor(), f.doctor()}
	for _, d := range doctors {
		f.hours(d, "UTC", "08:00-10:00")
	}
	var visits, entries []int64
	for i := range 12 {
		visits = append(visits, f.booked(f.patient(), doctors[i%3], at("2027-03-02T08:00:00Z").Add(time.Duration(i/3)*30*time.Minute).Format(time.RFC3339), 30).ID)
	}
	for range 16 {
		entries = append(entries, f.waits(object{"from": "2027-03-02T08:00:00Z", "to": "2027-03-02T10:00:00Z"}).ID)
	}
	patients := make([]int64, 12)
	for i := range patients {
		patients[i] = f.patient()
	}
	var mu sync.Mutex
	accepted := map[int64]int64{} // entry to appointment
	together(len(visits)+len(entries)+len(patients), func(i int) {
		switch {
		case i < len(visits):
			server(i).Post(fmt.Sprintf("/appointments/%d/cancel", visits[i]), object{"reason": "other"}).Want(t, 200, "")
		case i < len(visits)+len(entries):
			id := entries[i-len(visits)]
			for k := range 20 {
				action := "accept"
				if (i+k)%5 == 0 {
					action = "decline"
				}
				r := server(i+k).Post(fmt.Sprintf("/waitlist/%d/%s", id, action), nil)
				if r.Status == 201 {
					var a api.Appointment
					r.Decode(t, &a)
					mu.Lock()
					accepted[id] = a.ID
					mu.Unlock()
				} else if r.Status != 200 {
					r.Want(t, 409, "no-offer")
				}
			}
		default:
			n := i - len(visits) - len(entries)
			for k := range 4 {
				r := server(i).book(patients[n], doctors[(n+k)%3], at("2027-03-02T08:00:00Z").Add(time.Duration(k)*30*time.Minute).Format(time.RFC3339), 30)
				if r.Status != 201 {
					r.Want(t, 409, "doctor-overlap")
				}
			}
		}
	})
	// What was offered after an entry's last attempt is accepted now.
	together(len(entries), func(i int) {
		r := server(i).Post(fmt.Sprintf("/waitlist/%d/accept", entries[i]), nil)
		if r.Status != 201 {
			r.Want(t, 409, "no-offer")
			return
		}
		var a api.Appointment
		r.Decode(t, &a)
		mu.Lock()
		accepted[entries[i]] = a.ID
		mu.Unlock()
	})
	for _, party := range []string{"doctor_id", "patient_id"} {
		var overlaps int
		if err := f.db.DB.Get(&overlaps, `
			SELECT COUNT(*) FROM appointments a JOIN appointments b
			ON a.`+party+` = b.`+party+` AND a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time
			WHERE a.status = 'scheduled' AND b.status = 'scheduled'`); err != nil {
			t.Fatal(err)
		}
		if overlaps != 0 {
			t.Errorf("%d appointments overlap by %s, want none", overlaps, party)
		}
	}
	var twice, booked int
	if err := f.db.DB.Get(&twice, `
		SELECT COUNT(*) FROM waitlist a JOIN waitlist b
		ON a.offered_doctor = b.offered_doctor AND a.offered_start = b.offered_start AND a.id < b.id`); err != nil {
		t.Fatal(err)
	}
	if err := f.db.DB.Get(&booked, `SELECT COUNT(*) FROM waitlist w JOIN appointments a ON a.id = w.appointment_id AND a.patient_id = w.patient_id WHERE w.status = 'booked'`); err != nil {
		t.Fatal(err)
	}
	if twice != 0 || booked != len(accepted) || booked == 0 {
		t.Errorf("%d times offered twice, %d entries booked, %d accepted; want none, and as many booked as accepted",
			twice, booked, len(accepted))
	}
}

// A repeated response to an offer applies to the offer that it names, not to the next one, which
// the entry has by then.
func TestAnAnswerNamesItsOffer(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor := f.doctor()
	f.hours(doctor, "UTC", "10:00-11:30")
	first := f.booked(f.patient(), doctor, "2027-03-02T10:00:00Z", 30)
	second := f.booked(f.patient(), doctor, "2027-03-02T10:30:00Z", 30)
	third := f.booked(f.patient(), doctor, "2027-03-02T11:00:00Z", 30)
	e := f.waits(object{
		"patient_id": f.patient(), "doctor_ids": []int64{doctor}, "duration_minutes": 30,
		"from": "2027-03-02T09:45:00Z", "to": "2027-03-02T11:45:00Z",
	})
	answer := func(action string, offer int64) *contracttest.Response {
		t.Helper()
		return f.Post(fmt.Sprintf("/waitlist/%d/%s?offer_id=%d", e.ID, action, offer), nil)
	}
	for _, a := range []int64{first.ID, second.ID, third.ID} {
		f.cancel(a)
	}
	offer := f.entry(e.ID).Offer.MustGet()
	answer("decline", offer.ID).Want(t, 200, "")
	next := f.entry(e.ID).Offer.MustGet()
	if next.ID == offer.ID {
		t.Fatalf("offer after declining = %+v, want another than %+v", next, offer)
	}
	answer("decline", offer.ID).Want(t, 409, "no-offer")
	answer("accept", offer.ID).Want(t, 409, "no-offer")
	if still := f.entry(e.ID).Offer.MustGet(); still != next {
		t.Errorf("offer after an answer to the one before = %+v, want %+v still", still, next)
	}
	answer("accept", next.ID).Want(t, 201, "")
	answer("accept", next.ID).Want(t, 409, "no-offer")
}
