package main

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"mems/internal/localdb"
)

// ground is the database that the servers share: one database server, or a cluster.
type ground interface {
	// url is the MEMS_DATABASE_URL of the servers.
	url() string
	// create makes the empty database and returns connections for the checks.
	create(ctx context.Context) (*sql.DB, error)
	// strike injects one fault of the database, heals it after the pause, and says which.
	strike(ctx context.Context, plan *rand.Rand, pause time.Duration) (string, error)
	// close ends everything; the data are thrown away.
	close()
}

func newGround(ctx context.Context, o options, dir string) (ground, error) {
	s, err := localdb.Start(ctx, localdb.Options{Dir: dir, Engine: localdb.Engine(o.engine), Install: true, Durable: true})
	if err != nil {
		return nil, err
	}
	return single{s}, nil
}

// single is one private database server.
type single struct{ *localdb.Server }

func (s single) url() string { return s.DSN("mems") }

func (s single) create(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, "CREATE DATABASE mems CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	_ = db.Close()
	if err != nil {
		return nil, err
	}
	return sql.Open("mysql", s.DSN("mems")+"?parseTime=true")
}

func (s single) strike(ctx context.Context, _ *rand.Rand, pause time.Duration) (string, error) {
	if err := s.Kill(); err != nil { //nolint:contextcheck // a crash asks nobody
		return "", err
	}
	time.Sleep(pause)
	return "killed the database", s.Restart(ctx)
}

func (s single) close() {
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = s.Stop(limit)
}
