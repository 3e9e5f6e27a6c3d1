package demo

import (
	"math/rand/v2"
	"time"

	"mems/internal/clinic"
)

// session is part of a working day, in hours of the clinic's clock.
type session struct{ from, to int }

var (
	weekday  = []session{{8, 12}, {13, 17}}
	saturday = []session{{8, 12}}
)

// Days are planned a little fuller than they turn out, because some appointments are
// cancelled or missed: 70 to 90 % remain.
const (
	fullest     = 0.96
	leastFull   = 0.78
	lastDayFull = 0.12 // of that, at the end of the bookable days
)

// calendars holds the state while all doctors' calendars are filled.
type calendars struct {
	*rand.Rand
	Options
	today    clinic.Date
	clinic   *invention
	children []int // indices of patients
	adults   []int
	everyone []int
	// seen has the patients with an appointment on the day being filled: few patients see
	// two doctors on one day, and none two at a time.
	seen map[int]bool
}

// fillCalendars creates every doctor's appointments, with indices of patients instead of
// ids.
func fillCalendars(r *rand.Rand, o Options, c *invention) {
	w := &calendars{Rand: r, Options: o, today: clinic.DateOf(o.Now.In(o.Zone)), clinic: c}
	adultSince := clinic.Date{Year: w.today.Year - 18, Month: w.today.Month, Day: w.today.Day}
	for i, p := range c.patients {
		w.everyone = append(w.everyone, i)
		if p.BirthDate != nil && adultSince.Before(*p.BirthDate) {
			w.children = append(w.children, i)
		} else {
			w.adults = append(w.adults, i)
		}
	}
	days := 7 * (o.WeeksBack + o.WeeksAhead)
	date := firstDay(o)
	for i := 0; i <= days; i, date = i+1, date.Next() {
		w.seen = map[int]bool{}
		w.fillDay(date, i-7*o.WeeksBack)
	}
}

// fillDay fills a day, ahead days from today.
func (w *calendars) fillDay(date clinic.Date, ahead int) {
	day := time.Date(date.Year, date.Month, date.Day, 0, 0, 0, 0, time.UTC).Weekday()
	for i := range w.clinic.doctors {
		d := &w.clinic.doctors[i]
		full := leastFull + (fullest-leastFull)*w.Float64()
		if ahead > 0 {
			full *= 1 - (1-lastDayFull)*float64(ahead)/float64(7*w.WeeksAhead)
		}
		for _, s := range d.sessions(day) {
			w.fillSession(d, clinic.Interval{Start: w.at(date, s.from), End: w.at(date, s.to)}, full)
		}
	}
}

// sessions returns a doctor's sessions on a day of the week.
func (d *doctor) sessions(day time.Weekday) []session {
	switch {
	case day == time.Sunday || day == d.dayOff:
		return nil
	case day != time.Saturday:
		return weekday
	case d.saturdays:
		return saturday
	}
	return nil
}

func (w *calendars) at(date clinic.Date, hour int) time.Time {
	return clinic.Instant(time.Date(date.Year, date.Month, date.Day, hour, 0, 0, 0, w.Zone))
}

func (w *calendars) fillSession(d *doctor, s clinic.Interval, full float64) {
	for at := s.Start; !at.Add(clinic.MinDuration).After(s.End); {
		t := clinic.Interval{Start: at, End: at.Add(draw(w.Rand, d.lengths))}
		if t.End.After(s.End) {
			t.End = at.Add(clinic.MinDuration)
		}
		if w.Float64() < full {
			w.fillTime(d, t)
		}
		at = t.End
	}
}

// fillTime books a time, and perhaps another patient if the first cancels.
func (w *calendars) fillTime(d *doctor, t clinic.Interval) {
	for {
		patient, ok := w.patient(d)
		if !ok {
			return
		}
		a := clinic.Appointment{PatientID: int64(patient), Time: t, Status: w.status(t)}
		if a.Status == clinic.StatusCancelled {
			a.Cancellation = w.cancellation(t)
		}
		d.calendar = append(d.calendar, a)
		if a.Status != clinic.StatusCancelled || w.IntN(2) == 0 {
			return
		}
	}
}

