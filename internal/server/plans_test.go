package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// told returns one line for each appointment of a plan.
func told(p []api.PlanItem) []string {
	var lines []string
	for _, i := range p {
		where := "nowhere"
		if slot, err := i.Proposal.Get(); err == nil {
			where = fmt.Sprint(slot.DoctorID, slot.StartTime.Format(" 02 15:04"))
		}
		problem := ""
		if i.Problem != nil {
			problem = " " + *i.Problem
		}
		lines = append(lines, fmt.Sprint(i.Appointment.ID, " -> ", where, " ", i.Outcome, problem))
	}
	return lines
}

func (f *fixture) planned(body object) (p api.Plan, location string) {
	f.t.Helper()
	r := f.Post("/plans", body).Want(f.t, 201, "")
	r.Decode(f.t, &p)
	return p, r.Header.Get("Location")
}

func TestPlans(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	ill, colleague := f.doctorOf("Dermatology"), f.doctorOf("dermatology")
	f.doctorOf("Cardiology")
	gone := f.doctorOf("Dermatology")
	f.Patch(fmt.Sprintf("/doctors/%d", gone), object{"is_active": false}).Want(t, 200, "")
	for _, d := range []int64{ill, colleague} {
		f.hours(d, "UTC", "09:00-11:00")
	}
	patient := f.patient()
	first := f.booked(patient, ill, "2027-03-02T09:00:00Z", 60)
	second := f.booked(f.patient(), ill, "2027-03-02T10:00:00Z", 60)
	done := f.booked(f.patient(), ill, "2027-03-03T09:00:00Z", 30)
	f.Post(fmt.Sprintf("/appointments/%d/cancel", done.ID), object{"reason": "other"}).Want(t, 200, "")
	f.booked(f.patient(), ill, "2027-03-04T09:00:00Z", 30) // after the illness
	f.booked(patient, f.doctorOf("Neurology"), "2027-03-02T10:15:00Z", 15)
	f.booked(f.patient(), colleague, "2027-03-02T10:00:00Z", 30)

	plan, location := f.planned(object{"doctor_id": ill, "first_date": "2027-03-02", "last_date": "2027-03-03"})
	want := []string{
		fmt.Sprintf("%d -> %d 02 09:00 open", first.ID, colleague),
		fmt.Sprintf("%d -> %d 03 09:00 open", second.ID, colleague),
	}
	if diff := cmp.Diff(want, told(plan.Items)); diff != "" {
		t.Errorf("items of the plan (-want +got)\n%s", diff)
	}
	t.Run("ChangesNothing", func(t *testing.T) {
		var a api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", first.ID)).Want(t, 200, "").Decode(t, &a)
		if a.DoctorID != ill || !a.StartTime.Equal(first.StartTime) {
			t.Errorf("appointment after planning = %+v, want it as it was: doctor %d at %s", a, ill, first.StartTime)
		}
		var read api.Plan
		f.Get(location).Want(t, 200, "").Decode(t, &read)
		if diff := cmp.Diff(want, told(read.Items)); diff != "" {
			t.Errorf("items of the plan as read (-want +got)\n%s", diff)
		}
		f.Get("/plans/999999").Want(t, 404, "plan-not-found")
		f.Post("/plans/999999/apply", object{}).Want(t, 404, "plan-not-found")
		f.Post("/plans", object{"doctor_id": 999_999, "first_date": "2027-03-02", "last_date": "2027-03-02"}).Want(t, 404, "doctor-not-found")
		if vs := f.Post("/plans", object{"doctor_id": ill}).Want(t, 422, "validation-failed").Violations(t); !slices.Equal(vs, []string{"#/start_time required"}) {
			t.Errorf("violations = %v, want [#/start_time required]", vs)
		}
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		taken := f.booked(f.patient(), colleague, "2027-03-03T09:30:00Z", 30)
		var p api.Problem
		f.Post(location+"/apply", object{"mode": "all_or_nothing"}).Want(t, 409, "plan-not-applied").Decode(t, &p)
		if diff := cmp.Diff([]string{want[0], fmt.Sprintf("%d -> %d 03 09:00 refused /problems/doctor-overlap", second.ID, colleague)}, told(p.Report)); diff != "" {
			t.Errorf("report of the refused plan (-want +got)\n%s", diff)
		}
		if visit := p.Report[0].Appointment; visit.DoctorID != ill {
			t.Errorf("appointment in the report of a refused plan = %+v, want it with doctor %d still", visit, ill)
		}
		var a api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", first.ID)).Want(t, 200, "").Decode(t, &a)
		if a.DoctorID != ill {
			t.Errorf("appointment after a refused plan = %+v, want it with doctor %d still", a, ill)
		}
		f.Send(contracttest.Request{Method: "POST", Path: location + "/apply", Body: object{}, Header: http.Header{"If-Match": {`"9"`}}}).Want(t, 412, "precondition-failed")
		f.Post(fmt.Sprintf("/appointments/%d/cancel", taken.ID), object{"reason": "other"}).Want(t, 200, "")
		var applied api.Plan
		r := f.Post(location+"/apply", object{"mode": "all_or_nothing"}).Want(t, 200, "")
		r.Decode(t, &applied)
		for _, i := range applied.Items {
			slot := i.Proposal.MustGet()
			if i.Outcome != "moved" || i.Appointment.DoctorID != slot.DoctorID || !i.Appointment.StartTime.Equal(slot.StartTime) {
				t.Errorf("item = %+v, want it moved to doctor %d at %s", i, slot.DoctorID, slot.StartTime)
			}
		}
		if tag := f.Get(location).Header.Get("ETag"); tag != r.Header.Get("ETag") || tag == `"1"` {
			t.Errorf("ETag of the plan = %s, want that of the applied plan, %s, and not \"1\"",
				tag, r.Header.Get("ETag"))
		}
		f.Post(location+"/apply", object{"mode": "all_or_nothing"}).Want(t, 200, "") // nothing moves twice
		var history api.AppointmentHistory
		f.Get(fmt.Sprintf("/appointments/%d/history", first.ID)).Want(t, 200, "").Decode(t, &history)
		if len(history.Items) != 2 || history.Items[1].Action != "reschedule" {
			t.Errorf("history = %+v, want two events, the second a reschedule", history.Items)
		}
	})
	t.Run("NobodyLeft", func(t *testing.T) {
		last := f.doctorOf("Urology")
		f.hours(last, "UTC", "09:00-11:00")
		visit := f.booked(f.patient(), last, "2027-03-02T09:00:00Z", 30)
		f.Patch(fmt.Sprintf("/doctors/%d", last), object{"is_active": false}).Want(t, 200, "")
		plan, _ := f.planned(object{"doctor_id": last, "first_date": "2027-03-02", "last_date": "2027-03-02"})
		if diff := cmp.Diff([]string{fmt.Sprintf("%d -> nowhere impossible", visit.ID)}, told(plan.Items)); diff != "" {
			t.Errorf("items of a plan without colleagues (-want +got)\n%s", diff)
		}
	})
	t.Run("Each", func(t *testing.T) {
		ill := f.doctorOf("Surgery")
		f.hours(ill, "UTC", "09:00-10:30")
		var ids []int64
		for _, start := range []string{"09:00", "09:30", "10:00"} {
			ids = append(ids, f.booked(f.patient(), ill, "2027-03-02T"+start+":00Z", 30).ID)
		}
		plan, location := f.planned(object{"doctor_id": ill, "start_time": "2027-03-02T00:00:00Z", "end_time": "2027-03-03T00:00:00Z"})
		of := func(id int64, start, outcome string) string {
			return fmt.Sprintf("%d -> %d 03 %s %s", id, ill, start, outcome)
		}
		if diff := cmp.Diff([]string{of(ids[0], "09:00", "open"), of(ids[1], "09:30", "open"), of(ids[2], "10:00", "open")}, told(plan.Items)); diff != "" {
			t.Errorf("items of the plan (-want +got)\n%s", diff)
		}
		f.act(ids[0], "confirm").Want(t, 200, "") // has changed meanwhile
		f.booked(f.patient(), ill, "2027-03-03T09:45:00Z", 15)
		apply := func(body object) (p api.Plan) {
			t.Helper()
			f.Post(location+"/apply", body).Want(t, 200, "").Decode(t, &p)
			return p
		}
		if diff := cmp.Diff([]string{of(ids[0], "09:00", "changed"), of(ids[1], "09:30", "not_selected"), of(ids[2], "10:00", "moved")}, told(apply(object{"appointment_ids": []int64{ids[0], ids[2]}}).Items)); diff != "" {
			t.Errorf("items after applying two (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{of(ids[0], "09:00", "changed"), of(ids[1], "09:30", "refused /problems/doctor-overlap"), of(ids[2], "10:00", "moved")}, told(apply(object{}).Items)); diff != "" {
			t.Errorf("items after applying the rest (-want +got)\n%s", diff)
		}
	})
	t.Run("TypesRoomsAndNowhere", func(t *testing.T) {
		ill, other := f.doctorOf("Radiology"), f.doctorOf("Radiology")
		one, two := f.room(), f.room()
		kind := f.kind(object{"doctor_ids": []int64{ill}, "needs_room": true, "room_ids": []int64{one, two}, "buffer_after_minutes": 15})
		// Only the ill doctor may do this type; others may use the room.
		a := f.bookedWith(ill, "2027-03-02T10:00:00Z", object{"type_id": kind})
		b := f.bookedWith(ill, "2027-03-02T11:00:00Z", nil)
		f.bookedWith(other, "2027-03-03T08:00:00Z", object{"room_id": one})
		plan, location := f.planned(object{"doctor_id": ill, "first_date": "2027-03-02", "last_date": "2027-03-02"})
		if diff := cmp.Diff([]string{fmt.Sprintf("%d -> %d 03 08:00 open", a.ID, ill), fmt.Sprintf("%d -> %d 02 11:00 open", b.ID, other)}, told(plan.Items)); diff != "" {
			t.Errorf("items of the plan (-want +got)\n%s", diff)
		}
		if room := plan.Items[0].RoomID.MustGet(); room != two {
			t.Errorf("room %d, want the free one", room)
		}
		f.Post(location+"/apply", object{"mode": "all_or_nothing"}).Want(t, 200, "")
		f.Post("/closures", object{"start_time": "2027-03-03T00:00:00Z", "end_time": "2027-03-20T00:00:00Z", "name": "x"}).Want(t, 201, "")
		nowhere, location := f.planned(object{"doctor_id": ill, "start_time": "2027-03-03T00:00:00Z", "end_time": "2027-03-03T12:00:00Z", "horizon_days": 14})
		if diff := cmp.Diff([]string{fmt.Sprintf("%d -> nowhere impossible", a.ID)}, told(nowhere.Items)); diff != "" {
			t.Errorf("items of a plan while the clinic is closed (-want +got)\n%s", diff)
		}
		var applied api.Plan
		f.Post(location+"/apply", object{}).Want(t, 200, "").Decode(t, &applied)
		if applied.Items[0].Outcome != "impossible" {
			t.Errorf("applied items = %+v, want the outcome impossible", applied.Items)
		}
	})
}

// TestPlanTakesRoomsOfItsOwn: an appointment is rescheduled into a room that another one of the
// plan still occupies, so that one is rescheduled first, whichever begins earlier.
func TestPlanTakesRoomsOfItsOwn(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	ill, colleague := f.doctorOf("Surgery"), f.doctorOf("Surgery")
	f.hours(colleague, "UTC", "10:00-12:00")
	room := f.room()
	kind := f.kind(object{"doctor_ids": []int64{ill, colleague}, "needs_room": true, "room_ids": []int64{room}, "duration_minutes": 30})
	for day, mode := range map[string]string{"2027-03-02": "all_or_nothing", "2027-03-03": "each"} {
		f.bookedWith(ill, day+"T08:00:00Z", object{"type_id": kind, "room_id": room})
		f.bookedWith(ill, day+"T10:00:00Z", object{"type_id": kind, "room_id": room})
		plan, location := f.planned(object{"doctor_id": ill, "first_date": day, "last_date": day})
		if first := plan.Items[0].Proposal.MustGet(); !first.StartTime.Equal(at(day + "T10:00:00Z")) {
			t.Fatalf("%s: proposes %v, want the room at 10:00", mode, first)
		}
		var applied api.Plan
		f.Post(location+"/apply", object{"mode": mode}).Want(t, 200, "").Decode(t, &applied)
		for _, item := range applied.Items {
			if item.Outcome != "moved" {
				t.Errorf("%s: outcome of appointment %d = %s, want moved", mode, item.Appointment.ID, item.Outcome)
			}
		}
	}
}

// TestPlanSelectsItsOwn: an id that is not in the plan is rejected with its position in the list.
func TestPlanSelectsItsOwn(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	ill := f.doctorOf("Surgery")
	f.doctorOf("Surgery")
	a := f.booked(f.patient(), ill, "2027-03-02T08:00:00Z", 30)
	other := f.booked(f.patient(), ill, "2027-03-04T08:00:00Z", 30)
	_, location := f.planned(object{"doctor_id": ill, "first_date": "2027-03-02", "last_date": "2027-03-02"})
	for _, mode := range []string{"each", "all_or_nothing"} {
		got := f.Post(location+"/apply", object{"mode": mode, "appointment_ids": []int64{a.ID, other.ID}}).Want(t, 422, "validation-failed").Violations(t)
		if want := []string{"#/appointment_ids/1 invalid"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}

// TestPlanInterrupted: the database becomes read-only after one appointment was rescheduled. The
// response must not claim that nothing changed; a retry with the same key reschedules the rest.
func TestPlanInterrupted(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	ill := f.doctorOf("Surgery")
	f.doctorOf("Surgery")
	var last api.Appointment
	for i := range 3 {
		last = f.booked(f.patient(), ill, at("2027-03-02T08:00:00Z").Add(time.Duration(i)*30*time.Minute).Format(time.RFC3339), 30)
	}
	_, location := f.planned(object{"doctor_id": ill, "first_date": "2027-03-02", "last_date": "2027-03-02"})
	f.Allow5xx = true
	// As on a server that has become read-only: ER_OPTION_PREVENTS_STATEMENT.
	f.db.DB.MustExec(fmt.Sprintf(`CREATE TRIGGER interrupts BEFORE UPDATE ON appointments FOR EACH ROW
		IF NEW.id = %d THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'read-only'; END IF`, last.ID))
	apply := contracttest.Request{Method: "POST", Path: location + "/apply", Body: object{"mode": "each"}, Header: http.Header{"Idempotency-Key": {"plan-interrupted"}}}
	f.Send(apply).Want(t, 503, "outcome-unknown")
	f.db.DB.MustExec(`DROP TRIGGER interrupts`)
	var p api.Plan
	f.Send(apply).Want(t, 200, "").Decode(t, &p)
	for _, item := range p.Items {
		if item.Outcome != "moved" {
			t.Errorf("appointment %d: %s, want moved", item.Appointment.ID, item.Outcome)
		}
	}
	f.Send(apply).Want(t, 200, "")
}

// Plans are applied in both modes at once while others book the same times through another server:
// nobody is booked twice, and every appointment ends at its old or its proposed time.
func TestPlanRacesBookings(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	other := setupOn(t, f.db, "UTC")
	ill, colleagues := f.doctorOf("Surgery"), []int64{f.doctorOf("Surgery"), f.doctorOf("Surgery")}
	var visits []api.Appointment
	for i := range 12 {
		visits = append(visits, f.booked(f.patient(), ill, at("2027-03-02T08:00:00Z").Add(time.Duration(i)*30*time.Minute).Format(time.RFC3339), 30))
	}
	body := object{"doctor_id": ill, "first_date": "2027-03-02", "last_date": "2027-03-02"}
	plan, one := f.planned(body)
	_, two := f.planned(body)
	patients := make([]int64, 12)
	for i := range patients {
		patients[i] = f.patient()
	}
	together(len(patients)+4, func(i int) {
		switch i {
		case 0, 1:
			f.Post(one+"/apply", object{"mode": "each"}).Want(t, 200, "")
		case 2, 3:
			r := other.Post(two+"/apply", object{"mode": "all_or_nothing"})
			if r.Status != 200 {
				r.Want(t, 409, "plan-not-applied")
			}
		default:
			for k := range 4 {
				start := at("2027-03-02T08:00:00Z").Add(time.Duration((i+3*k)%12) * 30 * time.Minute).Format(time.RFC3339)
				r := []*fixture{f, other}[k%2].book(patients[i-4], colleagues[k%2], start, 30)
				if r.Status != 201 && r.Type() != "patient-overlap" {
					r.Want(t, 409, "doctor-overlap")
				}
			}
		}
	})
	for _, party := range []string{"doctor_id", "patient_id"} {
		var overlaps int
		if err := f.db.DB.Get(&overlaps, `
			SELECT COUNT(*) FROM appointments a JOIN appointments b
			ON a.`+party+` = b.`+party+` AND a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time`); err != nil {
			t.Fatal(err)
		}
		if overlaps != 0 {
			t.Errorf("%d appointments overlap by %s, want none", overlaps, party)
		}
	}
	for i, v := range visits {
		var now api.Appointment
		f.Get(fmt.Sprintf("/appointments/%d", v.ID)).Want(t, 200, "").Decode(t, &now)
		slot := plan.Items[i].Proposal.MustGet()
		stayed := now.DoctorID == ill && now.StartTime.Equal(v.StartTime)
		if moved := now.DoctorID == slot.DoctorID && now.StartTime.Equal(slot.StartTime); !moved && !stayed {
			t.Errorf("appointment %d is at %s with doctor %d, want where it was or where the plan moved it",
				v.ID, now.StartTime, now.DoctorID)
		}
	}
}
