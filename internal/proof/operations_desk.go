package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// takeTicket parses a response that is a ticket.
func (c *client) takeTicket(o *op, body []byte) error {
	var t ticket
	err := json.Unmarshal(body, &t)
	o.Out.Ticket = &t
	if t.Status == "waiting" {
		keep(c.f.scene, &c.f.scene.tickets, t.ID)
	}
	return err
}

func (c *client) walkIn(ctx context.Context, d draw) bool {
	in := input{Doctor: among(c.f.doctors, d.doctor), Patient: c.patient(d)}
	body := map[string]any{"patient_id": in.Patient, "doctor_id": in.Doctor}
	if d.form%5 == 0 {
		delete(body, "doctor_id")
		in.Doctor = 0
		body["specialization"] = "Dermatology"
	}
	c.ask(ctx, "walk-in", in, request{path: "/walk-ins", body: asJSON(body)}, c.takeTicket)
	return true
}

func (c *client) callNext(ctx context.Context, d draw) bool {
	in := input{Doctor: among(c.f.doctors, d.doctor)}
	c.ask(ctx, "call-next", in, request{path: "/queue/call-next", body: asJSON(map[string]any{"doctor_id": in.Doctor})}, c.takeTicket)
	return true
}

// changeTicket returns an operation on a ticket.
func changeTicket(action string) func(*client, context.Context, draw) bool {
	return func(c *client, ctx context.Context, d draw) bool {
		id, found := look(c.f.scene, &c.f.scene.tickets, d.pick)
		if !found {
			return false
		}
		c.ask(ctx, action+"-ticket", input{Ticket: id}, request{path: fmt.Sprintf("/tickets/%d/%s", id, action)}, c.takeTicket)
		return true
	}
}

func (c *client) transfer(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.tickets, d.pick)
	if !found {
		return false
	}
	in := input{Ticket: id, Doctor: among(c.f.doctors, d.doctor)}
	c.ask(ctx, "transfer", in, request{path: fmt.Sprintf("/tickets/%d/transfer", id), body: asJSON(map[string]any{"doctor_id": in.Doctor})}, c.takeTicket)
	return true
}

// takeEntry parses a response that is a waitlist entry.
func (c *client) takeEntry(o *op, body []byte) error {
	var e struct {
		ID    int64 `json:"id"`
		Offer *struct {
			Start time.Time `json:"start_time"`
		} `json:"offer"`
	}
	err := json.Unmarshal(body, &e)
	o.Out.ID, o.Out.Offered = e.ID, e.Offer != nil
	if o.Kind == "wait" {
		keep(c.f.scene, &c.f.scene.entries, e.ID)
	}
	return err
}

func (c *client) wait(ctx context.Context, d draw) bool {
	in := input{Patient: c.patient(d), Start: c.start(d), Minutes: 15 + 15*int(d.length%3)}
	body := map[string]any{
		"patient_id": in.Patient, "duration_minutes": in.Minutes, "from": in.Start, "to": in.Start.Add(4 * time.Hour),
	}
	if d.form%2 == 0 {
		in.Doctor = among(c.f.doctors, d.doctor)
		body["doctor_ids"] = []int64{in.Doctor}
	} else {
		body["specialization"] = "Dermatology"
	}
	c.ask(ctx, "wait", in, request{path: "/waitlist", body: asJSON(body)}, c.takeEntry)
	return true
}

func (c *client) accept(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.entries, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "accept", input{Entry: id}, request{path: fmt.Sprintf("/waitlist/%d/accept", id)}, c.takeAppointment)
	return true
}

func (c *client) decline(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.entries, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "decline", input{Entry: id}, request{path: fmt.Sprintf("/waitlist/%d/decline", id)}, c.takeEntry)
	return true
}

func (c *client) withdraw(ctx context.Context, d draw) bool {
	id, found := take(c.f.scene, &c.f.scene.entries, d.pick)
	if !found {
		return false
	}
	c.ask(ctx, "withdraw", input{Entry: id}, request{method: http.MethodDelete, path: fmt.Sprintf("/waitlist/%d", id)}, nil)
	return true
}

