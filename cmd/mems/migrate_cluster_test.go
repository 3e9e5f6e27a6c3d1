package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mems/internal/database"
	"mems/internal/localdb"
	"mems/internal/store"
)

// A migration whose primary is switched, and then killed, continues on the next one and
// produces the schema of an undisturbed one. Before its first statement every node is
// checked for the setting that triggers need.
func TestMigrationThroughFailover(t *testing.T) {
	if os.Getenv("MEMS_TEST_DATABASE_ENGINE") != string(localdb.MySQL) {
		return // MariaDB has no Group Replication
	}
	cluster := startCluster(t)
	open := func(address string) *database.Schema {
		sc, err := database.OpenSchema(address, store.RekeyPatients)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sc.Close() })
		return sc
	}
	report := func(database.Migration) {}

	// A user without SUPER, and a node that does not allow that user to create triggers.
	root := connectNode(t, cluster, 0, "")
	root.MustExec(`CREATE USER 'migrator'@'%' IDENTIFIED BY 'p'`)
	root.MustExec(`GRANT ALL PRIVILEGES ON untouched.* TO 'migrator'@'%'`)
	root.MustExec(`GRANT SELECT ON performance_schema.replication_group_members TO 'migrator'@'%'`)
	connectNode(t, cluster, 2, "").MustExec(`SET GLOBAL log_bin_trust_function_creators = OFF`)
	_, hosts, _ := strings.Cut(cluster.URL("untouched"), "@")
	err := open("mysql://migrator:p@"+hosts).Up(t.Context(), report)
	if err == nil || !strings.Contains(err.Error(), "log_bin_trust_function_creators = 1") {
		t.Errorf("Up with a node that lets no triggers be created = %v, want an error with the setting", err)
	}
	var tables []string
	if err := root.Select(&tables, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'untouched' AND table_name <> 'goose_db_version'`); err != nil || len(tables) > 0 {
		t.Errorf("tables after the refusal = %v (%v), want none", tables, err)
	}

	if err := open(cluster.URL("undisturbed")).Up(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	sc := open(cluster.URL("mems"))
	sc.OnFailover = func(cause error, _ time.Duration) { t.Logf("lost: %v", cause) }
	statements, failed := 0, error(nil)
	sc.OnStatement = func(string, int, int) {
		switch statements++; statements {
		case 10:
			failed = cluster.SetPrimary(t.Context(), 1)
		case 60:
			failed = cluster.Kill(1)
		}
		if failed != nil {
			t.Errorf("failover during statement %d: %v, want no error", statements, failed)
		}
	}
	began := time.Now()
	if err := sc.Up(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	t.Logf("migrated in %s", time.Since(began))
	db := connectNode(t, cluster, cluster.Primary(t.Context()), "")
	schemaOf := func(name string) []string {
		var lines []string
		err := db.Select(&lines, `
			SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, column_default, extra, generation_expression)
			FROM information_schema.columns WHERE table_schema = ?
			UNION ALL SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique)
			FROM information_schema.statistics WHERE table_schema = ?
			UNION ALL SELECT CONCAT_WS(' ', table_name, constraint_name, constraint_type)
			FROM information_schema.table_constraints WHERE table_schema = ?
			UNION ALL SELECT CONCAT_WS(' ', trigger_name, action_statement)
			FROM information_schema.triggers WHERE trigger_schema = ?
			ORDER BY 1`, name, name, name, name)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	want := schemaOf("undisturbed")
	if diff := cmp.Diff(want, schemaOf("mems")); diff != "" || len(want) < 100 {
		t.Errorf("%d lines of schema, want at least 100 and no difference (-undisturbed +failover):\n%s",
			len(want), diff)
	}
}
