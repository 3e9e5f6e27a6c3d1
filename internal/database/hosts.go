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
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// probeEvery is the pause between two rounds of probes for the primary, probeWithin
	// the timeout of a probe.
	probeEvery, probeWithin = 500 * time.Millisecond, 2 * time.Second
	// disputed is that pause while two servers claim to be the primary.
	disputed = 50 * time.Millisecond
	// distrusted is the number of probes for which a former primary that stopped answering
	// is not believed when it claims to be the primary: about ten seconds. It learns of its
	// successor within three.
	distrusted = 20
	// dialWithin is the timeout of connecting to one of several hosts.
	dialWithin = 2 * time.Second
)

// ErrNoPrimary reports that no host of a cluster accepts writes. It wraps the reason, if
// known: ErrNoMajority, a host is cut off from most of the others; ErrNoGroup, a host is not
// a member of a group; ErrOutsideGroup, a host that has a group was started outside of it.
// Two writable servers without a common group could book one doctor twice. ErrTwoPrimaries
// wraps ErrNoPrimary: a former primary has not noticed its successor yet.
var (
	ErrNoPrimary    = errors.New("no server of the database cluster accepts changes")
	ErrNoMajority   = errors.New("the database cluster has no majority")
	ErrTwoPrimaries = fmt.Errorf("%w: two claim to be the primary, and neither is used until one gives way", ErrNoPrimary)
	ErrNoGroup      = errors.New("several hosts need MySQL Group Replication, and SELECT on " +
		"performance_schema.replication_group_members (db/grants.sql); otherwise name a single host")
	ErrOutsideGroup = errors.New("the server is running outside its replication group: run START GROUP_REPLICATION on it " +
		"(if no server is in the group, .deploy/cluster/README.md has the steps)")
)

// newHosts returns the hosts of a configuration that names several, not yet probed.
func newHosts(c *mysql.Config, log *slog.Logger) (*hosts, error) {
	names := hostsOf(c)
	h := &hosts{
		names: names, log: cmp.Or(log, slog.New(slog.DiscardHandler)),
		current: -1, stale: make([]int, len(names)), probed: make(chan struct{}), closed: make(chan struct{}), open: map[*hostConn]bool{},
	}
	for _, name := range names {
		asked := hostConfig(c, name)
		configureSession(asked)
		asked.DBName = "" // may not exist yet
		asked.ReadTimeout, asked.WriteTimeout = probeWithin, probeWithin
		probe, err := mysql.NewConnector(asked)
		if err != nil {
			return nil, err
		}
		h.probes = append(h.probes, probe)
	}
	return h, nil
}

// connector returns a connector for the primary, whose connections have the given configuration.
func (h *hosts) connector(c *mysql.Config) (*primaryConnector, error) {
	p := &primaryConnector{hosts: h}
	for i, name := range h.names {
		one := hostConfig(c, name)
		one.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return h.dial(ctx, network, addr, i)
		}
		connector, err := mysql.NewConnector(one)
		if err != nil {
			return nil, err
		}
		p.each = append(p.each, connector)
	}
	h.pools.Add(1)
	return p, nil
}

// hostConfig returns the configuration for one of several hosts.
func hostConfig(c *mysql.Config, name string) *mysql.Config {
	one := c.Clone()
	one.Addr, one.Timeout = name, dialWithin
	one.TLS = nil // recreated from TLSConfig with this host's name
	return one
}

// hosts finds the writable primary of several servers. It starts probing with the first
// connection. When the primary changes, all connections to the former one are closed, even
// those in use: their reads may be stale, and their writes are rejected.
//
// The pools of a program share one, so that they agree: a server that reports itself unready
// for want of a majority does not begin a booking that cannot be committed.
type hosts struct {
	names  []string
	log    *slog.Logger
	probes []driver.Connector // by host
	pools  atomic.Int64       // open ones
	start  sync.Once
	probed chan struct{} // closed after the first round of probes
	closed chan struct{}

	mu      sync.Mutex
	current int // index of the primary, -1 for none
	why     error
	stale   []int // by host: number of probes for which it is still distrusted
	open    map[*hostConn]bool
}

