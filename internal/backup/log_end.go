package backup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// LogEnd describes the end of a binary log file. For a file that the server had open, or
// that was copied partially, the engine's tool reads up to the last whole event and reports
// no error, so the end is checked here.
type LogEnd struct {
	Position uint64    // end of the last whole event
	At       time.Time // time of the newest whole event, UTC, in seconds
	Cut      bool      // ends inside an event or transaction
	Next     string    // the next file of the log; empty if the last event names none
}

// ErrNoLog reports that a file is not a readable binary log.
var ErrNoLog = errors.New("it is not a binary log file, or it is encrypted")

// Binary log events of both engines, by type code.
const (
	queryEvent        = 2
	rotateEvent       = 4
	descriptionEvent  = 15
	encryptedEvent    = 164 // MariaDB; the rest is encrypted
	logHeaderSize     = 19  // bytes of an event header
	logMagic          = "\xfebin"
	logChecksum       = 4 // bytes after an event
	longestNamedEvent = 1 << 16
)

// betweenTransactions lists the events after which no transaction is open; so does
// queryEvent unless it begins one.
var betweenTransactions = map[byte]bool{
	queryEvent: true, rotateEvent: true, descriptionEvent: true,
	3: true, 16: true, 26: true, 27: true, 35: true, 38: true, 40: true, // stop, XID, incident, heartbeat, previous GTIDs, XA prepare, compressed transaction
	161: true, 163: true, 165: true, // MariaDB: checkpoint, list of GTIDs, compressed query
}

// ReadLogEnd reads a binary log file. Errors: ErrNoLog, those of r.
func ReadLogEnd(r io.Reader) (LogEnd, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	magic := make([]byte, len(logMagic))
	if _, err := io.ReadFull(in, magic); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err == nil && string(magic) != logMagic {
		return LogEnd{}, ErrNoLog
	} else if err != nil {
		return LogEnd{}, err
	}
	end := LogEnd{Position: uint64(len(logMagic))}
	checksum := 0
	head := make([]byte, logHeaderSize)
	for {
		n, err := io.ReadFull(in, head)
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		size := int64(binary.LittleEndian.Uint32(head[9:]))
		if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
			end.Cut = true
			return end, nil
		}
		if err != nil {
			return end, err
		}
		if size < logHeaderSize || head[4] == encryptedEvent {
			return end, ErrNoLog
		}
		kind, rest := head[4], size-logHeaderSize
		var body []byte
		if rest <= longestNamedEvent && (kind == queryEvent || kind == rotateEvent || kind == descriptionEvent) {
			body = make([]byte, rest)
			_, err = io.ReadFull(in, body)
		} else {
			_, err = io.CopyN(io.Discard, in, rest)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			end.Cut = true
			return end, nil
		}
		if err != nil {
			return end, err
		}
		end.Position += uint64(size)
		if at := time.Unix(int64(binary.LittleEndian.Uint32(head)), 0).UTC(); at.After(end.At) {
			end.At = at
		}
		end.Cut, end.Next = !betweenTransactions[kind], ""
		switch kind {
		case descriptionEvent:
			if n := len(body) - logChecksum - 1; n >= 0 && body[n] == 1 { // CRC32
				checksum = logChecksum
			}
		case queryEvent:
			end.Cut = bytes.HasSuffix(body[:max(0, len(body)-checksum)], []byte("\x00BEGIN")) // after the database name
		case rotateEvent:
			if name := body[:max(0, len(body)-checksum)]; len(name) > 8 {
				end.Next = string(name[8:]) // after a position
			}
		}
	}
}
