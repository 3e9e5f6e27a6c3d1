// Command package makes parts of a release from .goreleaser.yaml, without the time
// that building goreleaser takes:
//
//	package docs FOLDER                      the documents, as they are shipped
//	package deb VERSION ARCH BINARY FILE     the Debian package of a binary
//
// The second one runs in the root of the source, after the first one wrote bin/docs.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the format
	"github.com/goreleaser/nfpm/v2/files"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "docs":
		err = docs("../..", os.Args[2])
	case len(os.Args) == 6 && os.Args[1] == "deb":
		err = deb(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		err = fmt.Errorf("say docs FOLDER, or deb VERSION ARCH BINARY FILE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

// contents are the package's, as the release's configuration lists them.
func contents(root string) (config.NFPM, files.Contents, error) {
	c, err := config.Load(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil || len(c.NFPMs) != 1 {
		return config.NFPM{}, nil, fmt.Errorf(".goreleaser.yaml has %d packages, want one: %w", len(c.NFPMs), err)
	}
	var all files.Contents
	for _, f := range c.NFPMs[0].Contents {
		all = append(all, &files.Content{
			Source: f.Source, Destination: f.Destination, Type: f.Type,
			FileInfo: &files.ContentFileInfo{Mode: f.FileInfo.Mode, Owner: f.FileInfo.Owner, Group: f.FileInfo.Group},
		})
	}
	return c.NFPMs[0], all, nil
}

func deb(version, arch, binary, file string) error {
	c, all, err := contents(".")
	if err != nil {
		return err
	}
	all = append(all, &files.Content{Source: binary, Destination: filepath.Join(c.Bindir, "mems"), FileInfo: &files.ContentFileInfo{Mode: 0o755}})
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: c.PackageName, Version: version, Arch: arch, Platform: "linux", MTime: time.Now(),
		Section: c.Section, Maintainer: c.Maintainer, Vendor: c.Vendor, Description: c.Description, License: c.License,
		Overridables: nfpm.Overridables{
			Contents: all, Suggests: c.Suggests, Depends: c.Dependencies,
			Scripts: nfpm.Scripts{PostInstall: c.Scripts.PostInstall, PreRemove: c.Scripts.PreRemove, PostRemove: c.Scripts.PostRemove},
		},
	})
	packager, err := nfpm.Get("deb")
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := packager.Package(info, out); err != nil {
		return err
	}
	return out.Close()
}
