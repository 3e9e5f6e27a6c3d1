package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// AvailabilityQuery asks where something could be booked.
type AvailabilityQuery struct {
	DoctorIDs      []int64 // empty: any
	Specialization string  // "": any
	TypeID         *int64  // its duration, buffers, rooms and doctors count
	PatientID      *int64  // whose own appointments are in the way, too
	Window         clinic.Interval
	Duration       time.Duration // 0: the type's
	Step           time.Duration // of the grid
	After          After         // start and doctor of the last slot of the page before
	Limit          int
}

// What one search examines at most, in calendars of one doctor for one day. Whatever is
// asked for, it reads no more, and no more than doctorDaysAtOnce in one statement.
const (
	MaxDoctorDays    = 10_000
	doctorDaysAtOnce = 1_000
)

// ListAvailability returns the slots that could be booked now, by start and doctor.
//
// It takes one consistent snapshot, and a fixed number of statements for the
// doctors, type, hours, time off and closures; appointments and holds are read
// for one day, then for the next two, four and so on, until the page is full or
// MaxDoctorDays are examined: then the page is short, and the next goes on from there.
// So the number of statements grows with the logarithm of the window and not at
// all with the number of doctors, up to that bound.
//
// Errors: clinic.ErrDoctorNotFound, clinic.ErrTypeNotFound,
// clinic.ErrPatientNotFound, clinic.CodeValidationFailed (no duration).
func (s *Store) ListAvailability(ctx context.Context, req Request, q AvailabilityQuery) (Page[clinic.Slot], error) {
	var slots []clinic.Slot
	var resume After
	err := s.search(ctx, req, &q, func(r *reader) error {
		window := q.Window
		if q.After.ID != 0 && q.After.Start.After(window.Start) {
			window.Start = q.After.Start
		}
		left := max(MaxDoctorDays, len(r.doctors))
		most := left
		defer func() { req.CountWork(clinic.WorkDoctorDays, most-left) }()
		searched, err := walk(window, &left, func() int { return len(r.doctors) }, func(part clinic.Interval) error {
			found, err := r.slots(ctx, part, r.doctors, q.Limit+1)
			for _, slot := range found {
				if after := slot.Time.Start.Compare(q.After.Start); q.After.ID == 0 || after > 0 || after == 0 && slot.DoctorID > q.After.ID {
					slots = append(slots, slot)
				}
			}
			if err == nil && len(slots) > q.Limit {
				err = errFound
			}
			return err
		})
		if searched.Before(window.End) {
			// After every slot that starts before.
			resume = After{Start: searched.Add(-time.Microsecond), ID: math.MaxInt64}
		}
		return err
	})
	found := page(slots, q.Limit)
	if !found.More && resume.ID != 0 {
		found.More, found.Resume = true, resume
	}
	return found, err
}

// ListNextAvailable returns the first free slot of each doctor, those who are free
// first by start, then those who are not; by doctor among equals. As
// Availability, with appointments and holds read for growing stretches of the
// doctors who have none yet. It searches clinic.LookAhead from the later of now
// and from, or as far as MaxDoctorDays go, and returns the end of that window too;
// q.Window, q.Limit and q.After mean nothing.
func (s *Store) ListNextAvailable(ctx context.Context, req Request, from *time.Time, q AvailabilityQuery) ([]clinic.NextFree, time.Time, error) {
	q.Window = clinic.LookAhead(s.now(), from)
	searched := q.Window.End
	var free []clinic.NextFree
	err := s.search(ctx, req, &q, func(r *reader) error {
		open := r.doctors
		left := max(MaxDoctorDays, len(open))
		most := left
		defer func() { req.CountWork(clinic.WorkDoctorDays, most-left) }()
		var err error
		searched, err = walk(q.Window, &left, func() int { return len(open) }, func(part clinic.Interval) error {
			slots, err := r.slots(ctx, part, open, 1)
			if err != nil {
				return err
			}
			for i := range slots {
				d := r.facts[slots[i].DoctorID]
				free = append(free, clinic.NextFree{DoctorID: d.ID, Specialization: d.Specialization, Slot: &slots[i]})
				open = slices.DeleteFunc(slices.Clone(open), func(id int64) bool { return id == d.ID })
			}
			return nil
		})
		for _, id := range open {
			free = append(free, clinic.NextFree{DoctorID: id, Specialization: r.facts[id].Specialization})
		}
		return err
	})
	return free, searched, err
}

