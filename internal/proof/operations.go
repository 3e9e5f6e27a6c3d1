package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// operations maps the kinds in clients' plans to their functions. A function returns false
// when no record exists yet that it could change. operations_desk.go has those of the front
// desk.
var operations = map[string]func(*client, context.Context, draw) bool{
	"book":              (*client).book,
	"rush":              (*client).bookInRush,
	"book-today":        (*client).bookToday,
	"reschedule":        (*client).reschedule,
	"cancel":            (*client).cancel,
	"undo":              (*client).undo,
	"confirm":           changeStatus("confirm", func(s *scene) *[]int64 { return &s.standing }),
	"check-in":          changeStatus("check-in", func(s *scene) *[]int64 { return &s.today }),
	"start":             changeStatus("start", func(s *scene) *[]int64 { return &s.today }),
	"complete":          changeStatus("complete", func(s *scene) *[]int64 { return &s.today }),
	"leave":             changeStatus("leave", func(s *scene) *[]int64 { return &s.today }),
	"hold":              (*client).hold,
	"book-held":         (*client).bookHeld,
	"release":           (*client).release,
	"series":            (*client).bookSeries,
	"cancel-series":     (*client).cancelSeries,
	"reschedule-series": (*client).rescheduleSeries,
	"wait":              (*client).wait,
	"accept":            (*client).accept,
	"decline":           (*client).decline,
	"withdraw":          (*client).withdraw,
	"walk-in":           (*client).walkIn,
	"call-next":         (*client).callNext,
	"call":              changeTicket("call"),
	"start-ticket":      changeTicket("start"),
	"complete-ticket":   changeTicket("complete"),
	"leave-ticket":      changeTicket("leave"),
	"transfer":          (*client).transfer,
	"register":          (*client).register,
	"merge":             (*client).merge,
	"time-off":          (*client).timeOff,
	"plan":              (*client).plan,
	"apply":             (*client).apply,
	"repeat":            (*client).repeat,
	"reuse":             (*client).reuse,
}

// refusals lists the problems with which each kind of operation may be refused; any other
// one is a fault.
var refusals = func() map[string]map[string]bool {
	set := func(codes ...string) map[string]bool {
		all := map[string]bool{}
		for _, code := range codes {
			all[code] = true
		}
		return all
	}
	taken := set("doctor-overlap", "patient-overlap", "room-overlap", "no-room-free", "time-off")
	and := func(codes ...string) map[string]bool {
		all := set(codes...)
		maps.Copy(all, taken)
		return all
	}
	visit := set("invalid-transition")
	onTicket := set("invalid-ticket-transition", "invalid-transition", "too-early")
	return map[string]map[string]bool{
		"book":              and("patient-merged", "idempotency-key-reused"),
		"book-held":         and("patient-merged", "hold-not-usable", "hold-not-found"),
		"hold":              taken,
		"reschedule":        and("invalid-transition", "precondition-failed"),
		"undo":              set("invalid-transition", "doctor-overlap", "patient-overlap", "room-overlap", "time-off"), // into its own room
		"cancel":            set("invalid-transition", "precondition-failed"),
		"confirm":           visit,
		"check-in":          set("invalid-transition", "too-early"),
		"start":             set("invalid-transition", "too-early"),
		"complete":          set("invalid-transition", "too-early"),
		"leave":             visit,
		"release":           set("hold-not-found"),
		"series":            set("series-conflict", "patient-merged"),
		"reschedule-series": set("series-conflict"),
		"wait":              set("patient-merged"),
		"accept":            and("no-offer"),
		"decline":           set("no-offer"),
		"withdraw":          set("waitlist-entry-closed"),
		"walk-in":           set("patient-merged", "time-off", "already-in-queue"),
		"call-next":         set("queue-empty"),
		"call-ticket":       set("invalid-ticket-transition"), // the appointment stays as it is
		"start-ticket":      onTicket, "complete-ticket": onTicket,
		"leave-ticket": set("invalid-ticket-transition", "invalid-transition"),
		"transfer":     set("invalid-ticket-transition", "already-in-queue"),
		"merge":        set("merge-conflict", "patient-merged"),
		"end-time-off": set("time-off-not-found"),
		"apply":        set("plan-not-applied"),
		"repeat":       set(),
	}
}()

