package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof" // registers with http.DefaultServeMux, which is not served
	"os"
	"strconv"
	"time"

	"mems/db"
	"mems/internal/telemetry"
)

// startTelemetry sets up metrics and traces. stop exports the remaining traces.
func (p *program) startTelemetry(ctx context.Context, log *slog.Logger) (watch *telemetry.Telemetry, stop func(), err error) {
	watch, err = telemetry.New(ctx, telemetry.Config{
		Version: version, Commit: builtFrom(), Schema: strconv.Itoa(db.Latest), Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	stopMetrics, err := p.serveMetrics(ctx, watch.Metrics(), log)
	if err != nil {
		return nil, nil, err
	}
	return watch, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := watch.Shutdown(limit); err != nil {
			log.WarnContext(ctx, "exporting the last traces failed", "cause", err)
		}
		stopMetrics()
	}, nil
}

// serveMetrics serves /metrics, and profiles if enabled, on a separate address, if
// configured: clients of the API must not reach them. It continues while the last requests
// complete.
func (p *program) serveMetrics(ctx context.Context, metrics http.Handler, log *slog.Logger) (stop func(), err error) {
	if p.MetricsAddr == "" {
		return func() {}, nil
	}
	listener, err := listen(ctx, "MEMS_METRICS_ADDR", p.MetricsAddr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	writeTimeout := 30 * time.Second
	if p.Profiling {
		addProfiles(mux)
		writeTimeout = 3 * time.Minute // a profile takes 30 s, or as long as requested
	}
	s := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { _ = s.Serve(listener) }() // ended by Close
	p.say("metrics are at http://%s/metrics", listener.Addr())
	return func() { _ = s.Close() }, nil
}

// addProfiles serves the runtime's profiles, without the command line.
func addProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
}

// checkStatusDir checks that the directory of status files exists.
func (p *program) checkStatusDir() error {
	if p.StatusDir == "" {
		return nil
	}
	if info, err := os.Stat(p.StatusDir); err != nil || !info.IsDir() {
		return settingError{fmt.Errorf("MEMS_STATUS_DIR: %s is not a readable directory", p.StatusDir)}
	}
	return nil
}

// noteStatus records a command's success for the metrics. Failing to record it does not
// fail the command, which has done its work: an alert will report it.
func (p *program) noteStatus(file telemetry.StatusFile, values map[string]float64) {
	if p.StatusDir == "" {
		return
	}
	if err := telemetry.WriteStatus(p.StatusDir, file, values); err != nil {
		p.say("MEMS_STATUS_DIR: recording this success failed: %v", err)
	}
}
