package localdb

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// Client is an engine's own tool for backups.
type Client struct {
	Dump string // path
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
	for _, tool := range []struct {
		name    string
		mariadb bool
	}{{"mariadb-dump", true}, {"mysqldump", false}} {
		if path, err := exec.LookPath(tool.name); err == nil {
			return Client{Dump: path, MariaDB: tool.mariadb}, true
		}
	}
	return Client{}, false
}
