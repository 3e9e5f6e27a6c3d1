package database

import (
	"strings"
	"testing"
)

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in, user, password, network, address, database string
		fails                                          bool
	}{
		"DSN":            {in: "mems:p@ss@tcp(db:3307)/clinic?tls=skip-verify", user: "mems", password: "p@ss", network: "tcp", address: "db:3307", database: "clinic"},
		"Socket":         {in: "root@unix(/run/x.sock)/mems", user: "root", network: "unix", address: "/run/x.sock", database: "mems"},
		"URL":            {in: "mysql://mems:p%40s%2Fs@db.example.org:3307/clinic", user: "mems", password: "p@s/s", network: "tcp", address: "db.example.org:3307", database: "clinic"},
		"URLDefaultPort": {in: "mysql://mems@db/clinic?tls=true", user: "mems", network: "tcp", address: "db:3306", database: "clinic"},
		"NoDatabase":     {in: "mems@tcp(db:3306)/", fails: true},
		"URLNoDatabase":  {in: "mysql://mems@db", fails: true},
		"Nonsense":       {in: "secret-in-here", fails: true},
		"OtherURL":       {in: "postgres://mems:secret@db/mems", fails: true},
		"OtherShortURL":  {in: "postgres://secret", fails: true},
		"BadURL":         {in: "mysql://us er:secret@%zz/x", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := parseDSN(test.in)
			if test.fails {
				if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasSuffix(name, "NoDatabase") && !strings.Contains(err.Error(), "mysql://user:password@host:3306/mems") {
					t.Errorf("error %v, want one that does not repeat the text and shows a URL", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.User != test.user || c.Passwd != test.password || c.Net != test.network || c.Addr != test.address || c.DBName != test.database {
				t.Errorf("parse of %s = %+v, want %+v", test.in, c, test)
			}
		})
	}
}
