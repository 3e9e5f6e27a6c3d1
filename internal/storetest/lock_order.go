package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// guardOf matches the statement that takes guards (store/guard.go).
var guardOf = regexp.MustCompile(`^\s*UPDATE (doctors|patients|rooms)\b.* SET calendar_rev = calendar_rev \+ 1`)

// guardsSeen counts the guards that were recognised, for a test of guardOf.
var guardsSeen atomic.Int64

// guardKinds are in the lock order of db/README.md. Appointments come after them.
var guardKinds = []string{"doctors", "patients", "rooms"}

// lock is a guard that a transaction holds.
type lock struct {
	kind int // index in guardKinds
	id   int64
}

func (l lock) before(other lock) bool {
	return l.kind < other.kind || l.kind == other.kind && l.id < other.id
}

func (l lock) String() string { return fmt.Sprintf("%s %d", guardKinds[l.kind], l.id) }

// lockOrder opens connections whose transactions fail the test when they take a guard that
// comes before one that they hold: two such transactions could wait for each other. It sees
// the guards of store/guard.go, not rows that are locked by other statements.
type lockOrder struct {
	driver.Connector
	t testing.TB
}

func (o lockOrder) open(c driver.Connector) *sql.DB {
	o.Connector = c
	return sql.OpenDB(o)
}

// Connect opens a connection.
func (o lockOrder) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := o.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := made.(wholeConn)
	if !ok {
		return nil, fmt.Errorf("check the lock order: %T lacks methods that database/sql uses", made)
	}
	return &orderedConn{wholeConn: whole, t: o.t}, nil
}

// wholeConn is all that database/sql uses of a connection.
type wholeConn interface {
	conn
	driver.Pinger
	driver.Validator
	driver.ConnPrepareContext
}

type orderedConn struct {
	wholeConn

	t       testing.TB
	inTx    bool
	held    []lock
	all     bool // holds those of all doctors
	highest lock // of those held
}

// BeginTx begins a transaction, which holds nothing yet.
func (c *orderedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.wholeConn.BeginTx(ctx, options)
	c.inTx, c.held, c.all, c.highest = err == nil, nil, false, lock{}
	return orderedTx{tx, c}, err
}

// orderedTx notices that a transaction ends, and with it its locks.
type orderedTx struct {
	driver.Tx

	conn *orderedConn
}

// Commit commits.
func (t orderedTx) Commit() error {
	t.conn.inTx = false
	return t.Tx.Commit()
}

// Rollback rolls back.
func (t orderedTx) Rollback() error {
	t.conn.inTx = false
	return t.Tx.Rollback()
}

// ExecContext runs a statement.
func (c *orderedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.check(query, args); err != nil {
		c.t.Error("lock order of db/README.md:", err)
	}
	return c.wholeConn.ExecContext(ctx, query, args)
}

// check notes the guards that a statement takes, and returns an error if one of them comes too late.
func (c *orderedConn) check(query string, args []driver.NamedValue) error {
	match := guardOf.FindStringSubmatch(query)
	if match == nil || !c.inTx {
		return nil
	}
	kind := slices.Index(guardKinds, match[1])
	if !strings.Contains(query, "WHERE") {
		if c.highest != (lock{}) {
			return fmt.Errorf("takes the guards of all %s after that of %s", match[1], c.highest)
		}
		c.all, c.highest = true, lock{0, 1<<63 - 1}
		return nil
	}
	var ids []int64
	for _, arg := range args {
		id, ok := arg.Value.(int64)
		if !ok {
			return fmt.Errorf("guard with the id %v (%T), want int64", arg.Value, arg.Value)
		}
		ids = append(ids, id)
	}
	if len(ids) > 1 && !strings.HasSuffix(query, " ORDER BY id") {
		return fmt.Errorf("takes the guards of several %s without ORDER BY id", match[1])
	}
	guardsSeen.Add(int64(len(ids)))
	slices.Sort(ids) // as the statement takes them
	var late error
	for _, id := range ids {
		l := lock{kind, id}
		if slices.Contains(c.held, l) || c.all && kind == 0 {
			continue
		}
		if l.before(c.highest) {
			late = fmt.Errorf("takes the guard of %s after that of %s (held: %v)", l, c.highest, c.held)
		} else {
			c.highest = l
		}
		c.held = append(c.held, l)
	}
	return late
}
