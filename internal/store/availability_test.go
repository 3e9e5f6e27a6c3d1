package store_test

import (
	"testing"
	"time"

	"mems/internal/clinic"
	"mems/internal/store"
)

// A search takes the same number of statements for one doctor and for sixty.
func TestAvailabilityStatements(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	kind, err := f.store.CreateAppointmentType(t.Context(), store.SystemRequest(), clinic.AppointmentType{Name: "x", Duration: 30 * time.Minute, Colour: "#000000", NeedsRoom: true, IsActive: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: "x", IsActive: true}); err != nil {
		t.Fatal(err)
	}
	hours := clinic.WorkingHours{Zone: time.UTC, Timetables: []clinic.Timetable{{
		From:   clinic.Date{Year: 2020, Month: 1, Day: 1},
		Blocks: []clinic.WeeklyBlock{{Weekday: 1, Block: clinic.Block{Start: 480, End: 720}}},
	}}}
	add := func(n int) {
		for range n {
			d, err := f.store.CreateDoctor(t.Context(), store.SystemRequest(), clinic.Doctor{FullName: "x", Specialization: "x", IsActive: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := f.store.ReplaceWorkingHours(t.Context(), store.SystemRequest(), d.ID, hours, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(1)
	few, fewSlots := store.CountAvailability(t, f.store, kind.ID, f.patients[0], now.Add(time.Hour))
	add(58)
	many, manySlots := store.CountAvailability(t, f.store, kind.ID, f.patients[0], now.Add(time.Hour))
	if few != many || few > 20 {
		t.Errorf("%d statements for 2 doctors, %d for 60; want the same, at most 20", few, many)
	}
	if fewSlots == 0 || manySlots <= fewSlots {
		t.Errorf("%d slots of 2 doctors, %d of 60; want more of more doctors", fewSlots, manySlots)
	}
}
