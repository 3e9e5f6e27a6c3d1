package server

import (
	"context"
	"strconv"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// GetCaller returns the caller: GET /me.
func (s *Server) GetCaller(ctx context.Context, _ api.GetCallerRequestObject) (api.GetCallerResponseObject, error) {
	c := requestOf(ctx).Access.Caller
	answer := api.GetCaller200JSONResponse{
		Subject: c.Subject, Kind: api.CallerKind(c.Kind()),
		Roles:       items(c.Roles, func(r clinic.Role) api.Role { return api.Role(r) }),
		Permissions: items(c.Permissions(), func(p clinic.Permission) api.Permission { return api.Permission(p) }),
	}
	if c.DoctorID != 0 {
		answer.DoctorID = orNull(&c.DoctorID)
	} else {
		answer.DoctorID = orNull[int64](nil)
	}
	return answer, nil
}

// CreateAPIKey creates a key: POST /api-keys.
func (s *Server) CreateAPIKey(ctx context.Context, r api.CreateAPIKeyRequestObject) (api.CreateAPIKeyResponseObject, error) {
	b := r.Body
	want := clinic.APIKey{Name: b.Name, Role: clinic.Role(b.Role), DoctorID: b.DoctorID}
	if len(b.Scopes) > 0 {
		want.Scopes = items(b.Scopes, func(s api.Scope) string { return string(s) })
	}
	if b.ExpiresAt != nil {
		want.ExpiresAt = *b.ExpiresAt
	}
	k, key, err := s.cfg.Store.CreateAPIKey(ctx, requestOf(ctx), want)
	if err != nil {
		return nil, err
	}
	a := keyToAPI(k)
	return api.CreateAPIKey201JSONResponse{
		Body: api.APIKeyCreated{
			ID: a.ID, Name: a.Name, Role: a.Role, Scopes: a.Scopes, DoctorID: a.DoctorID, CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy,
			ExpiresAt: a.ExpiresAt, RevokedAt: a.RevokedAt, LastUsedAt: a.LastUsedAt, Key: key,
		},
		Headers: api.CreateAPIKey201ResponseHeaders{Location: "/api-keys/" + strconv.FormatInt(k.ID, 10)},
	}, nil
}

// ListAPIKeys lists keys: GET /api-keys.
func (s *Server) ListAPIKeys(ctx context.Context, r api.ListAPIKeysRequestObject) (api.ListAPIKeysResponseObject, error) {
	list := filter{"api-keys"}
	after, err := decodeCursor(list, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := s.cfg.Store.ListAPIKeys(ctx, after.ID, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return api.ListAPIKeys200JSONResponse{
		Items:      items(page.Items, keyToAPI),
		NextCursor: nextCursor(list, page, func(k clinic.APIKey) store.After { return store.After{ID: k.ID} }),
	}, nil
}

// GetAPIKey returns a key's record: GET /api-keys/{id}.
func (s *Server) GetAPIKey(ctx context.Context, r api.GetAPIKeyRequestObject) (api.GetAPIKeyResponseObject, error) {
	k, err := s.cfg.Store.APIKey(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetAPIKey200JSONResponse(keyToAPI(k)), nil
}

// RevokeAPIKey revokes a key: POST /api-keys/{id}/revoke.
func (s *Server) RevokeAPIKey(ctx context.Context, r api.RevokeAPIKeyRequestObject) (api.RevokeAPIKeyResponseObject, error) {
	k, err := s.cfg.Store.RevokeAPIKey(ctx, requestOf(ctx), r.ID)
	if err != nil {
		return nil, err
	}
	return api.RevokeAPIKey200JSONResponse(keyToAPI(k)), nil
}

func keyToAPI(k clinic.APIKey) api.APIKey {
	return api.APIKey{
		ID: k.ID, Name: k.Name, Role: api.Role(k.Role), Scopes: items(k.Scopes, func(s string) api.Scope { return api.Scope(s) }),
		DoctorID: orNull(k.DoctorID), CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt,
		RevokedAt: orNull(k.RevokedAt), LastUsedAt: orNull(k.LastUsedAt),
	}
}
