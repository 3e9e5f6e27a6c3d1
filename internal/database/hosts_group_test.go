//go:build unix

package database_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mems/internal/database"
	"mems/internal/localdb"
	"mems/internal/storetest"
)

// A member that was started outside of its group is reported as such, not as a wrong list of
// hosts: the remedy differs. The group is of MySQL, whichever engine the other tests use.
func TestServerOutsideItsGroup(t *testing.T) {
	t.Parallel()
	node := localdb.Node{Address: storetest.FreeAddress(t), Group: storetest.FreeAddress(t)}
	cluster, err := localdb.StartCluster(t.Context(), localdb.ClusterOptions{
		Dir: t.TempDir(), Nodes: []localdb.Node{node}, Install: true, BufferPoolMB: 16, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop(context.Background()) })
	ping := func() error {
		t.Helper()
		url := strings.Replace(cluster.URL("mysql"), "@"+node.Address, "@"+node.Address+","+node.Address, 1)
		server, err := database.NewServer(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := server.Open(database.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pool.Close() }()
		return pool.PingContext(t.Context())
	}
	// The same server twice in the list: two primaries while it is in the group.
	if err := ping(); !errors.Is(err, database.ErrTwoPrimaries) {
		t.Fatalf("connection while two hosts claim to be primary in the group = %v, want %v",
			err, database.ErrTwoPrimaries)
	}
	if err := errors.Join(cluster.Kill(0), cluster.Servers[0].Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	err = ping()
	if !errors.Is(err, database.ErrOutsideGroup) || !errors.Is(err, database.ErrNoPrimary) || errors.Is(err, database.ErrNoGroup) {
		t.Errorf("connection to a host outside the group = %v, want %v and %v",
			err, database.ErrOutsideGroup, database.ErrNoPrimary)
	}
	if err == nil || !strings.Contains(err.Error(), node.Address+": ") || !strings.Contains(err.Error(), "START GROUP_REPLICATION") {
		t.Errorf("connection to a host outside the group = %v, want %s and START GROUP_REPLICATION in it",
			err, node.Address)
	}
	if err := cluster.Bootstrap(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := ping(); !errors.Is(err, database.ErrTwoPrimaries) {
		t.Errorf("connection after the host is back in the group = %v, want %v", err, database.ErrTwoPrimaries)
	}
}
