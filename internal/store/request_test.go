package store_test

import (
	"reflect"
	"testing"

	"mems/internal/clinic"
	"mems/internal/store"
)

// Every use case rejects the zero Request, or returns nothing for it: code that forgets to pass a
// request on does not act as the server.
func TestZeroRequestIsRejected(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1, 1)
	f.book(t, f.booking(60, 30))
	if _, err := f.store.CreateRoom(t.Context(), store.SystemRequest(), clinic.Room{Name: "1", IsActive: true}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.store.CreateCalendarFeed(t.Context(), store.SystemRequest(), clinic.CalendarFeed{Name: "All"}); err != nil {
		t.Fatal(err)
	}
	recorded := func() (n int) {
		if err := f.DB.Get(&n, `SELECT COUNT(*) FROM audit_entries`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before, checked := recorded(), 0
	for method := range reflect.TypeFor[*store.Store]().Methods() {
		if method.Type.NumIn() < 3 || method.Type.In(2) != reflect.TypeFor[store.Request]() {
			continue
		}
		checked++
		args := []reflect.Value{reflect.ValueOf(f.store), reflect.ValueOf(t.Context()), reflect.ValueOf(store.Request{})}
		for i := 3; i < method.Type.NumIn(); i++ {
			args = append(args, sample(method.Type.In(i)))
		}
		if method.Type.IsVariadic() {
			args = args[:len(args)-1]
		}
		results := method.Func.Call(args)
		if err := results[len(results)-1]; !err.IsNil() {
			continue
		}
		for _, result := range results[:len(results)-1] {
			if !isEmpty(result) {
				t.Errorf("%s without a caller returned %+v, want nothing", method.Name, result)
			}
		}
		if now := recorded(); now != before {
			t.Errorf("%s without a caller recorded %d changes, want none", method.Name, now-before)
			before = now
		}
	}
	if checked < 80 {
		t.Errorf("%d methods take a Request, want at least 80", checked)
	}
}

// sample returns an argument with the id 1, which every record of the fixture has.
func sample(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t.Kind() == reflect.Int64 && t.PkgPath() == "":
		v.SetInt(1)
	case t.Kind() == reflect.Func:
		return reflect.MakeFunc(t, func([]reflect.Value) []reflect.Value { return nil }) // progress
	case t == reflect.TypeFor[clinic.Booking]():
		return reflect.ValueOf(clinic.Booking{PatientID: 1, DoctorID: 1, Start: now.Add(3 * clinic.MaxDuration), Duration: clinic.MinDuration})
	case t == reflect.TypeFor[clinic.Doctor]():
		return reflect.ValueOf(clinic.Doctor{FullName: "Dr. X", Specialization: "Any", IsActive: true})
	case t == reflect.TypeFor[clinic.Room]():
		return reflect.ValueOf(clinic.Room{Name: "2", IsActive: true})
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			switch field := t.Field(i); field.Name {
			case "DoctorID", "PatientID", "Survivor":
				if field.Type.Kind() == reflect.Int64 {
					v.Field(i).SetInt(1)
				}
			case "Limit":
				v.Field(i).SetInt(10)
			}
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Int64 && t.PkgPath() == "":
		return reflect.ValueOf([]int64{1})
	}
	return v
}

// isEmpty reports whether a result is empty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for _, field := range v.Fields() {
			if !isEmpty(field) {
				return false
			}
		}
		return true
	default:
		return v.IsZero()
	}
}
