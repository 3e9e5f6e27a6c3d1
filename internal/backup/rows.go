package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
)

// maxInsert is the maximum length of a statement: dump tools write about 1 MB, at most 16
// MB, and a single row is shorter.
const maxInsert = 64 << 20

// What our dumps contain besides rows. None of it is executed: the schema comes from the
// program's own migrations.
var (
	setting = regexp.MustCompile(`^(/\*!\d{5,6} )?SET [^;]*( \*/)? ?;$`)
	keysOff = regexp.MustCompile("^/\\*!\\d{5} ALTER TABLE `[a-z0-9_]+` (DISABLE|ENABLE) KEYS \\*/;$")
	charset = regexp.MustCompile("^ALTER DATABASE `[^`]+` CHARACTER SET [a-z0-9_]+ COLLATE [a-z0-9_]+ ;$")
	sandbox = regexp.MustCompile(`^/\*M!999999\\- enable the sandbox mode \*/ ?$`)
	table   = regexp.MustCompile("^CREATE TABLE `[a-z0-9_]+` \\($")
	column  = regexp.MustCompile("^  (`|PRIMARY KEY|UNIQUE KEY|KEY|CONSTRAINT)")
	tableOf = regexp.MustCompile(`^\) ENGINE=InnoDB[^;]*;$`)
	trigger = regexp.MustCompile("^/\\*!50003 CREATE\\*/ (/\\*!50017 DEFINER=`[^`]*`@`[^`]*`\\*/ )?/\\*!50003 TRIGGER ")
)

// Rows yields the INSERT statements of a backup in order; each contains only literals. Call
// Verify first. It stops at the first line that our dumps do not have, such as a command of
// the client's shell.
func Rows(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		unpacked, err := gzip.NewReader(r)
		if err != nil {
			yield("", fmt.Errorf("%w: %w", ErrNoBackup, err))
			return
		}
		s := &scanner{lines: bufio.NewReaderSize(unpacked, 1<<20)}
		for {
			statement, err := s.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(statement, err) || err != nil {
				return
			}
		}
	}
}

// scanner reads a dump line by line.
type scanner struct {
	lines  *bufio.Reader
	number int // of the last line read
}

// line returns the next line without its terminator.
func (s *scanner) line() (string, error) {
	var b bytes.Buffer
	for {
		part, err := s.lines.ReadSlice('\n')
		b.Write(part)
		if b.Len() > maxInsert {
			return "", fmt.Errorf("line %d is longer than %d bytes", s.number+1, maxInsert)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && b.Len() > 0 {
			err = nil
		}
		s.number++
		return strings.TrimSuffix(b.String(), "\n"), err
	}
}

func (s *scanner) unexpected() error {
	return fmt.Errorf("line %d is not part of a dump by MEMS; nothing was restored", s.number)
}

// next returns the next INSERT statement, io.EOF after the last.
func (s *scanner) next() (string, error) {
	for {
		line, err := s.line()
		if err != nil {
			return "", err
		}
		switch {
		case line == "", strings.HasPrefix(line, "-- "), line == "--":
		case setting.MatchString(line), keysOff.MatchString(line), charset.MatchString(line), sandbox.MatchString(line):
		case strings.HasPrefix(line, "INSERT INTO "):
			return s.insert(line)
		case table.MatchString(line):
			err = s.skip(tableOf.MatchString, column.MatchString)
		case line == "DELIMITER ;;":
			if line, err = s.line(); err == nil && !trigger.MatchString(line) {
				err = s.unexpected()
			}
			if err == nil {
				err = s.skip(func(l string) bool { return l == "DELIMITER ;" }, func(l string) bool { return !strings.HasPrefix(l, "DELIMITER") })
			}
		default:
			err = s.unexpected()
		}
		if err != nil {
			return "", err
		}
	}
}

// skip skips lines up to the last one of a block.
func (s *scanner) skip(last, inside func(string) bool) error {
	for {
		line, err := s.line()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil || last(line) {
			return err
		}
		if !inside(line) {
			return s.unexpected()
		}
	}
}

// insert reads the rest of an INSERT statement, which may span lines.
func (s *scanner) insert(line string) (string, error) {
	first := s.number
	for !strings.HasSuffix(line, ";") {
		more, err := s.line()
		if errors.Is(err, io.EOF) {
			return "", io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		if line += "\n" + more; len(line) > maxInsert {
			return "", fmt.Errorf("the statement in line %d is longer than %d bytes", first, maxInsert)
		}
	}
	if !isInsert(line) {
		return "", fmt.Errorf("line %d is not an INSERT of literals alone; nothing was restored", first)
	}
	return line, nil
}

var (
	insertHead = regexp.MustCompile("^INSERT INTO `[a-z0-9_]+`( \\((`[a-z0-9_]+`(, ?)?)+\\))? VALUES\\s+")
	literal    = regexp.MustCompile(`^(NULL|0x[0-9A-Fa-f]+|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)`)
)

// isInsert reports whether text is a single INSERT of rows of literals: numbers, strings,
// bytes and NULL.
func isInsert(text string) bool {
	head := insertHead.FindString(text)
	if head == "" {
		return false
	}
	for rest := text[len(head):]; ; {
		var ok bool
		if rest, ok = cutRow(rest); !ok {
			return false
		}
		switch {
		case rest == ";":
			return true
		case strings.HasPrefix(rest, ","):
			rest = strings.TrimLeft(rest[1:], "\n")
		default:
			return false
		}
	}
}

// cutRow removes a leading "(literal,literal)".
func cutRow(text string) (rest string, ok bool) {
	if !strings.HasPrefix(text, "(") {
		return "", false
	}
	for text = text[1:]; ; text = text[1:] {
		if text, ok = cutLiteral(text); !ok || text == "" {
			return "", false
		}
		switch text[0] {
		case ')':
			return text[1:], true
		case ',':
		default:
			return "", false
		}
	}
}

// cutLiteral removes a leading literal.
func cutLiteral(text string) (rest string, ok bool) {
	body := strings.TrimPrefix(text, "_binary ")
	if !strings.HasPrefix(body, "'") {
		found := literal.FindString(text)
		return text[len(found):], found != ""
	}
	for i := 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++ // escaped, so it does not end the string
		case '\'':
			if i+1 < len(body) && body[i+1] == '\'' {
				i++
				continue
			}
			return body[i+1:], true
		}
	}
	return "", false
}
