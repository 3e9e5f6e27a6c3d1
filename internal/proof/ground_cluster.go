package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/localdb"
)

// group is a ground of three MySQL Group Replication nodes with one primary.
type group struct {
	*localdb.Cluster

	network *network // nil without namespaces: no node can be cut off
	full    *disk    // the first node's; nil without
	say     io.Writer
	calm    func(bool) // slows the clients down
}

const groupSize = 3

func newGroup(ctx context.Context, dir string, wantsDisk bool, calm func(bool), say io.Writer) (ground, error) {
	g := &group{calm: calm, say: say}
	// Commits survive a crash of the server, not of the machine: three servers that flush
	// every commit to one disk would leave little capacity for the load.
	o := localdb.ClusterOptions{Dir: dir, Install: true, BufferPoolMB: 128, Log: func(format string, args ...any) {
		_, _ = fmt.Fprintf(say, format+"\n", args...)
	}}
	var err error
	// Where namespaces cannot be created, as in some containers, the nodes share the
	// loopback interface.
	if g.network, err = newNetwork(ctx, groupSize); err != nil {
		_, _ = fmt.Fprintf(say, "%v\nno node will be cut off from the others\n", err)
	} else {
		for i := range groupSize {
			o.Nodes = append(o.Nodes, g.network.node(i))
		}
	}
	if wantsDisk {
		if g.full, err = newDisk(ctx, dir+"-full"); err != nil {
			g.close() //nolint:contextcheck // also when ctx has ended
			return nil, err
		}
		o.Dirs = []string{g.full.dir}
	}
	if g.Cluster, err = localdb.StartCluster(ctx, o); err != nil {
		g.close() //nolint:contextcheck // also when ctx has ended
		return nil, err
	}
	return g, nil
}

func (g *group) url() string { return g.URL("mems") }

func (g *group) create(ctx context.Context) error {
	return createDatabase(ctx, g.Servers[0].DSN(""))
}

var errNoPrimary = errors.New("no node says that it is the primary")

func (g *group) open(ctx context.Context) (*sql.DB, error) {
	primary := g.Primary(ctx)
	if primary < 0 {
		return nil, errNoPrimary
	}
	return sql.Open("mysql", g.Servers[primary].DSN("mems")+"?parseTime=true")
}