// errFound ends a walk.
var errFound = errors.New("found enough")

// walk calls visit with parts of a window, in order: of one day, two, four and so on,
// but of no more than doctorDaysAtOnce of so many doctors, until there are none, visit
// returns an error or no doctor-days are left. It returns up to when it came: the
// window's end unless it had to stop.
func walk(window clinic.Interval, left *int, doctors func() int, visit func(clinic.Interval) error) (time.Time, error) {
	length := 1 // days
	for start := window.Start; start.Before(window.End); length *= 2 {
		n := doctors()
		if n == 0 {
			break
		}
		rest := int((window.End.Sub(start)-1)/(24*time.Hour)) + 1
		days := min(length, max(1, doctorDaysAtOnce/n), *left/n, rest)
		if days == 0 {
			return start, nil
		}
		*left -= n * days
		end := start.Add(time.Duration(days) * 24 * time.Hour)
		if end.After(window.End) {
			end = window.End
		}
		err := visit(clinic.Interval{Start: start, End: end})
		if errors.Is(err, errFound) {
			break
		}
		if err != nil {
			return start, err
		}
		start = end
	}
	return window.End, nil
}

// search prepares a reader on a snapshot, cuts what has passed off the window,
// and runs work.
func (s *Store) search(ctx context.Context, req Request, q *AvailabilityQuery, work func(*reader) error) error {
	t, err := s.snapshot(ctx, req)
	if err != nil {
		return translate(ctx, "search schedules", err)
	}
	defer t.end()
	now := clinic.Instant(s.now())
	if !q.Window.Start.After(now) {
		q.Window.Start = now.Add(time.Microsecond) // a booking starts later than now
	}
	q.Window = s.partners.Clip(now, req.Access, q.Window)
	r := &reader{q: t, now: now, slot: clinic.SlotQuery{Duration: q.Duration, Step: q.Step, Zone: s.zone}}
	if err := r.prepare(ctx, &t.queries, *q); err != nil {
		return translate(ctx, "search schedules", err)
	}
	if err := work(r); err != nil {
		return translate(ctx, "search schedules", err)
	}
	if q.PatientID == nil {
		return nil
	}
	t.end() // before the line is written: who holds a connection must not wait for one
	return s.recordRead(ctx, req, clinic.KindPatient, r.patient, r.patient)
}

// reader reads schedules and looks for free slots in them.
type reader struct {
	q       sqlx.QueryerContext
	now     time.Time
	hold    string // token of a hold that does not count; "": none
	except  int64  // an appointment that does not count; 0: none
	kept    int64  // the doctor whom it keeps, whatever its type says; 0: none
	kind    *clinic.AppointmentType
	patient int64 // whose own appointments count; 0: nobody's
	// patientBusy: these appointments, where they were read for all windows.
	patientBusy *[]clinic.Interval
	slot        clinic.SlotQuery
	// countFrom: earlier slots do not count towards a limit.
	countFrom time.Time
	// usualSample: so many appointments tell a doctor's usual hours; 0: the most.
	usualSample int

	doctors []int64 // ascending
	facts   map[int64]doctorFacts
	hours   map[int64]clinic.WorkingHours
	off     map[int64][]clinic.Interval // 0: the clinic's closures
	rooms   []int64
}

