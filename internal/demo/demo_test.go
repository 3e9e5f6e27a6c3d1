package demo

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/clinic"
	"mems/internal/store"
	"mems/internal/storetest"
)

// A Wednesday, mid-morning at the clinic.
func options(t *testing.T) Options {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Doctors: 5, Patients: 300, WeeksBack: 3, WeeksAhead: 2, Seed: 7,
		Now: time.Date(2027, 3, 31, 10, 7, 0, 0, zone), Zone: zone,
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	o := options(t)
	d := storetest.New(t)
	st := d.Open(t, func() time.Time { return o.Now }, o.Zone)
	last := map[string]int{}
	s, err := Fill(t.Context(), st, o, func(what string, done, total int) {
		if done < last[what] || done > total {
			t.Errorf("progress of %s = %d of %d after %d, want it growing up to the total",
				what, done, total, last[what])
		}
		last[what] = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"doctors": 5, "rooms and hours": 5, "patients": 300, "appointments": s.Appointments}; !cmp.Equal(last, want) {
		t.Errorf("progress ended at %v, want %v", last, want)
	}
	if s.Day != (clinic.Date{Year: 2027, Month: time.March, Day: 31}) || s.DoctorID == 0 {
		t.Errorf("summary = %+v, want the day 2027-03-31 and a doctor", s)
	}
	for name, query := range map[string]string{
		"Overlaps": `
			SELECT COUNT(*) FROM appointments a JOIN appointments b
			  ON a.id < b.id AND a.start_time < b.end_time AND b.start_time < a.end_time
			 AND (a.doctor_id = b.doctor_id OR a.patient_id = b.patient_id)
			WHERE a.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')
			  AND b.status NOT IN ('cancelled', 'no_show', 'left_without_being_seen')`,
		"OpenInThePast": `
			SELECT COUNT(*) FROM appointments WHERE end_time <= '2027-03-31 08:07:00'
			 AND status NOT IN ('completed', 'cancelled', 'no_show', 'left_without_being_seen')`,
		"DoneInTheFuture": `
			SELECT COUNT(*) FROM appointments WHERE start_time > '2027-03-31 08:07:00'
			 AND status NOT IN ('scheduled', 'confirmed', 'checked_in', 'cancelled')`,
		"CancelledLater": `SELECT COUNT(*) FROM appointments WHERE cancelled_at >= start_time OR cancelled_at >= '2027-03-31 08:07:00'`,
		"TwoUnderWay":    `SELECT COUNT(*) FROM (SELECT doctor_id FROM appointments WHERE status = 'in_progress' GROUP BY doctor_id HAVING COUNT(*) > 1) x`,
		"OutsideHours": `
			SELECT COUNT(*) FROM appointments a WHERE a.outside_hours = 0 AND NOT EXISTS (
			  SELECT 1 FROM working_hours h WHERE h.doctor_id = a.doctor_id
			  AND h.weekday = WEEKDAY(a.start_time + INTERVAL IF(a.start_time < '2027-03-28 01:00', 1, 2) HOUR) + 1
			  AND HOUR(a.start_time + INTERVAL IF(a.start_time < '2027-03-28 01:00', 1, 2) HOUR) * 60 BETWEEN h.start_minute AND h.end_minute)`,
		"WithoutType":      `SELECT COUNT(*) FROM appointments a LEFT JOIN appointment_types k ON k.id = a.type_id WHERE a.series_id IS NULL AND a.outside_hours = 0 AND (k.duration_minutes IS NULL OR k.duration_minutes <> a.duration_minutes)`,
		"WithoutRoom":      `SELECT COUNT(*) FROM appointments WHERE room_id IS NULL AND series_id IS NULL AND outside_hours = 0`,
		"WithoutHistory":   `SELECT COUNT(*) FROM appointments a LEFT JOIN appointment_events e ON e.appointment_id = a.id AND e.to_status = a.status WHERE e.version IS NULL`,
		"Sundays":          `SELECT COUNT(*) FROM appointments WHERE DAYOFWEEK(start_time) = 1`,
		"BornAfterVisits":  `SELECT COUNT(*) FROM patients WHERE birth_date > '2027-03-10'`,
		"UnknownAddresses": `SELECT COUNT(*) FROM patients WHERE email NOT REGEXP '@example[.](org|net|com)$'`,
	} {
		var n int
		if err := d.DB.Get(&n, query); err != nil || n != 0 {
			t.Errorf("%s: %d rows (%v), want none", name, n, err)
		}
	}
	for _, table := range []string{"appointment_series", "waitlist", "tickets", "plans", "closures", "time_off"} {
		var n int
		if err := d.DB.Get(&n, `SELECT COUNT(*) FROM `+table); err != nil || n == 0 {
			t.Errorf("table %s has no rows (%v), want some", table, err)
		}
	}
	var kept int
	if err := d.DB.Get(&kept, `SELECT COUNT(*) FROM appointments WHERE series_id IS NULL AND outside_hours = 0`); err != nil || kept != s.Appointments {
		t.Errorf("%d appointments are stored (%v), want the %d reported", kept, err, s.Appointments)
	}
}

// The same options give the same clinic, another seed another one, and more
// patients the same doctors.
func TestInventRepeats(t *testing.T) {
	t.Parallel()
	shown := func(o Options) ([]clinic.Doctor, []clinic.Patient, [][]clinic.Appointment) {
		c := invent(o)
		var doctors []clinic.Doctor
		var calendars [][]clinic.Appointment
		for _, d := range c.doctors {
			doctors, calendars = append(doctors, d.record), append(calendars, d.calendar)
		}
		return doctors, c.patients, calendars
	}
	o := options(t)
	doctors, patients, calendars := shown(o)
	againDoctors, againPatients, againCalendars := shown(o)
	if !cmp.Equal(doctors, againDoctors) || !cmp.Equal(patients, againPatients) || !cmp.Equal(calendars, againCalendars) {
		t.Error("a second clinic from the same options differs, want the same doctors, patients and calendars")
	}
	o.Patients++
	more, _, _ := shown(o)
	if !cmp.Equal(doctors, more) {
		t.Errorf("doctors with another number of patients differ, want the same: %s", cmp.Diff(doctors, more))
	}
	o.Seed++
	otherDoctors, otherPatients, _ := shown(o)
	if cmp.Equal(doctors, otherDoctors) || cmp.Equal(patients[0], otherPatients[0]) {
		t.Errorf("another seed gives the same doctors or first patient %+v, want others", otherPatients[0])
	}
}

// Invented records satisfy the contract: the API would accept them.
func TestInventedPeopleAreValid(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Patients, o.Doctors = 5000, 150
	phone := regexp.MustCompile(`^\+?([ ()./-]*[0-9]){4,15}$`)
	seen := map[string]bool{}
	var without, children int
	c := invent(Options{Doctors: o.Doctors, Patients: o.Patients, Seed: 1, Now: o.Now, Zone: o.Zone, WeeksAhead: 1})
	today := clinic.DateOf(o.Now)
	for _, p := range c.patients {
		p.Normalize()
		if err := p.Validate(today); err != nil {
			t.Errorf("Validate(%+v) = %v, want no error", p, err)
		}
		if p.Email == nil {
			without++
		} else if kept, ok := clinic.ParseEmail(*p.Email); !ok || kept != *p.Email || seen[clinic.EmailKey(kept)] {
			t.Errorf("e-mail of %s %s = %q, want it valid and not used before", p.FirstName, p.LastName, *p.Email)
		} else {
			seen[clinic.EmailKey(kept)] = true
		}
		if p.Phone != nil && !phone.MatchString(*p.Phone) {
			t.Errorf("phone = %q, want it to match %s", *p.Phone, phone)
		}
		if p.BirthDate != nil && p.BirthDate.Year > today.Year-18 {
			children++
		}
	}
	if share := float64(without) / float64(o.Patients); share < 0.1 || share > 0.3 {
		t.Errorf("share of patients without e-mail = %.2f, want 0.10 to 0.30", share)
	}
	if share := float64(children) / float64(o.Patients); share < 0.1 || share > 0.3 {
		t.Errorf("share of children = %.2f, want 0.10 to 0.30", share)
	}
	for _, d := range c.doctors {
		d.record.Normalize()
		if err := d.record.Validate(); err != nil {
			t.Errorf("Validate(%+v) = %v, want no error", d.record, err)
		}
	}
}

// Names become plain e-mail addresses.
func TestPlain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Søren": "soren", "Łukasz": "lukasz", "Nguyễn": "nguyen", "O'Brien": "obrien", "Yılmaz": "yilmaz",
		"Van den Berg": "vandenberg", "Weiß": "weiss", "Çelik": "celik", "Al-Masri": "almasri",
	} {
		if got := plain(name); got != want {
			t.Errorf("%s gives %q, want %q", name, got, want)
		}
	}
	for _, name := range append(append([]string{}, firstNames...), lastNames...) {
		if plain(name) == "" {
			t.Errorf("plain(%q) = \"\", want letters for an address", name)
		}
	}
}

