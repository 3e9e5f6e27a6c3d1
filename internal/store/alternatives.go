package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/clinic"
)

// How many alternatives a refusal has, of the same doctor and of colleagues of the
// specialization, and how far from the requested time they may be.
const (
	alternativesEach    = 3
	alternativesNearest = 2 * time.Hour // before and after
	alternativesBefore  = 4 * time.Hour
	alternativesNear    = 24 * time.Hour
	alternativesFar     = 15 * 24 * time.Hour
)

// Bounds of the search, so that a refusal costs no more than a booking, however many
// doctors there are: it reads the calendars of maxColleagues near the requested time, of
// the first colleaguesAtOnce also farther away, and usualHoursSample appointments of each.
const (
	maxColleagues    = 24
	colleaguesAtOnce = 8
	usualHoursSample = 24
	// maxProposals bounds the dates of a series for which alternatives are searched.
	maxProposals = 5
)

// withAlternatives adds the nearest free times to a slot conflict: the same doctor's first,
// then those of active colleagues of the same specialization, all on quarter hours of the
// clinic's clock, and within usual hours for doctors without working hours. It reads the
// snapshot on which b was decided. Other errors are returned unchanged.
func (s *Store) withAlternatives(ctx context.Context, q *snapshot, err error, p parties, b clinic.Booking, except int64) error {
	refusal, ok := errors.AsType[*clinic.Error](err)
	if !ok || refusal.Conflict.Start.IsZero() {
		return err
	}
	if b.SeriesID == nil && q.proposals == 0 { // the report of several has no words for it
		if refusal.Held, err = q.isHeld(ctx, refusal, b); err != nil {
			return err
		}
	}
	if q.proposals++; q.proposals > maxProposals {
		return refusal
	}
	found, err := s.findProposals(ctx, q, p, b, except, alternativesEach)
	if err != nil {
		return err
	}
	refusal.Alternatives = append(clinic.Nearest(found.same, b.Start, alternativesEach), clinic.Nearest(found.others, b.Start, alternativesEach)...)
	return refusal
}

// findProposals searches free times for a booking, until it has each of both kinds. Of every
// calendar and stretch of time it returns each after the booking's start, if there are so many.
// Without a patient it regards none's own times.
func (s *Store) findProposals(ctx context.Context, q *snapshot, p parties, b clinic.Booking, except int64, each int) (*proposals, error) {
	r := &reader{
		q: q, now: q.now, hold: b.Hold, except: except, patient: b.PatientID, usualSample: usualHoursSample,
		slot: clinic.SlotQuery{
			Duration: b.Duration, Buffers: b.Buffers, Step: 15 * time.Minute, Zone: s.zone,
			NeedsRoom: b.AnyRoom || b.RoomID != nil,
		},
	}
	if b.TypeID != nil {
		r.kind = &p.kind
	}
	if b.Moving {
		r.kept = b.Kept.DoctorID
	}
	if err := r.readColleagues(ctx, b.DoctorID, p.doctor.Specialization, maxColleagues); err != nil {
		return nil, err
	}
	found := &proposals{reader: r, booking: b, each: each, partners: s.partners, seen: map[clinic.Slot]bool{}}
	if len(r.doctors) == 0 || r.doctors[0] != b.DoctorID {
		return found, nil
	}
	if r.kind == nil {
		r.kind = &clinic.AppointmentType{} // any doctor, any room
	}
	for group := range slices.Chunk(r.doctors, 1+colleaguesAtOnce) {
		found.groups = append(found.groups, group)
	}
	return found, found.search(ctx, q.req)
}

// isHeld reports whether what a refusal names as the conflict is a hold.
func (q *snapshot) isHeld(ctx context.Context, refusal *clinic.Error, b clinic.Booking) (bool, error) {
	ask := occupiedTimes{window: b.Busy(), holds: &liveHolds{now: q.now, except: b.Hold}}
	switch {
	case refusal.Code == clinic.CodeDoctorOverlap:
		ask.party, ask.ids = doctorParty, []int64{b.DoctorID}
	case refusal.Code == clinic.CodeRoomOverlap && b.RoomID != nil:
		ask.party, ask.ids = roomParty, []int64{*b.RoomID}
	default:
		return false, nil
	}
	held, err := ask.readHeld(ctx, q)
	if err != nil {
		return false, fmt.Errorf("read the holds in the way: %w", err)
	}
	return slices.Contains(held[ask.ids[0]], refusal.Conflict), nil
}

// proposals collects free times of the requested doctor and of colleagues.
type proposals struct {
	*reader
	booking      clinic.Booking
	each         int // how many of the same doctor and of others are wanted
	partners     clinic.PartnerWindow
	groups       [][]int64 // of doctors, whose calendars are read together
	read         int       // number of groups whose usual hours have been read
	whole        clinic.Interval
	same, others []clinic.Slot
	seen         map[clinic.Slot]bool
}

