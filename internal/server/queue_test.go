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

func (f *fixture) walkIn(doctor int64) *contracttest.Response {
	f.t.Helper()
	return f.Post("/walk-ins", object{"patient_id": f.patient(), "doctor_id": doctor})
}

func ticketOf(t *testing.T, r *contracttest.Response, status int) (k api.Ticket) {
	t.Helper()
	r.Want(t, status, "").Decode(t, &k)
	return k
}

// queue returns a doctor's tickets: number, status and position.
func (f *fixture) queue(doctor int64) []string {
	f.t.Helper()
	var q api.Queue
	f.Get("/queue", "doctor_id", fmt.Sprint(doctor)).Want(f.t, 200, "").Decode(f.t, &q)
	var lines []string
	for _, k := range q.Items {
		position := "-"
		if p, err := k.Position.Get(); err == nil {
			position = fmt.Sprint(p)
		}
		lines = append(lines, fmt.Sprint(k.Number, " ", k.Status, " ", position))
	}
	return lines
}

func TestWalkIns(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	doctor, patient := f.doctorOf("Dermatology"), f.patient()
	body := func(members object) object {
		b := object{"patient_id": patient}
		maps.Copy(b, members)
		return b
	}
	r := f.Post("/walk-ins", body(object{"doctor_id": doctor, "note": " Rash. "}))
	k := ticketOf(t, r, 201)
	if k.Number != 1 || k.Status != "waiting" || k.Position.MustGet() != 1 || k.Date.String() != "2027-03-01" || k.Note.MustGet() != "Rash." || !k.AppointmentID.IsNull() {
		t.Errorf("ticket = %+v, want number 1, waiting at position 1 on 2027-03-01, with the note %q", k, "Rash.")
	}
	if read := f.Get(r.Header.Get("Location")).Want(t, 200, ""); string(read.Body) != string(r.Body) {
		t.Errorf("read ticket = %s, want it as created: %s", read.Body, r.Body)
	}
	inactive, away, later := f.doctor(), f.doctor(), f.doctor()
	f.Patch(fmt.Sprintf("/doctors/%d", inactive), object{"is_active": false}).Want(t, 200, "")
	f.Post(fmt.Sprintf("/doctors/%d/time-off", away), object{"first_date": "2027-03-01", "last_date": "2027-03-01", "reason": "illness"}).Want(t, 201, "")
	f.hours(later, "Europe/Zurich", "13:00-17:00")
	for name, test := range map[string]struct {
		body        object
		status      int
		problemType string
	}{
		"Twice":      {body(object{"doctor_id": doctor}), 409, "already-in-queue"},
		"NoPatient":  {object{"patient_id": 999_999, "doctor_id": doctor}, 404, "patient-not-found"},
		"NoDoctor":   {body(object{"doctor_id": 999_999}), 404, "doctor-not-found"},
		"Inactive":   {body(object{"doctor_id": inactive}), 409, "doctor-inactive"},
		"Away":       {body(object{"doctor_id": away}), 409, "time-off"},
		"NotYet":     {body(object{"doctor_id": later}), 409, "outside-working-hours"},
		"Nobody":     {body(object{"specialization": "Surgery"}), 409, "nobody-works"},
		"Neither":    {body(nil), 422, "validation-failed"},
		"Both":       {body(object{"doctor_id": doctor, "specialization": "Surgery"}), 422, "validation-failed"},
		"EmptyNote":  {body(object{"doctor_id": doctor, "note": " "}), 422, "validation-failed"},
		"NotAnybody": {body(object{"specialization": "Cardiology"}), 409, "nobody-works"},
	} {
		t.Run(name, func(t *testing.T) { f.Post("/walk-ins", test.body).Want(t, test.status, test.problemType) })
	}
	t.Run("LeastBusy", func(t *testing.T) {
		one, two, off := f.doctorOf("Paediatrics"), f.doctorOf("Paediatrics"), f.doctorOf("Paediatrics")
		f.hours(off, "Europe/Zurich", "13:00-17:00")
		var got []int64
		for range 4 {
			got = append(got, ticketOf(t, f.Post("/walk-ins", object{"patient_id": f.patient(), "specialization": "paediatrics"}), 201).DoctorID)
		}
		if !slices.Equal(got, []int64{one, two, one, two}) {
			t.Errorf("doctors of four walk-ins = %v, want %v", got, []int64{one, two, one, two})
		}
	})
	t.Run("AnotherDay", func(t *testing.T) {
		f.pass(24 * time.Hour)
		f.Post("/walk-ins", body(object{"doctor_id": doctor})).Want(t, 409, "already-in-queue") // came yesterday, and waits
		f.Post(fmt.Sprintf("/tickets/%d/leave", k.ID), nil).Want(t, 200, "")
		if k := ticketOf(t, f.Post("/walk-ins", body(object{"doctor_id": doctor})), 201); k.Number != 1 || k.Date.String() != "2027-03-02" {
			t.Errorf("ticket of the next day = %+v, want number 1 on 2027-03-02", k)
		}
		var q api.Queue
		f.Get("/queue", "doctor_id", fmt.Sprint(doctor), "date", "2027-03-01").Want(t, 200, "").Decode(t, &q)
		if len(q.Items) != 1 || q.Date.String() != "2027-03-01" {
			t.Errorf("queue of the day before = %+v, want one ticket on 2027-03-01", q)
		}
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doctor, colleague := f.doctor(), f.doctor()
	visit := f.booked(f.patient(), doctor, "2027-03-01T10:00:00Z", 30)
	first := ticketOf(t, f.walkIn(doctor), 201)
	f.act(visit.ID, "check-in").Want(t, 200, "")
	ticketOf(t, f.walkIn(doctor), 201)
	wantQueue := func(want ...string) {
		t.Helper()
		if got := f.queue(doctor); !slices.Equal(got, want) {
			t.Errorf("queue %q, want %q", got, want)
		}
	}
	wantQueue("1 waiting 1", "2 waiting 2", "3 waiting 3")
	status := func(want api.AppointmentStatus) {
		t.Helper()
		var a api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", visit.ID)).Want(t, 200, "").Decode(t, &a)
		if a.Status != want {
			t.Errorf("visit is %s, want %s", a.Status, want)
		}
	}
	ticket := func(id int64, action string) *contracttest.Response {
		return f.Post(fmt.Sprintf("/tickets/%d/%s", id, action), nil)
	}
	called := ticketOf(t, f.Post("/queue/call-next", object{"doctor_id": doctor}), 200)
	if called.ID != first.ID || called.Status != "called" || !called.CalledAt.MustGet().Equal(now) {
		t.Errorf("first called = %+v, want ticket %d, called at %s", called, first.ID, now)
	}
	second := ticketOf(t, f.Post("/queue/call-next", object{"doctor_id": doctor}), 200)
	if second.AppointmentID.MustGet() != visit.ID {
		t.Errorf("second called = %+v, want the ticket of appointment %d", second, visit.ID)
	}
	wantQueue("1 called -", "2 called -", "3 waiting 1")

	t.Run("TicketAndVisitGoTogether", func(t *testing.T) {
		ticketOf(t, ticket(second.ID, "start"), 200)
		status("in_progress")
		f.act(visit.ID, "undo").Want(t, 200, "")
		wantQueue("1 called -", "2 waiting 1", "3 waiting 2")
		f.act(visit.ID, "undo").Want(t, 200, "")
		status("scheduled")
		wantQueue("1 called -", "2 withdrawn -", "3 waiting 1")
		f.act(visit.ID, "check-in").Want(t, 200, "")
		wantQueue("1 called -", "2 withdrawn -", "3 waiting 1", "4 waiting 2") // a number is never given twice
		f.act(visit.ID, "start").Want(t, 200, "")
		f.act(visit.ID, "complete").Want(t, 200, "")
		wantQueue("1 called -", "2 withdrawn -", "3 waiting 1", "4 done -")
		var history api.AppointmentHistory
		f.Get(fmt.Sprintf("/appointments/%d/history", visit.ID)).Want(t, 200, "").Decode(t, &history)
		if len(history.Items) != 8 {
			t.Errorf("history has %d events, want 8", len(history.Items))
		}
	})
	t.Run("Refused", func(t *testing.T) {
		p := f.problem(ticket(first.ID, "complete"), 409, "invalid-ticket-transition")
		if *p.CurrentTicketStatus != "called" || !slices.Equal(p.AllowedTicketStatuses, []api.TicketStatus{"called", "in_progress", "left", "transferred"}) {
			t.Errorf("problem = %+v, want the current status called and those that may follow", p)
		}
		ticket(first.ID, "call").Want(t, 200, "") // once more
		ticket(999_999, "call").Want(t, 404, "ticket-not-found")
		f.Get("/tickets/999999").Want(t, 404, "ticket-not-found")
		f.Get("/queue", "doctor_id", "999999").Want(t, 404, "doctor-not-found")
		f.Get("/queue").Want(t, 422, "validation-failed")
		f.Post("/queue/call-next", object{"doctor_id": 999_999}).Want(t, 404, "doctor-not-found")
		f.Post("/queue/call-next", object{"doctor_id": colleague}).Want(t, 409, "queue-empty")
		f.Send(contracttest.Request{Method: "POST", Path: fmt.Sprintf("/tickets/%d/start", first.ID), Header: http.Header{"If-Match": {`"1"`}}}).Want(t, 412, "precondition-failed")
	})
	t.Run("Transfer", func(t *testing.T) {
		other := f.booked(f.patient(), doctor, "2027-03-01T12:00:00Z", 30)
		f.act(other.ID, "check-in").Want(t, 200, "")
		ticketOf(t, f.walkIn(colleague), 201)
		var q api.Queue
		f.Get("/queue", "doctor_id", fmt.Sprint(doctor), "status", "waiting").Want(t, 200, "").Decode(t, &q)
		from := q.Items[len(q.Items)-1]
		path := fmt.Sprintf("/tickets/%d/transfer", from.ID)
		f.Post(path, object{"doctor_id": doctor}).Want(t, 409, "already-in-queue")
		f.Post(path, object{"doctor_id": 999_999}).Want(t, 404, "doctor-not-found")
		to := ticketOf(t, f.Post(path, object{"doctor_id": colleague}), 201)
		if to.DoctorID != colleague || to.Number != 2 || to.AppointmentID.MustGet() != other.ID || to.Position.MustGet() != 2 {
			t.Errorf("transferred ticket = %+v, want number 2 at position 2 of doctor %d, for appointment %d",
				to, colleague, other.ID)
		}
		if old := ticketOf(t, f.Get(fmt.Sprintf("/tickets/%d", from.ID)), 200); old.Status != "transferred" || old.TransferredTo.MustGet() != to.ID {
			t.Errorf("ticket that was transferred = %+v, want the status transferred and the new ticket %d",
				old, to.ID)
		}
		f.Post(path, object{"doctor_id": colleague}).Want(t, 409, "invalid-ticket-transition")
		ticketOf(t, f.Post(fmt.Sprintf("/tickets/%d/leave", to.ID), nil), 200)
		var a api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", other.ID)).Want(t, 200, "").Decode(t, &a)
		if a.Status != "left_without_being_seen" {
			t.Errorf("appointment of a ticket that left = %s, want left_without_being_seen", a.Status)
		}
	})
	t.Run("Pages", func(t *testing.T) {
		var numbers []int32
		cursor := ""
		for range 20 {
			query := []string{"doctor_id", fmt.Sprint(doctor), "limit", "2"}
			if cursor != "" {
				query = append(query, "cursor", cursor)
			}
			var q api.Queue
			f.Get("/queue", query...).Want(t, 200, "").Decode(t, &q)
			for _, k := range q.Items {
				numbers = append(numbers, k.Number)
			}
			next, err := q.NextCursor.Get()
			if err != nil {
				break
			}
			cursor = next
		}
		if !slices.Equal(numbers, []int32{1, 2, 3, 4, 5}) {
			t.Errorf("numbers = %v, want 1 to 5", numbers)
		}
	})
}

// Walk-ins, check-ins and transfers run at once through two servers: every queue is numbered
// without a gap, nobody is called twice, and nothing deadlocks.
func TestQueueRace(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	doctors := []int64{f.doctor(), f.doctor()}
	const each = 32
	visits := make([]int64, each)
	patients := make([]int64, each)
	for i := range each {
		visits[i] = f.booked(f.patient(), doctors[i%2], at("2027-03-01T09:00:00Z").Add(time.Duration(i/2)*15*time.Minute).Format(time.RFC3339), 15).ID
		patients[i] = f.patient()
	}
	server := func(i int) *fixture { return []*fixture{f, other}[i%2] }
	together(2*each, func(i int) {
		if i < each {
			server(i).act(visits[i], "check-in").Want(t, 200, "")
			return
		}
		server(i/2).Post("/walk-ins", object{"patient_id": patients[i-each], "doctor_id": doctors[i%2]}).Want(t, 201, "")
	})
	gapless := func() {
		t.Helper()
		var broken int
		if err := f.db.DB.Get(&broken, `
			SELECT COUNT(*) FROM (
			  SELECT doctor_id FROM tickets GROUP BY doctor_id, day HAVING MAX(number) <> COUNT(*) OR MIN(number) <> 1) x`); err != nil {
			t.Fatal(err)
		}
		if broken != 0 {
			t.Errorf("%d queues have gaps in their numbers, want none", broken)
		}
	}
	gapless()
	for _, d := range doctors {
		if n := len(f.queue(d)); n != each {
			t.Errorf("%d tickets, want %d", n, each)
		}
	}
	var mu sync.Mutex
	calledTimes := map[int64]int{}
	together(48, func(i int) {
		if i%3 < 2 {
			r := server(i).Post("/queue/call-next", object{"doctor_id": doctors[i%2]})
			mu.Lock()
			defer mu.Unlock()
			calledTimes[ticketOf(t, r, 200).ID]++
			return
		}
		// Transfers cross: from the end of each queue to the other.
		var q api.Queue
		server(i).Get("/queue", "doctor_id", fmt.Sprint(doctors[i%2]), "limit", "200").Want(t, 200, "").Decode(t, &q)
		last := q.Items[len(q.Items)-1-i/6%8]
		r := server(i).Post(fmt.Sprintf("/tickets/%d/transfer", last.ID), object{"doctor_id": doctors[(i+1)%2]})
		if r.Status != 201 {
			r.Want(t, 409, "invalid-ticket-transition") // somebody else was faster
		}
	})
	gapless()
	for id, n := range calledTimes {
		if n != 1 {
			t.Errorf("ticket %d was called %d times, want once", id, n)
		}
	}
	if len(calledTimes) != 32 {
		t.Errorf("%d called, want 32", len(calledTimes))
	}
}

// A waiting patient stays in the queue until called or gone, also after midnight: the one who has
// waited longest is called first, and nobody has two tickets.
func TestQueueOverMidnight(t *testing.T) {
	t.Parallel()
	f := setup(t, "Europe/Zurich")
	f.pass(14*time.Hour + 52*time.Minute) // 23:52 in Zurich
	doctor, colleague := f.doctorOf("Emergency"), f.doctorOf("Emergency")
	var patients []int64
	var tickets []api.Ticket
	for range 3 {
		p := f.patient()
		patients = append(patients, p)
		tickets = append(tickets, ticketOf(t, f.Post("/walk-ins", object{"patient_id": p, "doctor_id": doctor}), 201))
	}
	visit := f.booked(f.patient(), doctor, "2027-03-01T23:15:00Z", 30) // 00:15 of the next day
	f.act(visit.ID, "check-in").Want(t, 200, "")
	f.pass(13 * time.Minute) // 00:05
	f.Post("/walk-ins", object{"patient_id": patients[0], "doctor_id": doctor}).Want(t, 409, "already-in-queue")
	late := ticketOf(t, f.Post("/walk-ins", object{"patient_id": f.patient(), "doctor_id": doctor}), 201)
	if late.Number != 1 || late.Position.MustGet() != 5 || late.Date.String() != "2027-03-02" {
		t.Errorf("ticket after midnight = %+v, want number 1 at position 5 on 2027-03-02", late)
	}
	if k := ticketOf(t, f.Post("/walk-ins", object{"patient_id": f.patient(), "specialization": "Emergency"}), 201); k.DoctorID != colleague {
		t.Errorf("walk-in for a specialty = %+v, want the doctor without a queue, %d", k, colleague)
	}
	want := []string{"1 waiting 1", "2 waiting 2", "3 waiting 3", "4 waiting 4", "1 waiting 5"}
	if got := f.queue(doctor); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	read := func(query ...string) (q api.Queue) {
		t.Helper()
		f.Get("/queue", append(query, "doctor_id", fmt.Sprint(doctor))...).Want(t, 200, "").Decode(t, &q)
		return q
	}
	t.Run("Pages", func(t *testing.T) {
		var got []int64
		for cursor := ""; ; {
			query := []string{"limit", "2", "status", "waiting"}
			if cursor != "" {
				query = append(query, "cursor", cursor)
			}
			q := read(query...)
			for _, k := range q.Items {
				got = append(got, k.ID)
			}
			var err error
			if cursor, err = q.NextCursor.Get(); err != nil {
				break
			}
		}
		if len(got) != 5 || got[0] != tickets[0].ID || got[4] != late.ID {
			t.Errorf("tickets on all pages = %v, want 5 from %d to %d", got, tickets[0].ID, late.ID)
		}
	})
	t.Run("Days", func(t *testing.T) {
		if q := read("date", "2027-03-02"); len(q.Items) != 5 || q.Waiting != 5 {
			t.Errorf("queue of 2027-03-02 = %+v, want 5 tickets that wait", q)
		}
		if q := read("date", "2027-03-01"); len(q.Items) != 4 || q.Items[3].Position.MustGet() != 4 {
			t.Errorf("queue of 2027-03-01 = %+v, want 4 tickets, the last at position 4", q)
		}
		if q := read("date", "2027-03-03"); len(q.Items) != 0 {
			t.Errorf("queue of 2027-03-03 = %+v, want none", q)
		}
	})
	var k api.Ticket
	f.Get(fmt.Sprintf("/tickets/%d", tickets[2].ID)).Want(t, 200, "").Decode(t, &k)
	if k.Position.MustGet() != 3 {
		t.Errorf("third ticket = %+v, want position 3", k)
	}
	// The second patient goes to the colleague, at the end of that day's queue; nobody can be sent there twice.
	onward := ticketOf(t, f.Post(fmt.Sprintf("/tickets/%d/transfer", tickets[1].ID), object{"doctor_id": colleague}), 201)
	if onward.Number != 2 || onward.Date.String() != "2027-03-02" || onward.Position.MustGet() != 2 {
		t.Errorf("transferred ticket = %+v, want number 2 at position 2 on 2027-03-02", onward)
	}
	again := ticketOf(t, f.Post("/walk-ins", object{"patient_id": patients[1], "doctor_id": doctor}), 201)
	f.Post(fmt.Sprintf("/tickets/%d/transfer", again.ID), object{"doctor_id": colleague}).Want(t, 409, "already-in-queue")
	f.Post(fmt.Sprintf("/tickets/%d/leave", again.ID), nil).Want(t, 200, "")
	var called []int64
	for range 4 {
		called = append(called, ticketOf(t, f.Post("/queue/call-next", object{"doctor_id": doctor}), 200).PatientID)
	}
	if !slices.Equal(called, []int64{patients[0], patients[2], visit.PatientID, late.PatientID}) {
		t.Errorf("patients called = %v, want %v",
			called, []int64{patients[0], patients[2], visit.PatientID, late.PatientID})
	}
	f.Post("/queue/call-next", object{"doctor_id": doctor}).Want(t, 409, "queue-empty")
	f.act(visit.ID, "start").Want(t, 200, "")
	f.Post(fmt.Sprintf("/tickets/%d/start", tickets[0].ID), nil).Want(t, 200, "")
	f.pass(24 * time.Hour)
	f.Post("/walk-ins", object{"patient_id": patients[0], "doctor_id": doctor}).Want(t, 409, "already-in-queue")
	if got := f.queue(doctor); !slices.Equal(got, []string{"1 in_progress -", "3 called -", "4 in_progress -", "1 called -"}) {
		t.Errorf("queue of the next day = %q, want those called and in progress", got)
	}
}