// Days are as full as in a clinic: 70 to 90 % of a doctor's hours around today, and
// gradually less ahead.
func TestCalendarsThinOut(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Patients, o.WeeksBack, o.WeeksAhead, o.Doctors = 3000, 4, 6, 12
	busy := map[int]time.Duration{} // by week from today
	for _, d := range invent(o).doctors {
		// Part-time doctors and Saturdays have other hours.
		for _, a := range d.calendar {
			if start := a.Time.Start.In(o.Zone); d.dayOff == time.Sunday && start.Weekday() != time.Saturday && a.Status.Occupies() {
				days := int(start.Sub(time.Date(2027, 3, 29, 0, 0, 0, 0, o.Zone)).Hours()) / 24
				busy[(days+700)/7-100] += a.Time.End.Sub(a.Time.Start)
			}
		}
	}
	full := func(week int) float64 { return busy[week].Hours() / (9 * 5 * 8) }
	for week := -3; week <= 0; week++ {
		if f := full(week); f < 0.70 || f > 0.90 {
			t.Errorf("week %d is %.2f full, want 0.70 to 0.90", week, f)
		}
	}
	for week := 1; week < 6; week++ {
		if full(week) >= full(week-1) || full(week) == 0 {
			t.Errorf("week %d is %.2f full, want less than the %.2f of the week before, and some",
				week, full(week), full(week-1))
		}
	}
}

