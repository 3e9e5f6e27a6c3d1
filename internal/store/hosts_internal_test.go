package store

import (
	"slices"
	"testing"
)

// The hosts of an address survive being written and read again, and one host stays
// as it was.
func TestHostsOfAddress(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string][]string{
		"mysql://u:p,@h1:3307,h2,h3:3308/mems?tls=false": {"h1:3307", "h2:3306", "h3:3308"},
		"u:p@tcp(h1,h2:3307)/mems":                       {"h1:3306", "h2:3307"},
		"mysql://u:p@h1/mems":                            {"h1:3306"},
		"mysql://u:p@[::1]:3307/mems":                    {"[::1]:3307"},
	} {
		for range 2 {
			c, err := parseDSN(dsn)
			if err != nil {
				t.Fatalf("%s: %v", dsn, err)
			}
			if got := hostsOf(c); !slices.Equal(got, want) {
				t.Errorf("%s: hosts %q, want %q", dsn, got, want)
			}
			dsn = c.FormatDSN()
		}
	}
	if _, err := parseDSN("mysql://u:p@h1,,h3/mems"); err == nil {
		t.Error("an empty host is taken")
	}
}
