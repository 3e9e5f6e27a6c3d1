package demo

import (
	"context"
	"fmt"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// visits has the appointment types of the clinic, one for each length.
var visits = []clinic.AppointmentType{
	{Name: "Check-up", Duration: 15 * time.Minute, Colour: "#1565c0"},
	{Name: "Consultation", Duration: 20 * time.Minute, Colour: "#2e7d32"},
	{Name: "Long consultation", Duration: 30 * time.Minute, Colour: "#00838f"},
	{Name: "Examination", Duration: 45 * time.Minute, Colour: "#6a1b9a"},
	{Name: "First visit", Duration: time.Hour, Colour: "#ef6c00"},
}

// surgery is a type with every member set.
var surgery = clinic.AppointmentType{
	Name: "Minor surgery", Duration: 45 * time.Minute, Colour: "#c62828", NeedsRoom: true,
	Buffers:         clinic.Buffers{Before: 10 * time.Minute, After: 15 * time.Minute},
	Specializations: []string{dermatology.name, orthopaedic.name},
}

// house is the clinic besides the doctors' calendars.
type house struct {
	types map[time.Duration]int64 // by length
	rooms []int64                 // of each doctor one
}

// furnish creates the doctors' hours and rooms, the appointment types, a closure, and a
// vacation after the last appointment.
func furnish(ctx context.Context, st *store.Store, o Options, c invention, doctorIDs []int64, progress Progress) (house, error) {
	h := house{types: map[time.Duration]int64{}}
	for i, d := range c.doctors {
		room, err := st.CreateRoom(ctx, store.SystemRequest(), clinic.Room{Name: fmt.Sprintf("Room %d", i+1), IsActive: true})
		if err != nil {
			return h, fmt.Errorf("create room: %w", err)
		}
		h.rooms = append(h.rooms, room.ID)
		if _, _, err := st.ReplaceWorkingHours(ctx, store.SystemRequest(), doctorIDs[i], d.hours(o), nil); err != nil {
			return h, fmt.Errorf("working hours of doctor %d: %w", doctorIDs[i], err)
		}
		progress("rooms and hours", i+1, len(c.doctors))
	}
	operating, err := st.CreateRoom(ctx, store.SystemRequest(), clinic.Room{Name: "Operating room", IsActive: true})
	if err != nil {
		return h, fmt.Errorf("create room: %w", err)
	}
	minor := surgery
	minor.RoomIDs = []int64{operating.ID}
	for _, kind := range append([]clinic.AppointmentType{minor}, visits...) {
		kind.IsActive = true
		created, err := st.CreateAppointmentType(ctx, store.SystemRequest(), kind)
		if err != nil {
			return h, fmt.Errorf("create appointment type: %w", err)
		}
		if kind.Name != surgery.Name {
			h.types[kind.Duration] = created.ID
		}
	}
	// After the filled days, so that no appointment conflicts.
	end := clinic.Day(clinic.DateOf(o.Now.In(o.Zone).AddDate(0, 0, 7*o.WeeksAhead+1)), o.Zone).Start
	note := "Back the week after."
	if _, _, err := st.CreateTimeOff(ctx, store.SystemRequest(), clinic.TimeOff{
		DoctorID: doctorIDs[0], Time: clinic.Interval{Start: end, End: end.AddDate(0, 0, 7)}, Reason: clinic.TimeOffVacation, Note: &note,
	}); err != nil {
		return h, fmt.Errorf("time off: %w", err)
	}
	if _, _, err := st.CreateClosure(ctx, store.SystemRequest(), clinic.Closure{
		Time: clinic.Interval{Start: end.AddDate(0, 0, 8), End: end.AddDate(0, 0, 9)}, Name: "Staff outing",
	}); err != nil {
		return h, fmt.Errorf("closure: %w", err)
	}
	return h, nil
}

// hours returns the sessions by which the calendar was filled as working hours.
func (d *doctor) hours(o Options) clinic.WorkingHours {
	table := clinic.Timetable{From: firstDay(o)}
	for weekdayNumber := 1; weekdayNumber <= 6; weekdayNumber++ {
		for _, s := range d.sessions(time.Weekday(weekdayNumber)) {
			table.Blocks = append(table.Blocks, clinic.WeeklyBlock{
				Weekday: weekdayNumber, Block: clinic.Block{Start: s.from * 60, End: s.to * 60},
			})
		}
	}
	return clinic.WorkingHours{Zone: o.Zone, Timetables: []clinic.Timetable{table}}
}
