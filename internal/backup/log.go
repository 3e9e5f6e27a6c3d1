package backup

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
)

// The engine's tool selects what belongs to a database by the session's default database
// for statements, and by the table's database for rows. With row-based logging, statements
// are schema changes. The tool therefore drops "ALTER TABLE mems.doctors" from a session
// with another default, and keeps "CREATE TABLE other.t" and "ALTER TABLE mems.doctors"
// from one with mems. LogStatements finds these.

// LogStatement is a statement, as opposed to rows, in a binary log.
type LogStatement struct {
	Start, End uint64 // positions in the file, including the transaction's GTID event
	Time       string // in the tool's format, UTC
	Default    string // the default database set last; possibly none
	Settings   []string
	Text       string
}

var (
	logAt     = regexp.MustCompile(`^# at (\d+)$`)
	logHeader = regexp.MustCompile(`^#(\d{6} +\d+:\d\d:\d\d) server id \d+ +end_log_pos (\d+) .*?\t(\w+)`)
	logUse    = regexp.MustCompile("^use `((?:[^`]|``)*)`/\\*!\\*/;$")
	logSet    = regexp.MustCompile(`^(?:SET (@@session\.\w+)\s*=.*|/\*!(\\C) .*)/\*!\*/;$`)
)

// logEnds terminates a statement in the tool's output.
const logEnds = "/*!*/;"

// LogStatements parses the tool's output for one binary log file without rows
// (--base64-output=DECODE-ROWS), and yields the statements in order.
func LogStatements(r io.Reader) iter.Seq2[LogStatement, error] {
	return func(yield func(LogStatement, error) bool) {
		l := &logReader{lines: bufio.NewReaderSize(r, 1<<16), set: map[string]string{}}
		for {
			st, err := l.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(st, err) || err != nil {
				return
			}
		}
	}
}

type logReader struct {
	lines  *bufio.Reader
	at     uint64 // start of the current event
	marked uint64 // start of the last GTID event, which ends at markedTo
	endsAt uint64 // end of the last GTID event
	use    string
	set    map[string]string // session settings by name
	order  []string
	ahead  *string
}

func (l *logReader) line() (string, error) {
	if l.ahead != nil {
		line := *l.ahead
		l.ahead = nil
		return line, nil
	}
	line, err := l.lines.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimSuffix(line, "\n"), err
}

func (l *logReader) next() (LogStatement, error) {
	for {
		line, err := l.line()
		if err != nil {
			return LogStatement{}, err
		}
		if at := logAt.FindStringSubmatch(line); at != nil {
			if l.at, err = strconv.ParseUint(at[1], 10, 64); err != nil {
				return LogStatement{}, err
			}
			continue
		}
		head := logHeader.FindStringSubmatch(line)
		if head == nil {
			continue
		}
		end, err := strconv.ParseUint(head[2], 10, 64)
		if err != nil {
			return LogStatement{}, err
		}
		switch head[3] {
		case "GTID", "Anonymous_GTID":
			l.marked, l.endsAt = l.at, end
		case "Query":
			st := LogStatement{Start: l.at, End: end, Time: head[1]}
			if l.endsAt == l.at && l.at != 0 {
				st.Start = l.marked
			}
			if err := l.readStatement(&st); err != nil {
				return st, err
			}
			return st, nil
		}
	}
}

// readStatement reads a statement's session settings and its text, which ends at the next
// event.
func (l *logReader) readStatement(st *LogStatement) error {
	var text []string
	for {
		line, err := l.line()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		at := logAt.FindStringSubmatch(line)
		if err != nil || at != nil && at[1] == strconv.FormatUint(st.End, 10) || line == "DELIMITER ;" {
			if err == nil {
				l.ahead = &line
			}
			break
		}
		switch use, set := logUse.FindStringSubmatch(line), logSet.FindStringSubmatch(line); {
		case len(text) > 0:
			text = append(text, line)
		case use != nil:
			l.use = strings.ReplaceAll(use[1], "``", "`")
		case set != nil:
			name := set[1] + set[2]
			if _, known := l.set[name]; !known {
				l.order = append(l.order, name)
			}
			l.set[name] = line
		case strings.HasSuffix(line, logEnds) && (strings.HasPrefix(line, "SET ") || strings.HasPrefix(line, "/*")), strings.HasPrefix(line, "#"):
		default:
			text = append(text, line)
		}
	}
	st.Default = l.use
	for _, name := range l.order {
		st.Settings = append(st.Settings, l.set[name])
	}
	st.Text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.Join(text, "\n")), logEnds))
	return nil
}

// LogUse is how a statement is handled when one database's log is applied to another.
type LogUse int

