package clinic

import (
	"slices"
	"time"
)

// Plan proposes a new time for every appointment of an absent doctor. Proposals are not
// held: they were free when the plan was created.
type Plan struct {
	ID        int64
	DoctorID  int64
	Time      Interval // in which the doctor is away
	Items     []PlanItem
	Version   int64 // counts changes; the record's ETag
	CreatedAt time.Time
	UpdatedAt time.Time
}

// PlanItem is one appointment of a plan.
type PlanItem struct {
	Visit    Appointment // as it was when the plan was created
	Proposal *Slot       // nil: nothing is free
	RoomID   *int64      // of the proposal
	Outcome  PlanOutcome
	Refusal  *Error // with PlanRefused
}

// PlanOutcome is the state of a proposal.
type PlanOutcome string

// The outcomes; the contract lists the same.
const (
	PlanOpen        PlanOutcome = "open"         // not applied yet
	PlanMoved       PlanOutcome = "moved"        // the appointment was rescheduled
	PlanRefused     PlanOutcome = "refused"      // a rule refused it
	PlanChanged     PlanOutcome = "changed"      // the appointment has changed since the plan was created
	PlanImpossible  PlanOutcome = "impossible"   // nothing was free
	PlanNotSelected PlanOutcome = "not_selected" // the caller left it out
)

// Reschedule returns the item as a reschedule.
func (i PlanItem) Reschedule() Reschedule {
	start := i.Proposal.Time.Start
	return Reschedule{Start: &start, DoctorID: i.Proposal.DoctorID, RoomID: ChangeTo(i.RoomID)}
}

// PlanOrder returns the chosen items, by index, in an order in which they can be moved one
// by one: an item whose proposal needs time of a doctor, room or patient that another
// item's appointment still occupies comes after that one. Items in a cycle keep their
// order.
func PlanOrder(items []PlanItem, chosen []int) []int {
	waits := make([]int, len(items)) // for how many of the remaining ones
	for _, i := range chosen {
		for _, j := range chosen {
			if i != j && waitsFor(&items[i], &items[j]) {
				waits[i]++
			}
		}
	}
	ordered, left := make([]int, 0, len(chosen)), slices.Clone(chosen)
	for len(left) > 0 {
		at := max(0, slices.IndexFunc(left, func(i int) bool { return waits[i] == 0 }))
		next := left[at]
		ordered, left = append(ordered, next), slices.Delete(left, at, at+1)
		for _, i := range left {
			if waitsFor(&items[i], &items[next]) {
				waits[i]--
			}
		}
	}
	return ordered
}

// waitsFor reports whether a proposal needs the time of another item's appointment.
func waitsFor(i, other *PlanItem) bool {
	wanted := i.Visit.Buffers.around(i.Proposal.Time)
	same := func(a, b *int64) bool { return a != nil && b != nil && *a == *b }
	return wanted.Overlaps(other.Visit.Busy()) && (i.Proposal.DoctorID == other.Visit.DoctorID || same(i.RoomID, other.Visit.RoomID)) ||
		i.Visit.PatientID == other.Visit.PatientID && i.Proposal.Time.Overlaps(other.Visit.Time)
}

// MaxPlanAhead is the maximum time between an appointment and its proposed time.
const MaxPlanAhead = 120 * 24 * time.Hour

// PlanWindow returns the window in which times for visits, sorted by start, are searched
// for: from the first of them to horizon after the absence, at most MaxPlanAhead after the
// last.
func PlanWindow(visits []Appointment, away Interval, horizon time.Duration) Interval {
	if len(visits) == 0 {
		return Interval{Start: away.Start, End: away.Start}
	}
	end := away.End.Add(horizon)
	if last := visits[len(visits)-1].Time.Start.Add(MaxPlanAhead); last.Before(end) {
		end = last
	}
	return Interval{Start: visits[0].Time.Start, End: end}
}

// Bounds of the search in colleagues' calendars: planDoctorDays examined for all
// appointments together, planReadDays read; but always minPlanColleagues.
const (
	MaxPlanColleagues = 48
	minPlanColleagues = 8
	planDoctorDays    = 100_000
	planReadDays      = 10_000
)

