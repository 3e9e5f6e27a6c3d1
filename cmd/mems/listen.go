package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listen listens on the address of a setting. Its error says what to do.
func listen(ctx context.Context, name, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, adviseListening(err, name, address)
	}
	return listener, nil
}

func adviseListening(err error, name, address string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nAnother program is using this address: stop it, or choose another address with %s", err, name)
	case errors.Is(err, os.ErrPermission):
		return settingError{fmt.Errorf("%w\nPorts below 1024 need a privilege that this process lacks. Choose a higher port with %s, or grant "+
			"it: with systemd, AmbientCapabilities=CAP_NET_BIND_SERVICE (see tls.conf next to the units)", err, name)}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w\nThis machine does not have this address: set %s to one of its addresses, or to 0.0.0.0 for all", err, name)
	default:
		return fmt.Errorf("%w\ncannot listen on %s=%s", err, name, address)
	}
}

// notifySystemd notifies the service manager of the process's state (sd_notify(3)), if
// there is one. It must not keep the server from serving, so errors are dropped: a unit of
// Type=notify then fails by its own timeout.
func notifySystemd(ctx context.Context, socket, state string) {
	if socket == "" {
		return
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket) // "@" marks an abstract name there, too
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(state))
}

// takeNotifySocket returns the service manager's address and removes it from the
// environment: the private database server would report READY for us.
func takeNotifySocket() string {
	socket := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	return socket
}
