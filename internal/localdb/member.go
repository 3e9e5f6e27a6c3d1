package localdb

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// Node is where a node of a Cluster runs.
type Node struct {
	Address string // host:port for clients and recovery
	Group   string // host:port for group communication
	// Namespace is the node's network namespace, with which it can be cut off from the
	// others; empty for ours. Only root may enter one.
	Namespace string
}

// member configures a server as a node of a Cluster.
type member struct {
	number   int
	node     Node
	seeds    []Node
	group    string // the group's name, a UUID
	password string // of tcpUser and of the recovery channel
}

// enter returns the command prefix that runs a program in the node's namespace.
func (m *member) enter() []string {
	if m == nil || m.node.Namespace == "" {
		return nil
	}
	return []string{"ip", "netns", "exec", m.node.Namespace} // exec: the same process becomes the server
}

// args returns the settings of a node besides those of every server. Group Replication
// needs GTIDs, a binary log and the performance schema.
func (m *member) args(s *Server) []string {
	host, port, _ := net.SplitHostPort(m.node.Address)
	seeds := make([]string, len(m.seeds))
	for i, n := range m.seeds {
		seeds[i] = n.Group
	}
	args := []string{
		"--bind-address=" + host, "--port=" + port, "--report-host=" + host, "--report-port=" + port,
		"--server-id=" + strconv.Itoa(m.number), "--gtid-mode=ON", "--enforce-gtid-consistency=ON",
		"--log-bin=" + filepath.Join(s.data(), "binlog"), "--binlog-expire-logs-seconds=86400",
		"--log-bin-trust-function-creators=1", // migrations create triggers
		"--plugin-load-add=group_replication.so;mysql_clone.so",
		"--loose-group-replication-start-on-boot=OFF",
		"--loose-group-replication-group-name=" + m.group,
		"--loose-group-replication-local-address=" + m.node.Group,
		"--loose-group-replication-group-seeds=" + strings.Join(seeds, ","),
		"--loose-group-replication-single-primary-mode=ON",
		"--loose-group-replication-recovery-get-public-key=ON",
		"--loose-group-replication-recovery-use-ssl=ON", // the account requires it
		// A crashed primary is replaced as soon as the others cannot reach it, five seconds
		// earlier than by default; a node without a majority stops waiting for it.
		"--loose-group-replication-member-expel-timeout=0",
		"--loose-group-replication-unreachable-majority-timeout=5",
	}
	if s.options.Durable {
		args = append(args, "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1")
	} else {
		// Commits survive a crash of the server, but not of the machine.
		args = append(args, "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--innodb-doublewrite=OFF")
	}
	return args
}

// prepare creates the accounts of a new node without binary logging: each node creates its
// own, so that none has transactions that the group lacks.
func (m *member) prepare(ctx context.Context, s *Server) error {
	return s.execAll(ctx,
		"SET sql_log_bin = 0",
		"CREATE USER '"+tcpUser+"'@'%' IDENTIFIED BY '"+m.password+"'",
		"GRANT ALL PRIVILEGES ON *.* TO '"+tcpUser+"'@'%' WITH GRANT OPTION",
		"SET sql_log_bin = 1",
		"RESET BINARY LOGS AND GTIDS",
		"CHANGE REPLICATION SOURCE TO SOURCE_USER = '"+tcpUser+"', SOURCE_PASSWORD = '"+m.password+"' FOR CHANNEL 'group_replication_recovery'",
	)
}

// execAll runs statements on one connection, as root.
func (s *Server) execAll(ctx context.Context, statements ...string) error {
	db, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return execOn(ctx, conn, statements)
}

func execOn(ctx context.Context, conn *sql.Conn, statements []string) error {
	for _, text := range statements {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			verb, _, _ := strings.Cut(text, "'") // the rest may contain a password
			return fmt.Errorf("%s: %w", strings.TrimSpace(verb), err)
		}
	}
	return nil
}