// search searches near the requested time first, then farther away while there are too few;
// beyond a day only in the first group.
func (p *proposals) search(ctx context.Context, req Request) error {
	if err := p.readAll(ctx); err != nil {
		return err
	}
	start := p.booking.Start
	p.countFrom = start // of earlier starts the last are the nearest
	farther := start.Add(alternativesNear)
	for _, w := range []struct {
		from, to time.Time
		groups   int
	}{
		{start.Add(-alternativesNearest), start.Add(alternativesNearest), len(p.groups)},
		{start.Add(-alternativesBefore), farther, len(p.groups)},
		{farther, farther.Add(alternativesFar / 4), 1},
		{farther.Add(alternativesFar / 4), start.Add(alternativesFar), 1},
	} {
		if !w.from.After(p.now) {
			w.from = p.now.Add(time.Microsecond)
		}
		window := p.partners.Clip(p.now, req.Access, clinic.Interval{Start: w.from, End: w.to})
		if !window.Start.Before(window.End) {
			continue
		}
		for i := range w.groups {
			if err := p.searchGroup(ctx, i, window); err != nil {
				return err
			}
		}
	}
	return nil
}

// searchGroup searches the calendars of a group for the times that are still missing.
func (p *proposals) searchGroup(ctx context.Context, i int, window clinic.Interval) error {
	doctors := slices.DeleteFunc(slices.Clone(p.groups[i]), func(id int64) bool {
		if id == p.booking.DoctorID {
			return len(p.same) >= p.each
		}
		return len(p.others) >= p.each
	})
	if len(doctors) == 0 {
		return nil
	}
	if i == p.read {
		p.read++
		if err := p.readUsualHoursOf(ctx, p.groups[i]); err != nil {
			return err
		}
	}
	found, err := p.slots(ctx, window, doctors, p.each)
	for _, slot := range found {
		if p.seen[slot] {
			continue
		}
		p.seen[slot] = true
		if slot.DoctorID == p.booking.DoctorID {
			p.same = append(p.same, slot)
		} else {
			p.others = append(p.others, slot)
		}
	}
	return err
}

// readAll reads what does not depend on the window: hours and absences of all doctors who
// may be searched, rooms, and the patient's own times.
func (p *proposals) readAll(ctx context.Context) error {
	p.whole = clinic.Interval{Start: p.booking.Start.Add(-alternativesBefore), End: p.booking.Start.Add(alternativesFar)}
	if err := p.readRules(ctx, p.whole); err != nil {
		return err
	}
	if p.booking.RoomID != nil && !p.booking.AnyRoom {
		p.rooms = []int64{*p.booking.RoomID}
	}
	if p.patient == 0 {
		return nil
	}
	own, err := p.patientOccupied(ctx, p.patientWindow())
	p.patientBusy = &own
	return err
}

// patientWindow is the time in which a patient's own appointments may be in the way.
func (p *proposals) patientWindow() clinic.Interval {
	return clinic.Interval{Start: p.booking.Start.Add(-alternativesBefore), End: p.booking.Start.Add(alternativesFar).Add(clinic.MaxDuration)}
}

// readUsualHoursOf sets the usual hours of a group's doctors without working hours.
func (p *proposals) readUsualHoursOf(ctx context.Context, group []int64) error {
	if p.hours == nil {
		p.hours = map[int64]clinic.WorkingHours{}
	}
	r := *p.reader // with the same map of hours
	r.doctors = group
	return r.readUsualHours(ctx, p.whole, r.slot.Zone)
}

// colleaguesSQL selects the next active doctors of a specialization by name, from a name on
// and then from the first again, so that refusals of different doctors propose different
// colleagues. Index doctors_specialization (specialization, full_name), read in its order
// as far as needed. restriction is another condition.
func colleaguesSQL(restriction string) string {
	part := func(comparison string) string {
		return `(
		SELECT id, is_active, specialization, hours_time_zone, overbook_cap
		FROM doctors FORCE INDEX (doctors_specialization)
		WHERE specialization = ? AND full_name ` + comparison + ` ? AND id <> ? AND is_active = 1` + restriction + `
		ORDER BY full_name
		LIMIT ?)`
	}
	return part(`>=`) + ` UNION ALL ` + part(`<`)
}

// readColleagues returns the doctor, if active, and then up to most others of the
// specialization who perform the type.
func (r *reader) readColleagues(ctx context.Context, doctor int64, specialization string, most int) error {
	var wanted struct {
		doctorFacts
		FullName string `db:"full_name"`
	}
	err := sqlx.GetContext(ctx, r.q, &wanted, `
		SELECT id, is_active, specialization, hours_time_zone, overbook_cap, full_name
		FROM doctors
		WHERE id = ?`, doctor)
	if err != nil {
		return err
	}
	part := []any{specialization, wanted.FullName, doctor}
	restriction := ``
	if r.kind != nil && !r.kind.Allows(0, specialization) {
		// No doctor has id 0; IN () is not SQL.
		restriction, part = ` AND id IN (?)`, append(part, append([]int64{0}, r.kind.DoctorIDs...))
	}
	part = append(part, most)
	// Safety: the text is put together from the constants above only.
	statement, args, err := sqlx.In(colleaguesSQL(restriction), slices.Concat(part, part)...)
	if err != nil {
		return err
	}
	var rows []doctorFacts
	if err := sqlx.SelectContext(ctx, r.q, &rows, statement, args...); err != nil {
		return err
	}
	r.facts = map[int64]doctorFacts{}
	for _, d := range append([]doctorFacts{wanted.doctorFacts}, rows...) {
		if d.IsActive && len(r.doctors) <= most && (r.kind == nil || d.ID == r.kept || r.kind.Allows(d.ID, d.Specialization)) {
			r.facts[d.ID] = d
			r.doctors = append(r.doctors, d.ID)
		}
	}
	return nil
}
