//go:build cluster

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"mems/internal/contracttest"
	"mems/internal/localdb"
	"mems/internal/storetest"
)

// clusterDocument has the SQL blocks of .deploy/cluster/README.md.
type clusterDocument struct{ blocks [][]string }

func readClusterDocument(t *testing.T) *clusterDocument {
	t.Helper()
	text, err := os.ReadFile("../../.deploy/cluster/README.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &clusterDocument{}
	for i, part := range strings.Split(string(text), "```") {
		rest, isSQL := strings.CutPrefix(part, "sql\n")
		if i%2 == 0 || !isSQL {
			continue
		}
		var statements []string
		for statement := range strings.SplitSeq(rest, ";\n") {
			if statement = strings.TrimSpace(statement); statement != "" {
				statements = append(statements, statement)
			}
		}
		d.blocks = append(d.blocks, statements)
	}
	return d
}

// run executes on a node the only block that contains all of words, with pairs of texts
// replaced: the document has placeholders.
func (d *clusterDocument) run(t *testing.T, cluster *localdb.Cluster, node int, words []string, replace ...string) error {
	t.Helper()
	var found [][]string
	for _, block := range d.blocks {
		text, all := strings.Join(block, ";\n"), true
		for _, word := range words {
			all = all && strings.Contains(text, word)
		}
		if all {
			found = append(found, block)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of the document have %q, want one", len(found), words)
	}
	db := connectNode(t, cluster, node, "")
	db.SetMaxOpenConns(1)
	for _, statement := range found[0] {
		if _, err := db.Exec(strings.NewReplacer(replace...).Replace(statement)); err != nil {
			return fmt.Errorf("node %d: %s: %w", node+1, statement, err)
		}
	}
	return nil
}

func pollOnline(t *testing.T, cluster *localdb.Cluster, at, want int) {
	t.Helper()
	poll(t, fmt.Sprintf("%d nodes online", want), func() bool {
		members, err := cluster.Members(t.Context(), at)
		online := 0
		for _, m := range members {
			if m.State == "ONLINE" {
				online++
			}
		}
		return err == nil && online == want
	})
}

// A node is added, a lost one is rebuilt from the others' logs and another by cloning, all
// but one are lost, and power fails everywhere, each handled by the document's statements.
// Each time bookings continue, and none is lost.
func TestClusterNodes(t *testing.T) {
	document := readClusterDocument(t)
	join, begin := []string{"RESET BINARY LOGS"}, []string{"STOP GROUP_REPLICATION", "bootstrap_group = ON"}
	cluster := startCluster(t)
	env := "MEMS_DATABASE_URL=" + cluster.URL("mems")
	if code, said := runMEMS(t, []string{"migrate", "up"}, env); code != 0 {
		t.Fatalf("mems migrate up: exit %d, want %d:\n%s", code, 0, said)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(document.run(t, cluster, 0, []string{"CREATE USER mems_group"}))

	fourth, err := cluster.Add(t.Context())
	must(err)
	must(document.run(t, cluster, fourth, join))
	pollOnline(t, cluster, 0, 4)
	members := cluster.GroupSeeds()
	for node := range fourth {
		must(document.run(t, cluster, node, []string{"SET PERSIST group_replication_group_seeds"}, "db1:33061,db2:33061,db3:33061,db4:33061", members))
	}
	client := contracttest.New(t, startMEMS(t, "MEMS_DATABASE_URL="+cluster.URL("mems")).URL) // with the new host
	client.Allow5xx = true
	c := &clinicForRace{Database: &storetest.Database{}}
	c.fill(t, client, 4, 20)
	random := rand.New(rand.NewPCG(5, 5))
	book := func(after string) {
		t.Helper()
		booked := 0
		poll(t, "bookings after "+after, func() bool {
			if client.Post("/appointments", booking(c.patients[random.IntN(len(c.patients))], c.doctors[random.IntN(len(c.doctors))],
				tomorrow().Add(time.Duration(random.IntN(300*24*60))*time.Minute), 15)).Status == http.StatusCreated {
				booked++
			}
			return booked == 10
		})
		t.Logf("%s: goes on", after)
	}
	rows := func(node int) (n int) {
		t.Helper()
		must(connectNode(t, cluster, node, "mems").Get(&n, `SELECT COUNT(*) FROM appointments`))
		return n
	}
	same := func(node int) {
		t.Helper()
		poll(t, fmt.Sprintf("the rows of node %d", node+1), func() bool { return rows(node) == rows(cluster.Primary(t.Context())) })
	}
	must(document.run(t, cluster, fourth, []string{"set_as_primary"}))
	book("the new node has become the primary")

	// The group must have expelled a lost node before its replacement can join.
	must(cluster.Kill(1))
	pollOnline(t, cluster, 0, 3)
	must(cluster.Replace(t.Context(), 1))
	must(document.run(t, cluster, 1, join))
	pollOnline(t, cluster, 0, 4)
	same(1)

	// No node has the oldest logs any more: it clones.
	must(cluster.Kill(2))
	pollOnline(t, cluster, 0, 3)
	for _, node := range []int{0, 1, fourth} {
		db := connectNode(t, cluster, node, "")
		db.MustExec(`FLUSH BINARY LOGS`)
		var logs []struct {
			Name      string `db:"Log_name"`
			Size      int64  `db:"File_size"`
			Encrypted string `db:"Encrypted"`
		}
		must(db.Select(&logs, `SHOW BINARY LOGS`))
		db.MustExec(`PURGE BINARY LOGS TO '` + logs[len(logs)-1].Name + `'`)
	}
	must(cluster.Replace(t.Context(), 2))
	must(document.run(t, cluster, 2, join))
	poll(t, "the end of a server that has cloned", func() bool {
		_, err := cluster.Members(t.Context(), 2)
		return err != nil
	})
	must(cluster.Servers[2].Restart(t.Context()))
	must(cluster.Join(t.Context(), 2))
	pollOnline(t, cluster, 0, 4)
	same(2)
	book("nodes were replaced")

	// All but one are lost: the remaining one bootstraps the group.
	for _, node := range []int{0, 1, 2} {
		same(node)
		must(cluster.Kill(node))
	}
	poll(t, "no majority", func() bool { return client.Get("/readyz").Status == http.StatusServiceUnavailable })
	must(document.run(t, cluster, fourth, begin))
	book("all but one were lost")
	for _, node := range []int{0, 1, 2} {
		must(cluster.Servers[node].Restart(t.Context()))
		must(cluster.Join(t.Context(), node))
	}
	pollOnline(t, cluster, fourth, 4)

	// Power fails everywhere.
	for node := range cluster.Servers {
		same(node)
	}
	kept := rows(fourth)
	for node := range cluster.Servers {
		must(cluster.Kill(node))
	}
	for node := range cluster.Servers {
		must(cluster.Servers[node].Restart(context.WithoutCancel(t.Context())))
	}
	must(document.run(t, cluster, 1, begin))
	for _, node := range []int{0, 2, fourth} {
		must(cluster.Join(t.Context(), node))
	}
	pollOnline(t, cluster, 1, 4)
	if n := rows(1); n != kept {
		t.Errorf("%d appointments after the power failure, want the %d from before", n, kept)
	}
	book("the power came back")
}