// asJSON encodes a request's body, which never fails for those made here.
func asJSON(members map[string]any) []byte {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return text
}

// start returns a planned start: on one of a few days, 08:00 to 17:45, on a grid.
func (c *client) start(d draw) time.Time {
	day := 1 + (c.n-1)/c.f.stepsOfADay + int(d.day)%c.f.days
	return c.f.today.AddDate(0, 0, day).Add(8*time.Hour + time.Duration(d.slot%40)*15*time.Minute)
}

// patient returns a planned patient: mostly one of few, so that they collide, otherwise one
// that will be or was merged.
func (c *client) patient(d draw) int64 {
	if d.coin > 0.85 {
		if id, found := look(c.f.scene, &c.f.scene.duplicates, d.pick); found {
			return id
		}
	}
	return among(c.f.patients, d.patient)
}

// wanted returns a planned booking: without a type, of a type with buffers, or of one that
// needs a room, and sometimes with an override.
func (c *client) wanted(d draw) (input, map[string]any) {
	in := input{Doctor: among(c.f.doctors, d.doctor), Start: c.start(d), Minutes: 15 + 15*int(d.length%3)}
	body := map[string]any{"doctor_id": in.Doctor, "start_time": in.Start}
	switch form := d.form % 10; {
	case form < 6:
		body["duration_minutes"] = in.Minutes
	default:
		t := among(c.f.types, d.form/10)
		in.Type, in.Minutes, in.Before, in.After = t.id, t.minutes, t.before, t.after
		body["type_id"] = t.id
		if form < 8 && t.needsRoom {
			in.Room = among(c.f.rooms, d.length)
			body["room_id"] = in.Room
		} else if t.needsRoom {
			body["any_room"] = true
		}
	}
	if d.coin < 0.08 {
		in.Override = true
		body["override"] = map[string]any{"rules": []string{"doctor-overlap", "patient-overlap"}, "reason": "Asked for in the proof."}
	}
	return in, body
}

// takeAppointment parses a response that is an appointment.
func (c *client) takeAppointment(o *op, body []byte) error {
	var a appointment
	err := json.Unmarshal(body, &a)
	o.Out.Appointments = []appointment{a}
	c.f.scene.learn(a, o.Out.Version, c.f.today)
	return err
}

func (c *client) book(ctx context.Context, d draw) bool {
	in, body := c.wanted(d)
	in.Patient = c.patient(d)
	body["patient_id"] = in.Patient
	c.ask(ctx, "book", in, request{path: "/appointments", body: asJSON(body)}, c.takeAppointment)
	return true
}

func (c *client) bookToday(ctx context.Context, d draw) bool {
	in := input{
		Doctor: among(c.f.doctors, d.doctor), Patient: c.patient(d), Minutes: 15,
		Start: c.f.today.Add(13*time.Hour + time.Duration(d.slot%36)*15*time.Minute),
	}
	c.ask(ctx, "book", in, request{path: "/appointments", body: asJSON(map[string]any{
		"doctor_id": in.Doctor, "patient_id": in.Patient, "start_time": in.Start, "duration_minutes": in.Minutes,
	})}, c.takeAppointment)
	return true
}

func (c *client) reschedule(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.standing, d.pick)
	if !found {
		return false
	}
	in, body := c.wanted(d)
	in.Type, in.Room, in.Before, in.After = 0, 0, 0, 0
	in.Appointment, in.Minutes = id, 15+15*int(d.length%3)
	delete(body, "type_id")
	delete(body, "room_id")
	delete(body, "any_room")
	body["duration_minutes"] = in.Minutes
	if d.form%4 == 0 {
		in.Match = c.f.scene.version(id)
	}
	c.ask(ctx, "reschedule", in, request{path: fmt.Sprintf("/appointments/%d/reschedule", id), body: asJSON(body)}, c.takeAppointment)
	return true
}