// How a statement is handled.
const (
	LogPasses   LogUse = iota // the tool handles it correctly
	LogCut                    // it concerns another database, and must not be repeated
	LogRewrite                // it names the database, which now has another name
	LogDrops                  // it drops the database
	LogUnusable               // it changes rows, which the tool would drop or misplace
)

var (
	rowsStatement    = regexp.MustCompile(`(?i)^(INSERT|UPDATE|DELETE|REPLACE|LOAD|WITH)\b`)
	groupStatement   = regexp.MustCompile(`(?i)^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|START|XA|SET|#)\b`)
	accountStatement = regexp.MustCompile(`(?i)^(GRANT|REVOKE|FLUSH|(CREATE|ALTER|DROP|RENAME)\s+(OR\s+REPLACE\s+)?(USER|ROLE)|SET\s+(PASSWORD|DEFAULT\s+ROLE))\b`)
	databaseDropped  = regexp.MustCompile(`(?i)^DROP\s+(?:DATABASE|SCHEMA)\s+(?:IF\s+EXISTS\s+)?([^\s;/]+)`)
	databaseMade     = regexp.MustCompile(`(?i)^(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)\s+(?:IF\s+NOT\s+EXISTS\s+)?([^\s;/]+)`)
	temporary        = regexp.MustCompile(`(?i)^(CREATE|DROP)\s+(OR\s+REPLACE\s+)?TEMPORARY\b`)
	targetName       = regexp.MustCompile("(?is)^(?:CREATE|ALTER|DROP|TRUNCATE|RENAME)\\b[^(']*?\\b(?:TABLE|VIEW|TRIGGER|EVENT|PROCEDURE|FUNCTION|SEQUENCE)S?\\s+" +
		"(?:IF\\s+(?:NOT\\s+)?EXISTS\\s+)?(?:`(?:[^`]|``)+`|[\\w$]+)(\\s*\\.)?")
	indexTarget = regexp.MustCompile("(?is)^(?:CREATE|DROP)\\b[^(]*?\\bINDEX\\b[^(]*?\\bON\\s+(?:`(?:[^`]|``)+`|[\\w$]+)(\\s*\\.)?")
)

// Use classifies a statement for replaying the log of the database from into to. For
// LogRewrite, text is the rewritten statement.
func (s *LogStatement) Use(from, to string) (use LogUse, text string) {
	if dropped := databaseDropped.FindStringSubmatch(s.Text); dropped != nil && unquote(dropped[1]) == from {
		return LogDrops, ""
	}
	if made := databaseMade.FindStringSubmatch(s.Text); made != nil && unquote(made[1]) == from {
		return LogCut, ""
	}
	inside := s.Default == from // the tool keeps it
	text, named := renameDatabase(s.Text, from, to)
	switch {
	case groupStatement.MatchString(s.Text) && !accountStatement.MatchString(s.Text):
		return LogPasses, ""
	case accountStatement.MatchString(s.Text), temporary.MatchString(s.Text):
		if inside {
			return LogCut, ""
		}
		return LogPasses, ""
	case named && rowsStatement.MatchString(s.Text):
		return LogUnusable, ""
	case named:
		return LogRewrite, text
	}
	for _, target := range []*regexp.Regexp{targetName, indexTarget} {
		if other := target.FindStringSubmatch(s.Text); inside && other != nil && other[1] != "" {
			return LogCut, ""
		}
	}
	return LogPasses, ""
}

func unquote(name string) string {
	if len(name) > 1 && name[0] == '`' && name[len(name)-1] == '`' {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}

var sqlToken = regexp.MustCompile("(?s)^(?:'(?:[^'\\\\]|\\\\.|'')*'|\"(?:[^\"\\\\]|\\\\.|\"\")*\"|/\\*[^!M].*?\\*/|(?:--\\s|#)[^\\n]*|`(?:[^`]|``)*`|[\\w$\\x{80}-\\x{10ffff}]+|\\s+|.)")

// renameDatabase replaces a database name that qualifies another name, and reports whether
// it did. String literals and comments are unchanged.
func renameDatabase(text, from, to string) (string, bool) {
	var out strings.Builder
	named, before := false, ""
	for rest := text; rest != ""; {
		token := sqlToken.FindString(rest)
		rest = rest[len(token):]
		isName := token[0] == '`' || nameToken.MatchString(token)
		if isName && before != "." && unquote(token) == from && strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ".") {
			token, named = "`"+strings.ReplaceAll(to, "`", "``")+"`", true
		}
		if strings.TrimSpace(token) != "" {
			before = token
		}
		out.WriteString(token)
	}
	return out.String(), named
}

var nameToken = regexp.MustCompile(`^[\w$\x{80}-\x{10ffff}]+$`)
