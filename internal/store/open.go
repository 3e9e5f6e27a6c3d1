// Package store stores the clinic in a MySQL-compatible database.
//
// An exported method is one use case and, except for a few that work in batches, one
// transaction. Each statement is in the function that runs it, with the index that it uses
// and the rows that it locks. Package clinic decides what is allowed, based on what was
// read under the locks that this package takes. db/README.md has the lock order and its reasons ("Rules").
package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/auditchain"
	"mems/internal/clinic"
	"mems/internal/database"
)

// DefaultMaxOpenConns bounds the pool unless configured otherwise. Beyond this
// the database's own queueing costs more than ours.
const DefaultMaxOpenConns = 32

// Config configures the database and its use.
type Config struct {
	// DSN is a go-sql-driver DSN or a mysql:// URL, with a database name.
	DSN string
	// MaxOpenConns bounds the pool; 0 means DefaultMaxOpenConns.
	MaxOpenConns int
	// Now is the clock. Required.
	Now func() time.Time
	// Zone is the clinic's time zone. Required.
	Zone *time.Location
	// MACKeys bind the audit trail to secrets that the database does not have: the
	// first one writes, all of them verify. None: plain hashes. They seal API keys, too.
	MACKeys []auditchain.Key
	// Partners bounds how far ahead partners book.
	Partners clinic.PartnerWindow
	// Log receives what callers do not see: retries and causes.
	Log *slog.Logger
	// Batches decides bookings that arrive together in one transaction (combiner.go).
	Batches bool
	// Restoring allows a database whose restore is not finished.
	Restoring bool
	// Observe has callbacks for metrics.
	Observe Observe
	// OpenDB makes the pool, so that it can be instrumented; nil means sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
}

// Store is the clinic's database. It is safe for concurrent use, by any number
// of processes on one database.
type Store struct {
	db   *sqlx.DB
	now  func() time.Time
	zone *time.Location
	log  *slog.Logger

	observe       Observe
	changed       signal        // a change was committed here
	feedTurn      chan struct{} // holds a value during a turn of AssignPositions
	patientSearch searchBounds
	partners      clinic.PartnerWindow
	knownKeys     *knownSecrets
	knownFeeds    *knownSecrets
	sealer        *keySealer
	ready         *readiness
	maxScanned    int
	refused       recentlyRefused
	explanations  sharedRefusals
	combiners     []combiner // empty: every booking is decided alone

	restoring bool         // Config.Restoring
	replaced  atomic.Int64 // how often the data were found to have been replaced

	// Of the audit trail.
	macKey    auditchain.Key // writes
	macKeys   []auditchain.Key
	chainTips chainTips
	reads     chan read
	close     sync.Once
	closed    chan struct{}
	stopped   chan struct{}
}

// heldWithin bounds how long a transaction may wait for its own program's next statement,
// and so how long a stalled program can block a calendar.
const heldWithin = 15 * time.Second

// Open prepares a Store. It does not connect; Ready reports whether the database can be
// used.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil || cfg.Zone == nil || cfg.Log == nil {
		return nil, errors.New("store: Now, Zone and Log are required")
	}
	server, err := database.NewServer(cfg.DSN, cfg.Log)
	if err != nil {
		return nil, err
	}
	db, err := server.Open(database.Options{
		// Bounds the wait for one response of the database: a hung server or a pulled cable
		// ends in 503, not in a leak.
		Dial: 5 * time.Second, Read: 15 * time.Second, Write: 15 * time.Second,
		RowLock:   3 * time.Second, // then the transaction is retried
		TableLock: 5 * time.Second, // for a table that is being altered
		// A stalled process, or one whose machine is lost, holds its guards until the database
		// closes its connection: by default after eight hours.
		Idle:   heldWithin,
		OpenDB: cfg.OpenDB,
	})
	if err != nil {
		return nil, err
	}
	ready, err := newReadiness(server)
	if err != nil {
		return nil, err
	}
	n := cfg.MaxOpenConns
	if n <= 0 {
		n = DefaultMaxOpenConns
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)                     // otherwise every peak pays for handshakes
	db.SetConnMaxIdleTime(heldWithin * 2 / 3) // before the database closes it
	db.SetConnMaxLifetime(30 * time.Minute)   // so that a fail-over behind a proxy is noticed
	st := &Store{
		db: db, now: cfg.Now, zone: cfg.Zone, log: cfg.Log, observe: cfg.Observe, macKeys: cfg.MACKeys,
		patientSearch: defaultSearchBounds, partners: cfg.Partners, restoring: cfg.Restoring, knownKeys: newKnownSecrets("api_keys"), knownFeeds: newKnownSecrets("calendar_feeds"),
		sealer: newKeySealer(cfg.MACKeys), chainTips: chainTips{ends: map[int64]chainTip{}},
		changed: signal{pause: feedPause}, feedTurn: make(chan struct{}, 1),
		ready: ready, maxScanned: maxScanned, reads: make(chan read), closed: make(chan struct{}), stopped: make(chan struct{}),
	}
	if cfg.Batches {
		st.combiners = newCombiners()
	}
	if len(cfg.MACKeys) > 0 {
		st.macKey = cfg.MACKeys[0]
	}
	go st.keepTrail()
	return st, nil
}

// Close seals the audit trail and closes the pool. It may be called again.
func (s *Store) Close() error {
	s.close.Do(func() { close(s.closed) })
	<-s.stopped
	return errors.Join(s.ready.db.Close(), s.db.Close())
}

// today returns the clinic's local date.
func (s *Store) today() clinic.Date { return clinic.DateOf(s.now().In(s.zone)) }