func (c *client) cancel(ctx context.Context, d draw) bool {
	list := &c.f.scene.standing
	if d.form%8 == 1 {
		list = &c.f.scene.today
	}
	id, found := take(c.f.scene, list, d.pick)
	if !found {
		return false
	}
	in := input{Appointment: id}
	if d.form%4 == 0 {
		in.Match = c.f.scene.version(id)
	}
	o := c.ask(ctx, "cancel", in, request{path: fmt.Sprintf("/appointments/%d/cancel", id), body: asJSON(map[string]any{"reason": "patient_request"})}, c.takeAppointment)
	if o.Code == "precondition-failed" {
		keep(c.f.scene, &c.f.scene.standing, id)
	}
	return true
}

func (c *client) undo(ctx context.Context, d draw) bool {
	list := &c.f.scene.gone
	switch d.form % 4 {
	case 0:
		list = &c.f.scene.standing
	case 1:
		list = &c.f.scene.today
	}
	id, found := look(c.f.scene, list, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "undo", input{Appointment: id}, request{path: fmt.Sprintf("/appointments/%d/undo", id)}, c.takeAppointment)
	return true
}

// changeStatus returns an operation that only changes an appointment's status.
func changeStatus(action string, list func(*scene) *[]int64) func(*client, context.Context, draw) bool {
	return func(c *client, ctx context.Context, d draw) bool {
		id, found := look(c.f.scene, list(c.f.scene), d.pick)
		if !found {
			return false
		}
		c.ask(ctx, action, input{Appointment: id}, request{path: fmt.Sprintf("/appointments/%d/%s", id, action)}, c.takeAppointment)
		return true
	}
}

func (c *client) hold(ctx context.Context, d draw) bool {
	in, body := c.wanted(d)
	in.Override = false
	delete(body, "override")
	body["seconds"] = 30 + int(d.length%2)*90
	c.ask(ctx, "hold", in, request{path: "/holds", body: asJSON(body)}, func(o *op, answer []byte) error {
		var made struct {
			ID      int64     `json:"id"`
			Token   string    `json:"token"`
			Room    int64     `json:"room_id"`
			Expires time.Time `json:"expires_at"`
		}
		err := json.Unmarshal(answer, &made)
		o.Out.ID, o.Out.Expires, o.In.Room = made.ID, made.Expires, made.Room
		keep(c.f.scene, &c.f.scene.holds, held{made.ID, made.Token, o.In})
		return err
	})
	return true
}

func (c *client) bookHeld(ctx context.Context, d draw) bool {
	h, found := look(c.f.scene, &c.f.scene.holds, d.pick)
	if !found {
		return false
	}
	in := h.in
	in.Hold, in.Patient = h.id, c.patient(d)
	body := map[string]any{"doctor_id": in.Doctor, "patient_id": in.Patient, "start_time": in.Start, "hold_token": h.token}
	if in.Type != 0 {
		body["type_id"] = in.Type
	} else {
		body["duration_minutes"] = in.Minutes
	}
	if in.Room != 0 {
		body["room_id"] = in.Room
	}
	c.ask(ctx, "book-held", in, request{path: "/appointments", body: asJSON(body)}, c.takeAppointment)
	return true
}

func (c *client) release(ctx context.Context, d draw) bool {
	h, found := take(c.f.scene, &c.f.scene.holds, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "release", input{Hold: h.id}, request{method: http.MethodDelete, path: fmt.Sprintf("/holds/%d", h.id)}, nil)
	return true
}

// takeSeries parses a response with a series, with or without its dates.
func (c *client) takeSeries(o *op, body []byte) error {
	type series struct {
		ID           int64         `json:"id"`
		Appointments []appointment `json:"appointments"`
	}
	var answer struct {
		series
		Series *series `json:"series"`
		Dates  []struct {
			Outcome string `json:"outcome"`
		} `json:"dates"`
	}
	err := json.Unmarshal(body, &answer)
	if answer.Series != nil {
		answer.series = *answer.Series
	}
	for _, date := range answer.Dates {
		if date.Outcome == "done" {
			o.Out.Dates++
		}
	}
	o.Out.ID, o.Out.Appointments = answer.ID, answer.Appointments
	if o.Kind == "series" {
		keep(c.f.scene, &c.f.scene.series, answer.ID)
		for _, a := range answer.Appointments {
			c.f.scene.learn(a, 1, c.f.today)
		}
	}
	return err
}

