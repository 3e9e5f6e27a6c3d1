package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"mems/internal/localdb"
)

// machine describes the hardware, the software and the settings of a run.
func machine(ctx context.Context, o options, server *localdb.Server) (string, error) {
	durable, err := durability(ctx, server)
	if err != nil {
		return "", err
	}
	kernel, _ := exec.CommandContext(ctx, "uname", "-sr").Output()
	load, _ := os.ReadFile("/proc/loadavg") // empty where there is no /proc
	return fmt.Sprintf(`Measured %s: clients %d, %d rounds of %s each way, medians; server's log level %s.
%s, %d cores, %s of memory, %s, %s, %s %s (%s).
Load generator, server and database share these cores; load average before: %s. A booking
through HTTP and one run directly are the same transaction; "direct" is the ceiling.
"Failed" counts answers other than the one wanted, both ways.
`, time.Now().UTC().Format(time.DateOnly), o.clients, o.rounds, o.duration, o.serverLog,
		first("/proc/cpuinfo", "model name"), runtime.NumCPU(), first("/proc/meminfo", "MemTotal"),
		strings.TrimSpace(string(kernel)), runtime.Version(), server.Engine(), server.Version(), durable,
		strings.TrimSpace(string(load))), nil
}

// durability reads the effective durability settings from the database server.
func durability(ctx context.Context, server *localdb.Server) (string, error) {
	db, err := sqlx.ConnectContext(ctx, "mysql", server.DSN(""))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	var settings []string
	for _, name := range []string{"innodb_flush_log_at_trx_commit", "innodb_doublewrite", "log_bin", "sync_binlog", "innodb_buffer_pool_size"} {
		var value string
		err := db.QueryRowContext(ctx, `SHOW GLOBAL VARIABLES LIKE '`+name+`'`).Scan(&name, &value)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
		settings = append(settings, name+"="+value)
	}
	return strings.Join(settings, ", "), nil
}

// first returns the value of the first "name: value" line.
func first(path, name string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: /proc
	if err != nil {
		return "unknown " + name
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + name
}