// prepare reads all but appointments and holds.
func (r *reader) prepare(ctx context.Context, t *queries, q AvailabilityQuery) error {
	if q.TypeID != nil {
		kind, state, err := readTypeForBooking(ctx, r.q, *q.TypeID)
		if err != nil {
			return err
		}
		if state == clinic.Missing {
			return clinic.ErrTypeNotFound
		}
		r.kind = &kind
		r.slot.Buffers, r.slot.NeedsRoom = kind.Buffers, kind.NeedsRoom
		if r.slot.Duration == 0 {
			r.slot.Duration = kind.Duration
		}
	}
	if r.slot.Duration == 0 {
		return clinic.Invalid(clinic.Violation{Parameter: "duration_minutes", Code: "required", Detail: "give duration_minutes or type_id"})
	}
	if q.PatientID != nil {
		var exists bool
		if err := t.GetContext(ctx, &exists, `SELECT COUNT(*) FROM patients WHERE id = ?`, *q.PatientID); err != nil {
			return err
		}
		if exists {
			var err error
			if r.patient, err = t.reachedSurvivor(ctx, *q.PatientID); err != nil {
				return err
			}
		}
		if r.patient == 0 {
			return clinic.ErrPatientNotFound
		}
	}
	if err := r.readDoctors(ctx, q.DoctorIDs, q.Specialization); err != nil {
		return err
	}
	if r.kind != nil && !r.kind.IsActive {
		r.doctors = nil
	}
	return r.readRules(ctx, q.Window)
}

// readRules reads working hours, time off, closures and rooms for a window.
func (r *reader) readRules(ctx context.Context, window clinic.Interval) error {
	if len(r.doctors) == 0 {
		return nil
	}
	zones := map[int64]string{}
	for _, id := range r.doctors {
		if zone := r.facts[id].HoursTimeZone; zone != nil {
			zones[id] = *zone
		}
	}
	window.End = window.End.Add(clinic.MaxDuration)
	var err error
	if r.hours, err = readHours(ctx, r.q, zones, window); err != nil {
		return err
	}
	if r.off, err = readOff(ctx, r.q, r.doctors, window); err != nil {
		return err
	}
	if r.slot.NeedsRoom {
		r.rooms, err = readSuitableRooms(ctx, r.q, r.kind.RoomIDs)
	}
	return err
}

// readDoctors finds the active doctors who are asked for and may do the type.
// Primary key, or doctors_specialization.
func (r *reader) readDoctors(ctx context.Context, ids []int64, specialization string) error {
	where, args := `TRUE`, []any{}
	if len(ids) > 0 {
		where, args = where+` AND id IN (?)`, append(args, ids)
	}
	if specialization != "" {
		where, args = where+` AND specialization = ?`, append(args, clinic.Text(specialization))
	}
	// Safety: the text is put together from the constants above only.
	statement, args, err := sqlx.In(`
		SELECT id, is_active, specialization, hours_time_zone, overbook_cap
		FROM doctors
		WHERE `+where, args...)
	if err != nil {
		return err
	}
	var rows []doctorFacts
	if err := sqlx.SelectContext(ctx, r.q, &rows, statement, args...); err != nil {
		return err
	}
	if specialization == "" && len(rows) < len(ids) {
		return clinic.ErrDoctorNotFound
	}
	r.facts = map[int64]doctorFacts{}
	for _, d := range rows {
		if d.IsActive && (r.kind == nil || d.ID == r.kept || r.kind.Allows(d.ID, d.Specialization)) {
			r.facts[d.ID] = d
			r.doctors = append(r.doctors, d.ID)
		}
	}
	slices.Sort(r.doctors)
	return nil
}

