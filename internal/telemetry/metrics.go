package telemetry

import (
	"cmp"
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mems/internal/server"
	"mems/internal/store"
)

// buckets, in seconds: a booking takes milliseconds, a lock wait at most 3 s, a request at
// most 10 s.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// statusGone is nginx's status for requests whose clients closed the connection before the
// response.
const statusGone = 499

// metrics are the metrics of one server, in a separate registry.
type metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	durations      *prometheus.HistogramVec
	inFlight       prometheus.Gauge
	problems       *prometheus.CounterVec
	retries        *prometheus.CounterVec
	transactions   *prometheus.HistogramVec
	guards         prometheus.Histogram
	outcomeUnknown prometheus.Counter
	attempts       *prometheus.CounterVec
	lines          lineMetrics
	state          *stateCollector
}

// lineMetrics are the metrics of the queues of requests.
type lineMetrics struct {
	waiting, working *prometheus.GaugeVec
	waits            *prometheus.HistogramVec
	shed             *prometheus.CounterVec
}

func newMetrics(cfg Config) *metrics {
	registry := prometheus.NewRegistry()
	state := &stateCollector{}
	registry.MustRegister(collectors.NewGoCollector(), newProcessCollector(collectors.ProcessCollectorOpts{}), state)
	in := promauto.With(registry)
	m := &metrics{
		registry: registry, state: state,
		requests: in.NewCounterVec(prometheus.CounterOpts{
			Name: "mems_http_requests_total",
			Help: "Responses, by operationId of the contract (none: unknown path) and status; 499: the client disconnected.",
		}, []string{"operation", "status"}),
		durations: in.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mems_http_request_duration_seconds", Buckets: buckets,
			Help: "Time from the request header to the end of the response, by operationId of the contract.",
		}, []string{"operation"}),
		inFlight: in.NewGauge(prometheus.GaugeOpts{
			Name: "mems_http_in_flight_requests",
			Help: "Requests in progress.",
		}),
		problems: in.NewCounterVec(prometheus.CounterOpts{
			Name: "mems_problems_total",
			Help: "Problem responses, by operationId and the problem's slug.",
		}, []string{"operation", "type"}),
		retries: in.NewCounterVec(prometheus.CounterOpts{
			Name: "mems_tx_retries_total",
			Help: "Transactions retried, by cause.",
		}, []string{"cause"}),
		transactions: in.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mems_tx_duration_seconds", Buckets: buckets,
			Help: "Duration of write transactions, including retries and pauses, by outcome.",
		}, []string{"outcome"}),
		guards: in.NewHistogram(prometheus.HistogramOpts{
			Name: "mems_guard_wait_seconds", Buckets: buckets,
			Help: "Time to write a guard row (doctor, patient, room): the wait for other bookings of the same one.",
		}),
		attempts: in.NewCounterVec(prometheus.CounterOpts{
			Name: "mems_webhook_attempts_total",
			Help: "Webhook delivery attempts, by whether the receiver accepted the message; refused ones are retried for 24 hours.",
		}, []string{"outcome"}),
		outcomeUnknown: in.NewCounter(prometheus.CounterOpts{
			Name: "mems_outcome_unknown_total",
			Help: "Transactions whose connection was lost during COMMIT, so that their outcome is unknown.",
		}),
	}
	m.lines = lineMetrics{
		waiting: in.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mems_line_waiting_requests",
			Help: "Requests waiting for a place among the reads or writes, or for their turn at a doctor.",
		}, []string{"line"}),
		working: in.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mems_line_working_requests",
			Help: "Requests that have a place or turn.",
		}, []string{"line"}),
		waits: in.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mems_line_wait_seconds", Buckets: buckets,
			Help: "Time that requests waited for a place or turn; rejected requests are not counted.",
		}, []string{"line"}),
		shed: in.NewCounterVec(prometheus.CounterOpts{
			Name: "mems_line_shed_total",
			Help: "Requests rejected with 503 by a line: it was full, the estimated wait was too long (estimate), or the wait timed out (deadline).",
		}, []string{"line", "reason"}),
	}
	for _, line := range server.Lines {
		m.lines.waiting.WithLabelValues(line)
		m.lines.working.WithLabelValues(line)
		m.lines.waits.WithLabelValues(line)
		for _, reason := range server.ShedReasons {
			m.lines.shed.WithLabelValues(line, reason)
		}
	}
	for _, outcome := range []string{"taken", "refused"} {
		m.attempts.WithLabelValues(outcome) // creates the series with 0
	}
	in.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mems_build_info",
		Help: "1, with the program's version and commit and the schema version that it requires.",
	}, []string{"version", "commit", "schema"}).WithLabelValues(cfg.Version, cfg.Commit, cfg.Schema).Set(1)
	// A series that appears with its first event hides that event from rate(), so start at
	// 0.
	for _, cause := range store.RetryCauses {
		m.retries.WithLabelValues(string(cause))
	}
	for _, outcome := range store.Outcomes {
		m.transactions.WithLabelValues(string(outcome))
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// watchPool adds the pool's metrics (go_sql_*). There is one pool; a second one would be
// ignored.
func (m *metrics) watchPool(db *sql.DB) {
	_ = m.registry.Register(collectors.NewDBStatsCollector(db, "mems"))
}

func (m *metrics) countInFlight(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(m.inFlight, next)
}

func (m *metrics) answered(a server.Answered) {
	operation, status := cmp.Or(a.Operation, "none"), a.Status
	if a.Gone {
		status = statusGone
	} else if a.Problem != "" {
		m.problems.WithLabelValues(operation, a.Problem).Inc()
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	m.durations.WithLabelValues(operation).Observe(a.Took.Seconds())
}

func (m *metrics) transaction(outcome store.Outcome, took time.Duration) {
	m.transactions.WithLabelValues(string(outcome)).Observe(took.Seconds())
	if outcome == store.Unknown {
		m.outcomeUnknown.Inc()
	}
}

func (m *metrics) retry(cause store.RetryCause) { m.retries.WithLabelValues(string(cause)).Inc() }

func (m *metrics) guard(took time.Duration) { m.guards.Observe(took.Seconds()) }

func (m lineMetrics) observer() server.LineObserver {
	return server.LineObserver{
		Waiting:  func(line string, change int) { m.waiting.WithLabelValues(line).Add(float64(change)) },
		Working:  func(line string, change int) { m.working.WithLabelValues(line).Add(float64(change)) },
		Admitted: func(line string, waited time.Duration) { m.waits.WithLabelValues(line).Observe(waited.Seconds()) },
		Shed:     func(line, reason string) { m.shed.WithLabelValues(line, reason).Inc() },
	}
}