// nodes waits until every node has all of the primary's commits.
func (g *group) nodes(ctx context.Context) ([]*sql.DB, error) {
	primary := g.Primary(ctx)
	if primary < 0 {
		return nil, errNoPrimary
	}
	if err := g.AwaitApplied(ctx, primary); err != nil {
		return nil, err
	}
	all := make([]*sql.DB, len(g.Servers))
	for i, s := range g.Servers {
		var err error
		if all[i], err = sql.Open("mysql", s.DSN("mems")+"?parseTime=true"); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (g *group) faults() []fault {
	all := []fault{
		{"primary killed", 25 * time.Second, g.killPrimary},
		{"secondary killed", 15 * time.Second, g.killSecondary},
		{"primary stopped", 25 * time.Second, g.stopPrimary},
		{"planned switch", 5 * time.Second, g.switchPrimary},
	}
	if g.network != nil {
		all = append(all,
			fault{"primary cut off", 25 * time.Second, g.cutPrimary},
			fault{"primary isolated", 25 * time.Second, g.isolatePrimary},
			fault{"secondary cut off", 25 * time.Second, g.cutSecondary},
			fault{"one-way cut", 25 * time.Second, g.cutOneWay})
	}
	return all
}

func (g *group) disk() *disk { return g.full }

func (g *group) revive(ctx context.Context) error { return g.restore(ctx, 0) }

// primary returns the current primary.
func (g *group) primary(ctx context.Context) (int, error) {
	for limit := time.Now().Add(time.Minute); ; pause(ctx, 200*time.Millisecond) {
		if p := g.Primary(ctx); p >= 0 {
			return p, nil
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			return 0, errors.Join(errNoPrimary, ctx.Err())
		}
	}
}

// on applies do to the primary, or to a secondary, waits for a while, and restores the
// group.
func (g *group) on(ctx context.Context, plan *rand.Rand, secondary bool, do func(node int) error, hold time.Duration) (string, error) {
	node, err := g.primary(ctx)
	if err != nil {
		return "", err
	}
	which := "primary"
	if secondary {
		which, node = "secondary", (node+1+plan.IntN(groupSize-1))%groupSize
	}
	if err := do(node); err != nil {
		return "", err
	}
	pause(ctx, hold)
	return fmt.Sprintf("%s (node %d), %s", which, node+1, hold), g.restore(ctx, node)
}

func (g *group) killPrimary(ctx context.Context, plan *rand.Rand) (string, error) {
	return g.on(ctx, plan, false, g.Kill, between(plan, time.Second, 12*time.Second))
}

func (g *group) killSecondary(ctx context.Context, plan *rand.Rand) (string, error) {
	return g.on(ctx, plan, true, g.Kill, between(plan, time.Second, 8*time.Second))
}

func (g *group) stopPrimary(ctx context.Context, plan *rand.Rand) (string, error) {
	stop := func(node int) error { return g.Servers[node].Suspend() }
	return g.on(ctx, plan, false, stop, between(plan, 2*time.Second, 20*time.Second))
}

func (g *group) switchPrimary(ctx context.Context, plan *rand.Rand) (string, error) {
	from, err := g.primary(ctx)
	if err != nil {
		return "", err
	}
	to := (from + 1 + plan.IntN(groupSize-1)) % groupSize
	return fmt.Sprintf("node %d to node %d", from+1, to+1), g.SetPrimary(ctx, to)
}

func (g *group) cutPrimary(ctx context.Context, plan *rand.Rand) (string, error) {
	return g.on(ctx, plan, false, func(node int) error { return g.cut(ctx, node, true, true) }, between(plan, 2*time.Second, 20*time.Second))
}

func (g *group) cutSecondary(ctx context.Context, plan *rand.Rand) (string, error) {
	return g.on(ctx, plan, true, func(node int) error { return g.cut(ctx, node, true, true) }, between(plan, 2*time.Second, 20*time.Second))
}

func (g *group) cutOneWay(ctx context.Context, plan *rand.Rand) (string, error) {
	out := plan.IntN(2) == 0
	direction := "hears nothing from the others, "
	if out {
		direction = "is not heard by the others, "
	}
	said, err := g.on(ctx, plan, plan.IntN(3) == 0, func(node int) error { return g.cut(ctx, node, out, !out) }, between(plan, 2*time.Second, 20*time.Second))
	return direction + said, err
}

func (g *group) isolatePrimary(ctx context.Context, plan *rand.Rand) (string, error) {
	return g.on(ctx, plan, false, func(node int) error { return g.network.isolate(ctx, node) }, between(plan, 2*time.Second, 20*time.Second))
}

// cut drops a node's outgoing packets to the others, its incoming ones, or both.
func (g *group) cut(ctx context.Context, node int, out, in bool) error {
	for other := range groupSize {
		if other == node {
			continue
		}
		if out {
			if err := g.network.silence(ctx, node, other); err != nil {
				return err
			}
		}
		if in {
			if err := g.network.silence(ctx, other, node); err != nil {
				return err
			}
		}
	}
	return nil
}

// restore restores the group after a fault of one node.
func (g *group) restore(ctx context.Context, node int) error {
	if g.network != nil {
		if err := g.network.heal(ctx); err != nil {
			return err
		}
	}
	_ = g.Servers[node].Resume() // fails for one that was killed
	alive, cancel := context.WithTimeout(ctx, 5*time.Second)
	_, err := g.Members(alive, node)
	cancel()
	if err != nil {
		if err := g.Servers[node].Restart(ctx); err != nil {
			return err
		}
	}
	// Under full load a node that rejoins may never catch up: it applies changes more slowly
	// than the primary produces them.
	patient := time.AfterFunc(10*time.Second, func() { g.calm(true) })
	defer func() { patient.Stop(); g.calm(false) }()
	for limit := time.Now().Add(3 * time.Minute); ; pause(ctx, 500*time.Millisecond) {
		whole, err := g.mend(ctx)
		if whole {
			return nil
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			return fmt.Errorf("the group is not whole again: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// mend makes nodes that have left rejoin, and reports whether every node sees all of them
// online.
func (g *group) mend(ctx context.Context) (bool, error) {
	whole := true
	var failed error
	for i := range g.Servers {
		members, err := g.Members(ctx, i)
		if err != nil {
			return false, err
		}
		online, own := 0, ""
		for _, m := range members {
			if m.State == "ONLINE" {
				online++
			}
			if m.Address == g.Address(i) {
				own = m.State
			}
		}
		if online == groupSize {
			continue
		}
		whole = false
		if own != "ONLINE" && own != "RECOVERING" { // it has left
			failed = errors.Join(failed, g.rejoin(ctx, i))
		}
	}
	return whole, failed
}

// rejoin makes a node rejoin; if the group rejects it, a new node replaces it, as
// .deploy/cluster/README.md describes.
func (g *group) rejoin(ctx context.Context, node int) error {
	err := g.Rejoin(ctx, node)
	if refused, ok := errors.AsType[*mysql.MySQLError](err); !ok || refused.Number != notTaken {
		return err
	}
	_, _ = fmt.Fprintf(g.say, "a new node takes the place of one that the group does not take back: %v\n", err)
	if err := g.Replace(ctx, node); err != nil {
		return err
	}
	return g.Join(ctx, node)
}

// notTaken is ER_GROUP_REPLICATION_CONFIGURATION, such as "this member has more executed
// transactions than those present in the group".
const notTaken = 3092

func (g *group) close() {
	if g.Cluster != nil {
		g.Stop(context.Background())
	}
	if g.network != nil {
		g.network.close(context.Background())
	}
	if g.full != nil {
		g.full.close(context.Background())
	}
}