// slots finds free slots of doctors in a part of the window, at most limit of
// each doctor, by start and doctor.
func (r *reader) slots(ctx context.Context, part clinic.Interval, doctors []int64, limit int) ([]clinic.Slot, error) {
	if len(doctors) == 0 || r.slot.NeedsRoom && len(r.rooms) == 0 {
		return nil, nil
	}
	reach := clinic.Interval{Start: part.Start.Add(-clinic.MaxBuffer), End: part.End.Add(clinic.MaxDuration + clinic.MaxBuffer)}
	busy, err := r.occupied(ctx, doctorParty, doctors, reach)
	if err != nil {
		return nil, err
	}
	ask := r.slot
	ask.Window = part
	if ask.NeedsRoom && len(r.rooms) > 0 {
		rooms, err := r.occupied(ctx, roomParty, r.rooms, reach)
		if err != nil {
			return nil, err
		}
		for _, id := range r.rooms {
			ask.Rooms = append(ask.Rooms, rooms[id])
		}
	}
	if r.patientBusy != nil {
		ask.PatientBusy = *r.patientBusy
	} else if r.patient != 0 {
		if ask.PatientBusy, err = r.patientOccupied(ctx, reach); err != nil {
			return nil, err
		}
	}
	var slots []clinic.Slot
	for _, id := range doctors {
		schedule := clinic.Schedule{
			DoctorID: id, Hours: r.hours[id], Busy: busy[id],
			Off: slices.Concat(r.off[id], r.off[0]),
		}
		n := 0
		for start := range schedule.Starts(ask) {
			slots = append(slots, clinic.Slot{DoctorID: id, Time: clinic.Interval{Start: start, End: start.Add(ask.Duration)}})
			if start.Before(r.countFrom) {
				continue
			}
			if n++; n == limit {
				break
			}
		}
	}
	slices.SortFunc(slots, func(a, b clinic.Slot) int {
		if c := a.Time.Start.Compare(b.Time.Start); c != 0 {
			return c
		}
		return int(a.DoctorID - b.DoctorID)
	})
	return slots, nil
}

// occupied returns the occupied times of doctors or rooms around a window, by
// appointments and live holds. Not locking: a booking decides again.
func (r *reader) occupied(ctx context.Context, p party, ids []int64, window clinic.Interval) (map[int64][]clinic.Interval, error) {
	return occupiedTimes{
		party: p, ids: ids, window: window, except: []int64{r.except}, holds: &liveHolds{r.now, r.hold},
	}.read(ctx, r.q)
}

// patientOccupied returns the times of the patient's own appointments around a window.
func (r *reader) patientOccupied(ctx context.Context, window clinic.Interval) ([]clinic.Interval, error) {
	times, err := occupiedTimes{party: patientParty, ids: []int64{r.patient}, window: window, except: []int64{r.except}}.read(ctx, r.q)
	return times[r.patient], err
}

// readOff reads time off by doctor, and closures under 0, that touch a window.
// Indexes time_off_doctor (doctor_id, end_time) and closures_end (end_time).
func readOff(ctx context.Context, q sqlx.QueryerContext, doctors []int64, window clinic.Interval) (map[int64][]clinic.Interval, error) {
	statement, args, err := sqlx.In(`
		SELECT doctor_id, start_time, end_time, 0, 0
		FROM time_off
		WHERE doctor_id IN (?) AND end_time > ? AND start_time < ?
		UNION ALL
		SELECT 0, start_time, end_time, 0, 0
		FROM closures
		WHERE end_time > ? AND start_time < ?`, doctors, window.Start, window.End, window.Start, window.End)
	if err != nil {
		return nil, err
	}
	return timesByParty(ctx, q, statement, args...)
}

// readSuitableRooms lists the active rooms among ids, or all of them.
func readSuitableRooms(ctx context.Context, q sqlx.QueryerContext, ids []int64) ([]int64, error) {
	var active []int64
	if err := sqlx.SelectContext(ctx, q, &active, `SELECT id FROM rooms WHERE is_active = 1 ORDER BY id`); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(active, func(id int64) bool { return len(ids) > 0 && !slices.Contains(ids, id) }), nil
}
