package localdb

import (
	"strings"
	"testing"
)

// What a person is told when there is no server names something to install.
func TestAdvice(t *testing.T) {
	for _, path := range []string{"/nowhere", "/usr/bin:/bin"} {
		t.Setenv("PATH", path)
		for _, e := range []Engine{Any, MariaDB, MySQL} {
			if a := advice(e); !strings.Contains(a, "install") {
				t.Errorf("advice for %q: %s", e, a)
			}
			if w := e.words(); !strings.Contains(w, "server") {
				t.Errorf("words for %q: %s", e, w)
			}
		}
	}
	t.Setenv("PATH", "/nowhere")
	if _, err := install(t.Context(), MySQL, t.Logf); err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("installing without a package manager: %v", err)
	}
}

func TestCommandShowsWhatFailed(t *testing.T) {
	t.Parallel()
	if err := command(t.Context(), t.TempDir(), "ls", "no-such-file"); err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("error %v does not show what ls said", err)
	}
}
