package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker (see the Makefile). It can only set what is a constant here.
var (
	version = "dev"
	commit  = ""
)

// builtFrom is the commit, from the linker or else from what the Go toolchain noted.
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

// showVersion is the command "mems version".
func showVersion(_ context.Context, p *program, args []string) error {
	if err := parse(newFlags("version"), args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "mems %s %s (%s %s/%s)\n", version, builtFrom(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