// PlanColleagues returns how many colleagues' calendars a plan of so many appointments
// searches in a window.
func PlanColleagues(visits int, window Interval) int {
	days := func(d time.Duration) int { return int(d/(24*time.Hour)) + 1 }
	span := window.End.Sub(window.Start)
	n := min(MaxPlanColleagues, planDoctorDays/(max(1, visits)*days(min(span, MaxPlanAhead))), planReadDays/days(span))
	return max(minPlanColleagues, n)
}

// Calendars has the calendars that a plan searches: of the doctors who may take an
// appointment over, the patients and the rooms.
type Calendars struct {
	Schedules   []Schedule // the planned doctor's among them, with the absence in Off
	PatientBusy map[int64][]Interval
	RoomBusy    map[int64][]Interval // of active rooms
	Types       map[int64]AppointmentType
}

// Propose returns, for each visit in the given order, the free time nearest to the visit's
// own, not before it, with its doctor or another one of the schedules; its own doctor wins
// ties. A proposal is occupied for the visits after it. Starts are tried every five minutes
// up to until, at most MaxPlanAhead after the visit's own.
func Propose(c Calendars, visits []Appointment, until time.Time, zone *time.Location) []PlanItem {
	items := make([]PlanItem, len(visits))
	for i := range c.Schedules {
		c.Schedules[i].Busy = merge(c.Schedules[i].Busy) // once, not for every visit
	}
	for n, v := range visits {
		items[n] = PlanItem{Visit: v, Outcome: PlanImpossible}
		q, rooms := c.query(v, until, zone)
		best := -1
		for i := range c.Schedules {
			s := &c.Schedules[i]
			if v.TypeID != nil && s.DoctorID != v.DoctorID {
				if kind := c.Types[*v.TypeID]; !kind.Allows(s.DoctorID, s.Specialization) {
					continue
				}
			}
			for start := range s.Starts(q) {
				found := items[n].Proposal
				if found == nil || start.Before(found.Time.Start) || start.Equal(found.Time.Start) && s.DoctorID == v.DoctorID {
					items[n].Proposal = &Slot{DoctorID: s.DoctorID, Time: Interval{Start: start, End: start.Add(q.Duration)}}
					best = i
				}
				break
			}
			if found := items[n].Proposal; found != nil {
				q.Window.End = found.Time.Start.Add(time.Microsecond) // later starts cannot win
			}
		}
		if best < 0 {
			continue
		}
		items[n].Outcome = PlanOpen
		want := items[n].Proposal.Time
		busy := v.Buffers.around(want)
		c.Schedules[best].Busy = append(c.Schedules[best].Busy, busy)
		c.PatientBusy[v.PatientID] = append(c.PatientBusy[v.PatientID], want)
		for _, room := range rooms {
			if _, taken := firstOverlap(c.RoomBusy[room], busy); !taken {
				items[n].RoomID = &room
				c.RoomBusy[room] = append(c.RoomBusy[room], busy)
				break
			}
		}
	}
	return items
}

// query returns the search for one visit, and the suitable rooms, its own first.
func (c Calendars) query(v Appointment, until time.Time, zone *time.Location) (SlotQuery, []int64) {
	if ahead := v.Time.Start.Add(MaxPlanAhead); ahead.Before(until) {
		until = ahead
	}
	q := SlotQuery{
		Window: Interval{Start: v.Time.Start, End: until}, Duration: v.Time.End.Sub(v.Time.Start), Buffers: v.Buffers,
		Step: 5 * time.Minute, Zone: zone, PatientBusy: c.PatientBusy[v.PatientID],
	}
	if v.RoomID == nil {
		return q, nil
	}
	q.NeedsRoom = true
	var rooms []int64
	for id := range c.RoomBusy {
		suits := id == *v.RoomID
		if v.TypeID != nil {
			kind := c.Types[*v.TypeID]
			suits = suits || kind.Suits(id) && kind.NeedsRoom
		}
		if suits {
			rooms = append(rooms, id)
		}
	}
	slices.SortFunc(rooms, func(a, b int64) int {
		if (a == *v.RoomID) != (b == *v.RoomID) {
			if a == *v.RoomID {
				return -1
			}
			return 1
		}
		return int(a - b)
	})
	for _, id := range rooms {
		q.Rooms = append(q.Rooms, c.RoomBusy[id])
	}
	return q, rooms
}
