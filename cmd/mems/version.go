package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker (see the Makefile), which can only set variables with constant values.
var (
	version = "dev"
	commit  = ""
)

// builtFrom returns the commit, from the linker or else from the Go toolchain.
func builtFrom() string {
	info, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// showVersion runs "mems version".
func showVersion(_ context.Context, p *program, args []string) error {
	if err := parse(newFlags("version"), args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "mems %s %s (%s %s/%s)\n", version, builtFrom(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
