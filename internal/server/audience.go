package server

import (
	"reflect"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"mems/gen/api"
	"mems/internal/clinic"
)

// withhold removes the members that the contract marks `x-audience: staff` from responses
// to callers who may not read them. It runs for every handler's response, so neither
// handlers nor the store need to know the mark. Problem documents, stream events and
// webhook messages, which handlers do not return, call withheld themselves.
func withhold(next api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		answer, err := next(c, request)
		if err != nil || answer == nil {
			return answer, err
		}
		return withheld(answer, requestOf(c.Request().Context()).Access.Clearance()), nil
	}
}

// withheld returns a response without the members that a clearance does not include. It may
// also clear them in the argument, whose slices and pointers it shares.
func withheld[T any](answer T, clearance clinic.Clearance) T {
	if clearance.Everything() {
		return answer
	}
	v := reflect.ValueOf(&answer).Elem()
	marksOf(v.Type()).clear(v, clearance)
	return answer
}

// marks locates the marked members in values of a Go type. The marks are tags of the
// generated structs, written by gen/api/audience.cfg.yaml from the contract.
type marks struct {
	fields  []markedField
	inside  []int // struct fields that contain marked members
	element bool  // a pointer, slice, array, map or interface that may contain some
}

// markedField is a marked member of a struct.
type markedField struct {
	index  int
	about  int  // index of the field with the doctor it is about
	doctor bool // it is about a doctor
}

// compiled caches the marks of each response type.
var compiled sync.Map // reflect.Type to *marks

func marksOf(t reflect.Type) *marks {
	if known, ok := compiled.Load(t); ok {
		return known.(*marks) //nolint:forcetypeassert // nothing else is stored
	}
	m := &marks{}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			switch {
			case !field.IsExported():
			case field.Tag.Get("audience") == "staff":
				m.fields = append(m.fields, newMarkedField(t, field, i))
			case mayCarryMarks(field.Type, map[reflect.Type]bool{}):
				m.inside = append(m.inside, i)
			}
		}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		m.element = mayCarryMarks(t.Elem(), map[reflect.Type]bool{})
	case reflect.Interface:
		m.element = true
	default: // a plain value
	}
	known, _ := compiled.LoadOrStore(t, m)
	return known.(*marks) //nolint:forcetypeassert // nothing else is stored
}

// newMarkedField determines which doctor a member is about. If it cannot, that is doctor 0:
// only callers who may read about every doctor get the member.
func newMarkedField(t reflect.Type, field reflect.StructField, index int) markedField {
	m := markedField{index: index, about: -1}
	member, doctor := field.Tag.Lookup("audience-doctor")
	m.doctor = doctor
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if doctor && name == member && t.Field(i).Type.Kind() == reflect.Int64 {
			m.about = i
		}
	}
	return m
}

// mayCarryMarks reports whether a value of the type can contain a marked member. seen
// guards against recursive types.
func mayCarryMarks(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return mayCarryMarks(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if field.IsExported() && (field.Tag.Get("audience") == "staff" || mayCarryMarks(field.Type, seen)) {
				return true
			}
		}
	default: // a plain value
	}
	return false
}

// clear removes the members that the clearance does not include. v can be set.
func (m *marks) clear(v reflect.Value, clearance clinic.Clearance) {
	for _, f := range m.fields {
		if !f.included(v, clearance) {
			v.Field(f.index).SetZero() // which is written as absent: no marked member is required
		}
	}
	for _, i := range m.inside {
		marksOf(v.Field(i).Type()).clear(v.Field(i), clearance)
	}
	if !m.element {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			marksOf(v.Type().Elem()).clear(v.Elem(), clearance)
		}
	case reflect.Slice, reflect.Array:
		inside := marksOf(v.Type().Elem())
		for i := range v.Len() {
			inside.clear(v.Index(i), clearance)
		}
	case reflect.Map: // such as a nullable.Nullable
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, cleared(v.MapIndex(key), clearance))
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(cleared(v.Elem(), clearance))
		}
	default: // has no element
	}
}

// cleared returns a copy of an unaddressable value without the members that the clearance
// does not include.
func cleared(v reflect.Value, clearance clinic.Clearance) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	marksOf(own.Type()).clear(own, clearance)
	return own
}

func (f markedField) included(v reflect.Value, clearance clinic.Clearance) bool {
	switch {
	case !f.doctor:
		return clearance.Staff
	case f.about < 0:
		return clearance.About(0)
	}
	return clearance.About(v.Field(f.about).Int())
}
