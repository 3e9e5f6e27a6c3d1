package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
)

// throughFailover runs work, and repeats it if the cluster's primary changed meanwhile:
// every statement of a migration is repeatable, even one with an unknown outcome. It gives
// up when no statement ran for within.primary.
func (sc *Schema) throughFailover(ctx context.Context, work func() error) error {
	var expired <-chan time.Time
	for ran := sc.ran - 1; ; {
		err := work()
		if err == nil || ctx.Err() != nil || !isFailover(err) || len(hostsOf(sc.config)) == 1 {
			return err
		}
		if sc.ran > ran {
			ran, expired = sc.ran, time.After(sc.within.primary)
		}
		if sc.OnFailover != nil {
			sc.OnFailover(err, sc.within.primary)
		}
		for found := false; !found; found = sc.pool.PingContext(ctx) == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-expired:
				return fmt.Errorf("no server of the cluster accepted changes within %s: %w", sc.within.primary, err)
			case <-time.After(probeEvery):
			}
		}
	}
}

// isFailover reports whether an error means that the server is not, or no longer, the
// primary of a cluster.
func isFailover(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1053, 1927, // shutting down, connection killed
			1290, 1792, 1836, // read-only
			3098, 3100, 3101: // Group Replication: configuration, member left, certification failed
			return true
		}
		return false
	}
	return IsConnectionLost(err)
}

// checkHosts checks on every host of a cluster the setting that creating triggers needs:
// any of them may become the primary, and settings do not replicate. Privileges do, so they
// are tried on the primary alone. An unreachable host is reported and skipped: a migration
// does not need it, but it may become the primary once it is back.
func (sc *Schema) checkHosts(ctx context.Context) error {
	names := hostsOf(sc.config)
	if len(names) == 1 {
		return nil
	}
	for _, name := range names {
		config := hostConfig(sc.config, name)
		config.DBName = "" // it may not be replicated yet
		config.ReadTimeout, config.WriteTimeout = probeWithin, probeWithin
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return err
		}
		err = checkHost(ctx, sql.OpenDB(connector))
		if err != nil && (ctx.Err() != nil || !IsConnectionLost(err)) {
			return fmt.Errorf("check the database server %s (nothing was changed): %w", name, err)
		}
		if err != nil && sc.OnUnreachable != nil {
			sc.OnUnreachable(name, err)
		}
	}
	return nil
}

func checkHost(ctx context.Context, pool *sql.DB) error {
	defer func() { _ = pool.Close() }()
	var refuses bool
	err := pool.QueryRowContext(ctx, `
		SELECT @@GLOBAL.log_bin = 1 AND @@GLOBAL.log_bin_trust_function_creators = 0 AND NOT EXISTS (
			SELECT 1 FROM information_schema.user_privileges
			WHERE privilege_type = 'SUPER' AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))`).Scan(&refuses)
	if err != nil {
		return err
	}
	if refuses {
		return &mysql.MySQLError{Number: 1419, Message: "log_bin_trust_function_creators is OFF, and this user lacks the SUPER privilege"}
	}
	return nil
}