// primaryConnector connects a pool to the primary.
type primaryConnector struct {
	*hosts

	each  []driver.Connector // by host
	close sync.Once
}

// hostConn is a connection to one of the hosts. It embeds the concrete type for the methods
// with which the driver checks an idle connection.
type hostConn struct {
	*net.TCPConn

	hosts *hosts
	index int
}

// Close closes the connection and removes it from the open ones.
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
	if h.current != index { // the primary changed while dialling
		return nil, errors.Join(ErrNoPrimary, tcp.Close())
	}
	h.open[c] = true
	return c, nil
}

// Driver returns the MySQL driver.
func (p *primaryConnector) Driver() driver.Driver { return p.each[0].Driver() }

// Connect connects to the primary. Without one it fails immediately with ErrNoPrimary.
func (p *primaryConnector) Connect(ctx context.Context) (driver.Conn, error) {
	h := p.hosts
	h.start.Do(func() { go h.watch() }) //nolint:contextcheck // it serves later connections, too
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
	conn, err := p.each[current].Connect(ctx)
	if err != nil {
		return nil, err
	}
	why, err = notPrimary(ctx, conn)
	if err == nil && why == nil {
		return conn, nil
	}
	_ = conn.Close()
	if err != nil {
		return nil, err
	}
	return nil, h.leave(current, why)
}

// Close closes the connector. The last one stops probing.
func (p *primaryConnector) Close() error {
	p.close.Do(func() {
		if p.pools.Add(-1) == 0 {
			close(p.closed)
		}
	})
	return nil
}

// leave stops using a host as the primary until a probe finds that it is, and returns why.
func (h *hosts) leave(index int, why error) error {
	why = fmt.Errorf("%w: %s: %w", ErrNoPrimary, h.names[index], why)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == index {
		h.use(-1, why)
	}
	return why
}

// use makes a host the primary, -1 for none, and closes the connections to every other one.
// h.mu is held: whoever learns of the change finds it done.
func (h *hosts) use(next int, why error) {
	h.logChange(next, why)
	h.current, h.why = next, why
	for c := range h.open {
		if c.index != next {
			delete(h.open, c)
			_ = c.TCPConn.Close()
		}
	}
}

// finding is the result of probing a host; err is nil for a writable primary.
type finding struct {
	answered bool
	err      error
}

