package server

import (
	"context"
	"errors"
	"runtime"

	"mems/gen/api"
	"mems/internal/clinic"
	"mems/internal/contract"
	"mems/internal/store"
)

// GetHealth returns 200 as long as the process lives: GET /healthz.
func (s *Server) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Status: "ok"}, nil
}

// drainingDetail is the detail of /readyz during shutdown.
const drainingDetail = "The server is shutting down."

// GetReadiness reports whether the database can be used: GET /readyz.
func (s *Server) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	if s.draining.Load() {
		return nil, &contract.Error{Slug: api.ProblemSlugUnavailable, Cause: errors.New("shutting down"), Detail: drainingDetail}
	}
	version, err := s.cfg.Store.Ready(ctx)
	if rule, ok := errors.AsType[*clinic.Error](err); ok && rule.Code == clinic.CodeUnavailable {
		return nil, &contract.Error{Slug: api.ProblemSlugUnavailable, Cause: rule.Cause, Detail: store.UnreadyDetail(err)}
	}
	if err != nil {
		return nil, err
	}
	return api.GetReadiness200JSONResponse{Status: "ready", SchemaVersion: version}, nil
}

// GetVersion returns the versions of the program and the contract: GET /version.
func (s *Server) GetVersion(context.Context, api.GetVersionRequestObject) (api.GetVersionResponseObject, error) {
	return api.GetVersion200JSONResponse{
		Version: s.cfg.Version, Commit: s.cfg.Commit, GoVersion: runtime.Version(),
		ContractVersion: s.contract, TimeZone: s.cfg.Zone.String(),
	}, nil
}
