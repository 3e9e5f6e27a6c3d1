package server

import (
	"context"
	"errors"
	"runtime"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/store"
)

// GetHealth answers as long as the process lives: GET /healthz.
func (s *Server) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Status: "ok"}, nil
}

// GetReadiness tells whether the database can be used: GET /readyz.
func (s *Server) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	if s.draining.Load() {
		return nil, &clinic.Error{Code: clinic.CodeUnavailable, Cause: errors.New("shutting down")}
	}
	version, err := s.cfg.Store.Ready(ctx)
	if rule, ok := errors.AsType[*clinic.Error](err); ok && errors.Is(err, store.ErrWritesRefused) {
		return nil, &problem{slug: api.ProblemSlugUnavailable, cause: rule.Cause, detail: "The database refuses writes: its disk is full, or it is read-only."}
	}
	for _, known := range []struct {
		cause  error
		detail string
	}{
		{store.ErrNoMajority, "The database cluster has no majority: most of its servers cannot be reached."},
		{store.ErrNoGroup, "Several database hosts are set, and they are no cluster whose primary can be told."},
		{store.ErrNoPrimary, "No server of the database cluster accepts changes."},
	} {
		if rule, ok := errors.AsType[*clinic.Error](err); ok && errors.Is(err, known.cause) {
			return nil, &problem{slug: api.ProblemSlugUnavailable, cause: rule.Cause, detail: known.detail}
		}
	}
	if err != nil {
		return nil, err
	}
	return api.GetReadiness200JSONResponse{Status: "ready", SchemaVersion: version}, nil
}

// GetVersion tells what is running: GET /version.
func (s *Server) GetVersion(context.Context, api.GetVersionRequestObject) (api.GetVersionResponseObject, error) {
	return api.GetVersion200JSONResponse{
		Version: s.cfg.Version, Commit: s.cfg.Commit, GoVersion: runtime.Version(),
		ContractVersion: s.contract, TimeZone: s.cfg.Zone.String(),
	}, nil
}