func (c *client) bookSeries(ctx context.Context, d draw) bool {
	in, body := c.wanted(d)
	in.Patient, in.Override, in.Count = c.patient(d), false, 2+int(d.length%3)
	delete(body, "override")
	body["patient_id"], body["rule"] = in.Patient, fmt.Sprintf("FREQ=DAILY;COUNT=%d", in.Count)
	body["time_zone"] = c.f.zoneName
	body["on_conflict"] = among([]string{"fail", "skip"}, d.pick)
	c.ask(ctx, "series", in, request{path: "/appointment-series", body: asJSON(body)}, c.takeSeries)
	return true
}

func (c *client) cancelSeries(ctx context.Context, d draw) bool {
	id, found := take(c.f.scene, &c.f.scene.series, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "cancel-series", input{Series: id}, request{
		path: fmt.Sprintf("/appointment-series/%d/cancel", id), body: asJSON(map[string]any{"reason": "patient_request"}),
	}, c.takeSeries)
	return true
}

func (c *client) rescheduleSeries(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.series, d.pick)
	if !found {
		return false
	}
	body := map[string]any{"start_time_of_day": c.start(d).Format("15:04"), "on_conflict": among([]string{"fail", "skip"}, d.form)}
	c.ask(ctx, "reschedule-series", input{Series: id}, request{path: fmt.Sprintf("/appointment-series/%d/reschedule", id), body: asJSON(body)}, c.takeSeries)
	return true
}

// repeat sends a request again with its key, after its response or concurrently. Both have
// the name of the first, whichever is executed.
func (c *client) repeat(ctx context.Context, d draw) bool {
	if d.form%2 == 0 {
		in, body := c.wanted(d)
		in.Patient = c.patient(d)
		body["patient_id"] = in.Patient
		what := request{method: http.MethodPost, path: "/appointments", body: asJSON(body)}
		first := c.h.invoke(c.number, c.n-1, "book", in)
		second := c.h.invoke(c.number, c.n-1, "repeat", input{Of: first.ID})
		c.both(ctx, first, second, what, what)
		return true
	}
	first, what, found := c.f.scene.former(d.pick)
	if !found {
		return false
	}
	o := c.h.invoke(c.number, c.n-1, "repeat", input{Of: first.ID, Match: first.In.Match})
	defer c.h.settle(o)
	o.Key = first.Key
	c.send(ctx, o, what, nil)
	return true
}

// reuse books with the key of another request, after its response or concurrently.
func (c *client) reuse(ctx context.Context, d draw) bool {
	in, body := c.wanted(d)
	in.Patient = c.patient(d)
	body["patient_id"] = in.Patient
	what := request{method: http.MethodPost, path: "/appointments", body: asJSON(body)}
	if d.form%2 == 0 {
		first := c.h.invoke(c.number, c.n-1, "book", in)
		other := in
		other.Of, other.Start = first.ID, in.Start.Add(15*time.Minute)
		body["start_time"] = other.Start
		second := c.h.invoke(c.number, c.n-1, "book", other)
		c.both(ctx, first, second, what, request{method: http.MethodPost, path: "/appointments", body: asJSON(body)})
		return true
	}
	first, _, found := c.f.scene.former(d.pick)
	if !found {
		return false
	}
	in.Of = first.ID
	o := c.h.invoke(c.number, c.n-1, "book", in)
	defer c.h.settle(o)
	o.Key = first.Key
	c.send(ctx, o, what, c.takeAppointment)
	return true
}

// both sends two requests with one key concurrently.
func (c *client) both(ctx context.Context, first, second *op, one, other request) {
	first.Key = fmt.Sprintf("proof-%d", first.ID)
	second.Key = first.Key
	first.shared, second.shared = true, true
	twin := *c
	twin.random = rand.New(rand.NewPCG(c.random.Uint64(), c.random.Uint64())) //nolint:gosec // G404: pauses
	var sending sync.WaitGroup
	sending.Go(func() {
		defer c.h.settle(first)
		c.send(ctx, first, one, c.takeAppointment)
	})
	sending.Go(func() {
		defer c.h.settle(second)
		read := c.takeAppointment
		if second.Kind == "repeat" {
			read = nil
		}
		twin.send(ctx, second, other, read)
	})
	sending.Wait()
}
