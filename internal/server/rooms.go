package server

import (
	"context"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// CreateRoom creates a room: POST /rooms.
func (s *Server) CreateRoom(ctx context.Context, r api.CreateRoomRequestObject) (api.CreateRoomResponseObject, error) {
	v, err := s.cfg.Store.CreateRoom(ctx, requestOf(ctx), roomFromAPI(*r.Body))
	if err != nil {
		return nil, err
	}
	return api.CreateRoom201JSONResponse{
		Body:    roomToAPI(v),
		Headers: api.CreateRoom201ResponseHeaders{Location: "/rooms/" + strconv.FormatInt(v.ID, 10), ETag: etag(v.Version)},
	}, nil
}

// ListRooms lists rooms: GET /rooms.
func (s *Server) ListRooms(ctx context.Context, r api.ListRoomsRequestObject) (api.ListRoomsResponseObject, error) {
	list := filter{"/rooms", flag(r.Params.IsActive)}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListRooms(ctx, r.Params.IsActive, after.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListRooms200JSONResponse{
		Items:      items(page.Items, roomToAPI),
		NextCursor: nextCursor(list, page, func(v clinic.Room) store.After { return store.After{ID: v.ID} }),
	}, nil
}

// GetRoom returns a room: GET /rooms/{id}.
func (s *Server) GetRoom(ctx context.Context, r api.GetRoomRequestObject) (api.GetRoomResponseObject, error) {
	v, err := s.cfg.Store.Room(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetRoom200JSONResponse{Body: roomToAPI(v), Headers: api.GetRoom200ResponseHeaders{ETag: etag(v.Version)}}, nil
}

// UpdateRoom changes a room: PATCH /rooms/{id}.
func (s *Server) UpdateRoom(ctx context.Context, r api.UpdateRoomRequestObject) (api.UpdateRoomResponseObject, error) {
	v, affected, err := s.cfg.Store.UpdateRoom(ctx, requestOf(ctx), r.ID, roomPatchFromAPI(*r.Body), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateRoom200JSONResponse{
		Body: api.RoomChanged{
			ID: v.ID, Name: v.Name, IsActive: v.IsActive, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
			AffectedAppointments: items(affected, appointmentToAPI),
		},
		Headers: api.UpdateRoom200ResponseHeaders{ETag: etag(v.Version)},
	}, nil
}

// DeleteRoom deletes a room that was never used: DELETE /rooms/{id}.
func (s *Server) DeleteRoom(ctx context.Context, r api.DeleteRoomRequestObject) (api.DeleteRoomResponseObject, error) {
	if err := s.cfg.Store.DeleteRoom(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteRoom204Response{}, nil
}

// CreateAppointmentType creates an appointment type: POST /appointment-types.
func (s *Server) CreateAppointmentType(ctx context.Context, r api.CreateAppointmentTypeRequestObject) (api.CreateAppointmentTypeResponseObject, error) {
	v, err := s.cfg.Store.CreateAppointmentType(ctx, requestOf(ctx), typeFromAPI(*r.Body))
	if err != nil {
		return nil, err
	}
	return api.CreateAppointmentType201JSONResponse{
		Body:    typeToAPI(v),
		Headers: api.CreateAppointmentType201ResponseHeaders{Location: "/appointment-types/" + strconv.FormatInt(v.ID, 10), ETag: etag(v.Version)},
	}, nil
}

// ListAppointmentTypes lists appointment types: GET /appointment-types.
func (s *Server) ListAppointmentTypes(ctx context.Context, r api.ListAppointmentTypesRequestObject) (api.ListAppointmentTypesResponseObject, error) {
	list := filter{"/appointment-types", flag(r.Params.IsActive)}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListAppointmentTypes(ctx, r.Params.IsActive, after.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListAppointmentTypes200JSONResponse{
		Items:      items(page.Items, typeToAPI),
		NextCursor: nextCursor(list, page, func(v clinic.AppointmentType) store.After { return store.After{ID: v.ID} }),
	}, nil
}

// GetAppointmentType returns an appointment type: GET /appointment-types/{id}.
func (s *Server) GetAppointmentType(ctx context.Context, r api.GetAppointmentTypeRequestObject) (api.GetAppointmentTypeResponseObject, error) {
	v, err := s.cfg.Store.AppointmentType(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetAppointmentType200JSONResponse{Body: typeToAPI(v), Headers: api.GetAppointmentType200ResponseHeaders{ETag: etag(v.Version)}}, nil
}

// UpdateAppointmentType changes an appointment type: PATCH /appointment-types/{id}.
func (s *Server) UpdateAppointmentType(ctx context.Context, r api.UpdateAppointmentTypeRequestObject) (api.UpdateAppointmentTypeResponseObject, error) {
	v, affected, err := s.cfg.Store.UpdateAppointmentType(ctx, requestOf(ctx), r.ID, typePatchFromAPI(*r.Body), versions(r.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	k := typeToAPI(v)
	return api.UpdateAppointmentType200JSONResponse{
		Body: api.AppointmentTypeChanged{
			ID: k.ID, Name: k.Name, DurationMinutes: k.DurationMinutes,
			BufferBeforeMinutes: k.BufferBeforeMinutes, BufferAfterMinutes: k.BufferAfterMinutes,
			Colour: k.Colour, Specializations: k.Specializations, DoctorIds: k.DoctorIds,
			NeedsRoom: k.NeedsRoom, RoomIds: k.RoomIds, IsActive: k.IsActive, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
			AffectedAppointments: items(affected, appointmentToAPI),
		},
		Headers: api.UpdateAppointmentType200ResponseHeaders{ETag: etag(v.Version)},
	}, nil
}

// DeleteAppointmentType deletes a type that was never used: DELETE /appointment-types/{id}.
func (s *Server) DeleteAppointmentType(ctx context.Context, r api.DeleteAppointmentTypeRequestObject) (api.DeleteAppointmentTypeResponseObject, error) {
	if err := s.cfg.Store.DeleteAppointmentType(ctx, requestOf(ctx), r.ID, versions(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteAppointmentType204Response{}, nil
}

func roomToAPI(r clinic.Room) api.Room {
	return api.Room{ID: r.ID, Name: r.Name, IsActive: r.IsActive, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

func roomFromAPI(r api.RoomCreate) clinic.Room {
	return clinic.Room{Name: r.Name, IsActive: r.IsActive == nil || *r.IsActive} // the contract's default
}

func roomPatchFromAPI(p api.RoomPatch) clinic.RoomPatch {
	return clinic.RoomPatch{Name: changed(p.Name), IsActive: changed(p.IsActive)}
}

func typeToAPI(k clinic.AppointmentType) api.AppointmentType {
	return api.AppointmentType{
		ID: k.ID, Name: k.Name, DurationMinutes: wholeMinutes(k.Duration),
		BufferBeforeMinutes: wholeMinutes(k.Buffers.Before), BufferAfterMinutes: wholeMinutes(k.Buffers.After),
		Colour: k.Colour, Specializations: orEmpty(k.Specializations), DoctorIds: orEmpty(k.DoctorIDs),
		NeedsRoom: k.NeedsRoom, RoomIds: orEmpty(k.RoomIDs), IsActive: k.IsActive,
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
}

func typeFromAPI(k api.AppointmentTypeCreate) clinic.AppointmentType {
	kind := clinic.AppointmentType{
		Name: k.Name, Duration: minutes(k.DurationMinutes),
		Buffers:         clinic.Buffers{Before: minutes(deref(k.BufferBeforeMinutes)), After: minutes(deref(k.BufferAfterMinutes))},
		Colour:          clinic.DefaultColour,
		Specializations: k.Specializations, DoctorIDs: k.DoctorIds, NeedsRoom: deref(k.NeedsRoom), RoomIDs: k.RoomIds,
		IsActive: k.IsActive == nil || *k.IsActive, // the contract's default
	}
	if k.Colour != nil {
		kind.Colour = *k.Colour
	}
	return kind
}

func typePatchFromAPI(p api.AppointmentTypePatch) clinic.AppointmentTypePatch {
	c := clinic.AppointmentTypePatch{
		Name: changed(p.Name), Colour: changed(p.Colour), NeedsRoom: changed(p.NeedsRoom), IsActive: changed(p.IsActive),
	}
	if p.DurationMinutes != nil {
		c.Duration = clinic.ChangeTo(minutes(*p.DurationMinutes))
	}
	if p.BufferBeforeMinutes != nil {
		c.BufferBefore = clinic.ChangeTo(minutes(*p.BufferBeforeMinutes))
	}
	if p.BufferAfterMinutes != nil {
		c.BufferAfter = clinic.ChangeTo(minutes(*p.BufferAfterMinutes))
	}
	if p.Specializations != nil {
		c.Specializations = clinic.ChangeTo(p.Specializations)
	}
	if p.DoctorIds != nil {
		c.DoctorIDs = clinic.ChangeTo(p.DoctorIds)
	}
	if p.RoomIds != nil {
		c.RoomIDs = clinic.ChangeTo(p.RoomIds)
	}
	return c
}

// changed converts a member of a merge patch: no change if absent.
func changed[T any](v *T) clinic.Change[T] {
	if v == nil {
		return clinic.Change[T]{}
	}
	return clinic.ChangeTo(*v)
}

// orEmpty returns an empty list for a missing one, which is encoded as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// flag returns a boolean parameter as part of a filter.
func flag(v *bool) string {
	if v == nil {
		return "any"
	}
	return strconv.FormatBool(*v)
}
