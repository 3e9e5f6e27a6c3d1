// Command publish guards the promises made to users of the contract: it rejects breaking
// changes, keeps every released contract, and builds the site. README.md describes how to
// release.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
)

// Inputs and outputs of the commands, relative to the repository's root.
const (
	contractFile = "openapi.yaml"
	releasedDir  = "internal/publish/released"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "publish: %v\n", err)
		os.Exit(1)
	}
}

// run is main without os.Exit and signals.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	oasdiff := flags.String("oasdiff", "", "the oasdiff program")
	force := flags.Bool("force", false, "release: replace a released contract of the same version")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch flags.Arg(0) {
	case "check":
		return check(ctx, *oasdiff, contractFile, releasedDir, out)
	case "site":
		diff := func(base, revision spec) (changes, error) { return compare(ctx, *oasdiff, base, revision) }
		return buildSite(".", "site", diff, out)
	case "release":
		return release(contractFile, releasedDir, *force, out)
	default:
		return fmt.Errorf("invalid command %q (expected check, release or site)", flags.Arg(0))
	}
}
