package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every architecture of Linux
// that Go supports (proc(5)).
const tick = 10 * time.Millisecond

// processes are the server under test and its database. CPU time per request is steadier than
// a rate on a machine that other work shares.
type processes struct{ server, database int }

// used is CPU time, user and system.
type used struct{ server, database time.Duration }

func (u used) minus(v used) used { return used{u.server - v.server, u.database - v.database} }

func (u used) plus(v used) used { return used{u.server + v.server, u.database + v.database} }

// per returns the table's columns: milliseconds of CPU time per request.
func (u used) per(requests int) string {
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(max(1, requests)) }
	return fmt.Sprintf("%.2f | %.2f", each(u.server), each(u.database))
}

// now returns the CPU time that the processes have used so far; 0 where there is no /proc.
func (p processes) now() used { return used{cpuOf(p.server), cpuOf(p.database)} }

func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may contain spaces. utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// pidOf returns the process of the database server.
func pidOf(ctx context.Context, db *sqlx.DB) (int, error) {
	var file string
	if err := db.GetContext(ctx, &file, `SELECT @@GLOBAL.pid_file`); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(file) //nolint:gosec // G304: of our own database
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
