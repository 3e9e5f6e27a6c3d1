//go:build cluster

package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mems/internal/localdb"
)

// mysqld.cnf is what our test clusters run with, and every name in it is a setting of this
// MySQL.
func TestClusterConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../.deploy/cluster/mysqld.cnf")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := localdb.StartCluster(t.Context(), localdb.ClusterOptions{
		Dir: t.TempDir(), Install: true, BufferPoolMB: 64, Durable: true, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Stop(context.Background()) })
	db := connectNode(t, cluster, 0, "")
	own := []string{ // specific to a node, group or installation
		"server_id", "report_host", "report_port", "bind_address", "group_replication_local_address", "group_replication_group_seeds",
		"group_replication_group_name", "group_replication_start_on_boot", "group_replication_ssl_mode", "group_replication_recovery_use_ssl",
		"binlog_expire_logs_seconds",
	}
	compared := 0
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		name, want, isSetting := strings.Cut(line, "=")
		name, want = strings.TrimPrefix(strings.TrimSpace(name), "loose-"), strings.TrimSpace(want)
		if !isSetting || name == "plugin_load_add" {
			continue
		}
		var got string
		if err := db.Get(&got, `SELECT @@GLOBAL.`+name); err != nil {
			t.Errorf("read the setting %s: %v, want no error", name, err)
			continue
		}
		switch want {
		case "ON":
			want = "1"
		case "OFF":
			want = "0"
		}
		switch got {
		case "ON":
			got = "1"
		case "OFF":
			got = "0"
		}
		if slices.Contains(own, name) {
			continue
		}
		compared++
		if got != want {
			t.Errorf("%s = %s in the tests' cluster, want %s, as in the file",
				name, strconv.Quote(got), strconv.Quote(want))
		}
	}
	if compared < 12 {
		t.Errorf("compared %d settings, want at least 12", compared)
	}
}
