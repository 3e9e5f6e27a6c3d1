//go:build tools

// Package tools pins, through go.mod, the one program that writes Go code into
// this repository, so that `make generate` gives everyone the same bytes.
//
// Everything else that is only run (linters, fuzz drivers, spec checkers) is
// run at a version pinned in the Makefile or in gen/package.json instead: as
// modules they would add hundreds of entries to go.sum for nothing that ships.
package tools

import _ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
