package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// Statements lists what a pool sends to the database.
type Statements struct {
	mu   sync.Mutex
	sent []string
	// After, if set before the first statement, is called after each.
	After func(statement string)
}

// Take returns the statements since the last call. BEGIN, COMMIT and ROLLBACK are not among them.
func (l *Statements) Take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// Open makes a pool whose statements are listed, for store.Config.OpenDB. It does not check
// the lock order.
func (l *Statements) Open(c driver.Connector) *sql.DB { return sql.OpenDB(listed{c, l}) }

// listed makes connections that list what is sent over them.
type listed struct {
	driver.Connector
	to *Statements
}

func (c listed) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := made.(conn)
	if !ok {
		return nil, fmt.Errorf("list statements: %T lacks methods that database/sql uses", made)
	}
	return listedConn{conn, c.to}, nil
}

// conn is what a connection of the driver is capable of.
type conn interface {
	driver.Conn
	driver.QueryerContext
	driver.ExecerContext
	driver.ConnBeginTx
	driver.SessionResetter
	driver.NamedValueChecker
}

type listedConn struct {
	conn
	to *Statements
}

func (c listedConn) add(query string) {
	c.to.mu.Lock()
	c.to.sent = append(c.to.sent, query)
	c.to.mu.Unlock()
	if c.to.After != nil {
		c.to.After(query)
	}
}

func (c listedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.conn.QueryContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		c.add(query)
	}
	return rows, err
}

func (c listedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.conn.ExecContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		c.add(query)
	}
	return result, err
}
