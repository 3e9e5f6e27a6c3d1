// Package backup defines the backup format: gzipped SQL between a first line that describes
// it and a last line with its hash and, given a key, its signature.
//
// A backup is untrusted input: its author must not be able to run anything as the user who
// restores it. So a file is verified completely before anything in it is used, only its
// rows are used, and these are parsed by a grammar that knows only literals.
package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

const (
	begins = "-- mems backup "
	ends   = "-- mems backup ends "
)

// format is the format version that this package writes. Version 1, without signatures and
// column names, is also read.
const format = 2

// Head is the first line of a backup.
type Head struct {
	Format  int       `json:"format"`
	At      time.Time `json:"at"`             // UTC, when it was started
	Schema  int64     `json:"schema"`         // schema version
	Program string    `json:"program"`        // version of the program that wrote it
	Kind    string    `json:"kind,omitempty"` // empty, or KindRevocations

	Database    string `json:"database,omitempty"` // name of the database
	LogFile     string `json:"log_file,omitempty"` // position in the binary log
	LogPosition uint64 `json:"log_position,omitempty"`

	// Set by Verify when a file is read.
	Sum    string `json:"-"` // hash of the file, hexadecimal
	Signed bool   `json:"-"` // has a signature; Verify checked it if given keys
}

// KindRevocations is a list of revoked keys and erased patients, not a backup.
const KindRevocations = "revocations"

// Key signs backups.
type Key struct {
	ID     []byte
	Secret []byte
}

// Errors of Verify, besides those of the grammar of rows.
var (
	ErrNoBackup = errors.New("it is not a MEMS backup")
	ErrCutOff   = errors.New("it is truncated: its last line is missing")
	ErrAltered  = errors.New("it was altered: it does not match the hash in its last line")
	ErrUnsigned = errors.New("it is not signed, and MEMS_AUDIT_KEYS is set")
	ErrForged   = errors.New("its signature is not by a key in MEMS_AUDIT_KEYS, or it was altered")
)

// Writer writes a backup. Write takes the dump; Close completes the backup.
type Writer struct {
	packed *gzip.Writer
	hash   hash.Hash
	key    *Key
}

// NewWriter starts a backup. A nil key leaves it unsigned.
func NewWriter(w io.Writer, head Head, key *Key) (*Writer, error) {
	head.Format = format
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b := &Writer{packed: gzip.NewWriter(w), hash: sha256.New(), key: key}
	_, err = fmt.Fprintf(b, "%s%s\n", begins, text)
	return b, err
}

// Write writes part of the dump.
func (b *Writer) Write(p []byte) (int, error) {
	_, _ = b.hash.Write(p) // never returns an error
	return b.packed.Write(p)
}

// Close writes the last line.
func (b *Writer) Close() error {
	sum := b.hash.Sum(nil)
	last := hex.EncodeToString(sum)
	if b.key != nil {
		last += " signed " + hex.EncodeToString(b.key.ID) + " " + hex.EncodeToString(signature(b.key.Secret, sum))
	}
	if _, err := fmt.Fprintf(b.packed, "%s%s\n", ends, last); err != nil {
		return err
	}
	return b.packed.Close()
}

// signature signs a backup's hash. The prefix separates it from other uses of the key.
func signature(secret, sum []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("mems backup\n"))
	_, _ = mac.Write(sum)
	return mac.Sum(nil)
}

// Verify reads a whole backup and checks its hash, its signature if there are keys, and
// that Rows can parse every line. unsigned accepts an unsigned backup despite keys.
//
// Errors: ErrNoBackup, ErrCutOff, ErrAltered, ErrUnsigned, ErrForged, those of Rows.
func Verify(r io.Reader, keys []Key, unsigned bool) (Head, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	lines := bufio.NewReaderSize(unpacked, 1<<20)
	sum := sha256.New()
	head, first, err := readHead(lines)
	if err != nil {
		return head, err
	}
	_, _ = sum.Write(first)
	var last []byte // possibly the last line
	for lineBegins := true; ; {
		part, err := lines.ReadSlice('\n')
		if lineBegins && len(last) > 0 && len(part) > 0 {
			_, _ = sum.Write(last)
			last = nil
		}
		if lineBegins && bytes.HasPrefix(part, []byte(ends)) {
			last = bytes.Clone(part)
		} else {
			_, _ = sum.Write(part)
		}
		lineBegins = !errors.Is(err, bufio.ErrBufferFull)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && lineBegins {
			return head, fmt.Errorf("it is truncated or damaged: %w", err)
		}
	}
	end := strings.TrimSpace(strings.TrimPrefix(string(last), ends))
	head.Sum, head.Signed = hex.EncodeToString(sum.Sum(nil)), strings.Contains(end, " signed ")
	return head, verifyEnd(end, sum.Sum(nil), keys, unsigned)
}

func readHead(lines *bufio.Reader) (head Head, line []byte, err error) {
	line, err = lines.ReadBytes('\n')
	if err != nil || !bytes.HasPrefix(line, []byte(begins)) || json.Unmarshal(line[len(begins):], &head) != nil ||
		head.Format < 1 || head.Format > format {
		return head, line, ErrNoBackup
	}
	return head, line, nil
}

// LooksLikeBackup reports whether a file starts like a backup, encrypted or not, and not
// like a list of revocations. Only Verify can tell whether it is one.
func LooksLikeBackup(f io.ReadSeeker) (bool, error) {
	plain, err := Open(f, nil)
	if errors.Is(err, ErrEncrypted) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	unpacked, err := gzip.NewReader(plain)
	if err != nil {
		return false, nil //nolint:nilerr // not packed, so not one
	}
	head, _, err := readHead(bufio.NewReader(io.LimitReader(unpacked, 1<<20)))
	return err == nil && head.Kind == "", nil
}

// Body returns what is between the first and last line of a small file. Call Verify first.
func Body(r io.Reader) ([]byte, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, maxInsert))
	if err != nil {
		return nil, err
	}
	_, text, _ = bytes.Cut(text, []byte("\n"))
	end := bytes.LastIndex(text, []byte(ends))
	if end < 0 {
		return nil, ErrCutOff
	}
	return text[:end], nil
}

// verifyEnd verifies the last line of a backup with the hash sum.
func verifyEnd(last string, sum []byte, keys []Key, unsigned bool) error {
	told, sealed, _ := strings.Cut(last, " signed ")
	switch {
	case told == "":
		return ErrCutOff
	case told != hex.EncodeToString(sum):
		return ErrAltered
	case len(keys) == 0, sealed == "" && unsigned:
		return nil
	case sealed == "":
		return ErrUnsigned
	}
	id, mac, _ := strings.Cut(sealed, " ")
	for _, key := range keys {
		want := hex.EncodeToString(signature(key.Secret, sum))
		if id == hex.EncodeToString(key.ID) && hmac.Equal([]byte(want), []byte(mac)) {
			return nil
		}
	}
	return ErrForged
}
