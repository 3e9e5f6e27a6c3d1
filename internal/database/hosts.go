package database

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// probeEvery is the pause between two looks for the primary, probeWithin how
	// long a server may take to answer one.
	probeEvery, probeWithin = 500 * time.Millisecond, 2 * time.Second
	// disputed is that pause while two servers say that they are the primary.
	disputed = 50 * time.Millisecond
	// distrusted is for how many looks the word of a former primary is not taken that had
	// fallen silent and says that it is the primary still: some ten seconds. It finds out
	// within three.
	distrusted = 20
	// dialWithin is how long connecting to one of several hosts may take.
	dialWithin = 2 * time.Second
)

// ErrNoPrimary is the cause of an unavailable cluster: none of the hosts accepts
// changes. ErrNoMajority, which it wraps in that case, says that one would if it
// were not cut off from most of the others, and ErrNoGroup that one of them takes
// changes without a group: two such servers would both do so, and book one doctor twice.
// ErrTwoPrimaries wraps ErrNoPrimary, too: a former primary has not noticed yet.
var (
	ErrNoPrimary    = errors.New("no server of the database cluster accepts changes")
	ErrNoMajority   = errors.New("the database cluster has no majority")
	ErrTwoPrimaries = fmt.Errorf("%w alone: two say that they are the primary", ErrNoPrimary)
	ErrNoGroup      = errors.New("several hosts need MySQL Group Replication, and the right to read performance_schema.replication_group_members, which db/grants.sql shows; with any other database name one host")
)

// connectorOf connects to the server of a configuration; of several, to the one that
// is found to be the writable primary. log is told when this is another one; nil for a
// second connector of the same program, which would repeat the first.
func connectorOf(c *mysql.Config, log *slog.Logger) (driver.Connector, error) {
	names := hostsOf(c)
	if len(names) == 1 {
		return mysql.NewConnector(c)
	}
	h := &hosts{
		names: names, log: cmp.Or(log, slog.New(slog.DiscardHandler)),
		current: -1, stale: make([]int, len(names)), probed: make(chan struct{}), closed: make(chan struct{}), open: map[*hostConn]bool{},
	}
	for i, name := range names {
		one := hostConfig(c, name)
		one.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return h.dial(ctx, network, addr, i)
		}
		connector, err := mysql.NewConnector(one)
		if err != nil {
			return nil, err
		}
		asked := hostConfig(c, name)
		asked.DBName = "" // it may not exist yet
		asked.ReadTimeout, asked.WriteTimeout = probeWithin, probeWithin
		probed, err := mysql.NewConnector(asked)
		if err != nil {
			return nil, err
		}
		h.hosts = append(h.hosts, host{connector: connector, probed: probed})
	}
	return h, nil
}

// hostConfig is the configuration of one of several hosts.
func hostConfig(c *mysql.Config, name string) *mysql.Config {
	one := c.Clone()
	one.Addr, one.Timeout = name, dialWithin
	one.TLS = nil // made again from TLSConfig, for this host's name
	return one
}

// hosts connects to whichever of several servers is the writable primary. It begins
// to look for it with the first connection. When another one has become the primary,
// connections to the former are closed, in use or not: what they read may be stale,
// and what they write is refused.
type hosts struct {
	names  []string
	log    *slog.Logger
	hosts  []host
	start  sync.Once
	stop   sync.Once
	probed chan struct{} // closed after the first probe of all
	closed chan struct{}

	mu      sync.Mutex
	current int // index of the primary, -1 while there is none
	why     error
	stale   []int // by host: for how many looks more it is distrusted
	open    map[*hostConn]bool
}

type host struct{ connector, probed driver.Connector }

// hostConn is a connection to one of the hosts. Embedding the concrete type keeps
// what the driver needs to check an idle connection.
type hostConn struct {
	*net.TCPConn

	hosts *hosts
	index int
}

// Close closes the connection and forgets it.
func (c *hostConn) Close() error {
	c.hosts.mu.Lock()
	delete(c.hosts.open, c)
	c.hosts.mu.Unlock()
	return c.TCPConn.Close()
}

func (h *hosts) dial(ctx context.Context, network, addr string, index int) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialWithin, KeepAlive: 15 * time.Second}
	raw, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(errors.New("the connection is not TCP"), raw.Close())
	}
	c := &hostConn{TCPConn: tcp, hosts: h, index: index}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != index { // switched while it was dialled
		return nil, errors.Join(ErrNoPrimary, tcp.Close())
	}
	h.open[c] = true
	return c, nil
}

// Driver returns the driver of MySQL.
func (h *hosts) Driver() driver.Driver { return h.hosts[0].connector.Driver() }

// Connect connects to the primary. While there is none it fails without waiting, with
// an error that is ErrNoPrimary.
func (h *hosts) Connect(ctx context.Context) (driver.Conn, error) {
	h.start.Do(func() { go h.watch() }) //nolint:contextcheck // it serves every later connection, too
	select {
	case <-h.probed:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.mu.Lock()
	current, why := h.current, h.why
	h.mu.Unlock()
	if current < 0 {
		return nil, why
	}
	conn, err := h.hosts[current].connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := isPrimary(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrNoPrimary, h.names[current], err)
	}
	return conn, nil
}

// Close ends the search for the primary.
func (h *hosts) Close() error {
	h.stop.Do(func() { close(h.closed) })
	return nil
}

// finding is what one host answered; err is nil for a writable primary.
type finding struct {
	answered bool
	err      error
}