// made sets the id of the record in the response.
func (o *op) made(answer []byte) error {
	var record struct {
		ID int64 `json:"id"`
	}
	err := json.Unmarshal(answer, &record)
	o.Out.ID = record.ID
	return err
}

func (c *client) register(ctx context.Context, d draw) bool {
	body := map[string]any{"first_name": "Dup", "last_name": fmt.Sprintf("Number%x", d.pick)}
	c.ask(ctx, "register", input{}, request{path: "/patients", body: asJSON(body)}, func(o *op, answer []byte) error {
		err := o.made(answer)
		keep(c.f.scene, &c.f.scene.duplicates, o.Out.ID)
		return err
	})
	return true
}

// merge merges a registered patient into one of the few. Clients go on requesting the
// merged one, which must be refused.
func (c *client) merge(ctx context.Context, d draw) bool {
	duplicate, found := look(c.f.scene, &c.f.scene.duplicates, d.pick)
	if !found {
		return false
	}
	in := input{Patient: among(c.f.patients, d.patient), Duplicate: duplicate}
	c.ask(ctx, "merge", in, request{path: fmt.Sprintf("/patients/%d/merge", in.Patient), body: asJSON(map[string]any{"duplicate_id": duplicate})},
		func(o *op, answer []byte) error {
			return json.Unmarshal(answer, &struct {
				Appointments *[]appointment `json:"appointments"`
			}{&o.Out.Appointments})
		})
	return true
}

// timeOff creates two hours of time off, or deletes an existing one.
func (c *client) timeOff(ctx context.Context, d draw) bool {
	if d.form%3 > 0 {
		off, found := take(c.f.scene, &c.f.scene.absences, d.pick)
		if found {
			path := fmt.Sprintf("/doctors/%d/time-off/%d", off.Doctor, off.TimeOff)
			c.ask(ctx, "end-time-off", off, request{method: http.MethodDelete, path: path}, nil)
			return true
		}
	}
	in := input{Doctor: among(c.f.doctors, d.doctor), Start: c.start(d), Minutes: 120}
	body := asJSON(map[string]any{"start_time": in.Start, "end_time": in.Start.Add(2 * time.Hour), "reason": "training"})
	c.ask(ctx, "time-off", in, request{path: fmt.Sprintf("/doctors/%d/time-off", in.Doctor), body: body}, func(o *op, answer []byte) error {
		var made struct {
			TimeOff struct {
				ID int64 `json:"id"`
			} `json:"time_off"`
			Affected []appointment `json:"affected_appointments"`
		}
		err := json.Unmarshal(answer, &made)
		o.Out.ID = made.TimeOff.ID
		off := in
		off.TimeOff = made.TimeOff.ID
		keep(c.f.scene, &c.f.scene.absences, off)
		return err
	})
	return true
}

func (c *client) plan(ctx context.Context, d draw) bool {
	in := input{Doctor: among(c.f.doctors, d.doctor), Start: c.start(d), Minutes: 180}
	body := map[string]any{"doctor_id": in.Doctor, "start_time": in.Start, "end_time": in.Start.Add(3 * time.Hour), "horizon_days": 3}
	c.ask(ctx, "plan", in, request{path: "/plans", body: asJSON(body)}, func(o *op, answer []byte) error {
		err := o.made(answer)
		keep(c.f.scene, &c.f.scene.plans, o.Out.ID)
		return err
	})
	return true
}

func (c *client) apply(ctx context.Context, d draw) bool {
	id, found := look(c.f.scene, &c.f.scene.plans, d.pick)
	if !found {
		return false
	}
	body := map[string]any{"mode": among([]string{"each", "all_or_nothing"}, d.form)}
	c.ask(ctx, "apply", input{Plan: id}, request{path: fmt.Sprintf("/plans/%d/apply", id), body: asJSON(body)}, func(o *op, answer []byte) error {
		var made struct {
			ID    int64 `json:"id"`
			Items []struct {
				Appointment appointment `json:"appointment"`
				Outcome     string      `json:"outcome"`
			} `json:"items"`
		}
		err := json.Unmarshal(answer, &made)
		o.Out.ID = made.ID
		for _, item := range made.Items {
			if item.Outcome == "moved" {
				o.Out.Appointments = append(o.Out.Appointments, item.Appointment)
			}
		}
		return err
	})
	return true
}
