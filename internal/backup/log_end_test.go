package backup_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"mems/internal/backup"
)

// logEvent returns a binary log event with space for its checksum.
func logEvent(at int64, kind byte, body string) []byte {
	head := make([]byte, 19)
	binary.LittleEndian.PutUint32(head, uint32(at))
	head[4] = kind
	binary.LittleEndian.PutUint32(head[9:], uint32(19+len(body)+4))
	return slices.Concat(head, []byte(body), make([]byte, 4))
}

// A log that was cut anywhere but between transactions is reported as cut.
func TestReadLogEnd(t *testing.T) {
	t.Parallel()
	const at = 1795773508
	log := []byte("\xfebin")
	whole := map[int]bool{len(log): true}
	add := func(ends bool, event []byte) {
		log = append(log, event...)
		whole[len(log)] = ends
	}
	query := func(text string) []byte { return logEvent(at, 2, "posts and variables mems\x00"+text) }
	add(true, logEvent(at, 15, "description\x01"))
	add(true, query("CREATE TABLE a (id INT)"))
	add(false, logEvent(at, 33, "a GTID of MySQL"))
	add(false, query("BEGIN"))
	add(false, logEvent(at+2, 19, "table map"))
	add(false, logEvent(at+2, 30, "rows"))
	add(true, logEvent(at+2, 16, "XID"))
	add(false, logEvent(at+1, 162, "a GTID of MariaDB"))
	add(false, logEvent(at+1, 23, "rows"))
	add(true, query("COMMIT"))
	add(true, logEvent(at+1, 4, "position"+"bin.000010"))
	for n := 4; n <= len(log); n++ {
		end, err := backup.ReadLogEnd(bytes.NewReader(log[:n]))
		if err != nil || end.Cut == whole[n] || end.Position > uint64(n) || whole[n] && end.Position != uint64(n) {
			t.Errorf("ReadLogEnd of the first %d bytes = %+v, %v, want it cut: %t", n, end, err, !whole[n])
		}
	}
	end, err := backup.ReadLogEnd(bytes.NewReader(log))
	if want := (backup.LogEnd{Position: uint64(len(log)), At: time.Unix(at+2, 0).UTC(), Next: "bin.000010"}); err != nil || end != want {
		t.Errorf("ReadLogEnd = %+v, %v, want %+v", end, err, want)
	}
	for _, other := range []string{"", "\xfeb", "\xfdbin and what is encrypted", "hello, this is a text", "\xfebin" + string(make([]byte, 40))} {
		if _, err := backup.ReadLogEnd(bytes.NewReader([]byte(other))); !errors.Is(err, backup.ErrNoLog) {
			t.Errorf("ReadLogEnd(%q) = %v, want %v", other, err, backup.ErrNoLog)
		}
	}
}
