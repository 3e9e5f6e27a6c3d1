package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/oapi-codegen/nullable"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// etag returns the entity tag of a version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// versions parses If-Match (RFC 9110 section 13.1.1): nil for any. Weak and foreign tags
// never match.
func versions(header *api.IfMatch) store.Versions {
	if header == nil || strings.TrimSpace(*header) == "*" {
		return nil
	}
	vs := store.Versions{}
	for tag := range strings.SplitSeq(*header, ",") {
		tag = strings.TrimSpace(tag)
		if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
			continue
		}
		// Tags are opaque: "01" is not "1".
		if v, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64); err == nil && etag(v) == tag {
			vs = append(vs, v)
		}
	}
	return vs
}

func patientToAPI(p clinic.Patient) api.Patient {
	return api.Patient{
		ID: p.ID, Mrn: clinic.MRN(p.ID), FirstName: p.FirstName, LastName: p.LastName,
		Email: orNull(p.Email), Phone: orNull(p.Phone), BirthDate: orNull(dateToAPI(p.BirthDate)),
		Identifiers: items(p.Identifiers, identifierToAPI),
		ErasedAt:    p.ErasedAt,
		CreatedAt:   p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

func patientFromAPI(p api.PatientCreate) clinic.Patient {
	return clinic.Patient{
		FirstName: p.FirstName, LastName: p.LastName,
		Email: orNil(p.Email), Phone: orNil(p.Phone), BirthDate: dateFromAPI(orNil(p.BirthDate)),
		Identifiers: identifiersFromAPI(p.Identifiers),
	}
}

func patientPatchFromAPI(p api.PatientPatch) clinic.PatientPatch {
	var c clinic.PatientPatch
	if p.FirstName != nil {
		c.FirstName = clinic.ChangeTo(*p.FirstName)
	}
	if p.LastName != nil {
		c.LastName = clinic.ChangeTo(*p.LastName)
	}
	if p.Email.IsSpecified() {
		c.Email = clinic.ChangeTo(orNil(p.Email))
	}
	if p.Phone.IsSpecified() {
		c.Phone = clinic.ChangeTo(orNil(p.Phone))
	}
	if p.BirthDate.IsSpecified() {
		c.BirthDate = clinic.ChangeTo(dateFromAPI(orNil(p.BirthDate)))
	}
	if p.Identifiers != nil {
		c.Identifiers = clinic.ChangeTo(identifiersFromAPI(p.Identifiers))
	}
	return c
}

func doctorToAPI(d clinic.Doctor) api.Doctor {
	return api.Doctor{
		ID: d.ID, FullName: d.FullName, Specialization: d.Specialization, IsActive: d.IsActive,
		OverbookCap: int32(d.OverbookCap), //nolint:gosec // G115: at most 10
		CreatedAt:   d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
}

func doctorFromAPI(d api.DoctorCreate) clinic.Doctor {
	return clinic.Doctor{
		FullName: d.FullName, Specialization: d.Specialization,
		IsActive:    d.IsActive == nil || *d.IsActive, // the contract's default
		OverbookCap: int(deref(d.OverbookCap)),
	}
}

func doctorPatchFromAPI(p api.DoctorPatch) clinic.DoctorPatch {
	var c clinic.DoctorPatch
	if p.FullName != nil {
		c.FullName = clinic.ChangeTo(*p.FullName)
	}
	if p.Specialization != nil {
		c.Specialization = clinic.ChangeTo(*p.Specialization)
	}
	if p.IsActive != nil {
		c.IsActive = clinic.ChangeTo(*p.IsActive)
	}
	if p.OverbookCap != nil {
		c.OverbookCap = clinic.ChangeTo(int(*p.OverbookCap))
	}
	return c
}

func bookingFromAPI(a api.AppointmentCreate) clinic.Booking {
	return clinic.Booking{
		PatientID: a.PatientID, DoctorID: a.DoctorID, TypeID: a.TypeID, RoomID: a.RoomID, AnyRoom: deref(a.AnyRoom),
		Start: clinic.Instant(a.StartTime), Duration: minutes(deref(a.DurationMinutes)),
		Hold: deref(a.HoldToken), Override: overrideFromAPI(a.Override), Reason: orNil(a.Reason), Note: orNil(a.Note),
	}
}

func appointmentToAPI(a clinic.Appointment) api.Appointment {
	out := api.Appointment{
		ID: a.ID, PatientID: a.PatientID, DoctorID: a.DoctorID, TypeID: orNull(a.TypeID), RoomID: orNull(a.RoomID), SeriesID: orNull(a.SeriesID),
		StartTime: a.Time.Start, EndTime: a.Time.End, DurationMinutes: wholeMinutes(a.Time.End.Sub(a.Time.Start)),
		BufferBeforeMinutes: wholeMinutes(a.Buffers.Before), BufferAfterMinutes: wholeMinutes(a.Buffers.After),
		Status: api.AppointmentStatus(a.Status), Reason: orNull(a.Reason), Note: orNull(a.Note),
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	if a.Broken.Any() && a.OverrideReason != nil {
		out.Override = &api.AppointmentOverride{Reason: a.OverrideReason}
		for _, r := range a.Broken.Rules() {
			out.Override.Rules = append(out.Override.Rules, api.AppointmentOverrideRules(r))
		}
	}
	if c := a.Cancellation; c != nil {
		out.Cancellation = &api.Cancellation{
			Reason: api.CancellationReason(c.Reason), Note: orNull(c.Note), CancelledAt: c.At,
		}
	}
	return out
}

// items translates a page. It never returns nil, which would be encoded as null.
func items[From, To any](from []From, translate func(From) To) []To {
	to := make([]To, len(from))
	for i, f := range from {
		to[i] = translate(f)
	}
	return to
}

// nextCursor returns the cursor of the next page, null on the last one.
func nextCursor[T any](f filter, p store.Page[T], place func(T) store.After) nullable.Nullable[string] {
	if !p.More {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(encodeCursor(f, endOf(p, place)))
}

// endOf returns the position after which the next page begins.
func endOf[T any](p store.Page[T], place func(T) store.After) store.After {
	if p.Resume.ID != 0 {
		return p.Resume
	}
	return place(p.Items[len(p.Items)-1])
}

// orNull returns null for a missing value; an unset Nullable would be encoded as the zero
// value.
func orNull[T any](v *T) nullable.Nullable[T] {
	if v == nil {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(*v)
}

// orNil returns nil for null and absent.
func orNil[T any](v nullable.Nullable[T]) *T {
	value, err := v.Get()
	if err != nil {
		return nil
	}
	return &value
}

// deref returns the zero value for an absent parameter.
func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

func dateToAPI(d *clinic.Date) *openapi_types.Date {
	if d == nil {
		return nil
	}
	return &openapi_types.Date{Time: time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)}
}

func dateFromAPI(d *openapi_types.Date) *clinic.Date {
	if d == nil {
		return nil
	}
	date := clinic.DateOf(d.Time)
	return &date
}

// limitOf returns the page size; the contract check has set the default.
func limitOf(l *api.Limit) int { return int(deref(l)) }

// minutes converts a number of minutes.
func minutes[T ~int32](n T) time.Duration { return time.Duration(n) * time.Minute }

// wholeMinutes converts a duration to minutes. Appointments' lengths fit easily.
func wholeMinutes(d time.Duration) int32 {
	return int32(d / time.Minute) //nolint:gosec // G115: at most 180
}
