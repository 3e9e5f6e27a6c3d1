package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
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
	// open connects to the current primary. The caller closes the pool.
	open(ctx context.Context) (*sql.DB, error)
	// nodes waits until every copy has all changes, and connects to each.
	nodes(ctx context.Context) ([]*sql.DB, error)
	// faults are those of the database.
	faults() []fault
	// disk is the disk that can be filled; nil without one.
	disk() *disk
	// revive restarts what has ended by itself.
	revive(ctx context.Context) error
	// close stops everything and removes the data.
	close()
}

func newGround(ctx context.Context, o options, dir string, calm func(bool), say io.Writer) (ground, error) {
	if o.engine == "cluster" {
		return newGroup(ctx, dir, o.wantsDisk(), calm, say)
	}
	one := single{}
	if o.wantsDisk() {
		var err error
		if one.full, err = newDisk(ctx, dir); err != nil {
			return nil, err
		}
	}
	if err := one.start(ctx, o, dir); err != nil {
		one.close() //nolint:contextcheck // also when ctx has ended
		return nil, err
	}
	return &one, nil
}

func (s *single) start(ctx context.Context, o options, dir string) (err error) {
	s.Server, err = localdb.Start(ctx, localdb.Options{Dir: dir, Engine: localdb.Engine(o.engine), Install: true, Durable: true})
	if err != nil {
		return err
	}
	s.relay, err = newRelay(ctx, filepath.Join(filepath.Dir(dir), "relay"), s.Socket())
	return err
}

// single is one private database server.
type single struct {
	*localdb.Server

	relay *relay // by which the servers reach it
	full  *disk
}

func (s *single) url() string {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "unix", s.relay.listener.Addr().String(), "mems"
	return c.FormatDSN()
}

func (s *single) create(ctx context.Context) error {
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

func (s *single) open(context.Context) (*sql.DB, error) {
	return sql.Open("mysql", s.DSN("mems")+"?parseTime=true")
}

func (s *single) nodes(ctx context.Context) ([]*sql.DB, error) {
	db, err := s.open(ctx)
	return []*sql.DB{db}, err
}

func (s *single) faults() []fault {
	return []fault{
		{"database killed", 4 * time.Second, s.killed},
		{"database restarted", 5 * time.Second, s.restarted},
		{"database stopped", 4 * time.Second, s.stopped},
		{"answers lost", 3 * time.Second, s.relay.loseAnswers},
	}
}

func (s *single) disk() *disk { return s.full }

func (s *single) revive(ctx context.Context) error {
	db, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := db.PingContext(limit); errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return s.Restart(ctx)
	}
	return nil // one that hangs continues when there is space
}

func (s *single) killed(ctx context.Context, plan *rand.Rand) (string, error) {
	down := between(plan, 0, time.Second)
	if err := s.Kill(); err != nil { //nolint:contextcheck // a crash has no context
		return "", err
	}
	pause(ctx, down)
	return fmt.Sprintf("kill -9, down %s", down), s.Restart(ctx)
}

func (s *single) restarted(ctx context.Context, _ *rand.Rand) (string, error) {
	return "SIGTERM", s.Restart(ctx)
}

func (s *single) stopped(ctx context.Context, plan *rand.Rand) (string, error) {
	still := between(plan, time.Second, 6*time.Second)
	if err := s.Suspend(); err != nil {
		return "", err
	}
	pause(ctx, still)
	return fmt.Sprintf("SIGSTOP %s", still), s.Resume()
}

func (s *single) close() {
	limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.Server != nil {
		_ = s.Stop(limit)
	}
	if s.relay != nil {
		s.relay.close()
	}
	if s.full != nil {
		s.full.close(limit)
	}
}
