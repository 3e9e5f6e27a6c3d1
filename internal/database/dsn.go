// Package database connects to a MySQL-compatible database and manages its schema: the DSN,
// the primary of a cluster, sessions and pools, migrations, dump and restore of rows, and
// checksums. It does not know what the rows mean.
package database

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// parseDSN parses a go-sql-driver DSN or a mysql:// URL. The error never contains the text,
// which may hold a password.
func parseDSN(s string) (*mysql.Config, error) {
	if rest, isURL := strings.CutPrefix(s, "mysql://"); isURL {
		one, list := firstHost(rest)
		u, err := url.Parse("mysql://" + one)
		if err != nil {
			return nil, errors.New("database URL cannot be parsed; it should look like mysql://user:password@host:3306/mems")
		}
		c := mysql.NewConfig()
		c.User = u.User.Username()
		c.Passwd, _ = u.User.Password()
		c.Net, c.Addr = "tcp", u.Host
		if u.Port() == "" {
			c.Addr = u.Hostname() + ":3306"
		}
		if list != "" {
			c.Addr = "[" + list + "]:3306"
		}
		c.DBName = strings.TrimPrefix(u.Path, "/")
		// The driver parses its own parameters (tls, ...).
		s = c.FormatDSN()
		if u.RawQuery != "" {
			sep := "?"
			if strings.Contains(s[strings.LastIndex(s, "/"):], "?") {
				sep = "&"
			}
			s += sep + u.RawQuery
		}
	}
	c, err := mysql.ParseDSN(s)
	if scheme, _, isURL := strings.Cut(s, "://"); err != nil && isURL && isScheme(scheme) {
		return nil, errors.New("database URL is not for MySQL or MariaDB; it should look like mysql://user:password@host:3306/mems")
	}
	if err != nil {
		return nil, errors.New("database DSN cannot be parsed; it should look like mysql://user:password@host:3306/mems, or user:password@tcp(host:3306)/mems")
	}
	if c.DBName == "" {
		return nil, errors.New("database DSN has no database name; it should end like .../mems")
	}
	for _, host := range hostsOf(c) {
		if c.Net == "tcp" && (host == "" || strings.HasPrefix(host, ":")) {
			return nil, errors.New("database URL has an empty host in its list; it should look like mysql://user:password@host1:3306,host2:3306/mems")
		}
	}
	return c, nil
}

// isScheme reports whether s is the scheme of a URL (RFC 3986, 3.1), not the user and
// password of a DSN.
func isScheme(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > 'z' || r < 'a' && r != '+' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	})
}

// firstHost removes all but the first host from the part after mysql://, and returns the
// host list, empty for a single host.
func firstHost(rest string) (one, list string) {
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@") + 1
	first, _, several := strings.Cut(authority[at:], ",")
	if !several {
		return rest, ""
	}
	return authority[:at] + first + "/" + path, authority[at:]
}

// hostsOf returns the servers that a configuration names: "h1:3306,h2:3306". The driver
// formats such a list as "[h1:3306,h2:3306]:3306".
func hostsOf(c *mysql.Config) []string {
	if c.Net != "tcp" {
		return []string{c.Addr}
	}
	list := c.Addr
	if host, _, err := net.SplitHostPort(list); err == nil && strings.Contains(host, ",") && strings.HasPrefix(list, "[") {
		list = host
	}
	if !strings.Contains(list, ",") {
		return []string{c.Addr}
	}
	hosts := strings.Split(list, ",")
	for i, h := range hosts {
		if !strings.Contains(h, ":") {
			hosts[i] = net.JoinHostPort(h, "3306")
		}
	}
	return hosts
}

// DSNOf returns dsn with another database of the same server.
func DSNOf(dsn, database string) (string, error) {
	c, err := parseDSN(dsn)
	if err != nil {
		return "", err
	}
	c.DBName = database
	return c.FormatDSN(), nil
}