func (h *hosts) watch() {
	pools := make([]*sql.DB, len(h.hosts))
	busy := make([]chan finding, len(h.hosts))
	last := make([]finding, len(h.hosts))
	for i, one := range h.hosts {
		pools[i] = sql.OpenDB(one.probed)
		pools[i].SetMaxOpenConns(1)
		defer func() { _ = pools[i].Close() }()
	}
	for first := true; ; first = false {
		// A host that hangs does not hold up what the others say: its answer is
		// collected in a later round.
		limit := time.After(probeEvery)
		if first {
			limit = time.After(probeWithin)
		}
		for i, pool := range pools {
			if busy[i] == nil {
				answer := make(chan finding, 1)
				busy[i] = answer
				go func() { answer <- probeHost(pool) }()
			}
		}
		expired := false
		for i := range busy {
			if expired {
				select {
				case last[i] = <-busy[i]:
					busy[i] = nil
				default:
					last[i] = finding{err: errNoAnswer}
				}
				continue
			}
			select {
			case last[i] = <-busy[i]:
				busy[i] = nil
			case <-limit:
				expired = true
				last[i] = finding{err: errNoAnswer}
			case <-h.closed:
				return
			}
		}
		pause := probeEvery
		if h.choose(last) {
			pause = disputed
		}
		if first {
			close(h.probed)
		}
		select {
		case <-h.closed:
			return
		case <-time.After(pause):
		}
	}
}

// logChange writes a line when another host, or none, is about to be the primary, or none
// for another cause. h.mu is held.
func (h *hosts) logChange(next int, why error) {
	switch {
	case next >= 0 && next != h.current:
		h.log.Info("the database's primary is found", "host", h.names[next])
	case next < 0 && (h.current >= 0 || h.why == nil || h.why.Error() != why.Error()):
		h.log.Error("the database has no usable primary", "cause", why)
	}
}

var errNoAnswer = errors.New("not reachable")

// choose keeps the primary that there is. One that merely does not answer stays the
// primary until another one is found, so that load does not cut connections.
//
// A primary that was frozen or cut off takes itself for the primary for a moment more
// when it is back, while its successor is at work. What it answers is stale: it is
// distrusted until it knows. Where it cannot be told which of two is the former one,
// none is used until only one says so; choose returns whether this is the case.
func (h *hosts) choose(found []finding) (several bool) {
	h.mu.Lock()
	was := h.current
	next, why := -1, ErrNoPrimary
	for i, f := range found {
		if h.stale[i] > 0 && f.answered {
			if f.err == nil {
				h.stale[i]--
				continue
			}
			h.stale[i] = 0
		}
		if f.err == nil {
			several, next = several || next >= 0, i
		}
		for _, cause := range []error{ErrNoGroup, ErrNoMajority} {
			if errors.Is(f.err, cause) {
				why = fmt.Errorf("%w: %w", ErrNoPrimary, f.err)
			}
		}
	}
	switch {
	case several:
		next, why = -1, ErrTwoPrimaries
	case next < 0 && was >= 0 && !found[was].answered:
		next = was
	case next >= 0 && was >= 0 && next != was && !found[was].answered:
		h.stale[was] = distrusted
	}
	h.logChange(next, why)
	h.current, h.why = next, why
	var former []*hostConn
	for c := range h.open {
		if c.index != next {
			former = append(former, c)
		}
	}
	h.mu.Unlock()
	for _, c := range former {
		_ = c.Close()
	}
	return several
}

// probeHost asks one host whether it is the writable primary of a group with a
// majority.
func probeHost(pool *sql.DB) finding {
	ctx, cancel := context.WithTimeout(context.Background(), probeWithin)
	defer cancel()
	var readOnly bool
	if err := pool.QueryRowContext(ctx, `SELECT @@GLOBAL.read_only`).Scan(&readOnly); err != nil {
		return finding{err: err}
	}
	var all, reachable, self int
	err := pool.QueryRowContext(ctx, `
		SELECT COUNT(*), COALESCE(SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')), 0),
			COALESCE(SUM(MEMBER_ID = @@GLOBAL.server_uuid AND MEMBER_STATE = 'ONLINE'), 0)
		FROM performance_schema.replication_group_members`).Scan(&all, &reachable, &self)
	refused, isRefused := errors.AsType[*mysql.MySQLError](err)
	switch {
	case isRefused: // no such table (MariaDB), or no right to read it
		return finding{true, fmt.Errorf("%w (%w)", ErrNoGroup, refused)}
	case err != nil:
		return finding{err: err}
	case readOnly: // a secondary, or one that has left the group
		return finding{true, errors.New("read-only")}
	case self == 0:
		return finding{true, ErrNoGroup}
	case 2*reachable <= all:
		return finding{true, ErrNoMajority}
	}
	return finding{answered: true}
}

// isPrimary asks a new connection what probeHost asks a host. The last probe is not
// enough: a primary that died and was started again at once takes changes outside of the
// group, which no other server has, until it joins or is probed.
func isPrimary(ctx context.Context, conn driver.Conn) error {
	asked, ok := conn.(driver.QueryerContext)
	if !ok {
		return errors.New("database driver cannot query")
	}
	// A small table in memory. The text says why the server is not to be used.
	rows, err := asked.QueryContext(ctx, `
		SELECT CASE WHEN @@GLOBAL.read_only THEN 'it is read-only'
			WHEN COALESCE(SUM(MEMBER_ID = @@GLOBAL.server_uuid AND MEMBER_STATE = 'ONLINE'), 0) = 0 THEN 'it is not in the group'
			WHEN 2 * SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')) <= COUNT(*) THEN 'it has no majority'
			ELSE '' END
		FROM performance_schema.replication_group_members`, nil)
	if err != nil {
		return err
	}
	said := make([]driver.Value, 1)
	if err := errors.Join(rows.Next(said), rows.Close()); err != nil {
		return err
	}
	if why := fmt.Sprintf("%s", said[0]); why != "" { // a string or bytes
		return errors.New(why)
	}
	return nil
}
