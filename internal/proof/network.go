package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"mems/internal/localdb"
)

// network gives each node of a cluster its own network namespace, joined by a bridge, so
// that one can be cut off from the others. The bridge is in a namespace, too, where the
// machine's firewall does not apply.
type network struct {
	name   string // what the names of its parts begin with
	subnet string // the first three bytes
	size   int
}

// namePrefix is followed by the process's number.
const namePrefix = "memsp"

// newNetwork needs root and the program ip.
func newNetwork(ctx context.Context, size int) (*network, error) {
	removeOldNetworks(ctx)
	n := &network{name: namePrefix + strconv.Itoa(os.Getpid()), subnet: freeSubnet(), size: size}
	if err := n.build(ctx); err != nil {
		n.close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("make network namespaces: %w", err)
	}
	return n, nil
}

func (n *network) build(ctx context.Context) error {
	hub, host := n.name+"-hub", n.name+"h"
	lines := []string{
		"netns add " + hub,
		"-n " + hub + " link add name bridge0 type bridge",
		"-n " + hub + " link set bridge0 up",
		"link add name " + host + " type veth peer name host netns " + hub,
		"-n " + hub + " link set host master bridge0 up",
		"addr add " + n.host(254) + "/24 dev " + host,
		"link set " + host + " up",
	}
	for i := range n.size {
		space, port := n.space(i), "port"+strconv.Itoa(i)
		lines = append(lines,
			"netns add "+space,
			"-n "+space+" link add name eth0 type veth peer name "+port+" netns "+hub,
			"-n "+hub+" link set "+port+" master bridge0 up",
			"-n "+space+" addr add "+n.address(i)+"/24 dev eth0",
			"-n "+space+" link set eth0 up",
			"-n "+space+" link set lo up")
	}
	return run(ctx, lines...)
}

func (n *network) host(last int) string { return n.subnet + "." + strconv.Itoa(last) }
func (n *network) address(i int) string { return n.host(i + 1) }
func (n *network) space(i int) string   { return n.name + "-" + strconv.Itoa(i+1) }
func (n *network) node(i int) localdb.Node {
	return localdb.Node{Address: n.address(i) + ":3306", Group: n.address(i) + ":33061", Namespace: n.space(i)}
}

// silence drops packets from one node to another.
func (n *network) silence(ctx context.Context, from, to int) error {
	return run(ctx, "-n "+n.space(from)+" route replace blackhole "+n.address(to)+"/32")
}

// isolate cuts a node off from everything.
func (n *network) isolate(ctx context.Context, i int) error {
	return run(ctx, "-n "+n.name+"-hub link set port"+strconv.Itoa(i)+" down")
}

// heal reverts silence and isolate.
func (n *network) heal(ctx context.Context) error {
	var lines []string
	for i := range n.size {
		lines = append(lines, "-n "+n.name+"-hub link set port"+strconv.Itoa(i)+" up", "-n "+n.space(i)+" route flush type blackhole")
	}
	return run(ctx, lines...)
}

func (n *network) close(ctx context.Context) {
	for i := range n.size {
		_ = run(ctx, "netns del "+n.space(i))
	}
	_ = run(ctx, "link del "+n.name+"h")
	_ = run(ctx, "netns del "+n.name+"-hub")
}

// removeOldNetworks removes the networks of killed runs.
func removeOldNetworks(ctx context.Context) {
	spaces, _ := filepath.Glob("/run/netns/" + namePrefix + "*") // its only error is a bad pattern
	for _, space := range spaces {
		name := filepath.Base(space)
		process, _, _ := strings.Cut(strings.TrimPrefix(name, namePrefix), "-")
		if _, err := os.Stat("/proc/" + process); errors.Is(err, os.ErrNotExist) {
			_ = run(ctx, "netns del "+name)
		}
	}
}

// freeSubnet returns a subnet of 10.213.0.0/16 that no interface of this machine is in.
func freeSubnet() string {
	taken := map[string]bool{}
	addresses, _ := net.InterfaceAddrs() // none are known then, and the next command fails
	for _, a := range addresses {
		parts := strings.Split(a.String(), ".")
		taken[strings.Join(parts[:min(3, len(parts))], ".")] = true
	}
	for i := os.Getpid() % 250; ; i = (i + 1) % 250 {
		if subnet := "10.213." + strconv.Itoa(i); !taken[subnet] {
			return subnet
		}
	}
}

// run executes commands of the program ip.
func run(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput() //nolint:gosec // G204: our own words
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}
