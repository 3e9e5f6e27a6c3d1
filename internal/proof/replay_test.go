//go:build spin

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"mems/internal/proof/model"
)

// What the models call the answers.
const (
	modelOK    = 1
	modelTaken = 2 // the doctor's time; of the waitlist, any refusal
)

// replayed is how many of a model's runs are carried out. What was answered has to be an
// answer that the model gives in the order in which it was.
const replayed = 120

// runsOfADay is how many runs have their hour on one day.
const runsOfADay = 8

// TestModelsAreTheServers carries out runs of the models against real servers: the calls
// that the model made begin and end in the model's order, and a real history, with its real
// answers, has to be one of the model's own.
func TestModelsAreTheServers(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	f, err := newField(t.Context(), options{engine: "mariadb", servers: 2, clients: 1, doctors: 3, out: out}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	h, err := newHistory(filepath.Join(out, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	f.wire.watch(t.Context(), f.servers)
	if err := f.addPlainType(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := 0 // each has a time of its own
	for _, m := range []struct {
		name    string
		options []string
		arrange func(*replay) []call
	}{
		{"booking", nil, (*replay).booking},
		{"hold", nil, (*replay).holding},
		{"idempotency", nil, (*replay).sameKey},
		{"waitlist", []string{"-DSMALL"}, (*replay).waitlist},
	} {
		all, err := model.Traces(t.Context(), t.TempDir(), m.name, m.options...)
		if err != nil {
			t.Fatal(err)
		}
		answers := map[string][][]int{} // by what was asked and when
		for _, one := range all {
			answers[one.Key()] = append(answers[one.Key()], one.Results)
		}
		random := rand.New(rand.NewPCG(1, 2))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		count := min(replayed, len(all))
		if testing.Short() {
			count = min(40, len(all))
		}
		seen := map[string]bool{}
		for _, one := range all[:count] {
			r := &replay{t: t, ctx: t.Context(), f: f, h: h, asked: one.Asked, results: make([]int, len(one.Results))}
			r.at = f.today.AddDate(0, 0, 1+run/runsOfADay).Add(time.Duration(8+run%runsOfADay) * time.Hour)
			run++
			r.carryOut(one, m.arrange(r))
			key := model.Trace{Asked: r.asked, Events: r.events}.Key()
			seen[key+fmt.Sprint(r.results)] = true
			switch allowed, known := answers[key]; {
			case r.unsure:
			case !known:
				t.Errorf("%s: no run of the model has the history %s, want one", m.name, key)
			case !slices.ContainsFunc(allowed, func(a []int) bool { return slices.Equal(a, r.results) }):
				t.Errorf("%s: asked and answered in the order %s, the servers said %v, want one of the model's %v",
					m.name, key, r.results, allowed)
			}
		}
		t.Logf("%-12s %d runs of %d carried out, %d different histories seen", m.name, count, len(all), len(seen))
		if len(seen) < 8 {
			t.Errorf("%s: %d different histories, want at least 8", m.name, len(seen))
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	for _, fault := range h.faults {
		t.Errorf("fault that the harness found, want none: %s", fault)
	}
}

// replay is one run of a model against the servers.
type replay struct {
	t     *testing.T
	ctx   context.Context
	f     *field
	h     *history
	at    time.Time // the time that everybody wants
	asked string

	mu      sync.Mutex
	events  []model.Event
	results []int
	unsure  bool // an answer was lost that cannot be asked for again
}

// call is what one call of a model does. It returns what the model calls the answer.
type call struct {
	number int
	// possible is false for what its client cannot ask, as it was not told enough; nil: always.
	possible func() bool
	do       func() int
}

// carryOut begins each call where the trace has it, after the answers that the trace has
// before it; further answers come as they come. What the trace does not have, because there
// an earlier call was answered otherwise, follows at the end.
func (r *replay) carryOut(one model.Trace, calls []call) {
	r.t.Helper()
	done := make([]chan struct{}, len(one.Results))
	begin := func(number int) {
		i := slices.IndexFunc(calls, func(c call) bool { return c.number == number })
		if i < 0 {
			r.t.Fatalf("nobody makes call %d of %v", number, one)
		}
		if calls[i].possible != nil && !calls[i].possible() {
			return
		}
		ended := make(chan struct{})
		done[number] = ended
		r.note(model.Event{Call: number}, 0)
		go func() {
			defer close(ended)
			r.note(model.Event{Call: number, Answered: true}, calls[i].do())
		}()
	}
	for _, e := range one.Events {
		switch ended := done[e.Call]; {
		case !e.Answered:
			begin(e.Call)
		case ended != nil:
			<-ended
		}
	}
	for _, ended := range done {
		if ended != nil {
			<-ended
		}
	}
	for _, c := range calls {
		if done[c.number] == nil {
			if begin(c.number); done[c.number] != nil {
				<-done[c.number]
			}
		}
	}
}

func (r *replay) note(e model.Event, result int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if e.Answered {
		r.results[e.Call] = result
	}
}

// client is the harness's own.
func (r *replay) client(number int) *client {
	return &client{f: r.f, h: r.h, number: number, random: rand.New(rand.NewPCG(uint64(number), 3))}
}

// book books the wanted time, or half an hour before it.
func (r *replay) book(number int, kind string, doctor, patient int64, start time.Time, more map[string]any) *op {
	in := input{Doctor: doctor, Patient: patient, Start: start, Minutes: 30}
	body := map[string]any{"doctor_id": doctor, "patient_id": patient, "start_time": start}
	maps.Copy(body, more)
	if body["type_id"] == nil {
		body["duration_minutes"] = 30
	}
	c := r.client(number)
	return c.ask(r.ctx, kind, in, request{path: "/appointments", body: asJSON(body)}, c.takeAppointment)
}

// verdict is what the model calls an answer, with its words for refusals.
func (r *replay) verdict(o *op, refusals map[string]int) int {
	if o.Outcome == ok {
		return modelOK
	}
	if v := refusals[o.Code]; v != 0 {
		return v
	}
	r.t.Errorf("op %d (%s) was answered %d %s", o.ID, o.Kind, o.Status, o.Code)
	return -1
}

// existing makes an appointment that the run begins with.
func (r *replay) existing(doctor, patient int64, start time.Time, more map[string]any) int64 {
	r.t.Helper()
	o := r.book(0, "book", doctor, patient, start, more)
	if o.Outcome != ok {
		r.t.Fatalf("an appointment that the run begins with: %d %s", o.Status, o.Code)
	}
	return o.Out.Appointments[0].ID
}

// booking is booking.pml: call 1 books, call 2 reschedules the first of two appointments.
func (r *replay) booking() []call {
	refusals := map[string]int{"doctor-overlap": 2, "patient-overlap": 3, "room-overlap": 4, "no-room-free": 4}
	var doctor, patient, when int
	_, _ = fmt.Sscan(r.asked, &doctor, &patient, &when)
	first := r.existing(r.f.doctors[0], r.f.patients[0], r.at, map[string]any{"type_id": r.plainType(), "room_id": r.f.rooms[0]})
	r.existing(r.f.doctors[1], r.f.patients[1], r.at, map[string]any{"type_id": r.plainType(), "room_id": r.f.rooms[1]})
	return []call{
		{number: 1, do: func() int {
			o := r.book(1, "book", r.f.doctors[doctor], r.f.patients[patient], r.at.Add(30*time.Minute),
				map[string]any{"type_id": r.plainType(), "any_room": true})
			return r.verdict(o, refusals)
		}},
		{number: 2, do: func() int {
			c := r.client(2)
			in := input{Appointment: first, Doctor: r.f.doctors[1], Start: r.at.Add(time.Duration(when-1) * 30 * time.Minute), Minutes: 30}
			o := c.ask(r.ctx, "reschedule", in, request{path: fmt.Sprintf("/appointments/%d/reschedule", first), body: asJSON(map[string]any{
				"doctor_id": in.Doctor, "start_time": in.Start,
			})}, c.takeAppointment)
			return r.verdict(o, refusals)
		}},
	}
}

// addPlainType makes an appointment type of 30 minutes in a room, without buffers.
func (f *field) addPlainType(ctx context.Context) error {
	made, err := f.create(ctx, "/appointment-types", map[string]any{"name": "Plain", "duration_minutes": 30, "needs_room": true, "room_ids": f.rooms})
	f.types = append(f.types, kind{id: made.ID, minutes: 30, needsRoom: true})
	return err
}

func (r *replay) plainType() int64 { return r.f.types[len(r.f.types)-1].id }

// holding is hold.pml: call 5 holds, 0 books from the hold, 1 does so again, 2 books without,
// 3 holds for somebody else, 4 gives the first hold back.
func (r *replay) holding() []call {
	refusals := map[string]int{"doctor-overlap": modelTaken, "hold-not-found": 3, "hold-not-usable": 3}
	var mine struct {
		ID    int64  `json:"id"`
		Token string `json:"token"`
	}
	hold := func(number int, read func(*op, []byte) error) int {
		in := input{Doctor: r.f.doctors[0], Start: r.at, Minutes: 30}
		o := r.client(number).ask(r.ctx, "hold", in, request{path: "/holds", body: asJSON(map[string]any{
			"doctor_id": in.Doctor, "start_time": in.Start, "duration_minutes": in.Minutes, "seconds": 600,
		})}, read)
		return r.verdict(o, refusals)
	}
	from := func(number int, patient int64) func() int {
		return func() int {
			return r.verdict(r.book(number, "book-held", r.f.doctors[0], patient, r.at, map[string]any{"hold_token": mine.Token}), refusals)
		}
	}
	holds := func() bool { return mine.ID != 0 }
	calls := []call{
		{number: 5, do: func() int { return hold(0, func(_ *op, body []byte) error { return json.Unmarshal(body, &mine) }) }},
		{number: 0, possible: holds, do: from(0, r.f.patients[0])},
		{number: 2, do: func() int { return r.verdict(r.book(2, "book", r.f.doctors[0], r.f.patients[2], r.at, nil), refusals) }},
		{number: 3, do: func() int { return hold(3, nil) }},
	}
	if r.asked[0] == '0' {
		return append(calls, call{number: 1, possible: holds, do: from(1, r.f.patients[1])})
	}
	return append(calls, call{number: 4, possible: holds, do: func() int {
		o := r.client(4).ask(r.ctx, "release", input{Hold: mine.ID}, request{method: http.MethodDelete, path: fmt.Sprintf("/holds/%d", mine.ID)}, nil)
		r.unsure = o.Outcome == unknown // it was sent twice: the hold is gone, by which of them is not told
		return r.verdict(o, refusals)
	}})
}

// sameKey is idempotency.pml: calls 0 and 1 send one request with one key, call 3 books the
// same time, and call 2 cancels that again.
func (r *replay) sameKey() []call {
	refusals := map[string]int{"doctor-overlap": modelTaken}
	first := r.h.invoke(0, 0, "book", input{Doctor: r.f.doctors[0], Patient: r.f.patients[0], Start: r.at, Minutes: 30})
	what := request{method: http.MethodPost, path: "/appointments", body: asJSON(map[string]any{
		"doctor_id": r.f.doctors[0], "patient_id": r.f.patients[0], "start_time": r.at, "duration_minutes": 30,
	})}
	first.Key = fmt.Sprintf("proof-%d", first.ID)
	send := func(number int, o *op) func() int {
		return func() int {
			defer r.h.settle(o)
			c := r.client(number)
			c.send(r.ctx, o, what, nil)
			return r.verdict(o, refusals)
		}
	}
	second := r.h.invoke(1, 0, "book", first.In)
	second.Key = first.Key
	var theirs int64
	return []call{
		{number: 0, do: send(0, first)},
		{number: 1, do: send(1, second)},
		{number: 3, do: func() int {
			o := r.book(2, "book", r.f.doctors[0], r.f.patients[1], r.at, nil)
			if o.Outcome == ok {
				theirs = o.Out.Appointments[0].ID
			}
			return r.verdict(o, refusals)
		}},
		{number: 2, possible: func() bool { return theirs != 0 }, do: func() int { return r.verdict(r.act(2, "cancel", theirs), refusals) }},
	}
}

// act changes the status of an appointment.
func (r *replay) act(number int, action string, id int64) *op {
	var body []byte
	if action == "cancel" {
		body = asJSON(map[string]any{"reason": "patient_request"})
	}
	c := r.client(number)
	return c.ask(r.ctx, action, input{Appointment: id}, request{path: fmt.Sprintf("/appointments/%d/%s", id, action), body: body}, c.takeAppointment)
}

// waitlist is waitlist.pml: an appointment is cancelled (0) and that undone (1); an entry
// accepts what it is offered (2), another one waits, and somebody books the time (4).
func (r *replay) waitlist() []call {
	refusals := map[string]int{"doctor-overlap": modelTaken, "patient-overlap": modelTaken, "invalid-transition": modelTaken, "no-offer": modelTaken}
	appointment := r.existing(r.f.doctors[0], r.f.patients[0], r.at, nil)
	var entries []int64
	for i := range 2 {
		c := r.client(10 + i)
		in := input{Patient: r.f.patients[1+i], Start: r.at, Minutes: 30, Doctor: r.f.doctors[0]}
		o := c.ask(r.ctx, "wait", in, request{path: "/waitlist", body: asJSON(map[string]any{
			"patient_id": in.Patient, "duration_minutes": 30, "from": r.at, "to": r.at.Add(30 * time.Minute), "doctor_ids": []int64{in.Doctor},
		})}, c.takeEntry)
		if o.Outcome != ok {
			r.t.Fatalf("an entry of the waitlist: %d %s", o.Status, o.Code)
		}
		entries = append(entries, o.Out.ID)
	}
	return []call{
		{number: 0, do: func() int { return r.verdict(r.act(0, "cancel", appointment), refusals) }},
		{number: 1, do: func() int { return r.verdict(r.act(1, "undo", appointment), refusals) }},
		{number: 2, do: func() int {
			c := r.client(2)
			o := c.ask(r.ctx, "accept", input{Entry: entries[0]}, request{path: fmt.Sprintf("/waitlist/%d/accept", entries[0])}, c.takeAppointment)
			return r.verdict(o, refusals)
		}},
		{number: 4, do: func() int { return r.verdict(r.book(4, "book", r.f.doctors[0], r.f.patients[3], r.at, nil), refusals) }},
	}
}