// At any time of creation: no patient is checked in or being seen before their time, no
// past appointment is open, and a doctor sees one patient at a time.
func TestStatusesArePlausible(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Doctors, o.Patients, o.WeeksBack, o.WeeksAhead = 6, 300, 1, 1
	monday := time.Date(2027, 3, 22, 0, 0, 0, 0, o.Zone) // a week that ends with a day of 23 hours
	for hour := range 7 * 24 {
		o.Now = monday.Add(time.Duration(hour)*time.Hour + 7*time.Minute)
		for _, d := range invent(o).doctors {
			underWay := 0
			for _, a := range d.calendar {
				begun, over := !a.Time.Start.After(o.Now), !a.Time.End.After(o.Now)
				var wrong bool
				switch a.Status {
				case clinic.StatusCompleted, clinic.StatusNoShow, clinic.StatusLeftWithoutBeingSeen:
					wrong = !over
				case clinic.StatusInProgress:
					underWay++
					wrong = !begun || over
				case clinic.StatusCheckedIn:
					early := a
					early.Status = clinic.StatusConfirmed
					wrong = over || early.ChangeStatus(o.Now, o.Zone, clinic.ActionCheckIn) != nil
				case clinic.StatusScheduled, clinic.StatusConfirmed:
					wrong = begun
				case clinic.StatusCancelled: // at any time
				}
				if wrong {
					t.Errorf("at %s an appointment at %s is %s, want a status that fits the time",
						o.Now, a.Time.Start.In(o.Zone), a.Status)
				}
			}
			if underWay > 1 {
				t.Errorf("at %s a doctor sees %d patients, want at most one", o.Now, underWay)
			}
		}
	}
}

// Every checked-in patient has a ticket, so that the next one can be called.
func TestWhoIsHereIsInTheQueue(t *testing.T) {
	t.Parallel()
	zone := options(t).Zone
	for name, now := range map[string]time.Time{
		"Morning":        time.Date(2027, 3, 31, 8, 50, 0, 0, zone),
		"Lunch":          time.Date(2027, 3, 31, 12, 45, 0, 0, zone),
		"Saturday":       time.Date(2027, 3, 27, 10, 7, 0, 0, zone),
		"Sunday":         time.Date(2027, 3, 28, 11, 0, 0, 0, zone),
		"BeforeMidnight": time.Date(2027, 3, 31, 23, 55, 0, 0, zone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Doctors: 8, Patients: 200, WeeksBack: 1, WeeksAhead: 1, Seed: 7, Now: now, Zone: zone}
			d := storetest.New(t)
			st := d.Open(t, func() time.Time { return o.Now }, o.Zone)
			s, err := Fill(t.Context(), st, o, func(string, int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			for what, query := range map[string]string{
				"here without one waiting ticket of today": `
					SELECT COUNT(*) FROM appointments a WHERE a.status = 'checked_in' AND 1 <> (
					  SELECT COUNT(*) FROM tickets k WHERE k.appointment_id = a.id AND k.doctor_id = a.doctor_id
					  AND k.patient_id = a.patient_id AND k.status = 'waiting' AND k.day = ?)`,
				"with the doctor without one ticket that is": `
					SELECT COUNT(*) FROM appointments a WHERE a.status = 'in_progress' AND 1 <> (
					  SELECT COUNT(*) FROM tickets k WHERE k.appointment_id = a.id AND k.status = 'in_progress' AND k.day = ?)`,
			} {
				var n int
				if err := d.DB.Get(&n, query, clinic.DateOf(now).String()); err != nil || n != 0 {
					t.Errorf("%s: %d appointments (%v), want none", what, n, err)
				}
			}
			var doctors []int64
			if err := d.DB.Select(&doctors, `SELECT DISTINCT doctor_id FROM appointments WHERE status = 'checked_in'`); err != nil {
				t.Fatal(err)
			}
			if len(doctors) == 0 && s.ByStatus[clinic.StatusCheckedIn] > 0 || name == "Morning" && len(doctors) == 0 {
				t.Errorf("no patient is checked in, want those of the summary: %+v", s.ByStatus)
			}
			for _, id := range doctors {
				if ticket, err := st.CallNext(t.Context(), store.SystemRequest(), id); err != nil || ticket.Status != clinic.TicketCalled {
					t.Errorf("CallNext(%d) = %+v, %v, want a called ticket", id, ticket, err)
				}
			}
		})
	}
}