func (h *hosts) watch() {
	pools := make([]*sql.DB, len(h.probes))
	busy := make([]chan finding, len(h.probes))
	last := make([]finding, len(h.probes))
	for i, probe := range h.probes {
		pools[i] = sql.OpenDB(probe)
		pools[i].SetMaxOpenConns(1)
		defer func() { _ = pools[i].Close() }()
	}
	for first := true; ; first = false {
		// A host that hangs does not delay the results of the others: its own is collected
		// in a later round.
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

// logChange logs a change of the primary, or of the cause for which there is none. h.mu is
// held.
func (h *hosts) logChange(next int, why error) {
	switch {
	case next >= 0 && next != h.current:
		h.log.Info("found the primary of the database cluster", "host", h.names[next])
	case next < 0 && (h.current >= 0 || h.why == nil || h.why.Error() != why.Error()):
		h.log.Error("the database cluster has no usable primary", "cause", why)
	}
}

var (
	errNoAnswer = errors.New("not reachable")
	errReadOnly = errors.New("read-only")
	errOutside  = errors.New("not in the group")
)

// choose selects the primary from the results of a round of probes. A primary that merely
// does not answer is kept until another one is found, so that load does not drop connections.
//
// A primary that was frozen or cut off still takes itself for the primary for a moment when
// it is back, while its successor is already active. Its data are stale, so it is distrusted
// until it notices. If it is unclear which of two is the former one, neither is used and
// choose returns true.
func (h *hosts) choose(found []finding) (several bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
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
		for _, cause := range []error{ErrNoGroup, ErrOutsideGroup, ErrNoMajority} {
			if errors.Is(f.err, cause) {
				why = fmt.Errorf("%w: %s: %w", ErrNoPrimary, h.names[i], f.err)
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
	h.use(next, why)
	return several
}

// probeHost probes whether a host is the writable primary of a group with a majority.
func probeHost(pool *sql.DB) finding {
	ctx, cancel := context.WithTimeout(context.Background(), probeWithin)
	defer cancel()
	var readOnly bool
	if err := pool.QueryRowContext(ctx, `SELECT @@GLOBAL.read_only`).Scan(&readOnly); err != nil {
		return finding{err: err}
	}
	var all, reachable int
	var self string // state of the host itself, empty if it is no member
	err := pool.QueryRowContext(ctx, `
		SELECT COUNT(*), COALESCE(SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')), 0),
			COALESCE(MAX(CASE WHEN MEMBER_ID = @@GLOBAL.server_uuid THEN MEMBER_STATE END), '')
		FROM performance_schema.replication_group_members`).Scan(&all, &reachable, &self)
	refused, isRefused := errors.AsType[*mysql.MySQLError](err)
	switch {
	case isRefused: // no such table (MariaDB), or no privilege to read it
		return finding{true, fmt.Errorf("%w (%w)", ErrNoGroup, refused)}
	case err != nil:
		return finding{err: err}
	case self == "" || self == "OFFLINE":
		return finding{true, outsideGroup(ctx, pool, readOnly)}
	case readOnly: // a secondary, or an expelled member
		return finding{true, errReadOnly}
	case self != "ONLINE":
		return finding{true, ErrNoGroup}
	case 2*reachable <= all:
		return finding{true, ErrNoMajority}
	}
	return finding{answered: true}
}

// outsideGroup returns why a server that takes part in no group is not used: a member whose
// Group Replication is not running is a fault to repair, any other server a wrong setting.
func outsideGroup(ctx context.Context, pool *sql.DB, readOnly bool) error {
	var name, group string
	err := pool.QueryRowContext(ctx, `SHOW GLOBAL VARIABLES LIKE 'group_replication_group_name'`).Scan(&name, &group)
	switch {
	case err == nil && group != "":
		return ErrOutsideGroup
	case err != nil && !errors.Is(err, sql.ErrNoRows): // no rows: the plugin is not loaded
		return err
	case readOnly:
		return errReadOnly
	}
	return ErrNoGroup
}

// notPrimary checks on a new connection what probeHost checks on a host, and returns why the
// host is not the primary, nil if it is. The last probe is not enough: a primary that crashed
// and restarted immediately accepts writes outside of the group, which no other server has,
// until it joins or is probed.
func notPrimary(ctx context.Context, conn driver.Conn) (why, err error) {
	asked, ok := conn.(driver.QueryerContext)
	if !ok {
		return nil, errors.New("database driver cannot run queries")
	}
	// A small in-memory table.
	rows, err := asked.QueryContext(ctx, `
		SELECT CASE WHEN @@GLOBAL.read_only THEN 'read-only'
			WHEN COALESCE(SUM(MEMBER_ID = @@GLOBAL.server_uuid AND MEMBER_STATE = 'ONLINE'), 0) = 0 THEN 'outside'
			WHEN 2 * SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')) <= COUNT(*) THEN 'minority'
			ELSE '' END
		FROM performance_schema.replication_group_members`, nil)
	if refused, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return fmt.Errorf("%w (%w)", ErrNoGroup, refused), nil
	}
	if err != nil {
		return nil, err
	}
	row := make([]driver.Value, 1)
	if err := errors.Join(rows.Next(row), rows.Close()); err != nil {
		return nil, err
	}
	switch found := fmt.Sprintf("%s", row[0]); found { // a string or bytes
	case "":
		return nil, nil
	case "read-only":
		return errReadOnly, nil
	case "minority":
		return ErrNoMajority, nil
	default:
		return errOutside, nil
	}
}
