package telemetry

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mems/internal/database"
	"mems/internal/store"
)

// State has what alerts need even without traffic. It is read at each scrape.
type State struct {
	Store *store.Store
	// CertificateExpires returns the expiry of the served certificate; nil without one.
	CertificateExpires func() time.Time
	// StatusDir is the directory that WriteStatus writes to, or empty.
	StatusDir string
	Now       func() time.Time
}

// refusalsFor is how long a result of DeliveryRefusedSince is cached: the query reads every
// message that awaits a retry.
const refusalsFor = 15 * time.Second

var (
	readyDesc       = prometheus.NewDesc("mems_ready", "1 if the database can be read and written and has the required schema, like GET /readyz; otherwise 0.", nil, nil)
	pendingDesc     = prometheus.NewDesc("mems_migrations_pending", "1 if the database's schema is older than this program requires, otherwise 0; absent while the database is unavailable.", nil, nil)
	refusedDesc     = prometheus.NewDesc("mems_webhook_refused_seconds", "How long the oldest refused webhook message has been retried, 0 for none; absent while the database is unavailable.", nil, nil)
	goneDesc        = prometheus.NewDesc("mems_webhooks_gone", "Webhooks that are off because their receiver answered 410; absent while the database is unavailable.", nil, nil)
	certificateDesc = prometheus.NewDesc("mems_tls_certificate_expiry_timestamp_seconds", "Expiry of the served TLS certificate; absent without one.", nil, nil)
	startDesc       = prometheus.NewDesc("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", nil, nil)
)

// stateCollector reads State at each scrape. Without a State the process counts as not
// ready.
type stateCollector struct {
	state atomic.Pointer[State]

	mu           sync.Mutex
	refused      float64
	refusedAsked time.Time
}

// Watch adds the metrics that do not depend on traffic.
func (t *Telemetry) Watch(s State) { t.metrics.state.state.Store(&s) }

// Describe sends nothing: the series are known only at a scrape.
func (c *stateCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the state.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	s := c.state.Load()
	if s == nil {
		gauge(readyDesc, 0)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := s.Store.Ready(ctx)
	gauge(readyDesc, oneIf(err == nil))
	behind := errors.Is(err, database.ErrSchemaBehind)
	if err == nil || behind || errors.Is(err, store.ErrWritesRefused) {
		gauge(pendingDesc, oneIf(behind))
	}
	if err == nil {
		if seconds, err := c.refusedFor(ctx, s); err == nil {
			gauge(refusedDesc, seconds)
		}
		if n, err := s.Store.CountGoneWebhooks(ctx); err == nil {
			gauge(goneDesc, float64(n))
		}
	}
	if s.CertificateExpires != nil {
		gauge(certificateDesc, float64(s.CertificateExpires().Unix()))
	}
	if s.StatusDir == "" {
		return
	}
	for _, file := range statusFiles {
		for name, value := range readStatus(filepath.Join(s.StatusDir, file.name)) {
			if help, ours := file.metrics[name]; ours {
				gauge(prometheus.NewDesc(name, help, nil, nil), value)
			}
		}
	}
}

func (c *stateCollector) refusedFor(ctx context.Context, s *State) (float64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := s.Now()
	if age := now.Sub(c.refusedAsked); 0 <= age && age < refusalsFor {
		return c.refused, nil
	}
	since, err := s.Store.DeliveryRefusedSince(ctx)
	if err != nil {
		return 0, err
	}
	c.refused, c.refusedAsked = 0, now
	if !since.IsZero() {
		c.refused = max(0, now.Sub(since).Seconds())
	}
	return c.refused, nil
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// StatusFile is a file in which a command records its last success, in the format of
// node_exporter's textfile collector.
type StatusFile struct {
	name    string
	metrics map[string]string // name to help
}

// The commands that record their success.
var (
	BackupStatus = StatusFile{"mems_backup.prom", map[string]string{
		"mems_backup_timestamp_seconds": "Time of the data in the newest backup.",
	}}
	AuditStatus = StatusFile{"mems_audit.prom", map[string]string{
		"mems_audit_verify_timestamp_seconds": "When the audit trail was last verified completely.",
		"mems_audit_verify_faults":            "Faults found by that verification.",
	}}
	statusFiles = []StatusFile{BackupStatus, AuditStatus}
)

// WriteStatus replaces a status file atomically. The file is world-readable: it holds only
// numbers, and serve and node_exporter run as other users.
func WriteStatus(dir string, file StatusFile, values map[string]float64) error {
	var b strings.Builder
	for name, help := range file.metrics {
		b.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n")
		b.WriteString(name + " " + strconv.FormatFloat(values[name], 'f', -1, 64) + "\n")
	}
	f, err := os.CreateTemp(dir, "."+file.name+".*") // a suffix that node_exporter ignores
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails if it was renamed
	_, err = f.WriteString(b.String())
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, file.name))
}

// readStatus reads a status file; a missing or damaged one yields no values.
func readStatus(path string) map[string]float64 {
	f, err := os.Open(path) //nolint:gosec // G304: a constant name in the operator's directory
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // read-only
	values := map[string]float64{}
	for lines := bufio.NewScanner(f); lines.Scan() && len(values) < 10; {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = value
		}
	}
	return values
}

// started is the time at which the process started, except for loading it.
var started = time.Now() //nolint:forbidigo // of the process, not of the domain

// processCollector is Prometheus' own with a start time that does not need /proc/stat,
// which ProcSubset=pid in the systemd unit hides.
type processCollector struct{ prometheus.Collector }

func newProcessCollector(opts collectors.ProcessCollectorOpts) processCollector {
	return processCollector{collectors.NewProcessCollector(opts)}
}

// Collect sends the metrics with the start time replaced.
func (p processCollector) Collect(out chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() {
		defer close(all)
		p.Collector.Collect(all)
	}()
	for m := range all {
		if m.Desc().String() != startDesc.String() {
			out <- m
		}
	}
	out <- prometheus.MustNewConstMetric(startDesc, prometheus.GaugeValue, float64(started.UnixMilli())/1000)
}
