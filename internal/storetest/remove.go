package storetest

import (
	"io"
	"os/exec"
	"testing"
)

// held keeps the removers' pipes open; they close when the process ends.
var held []io.WriteCloser

// removeAfterProcess removes dir once this process has ended, however it ends, since a test
// process cannot run code on its own exit. A shell waits for its standard input to close,
// and then for the database server, which the operating system stops at the same time.
func removeAfterProcess(t testing.TB, dir string) {
	t.Helper()
	//nolint:gosec,noctx // G204: the words are ours; it outlives the test and its context on purpose
	remover := exec.Command("sh", "-c", `trap "" INT TERM HUP QUIT
		cat >/dev/null
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			rm -rf -- "$1" 2>/dev/null
			sleep 0.25
			[ -e "$1" ] || exit 0
		done`, "sh", dir)
	stdin, err := remover.StdinPipe()
	if err != nil {
		t.Logf("the database's directory %s will not be removed: %v", dir, err)
		return
	}
	held = append(held, stdin)
	if err := remover.Start(); err != nil {
		t.Logf("the database's directory %s will not be removed: %v", dir, err)
	}
}