// patient draws a patient who fits the doctor and has no appointment that day. A fifth of
// the patients come twice as often.
func (w *calendars) patient(d *doctor) (int, bool) {
	from := w.adults
	if d.children {
		from = w.children
	}
	if len(from) == 0 {
		from = w.everyone
	}
	for range 20 {
		among := len(from)
		if w.IntN(10) < 3 {
			among = (among + 4) / 5
		}
		i := from[w.IntN(among)]
		if !w.seen[i] {
			w.seen[i] = true
			return i, true
		}
	}
	return 0, false
}

// soon is how early patients arrive.
const soon = 20 * time.Minute

// status returns the present status of an appointment at t.
func (w *calendars) status(t clinic.Interval) clinic.Status {
	day := clinic.DateOf(t.Start.In(w.Zone))
	switch {
	case !t.End.After(w.Now):
		return draw(w.Rand, behind)
	case !t.Start.After(w.Now):
		return draw(w.Rand, underWay)
	case !t.Start.After(w.Now.Add(soon)):
		return draw(w.Rand, next)
	case day == w.today:
		return draw(w.Rand, laterToday)
	case t.Start.Before(w.Now.AddDate(0, 0, 7)):
		return draw(w.Rand, thisWeek)
	default:
		return draw(w.Rand, ahead)
	}
}

var (
	behind = []weighted[clinic.Status]{
		{clinic.StatusCompleted, 860},
		{clinic.StatusCancelled, 80},
		{clinic.StatusNoShow, 50},
		{clinic.StatusLeftWithoutBeingSeen, 10},
	}
	underWay = []weighted[clinic.Status]{
		{clinic.StatusInProgress, 90},
		{clinic.StatusCheckedIn, 10},
	}
	next = []weighted[clinic.Status]{
		{clinic.StatusCheckedIn, 60},
		{clinic.StatusConfirmed, 40},
	}
	laterToday = []weighted[clinic.Status]{
		{clinic.StatusConfirmed, 75},
		{clinic.StatusScheduled, 20},
		{clinic.StatusCancelled, 5},
	}
	thisWeek = []weighted[clinic.Status]{
		{clinic.StatusConfirmed, 60},
		{clinic.StatusScheduled, 34},
		{clinic.StatusCancelled, 6},
	}
	ahead = []weighted[clinic.Status]{
		{clinic.StatusConfirmed, 12},
		{clinic.StatusScheduled, 83},
		{clinic.StatusCancelled, 5},
	}
)

var reasons = []weighted[clinic.CancellationReason]{
	{clinic.ReasonPatientRequest, 55},
	{clinic.ReasonRebooked, 18},
	{clinic.ReasonDoctorUnavailable, 14},
	{clinic.ReasonBookedInError, 6},
	{clinic.ReasonOther, 5},
	{clinic.ReasonClinicClosed, 2},
}

// notes are written for some cancellations, never about health.
var notes = map[clinic.CancellationReason][]string{
	clinic.ReasonPatientRequest:    {"Called this morning.", "Will call again for another time.", "Away for work that week.", "Cancelled by e-mail."},
	clinic.ReasonRebooked:          {"Moved to the following week.", "Moved to an earlier time."},
	clinic.ReasonDoctorUnavailable: {"Doctor away at short notice.", "Doctor at a congress."},
	clinic.ReasonOther:             {"No transport.", "Needs an interpreter; to be arranged first."},
}

// cancellation draws why and when an appointment at t was cancelled: one hour to ten days
// before it or, if it is in the future, before now.
func (w *calendars) cancellation(t clinic.Interval) *clinic.Cancellation {
	latest := t.Start
	if w.Now.Before(latest) {
		latest = w.Now
	}
	before := time.Hour + time.Duration(w.Int64N(int64(10*24*time.Hour)))
	c := &clinic.Cancellation{
		Reason: draw(w.Rand, reasons),
		At:     clinic.Instant(latest.Add(-before).Truncate(time.Second)),
	}
	if possible := notes[c.Reason]; len(possible) > 0 && w.IntN(3) == 0 {
		note := possible[w.IntN(len(possible))]
		c.Note = &note
	}
	return c
}
