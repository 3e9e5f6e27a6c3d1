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

// The engine's tool chooses what belongs to one database by the default database of the
// session for statements, and by the table's own for rows. Of statements, which with
// rows in the log are those that change the schema, that leaves out
// "ALTER TABLE mems.doctors" by a session elsewhere, and repeats "CREATE TABLE other.t"
// and "ALTER TABLE mems.doctors" by one that uses mems. LogStatements finds them.

// LogStatement is a statement, not rows, in a binary log.
type LogStatement struct {
	Start, End uint64 // positions in the file, with the transaction's mark before it
	Time       string // as the tool writes it, UTC
	Default    string // the default database last told; it may have been none
	Settings   []string
	Text       string
}

var (
	logAt     = regexp.MustCompile(`^# at (\d+)$`)
	logHeader = regexp.MustCompile(`^#(\d{6} +\d+:\d\d:\d\d) server id \d+ +end_log_pos (\d+) .*?\t(\w+)`)
	logUse    = regexp.MustCompile("^use `((?:[^`]|``)*)`/\\*!\\*/;$")
	logSet    = regexp.MustCompile(`^(?:SET (@@session\.\w+)\s*=.*|/\*!(\\C) .*)/\*!\*/;$`)
)

// logEnds ends a statement in what the tool writes.
const logEnds = "/*!*/;"

// LogStatements reads what the engine's tool writes of one file of a binary log, with rows
// left out (--base64-output=DECODE-ROWS), and yields its statements in their order.
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
	at     uint64 // of the event that begins
	marked uint64 // where the mark of a transaction began that ends at markedTo
	endsAt uint64 // of that mark
	use    string
	set    map[string]string // settings of the session by name
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

// readStatement reads the settings of a statement and its text, which ends where the
// next event begins.
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

// LogUse is what becomes of a statement when the log of one database is applied to
// another one.
type LogUse int

// What becomes of a statement.
const (
	LogPasses   LogUse = iota // the tool does right by it
	LogCut                    // it is about something else, and must not be repeated
	LogRewrite                // it names the database, which is called otherwise now
	LogDrops                  // it drops the database
	LogUnusable               // it changes rows, which the tool would leave out or put elsewhere
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

// Use judges a statement for the log of the database from, which is applied to to. For
// LogRewrite, text is the statement for that one.
func (s *LogStatement) Use(from, to string) (use LogUse, text string) {
	if dropped := databaseDropped.FindStringSubmatch(s.Text); dropped != nil && unquote(dropped[1]) == from {
		return LogDrops, ""
	}
	if made := databaseMade.FindStringSubmatch(s.Text); made != nil && unquote(made[1]) == from {
		return LogCut, ""
	}
	inside := s.Default == from // the tool passes it on
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

// renameDatabase replaces the name of a database where it qualifies another name, and
// reports whether it did. Texts and comments stay.
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
