package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/localdb"
)

// ground is the database that the servers share: one database server, or a cluster.
type ground interface {
	// url is the MEMS_DATABASE_URL of the servers.
	url() string
	// create makes the empty database.
	create(ctx context.Context) error
	// open connects to the database where changes can be made at present. The caller
	// closes it.
	open(ctx context.Context) (*sql.DB, error)
	// nodes connects to each copy of the data, when all of them have all changes.
	nodes(ctx context.Context) ([]*sql.DB, error)
	// faults are those of the database.
	faults() []fault
	// close ends everything; the data are thrown away.
	close()
}

func newGround(ctx context.Context, o options, dir string, calm func(bool), say io.Writer) (ground, error) {
	if o.engine == "cluster" {
		return newGroup(ctx, dir, calm, say)
	}
	s, err := localdb.Start(ctx, localdb.Options{Dir: dir, Engine: localdb.Engine(o.engine), Install: true, Durable: true})
	if err != nil {
		return nil, err
	}
	r, err := newRelay(ctx, filepath.Join(filepath.Dir(dir), "relay"), s.Socket())
	if err != nil {
		_ = s.Stop(ctx)
		return nil, err
	}
	return single{s, r}, nil
}

// single is one private database server.
type single struct {
	*localdb.Server

	relay *relay // by which the servers reach it
}

func (s single) url() string {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.relay.listener.Addr().String(), "mems"
	return c.FormatDSN()
}

func (s single) create(ctx context.Context) error {
	return createDatabase(ctx, s.DSN(""))
}

func createDatabase(ctx context.Context, dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE DATABASE mems CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
	return err
}

func (s single) open(context.Context) (*sql.DB, error) {
	return sql.Open("mysql", s.DSN("mems")+"?parseTime=true")
}

func (s single) nodes(ctx context.Context) ([]*sql.DB, error) {
	db, err := s.open(ctx)
	return []*sql.DB{db}, err
}

func (s single) faults() []fault {
	return []fault{
		{"database killed", 4 * time.Second, s.killed},
		{"database restarted", 5 * time.Second, s.restarted},
		{"database stopped", 4 * time.Second, s.stopped},
		{"answers lost", 3 * time.Second, s.relay.loseAnswers},
	}
}

func (s single) killed(ctx context.Context, plan *rand.Rand) (string, error) {
	down := between(plan, 0, time.Second)
	if err := s.Kill(); err != nil { //nolint:contextcheck // a crash asks nobody
		return "", err
	}
	pause(ctx, down)
	return fmt.Sprintf("kill -9, down %s", down), s.Restart(ctx)
}

func (s single) restarted(ctx context.Context, _ *rand.Rand) (string, error) {
	return "SIGTERM", s.Restart(ctx)
}

func (s single) stopped(ctx context.Context, plan *rand.Rand) (string, error) {
	still := between(plan, time.Second, 6*time.Second)
	if err := s.Suspend(); err != nil {
		return "", err
	}
	pause(ctx, still)
	return fmt.Sprintf("SIGSTOP %s", still), s.Resume()
}

func (s single) close() {
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = s.Stop(limit)
	s.relay.close()
}
