//go:build unix

package localdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ClusterOptions configure a cluster.
type ClusterOptions struct {
	// Dir holds the nodes, each in a subdirectory. It must be new or empty.
	Dir string
	// Nodes defaults to three on free ports of 127.0.0.1.
	Nodes []Node
	// Dirs are the directories of the first nodes, if not in Dir.
	Dirs []string
	// Durable, Install, BufferPoolMB and Log are those of Options, for every node. Without
	// Durable, commits survive a crash of a server but not of the machine.
	Durable      bool
	Install      bool
	BufferPoolMB int
	Log          func(format string, args ...any)
}

// Cluster is a single-primary Group Replication cluster of private MySQL servers.
type Cluster struct {
	Servers []*Server // by node

	nodes    []Node
	password string
	options  ClusterOptions
	empty    string // a freshly initialised data directory
}

// StartCluster starts a new cluster with the first node as the primary.
func StartCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	if len(o.Nodes) == 0 {
		var err error
		if o.Nodes, err = localNodes(ctx, 3); err != nil {
			return nil, err
		}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	left, err := os.ReadDir(o.Dir)
	if len(left) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("start a cluster in %s: the directory must be new or empty (%w)", o.Dir, errors.Join(err, os.ErrExist))
	}
	c := &Cluster{nodes: o.Nodes, password: rand.Text(), options: o, Servers: make([]*Server, len(o.Nodes))}
	if err := c.start(ctx); err != nil {
		c.Stop(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	o := c.options
	base := Options{Dir: filepath.Join(o.Dir, "base"), Engine: MySQL, Install: o.Install, Log: o.Log}
	if c.empty, err = initialiseOnly(ctx, base); err != nil {
		return err
	}
	failed := make([]error, len(o.Nodes))
	var starting sync.WaitGroup
	for i := range o.Nodes {
		starting.Go(func() { c.Servers[i], failed[i] = c.member(i).start(ctx, o, c.empty) })
	}
	starting.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := c.Bootstrap(ctx, 0); err != nil {
		return err
	}
	// One by one: concurrent joins may have to be retried.
	for i := 1; i < len(c.Servers); i++ {
		if err := c.Join(ctx, i); err != nil {
			return err
		}
	}
	return c.await(ctx, func(online int) bool { return online == len(c.Servers) })
}

func (c *Cluster) member(i int) *member {
	const group = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	return &member{number: i + 1, node: c.nodes[i], seeds: c.nodes, group: group, password: c.password}
}

// Add starts another empty node on a free port and returns its index. It does not join the
// group.
func (c *Cluster) Add(ctx context.Context) (int, error) {
	more, err := localNodes(ctx, 1)
	if err != nil {
		return 0, err
	}
	c.nodes = append(slices.Clone(c.nodes), more...)
	for _, s := range c.Servers { // for their next start: our servers read no persisted settings
		s.options.member.seeds = c.nodes
	}
	i := len(c.Servers)
	s, err := c.member(i).start(ctx, c.options, c.empty)
	if err != nil {
		return 0, err
	}
	c.Servers = append(c.Servers, s)
	return i, nil
}

// Replace kills a node, removes its data, and starts an empty one at its address, which
// does not join the group.
func (c *Cluster) Replace(ctx context.Context, i int) error {
	old := c.Servers[i]
	if err := errors.Join(old.Kill(), old.Stop(ctx), os.RemoveAll(old.dir)); err != nil {
		return err
	}
	s, err := c.member(i).start(ctx, c.options, c.empty)
	if err != nil {
		return err
	}
	c.Servers[i] = s
	return nil
}

// start starts a node on a copy of data.
func (m *member) start(ctx context.Context, o ClusterOptions, data string) (*Server, error) {
	dir := filepath.Join(o.Dir, "node"+strconv.Itoa(m.number))
	if m.number <= len(o.Dirs) {
		dir = o.Dirs[m.number-1]
	}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(data)); err != nil {
		return nil, err
	}
	// The server's identity, recreated if missing.
	if err := os.Remove(filepath.Join(dir, "data", "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s, err := Start(ctx, Options{Dir: dir, Engine: MySQL, Durable: o.Durable, BufferPoolMB: o.BufferPoolMB, Log: o.Log, member: m})
	if err != nil {
		return nil, err
	}
	return s, m.prepare(ctx, s)
}

// initialiseOnly creates a data directory, of which every node gets a copy.
func initialiseOnly(ctx context.Context, o Options) (string, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", err
	}
	s := &Server{options: o, dir: dir}
	if s.tmp, err = tmpDir(dir); err != nil {
		return "", err
	}
	if s.program, err = find(ctx, s.data(), o); err != nil {
		return "", err
	}
	return s.data(), s.initialise(ctx)
}

// localNodes returns n nodes on free ports of 127.0.0.1.
func localNodes(ctx context.Context, n int) ([]Node, error) {
	var config net.ListenConfig
	free := make([]string, 2*n)
	for i := range free {
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at the end, or a port could be returned twice
		free[i] = l.Addr().String()
	}
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{Address: free[2*i], Group: free[2*i+1]}
	}
	return nodes, nil
}

