package main

import (
	"context"
	"database/sql"
	"fmt"
)

// compareNodes stops the servers, so that nothing is written, and compares the tables of
// every node of a cluster, so that what was checked on one holds for all.
func (f *field) compareNodes(ctx context.Context) (check, error) {
	c := check{name: "the same rows on every node"}
	for _, t := range f.servers {
		if t.running != nil {
			t.running.Stop()
			t.running = nil
		}
	}
	nodes, err := f.ground.nodes(ctx)
	if err != nil {
		return c, err
	}
	first := map[string]string{}
	for i, db := range nodes {
		sums, err := checksums(ctx, db)
		_ = db.Close()
		if err != nil {
			return c, err
		}
		for table, sum := range sums {
			c.examined++
			if i == 0 {
				first[table] = sum
			} else if first[table] != sum {
				c.fault("table %s: node 1 has the checksum %s, node %d has %s", table, first[table], i+1, sum)
			}
		}
		if len(sums) != len(first) {
			c.fault("node 1 has %d tables, node %d has %d", len(first), i+1, len(sums))
		}
	}
	return c, nil
}

// checksums returns the checksum of all rows of each table.
func checksums(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below has what matters
	sums := map[string]string{}
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return nil, err
		}
		sums[table] = ""
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for table := range sums {
		var name string
		var sum sql.NullString
		// Safety: a table's name cannot be a parameter; these are the database's own.
		if err := db.QueryRowContext(ctx, fmt.Sprintf("CHECKSUM TABLE `%s` EXTENDED", table)).Scan(&name, &sum); err != nil {
			return nil, err
		}
		sums[table] = sum.String
	}
	return sums, nil
}
