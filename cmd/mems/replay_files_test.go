package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mems/internal/backup"
)

// A log without its end is rejected: if a file that its index or last event names is
// missing, or if it is cut inside an event.
func TestReplayRefusesALogWithoutItsEnd(t *testing.T) {
	t.Parallel()
	written := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	event := func(kind byte, body string) string {
		head := make([]byte, 19)
		binary.LittleEndian.PutUint32(head, uint32(written.Unix()))
		head[4] = kind
		binary.LittleEndian.PutUint32(head[9:], uint32(19+len(body)))
		return string(head) + body
	}
	begin := "\xfebin" + event(15, "\x00\x00\x00\x00\x00")
	first, last := begin+event(4, "position"+"bin.000008"), begin+event(2, "mems\x00COMMIT")
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, backup.Head{At: written.Add(-time.Hour), Schema: 1, Program: "test", LogFile: "bin.000007", LogPosition: 28}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mems.gz")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	const index = "/var/lib/mysql-log/bin.000007\n./bin.000008\n"
	const passed = "127.0.0.1:1" // the error of the database, which is opened next
	for name, c := range map[string]struct {
		files map[string]string
		until time.Duration // after the last event
		says  []string
	}{
		"whole":              {map[string]string{"bin.000007": first, "bin.000008": last, "bin.index": index}, -time.Second, []string{passed}},
		"ends before until":  {map[string]string{"bin.000007": first, "bin.000008": last, "bin.index": index}, time.Minute, []string{passed, "the log ends at 2027-03-01T12:00:00Z, before --until"}},
		"no index":           {map[string]string{"bin.000007": first, "bin.000008": last}, 0, []string{passed, "there is no bin.index"}},
		"index names more":   {map[string]string{"bin.000007": first, "bin.000008": last, "bin.index": index + "./bin.000009\n"}, time.Minute, []string{"bin.000009 is missing", "Nothing was written", "--until 2027-03-01T12:00:01Z"}},
		"rotated to another": {map[string]string{"bin.000007": first}, time.Minute, []string{"bin.000008 is missing"}},
		"cut":                {map[string]string{"bin.000007": first, "bin.000008": last[:len(last)-1], "bin.index": index}, time.Minute, []string{"bin.000008 is truncated", "position 28"}},
		"cut, not needed":    {map[string]string{"bin.000007": first, "bin.000008": last[:len(last)-1], "bin.index": index}, -time.Second, []string{passed}},
		"cut, and lost":      {map[string]string{"bin.000007": first, "bin.000008": last[:len(last)-1], "bin.index": index}, time.Second, []string{passed, "later changes are lost"}},
		"cut before backup":  {map[string]string{"bin.000007": first[:20], "bin.index": "bin.000007\n"}, 0, []string{"before the backup's position 28"}},
		"first one cut":      {map[string]string{"bin.000007": first[:40], "bin.000008": last}, -time.Second, []string{passed, "bin.000007 is truncated", "compare"}},
		"no log":             {map[string]string{"bin.000007": "hello", "bin.index": index}, 0, []string{"not a binary log file"}},
	} {
		folder := t.TempDir()
		for name, content := range c.files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, said := runMEMS(t, []string{"replay", "--log", folder, "--until", written.Add(c.until).Format(time.RFC3339), file}, "MEMS_DATABASE_URL=mysql://mems@127.0.0.1:1/mems")
		if code != exitFailed || !contains(said, c.says...) || c.says[0] != passed && contains(said, passed) {
			t.Errorf("%s: mems replay: exit %d, want %d and %q in the output:\n%s",
				name, code, exitFailed, c.says, said)
		}
	}
}
