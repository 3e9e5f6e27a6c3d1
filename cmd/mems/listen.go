package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listen listens on the address that a setting names. An error says what to do.
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

// notifySystemd tells the service manager how far the process is, as sd_notify(3)
// does, where a manager asks for it. It must not keep the server from serving, so
// errors are dropped: a unit of Type=notify then fails by its own time limit.
func notifySystemd(ctx context.Context, socket, state string) {
	if socket == "" {
		return
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket) // "@" begins an abstract name, as there
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(state))
}

// takeNotifySocket is the service manager's address, which is not left in the
// environment: the private database server would say READY for us.
func takeNotifySocket() string {
	socket := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	return socket
}