// URL returns the URL of a database of the cluster, with every node's host and an account
// with all privileges.
func (c *Cluster) URL(database string) string {
	hosts := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		hosts[i] = n.Address
	}
	return c.url(strings.Join(hosts, ","), database)
}

// Address returns the host and port of a node, as known to the group.
func (c *Cluster) Address(i int) string { return c.nodes[i].Address }

// GroupSeeds returns the addresses at which nodes of the group reach each other, for
// group_replication_group_seeds.
func (c *Cluster) GroupSeeds() string {
	seeds := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		seeds[i] = n.Group
	}
	return strings.Join(seeds, ",")
}

// NodeURL returns the URL of a database at one node.
func (c *Cluster) NodeURL(i int, database string) string {
	return c.url(c.nodes[i].Address, database)
}

func (c *Cluster) url(hosts, database string) string {
	return "mysql://" + tcpUser + ":" + c.password + "@" + hosts + "/" + database
}

// Bootstrap starts the group with one node, if no other is in it.
func (c *Cluster) Bootstrap(ctx context.Context, i int) error {
	return c.Servers[i].execAll(ctx,
		"SET GLOBAL group_replication_bootstrap_group = ON",
		"START GROUP_REPLICATION",
		"SET GLOBAL group_replication_bootstrap_group = OFF")
}

// Join makes a running node join the group. It retries for a while, because the others may
// not have expelled its former incarnation yet.
func (c *Cluster) Join(ctx context.Context, i int) error {
	limit := time.NewTimer(startLimit / 2)
	defer limit.Stop()
	for {
		err := c.Servers[i].execAll(ctx, "START GROUP_REPLICATION")
		if err == nil {
			return nil
		}
		select {
		case <-limit.C:
			return fmt.Errorf("node %d cannot join: %w\n%s", i+1, err, c.Servers[i].lastErrors())
		case <-ctx.Done():
			return fmt.Errorf("node %d cannot join: %w\n%s", i+1, err, c.Servers[i].lastErrors())
		case <-time.After(time.Second):
		}
	}
}

// lastErrors returns the last error lines of the server's log.
func (s *Server) lastErrors() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "[ERROR]") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-5):], "")
}

// Rejoin makes a node leave the remains of its group and join the current one.
func (c *Cluster) Rejoin(ctx context.Context, i int) error {
	if err := c.Servers[i].execAll(ctx, "STOP GROUP_REPLICATION"); err != nil {
		return err
	}
	return c.Join(ctx, i)
}

// Kill kills a node, like a crash.
func (c *Cluster) Kill(i int) error { return c.Servers[i].Kill() }

// SetPrimary makes a node the primary, as before maintenance of the current one.
func (c *Cluster) SetPrimary(ctx context.Context, i int) error {
	var said string
	return c.scan(ctx, i, &said, `SELECT group_replication_set_as_primary(@@server_uuid)`)
}

// Member is a member of the group as a node sees it.
type Member struct {
	Address, State, Role string
}

// Members returns a node's view of the group.
func (c *Cluster) Members(ctx context.Context, i int) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	db, err := c.Servers[i].open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `
		SELECT CONCAT(MEMBER_HOST, ':', MEMBER_PORT), MEMBER_STATE, MEMBER_ROLE
		FROM performance_schema.replication_group_members`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var members []Member
	for rows.Next() {
		var m Member
		if err := rows.Scan(&m.Address, &m.State, &m.Role); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, rows.Err()
}

// AwaitApplied waits, for 300 s at most, until every node has applied what node i has committed.
func (c *Cluster) AwaitApplied(ctx context.Context, i int) error {
	var executed string
	err := c.scan(ctx, i, &executed, `SELECT @@GLOBAL.gtid_executed`)
	for n := range c.Servers {
		if err != nil {
			break
		}
		var late bool
		if err = c.scan(ctx, n, &late, `SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 300)`, executed); err == nil && late {
			err = fmt.Errorf("node %d has not applied all that node %d committed", n+1, i+1)
		}
	}
	return err
}

// scan reads one value at a node.
func (c *Cluster) scan(ctx context.Context, i int, into any, query string, args ...any) error {
	db, err := c.Servers[i].open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.QueryRowContext(ctx, query, args...).Scan(into)
}

// Primary returns the node that considers itself the primary and online, -1 for none.
func (c *Cluster) Primary(ctx context.Context) int {
	for i, n := range c.nodes {
		members, err := c.Members(ctx, i)
		if err == nil && slices.Contains(members, Member{n.Address, "ONLINE", "PRIMARY"}) {
			return i
		}
	}
	return -1
}

// await polls the first node until enough members are online.
func (c *Cluster) await(ctx context.Context, enough func(online int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		members, err := c.Members(ctx, 0)
		online := 0
		for _, m := range members {
			if m.State == "ONLINE" {
				online++
			}
		}
		if err == nil && enough(online) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the nodes did not come online: %v (%w)", members, errors.Join(err, ctx.Err()))
		case <-time.After(4 * pollPause):
		}
	}
}

// Stop kills every node: a cluster's data are for one run.
func (c *Cluster) Stop(ctx context.Context) {
	for _, s := range c.Servers {
		if s != nil {
			_ = s.Kill()
			_ = s.Stop(ctx) // releases the directory
		}
	}
}
