package store_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"mems/internal/clinic"
	"mems/internal/database"
	"mems/internal/store"
	"mems/internal/storetest"
)

// Two servers outside a group may both accept changes, and two processes might use different ones:
// several hosts are then rejected, even if all of them respond.
func TestHostsWithoutAGroup(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	config, err := mysql.ParseDSN(d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	address := forward(t, config.Net, config.Addr)
	config.Net, config.Addr = "tcp", address+","+address
	s, err := store.Open(store.Config{
		DSN: config.FormatDSN(),
		Now: fixedClock, Zone: time.UTC, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Ready(t.Context()); !errors.Is(err, database.ErrNoGroup) || !errors.Is(err, clinic.ErrUnavailable) {
		t.Errorf("Ready without a majority: %v, want %v and %v", err, database.ErrNoGroup, clinic.ErrUnavailable)
	}
}

// forward makes a database that listens on a socket reachable by TCP.
func forward(t *testing.T, network, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		}
	}()
	return listener.Addr().String()
}
