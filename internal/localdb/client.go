package localdb

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// Client is the engines' own tools for backups: either one's work on the other's
// server.
type Client struct {
	Dump, Shell string // paths
	// MariaDB: the tool that writes dumps is MariaDB's; the options differ a little.
	MariaDB bool
}

// FindClient finds the tools on PATH; may says whether they may be installed when
// there are none, with the system's package manager.
func FindClient(ctx context.Context, may bool, log func(string, ...any)) (Client, error) {
	if c, ok := clientOnPath(); ok {
		return c, nil
	}
	advised := errors.New("neither mariadb-dump nor mysqldump is on PATH; install the package mariadb-client or mysql-client")
	if !may || !has("apt-get") {
		return Client{}, advised
	}
	unlock, err := lockInstallation(ctx)
	if err != nil {
		return Client{}, err
	}
	defer unlock()
	if c, ok := clientOnPath(); ok { // another process did it meanwhile
		return c, nil
	}
	sudo, root := rootPrefix(ctx)
	if !root {
		return Client{}, advised
	}
	log("no tool for backups found; installing mariadb-client with apt-get (once)")
	if err := aptGet(ctx, sudo, "update"); err != nil {
		log("trying with the package lists that are here, since they could not be renewed: %v", err)
	}
	if err := aptGet(ctx, sudo, "install", "-y", "--no-install-recommends", "mariadb-client"); err != nil {
		return Client{}, fmt.Errorf("%w\n%w", err, advised)
	}
	c, ok := clientOnPath()
	if !ok {
		return Client{}, advised
	}
	return c, nil
}

func clientOnPath() (Client, bool) {
	for _, tools := range []struct {
		dump, shell string
		mariadb     bool
	}{{"mariadb-dump", "mariadb", true}, {"mysqldump", "mysql", false}} {
		dump, err1 := exec.LookPath(tools.dump)
		shell, err2 := exec.LookPath(tools.shell)
		if err1 == nil && err2 == nil {
			return Client{Dump: dump, Shell: shell, MariaDB: tools.mariadb}, true
		}
	}
	return Client{}, false
}
