package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mems/internal/backup"
	"mems/internal/database"
)

// logReplay is one run of "mems replay", which writes one database's part of a binary
// log as SQL for the database that was restored.
type logReplay struct {
	*program
	reader   []string // the engine's tool
	mysql    bool
	files    []string // of the log, in their order
	from, to string   // databases
	start    uint64   // in the first file
	until    time.Time
}

// logPiece is a part of the log that the tool writes, and a statement that the tool would
// have left out or written wrongly.
type logPiece struct {
	first, last int    // files
	start, stop uint64 // in the first and in the last one; a stop of 0 is the end
	statement   string // what follows, if anything does
}

// write writes the SQL. Its first statement fails where the log was applied before, and
// its last one says that it was applied to its end.
func (l *logReplay) write(ctx context.Context, schema *database.Schema) error {
	pieces, err := l.plan(ctx)
	if err != nil {
		return err
	}
	before, after := schema.LogSteps()
	if _, err := io.WriteString(l.out, before); err != nil {
		return err
	}
	for _, piece := range pieces {
		if piece.first < piece.last || piece.stop == 0 || piece.start < piece.stop {
			options := append(l.options(piece.start), l.choice()...)
			if piece.stop > 0 {
				options = append(options, "--stop-position="+strconv.FormatUint(piece.stop, 10))
			}
			out := &newGTIDs{out: l.out}
			if err := errors.Join(l.readLog(ctx, out, options, l.files[piece.first:piece.last+1]), out.flush()); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(l.out, piece.statement); err != nil {
			return err
		}
	}
	_, err = io.WriteString(l.out, after)
	return err
}

// plan finds the statements that the tool would not do right by, and cuts the log there.
// Errors: what cannot be replayed, before anything is written.
func (l *logReplay) plan(ctx context.Context) ([]logPiece, error) {
	piece := logPiece{start: l.start}
	var pieces []logPiece
	for i, file := range l.files {
		start := uint64(4) // behind the file's first bytes
		if i == 0 {
			start = l.start
		}
		statements, err := l.statements(ctx, file, start)
		if err != nil {
			return nil, err
		}
		for n := range statements {
			st := &statements[n]
			use, text := st.Use(l.from, l.to)
			where := fmt.Sprintf("%s (UTC, year first), at position %d of %s", st.Time, st.Start, filepath.Base(file))
			switch use {
			case backup.LogPasses:
				continue
			case backup.LogDrops:
				return nil, fmt.Errorf("the database %s was dropped on %s: let --until end before that", l.from, where)
			case backup.LogUnusable:
				return nil, fmt.Errorf("the binary log has a statement (%s) that changes rows of %s, which cannot be applied to a different database, on %s.\n"+
					"It was written without binlog_format = ROW. Let --until end before that, and apply later changes by hand", statementKind(st.Text), l.from, where)
			case backup.LogCut:
				l.say("skipped a statement (%s) that does not concern the tables of %s, on %s", statementKind(st.Text), l.from, where)
			case backup.LogRewrite:
				l.say("rewritten for %s: %s", l.to, firstLine(st.Text))
				piece.statement = "DELIMITER /*!*/;\n" + strings.Join(st.Settings, "\n") + "\nuse `" + strings.ReplaceAll(l.to, "`", "``") + "`/*!*/;\n" + text + "\n/*!*/;\nDELIMITER ;\n"
			}
			piece.last, piece.stop = i, st.Start
			pieces = append(pieces, piece)
			piece = logPiece{first: i, start: st.End}
		}
	}
	piece.last = len(l.files) - 1
	return append(pieces, piece), nil
}

func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " ..."
	}
	return line
}

// statements are those in one file that Use may judge as something else than LogPasses.
func (l *logReplay) statements(ctx context.Context, file string, start uint64) ([]backup.LogStatement, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the tool, if what it writes cannot be read
	r, w := io.Pipe()
	go func() {
		_ = w.CloseWithError(l.readLog(ctx, w, append(l.options(start), "--base64-output=DECODE-ROWS"), []string{file}))
	}()
	var all []backup.LogStatement
	for st, err := range backup.LogStatements(r) {
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		if use, _ := st.Use(l.from, l.to); use != backup.LogPasses {
			all = append(all, st)
		}
	}
	return all, nil
}

func (l *logReplay) options(start uint64) []string {
	options := []string{"--start-position=" + strconv.FormatUint(start, 10), "--stop-datetime=" + l.until.UTC().Format(time.DateTime)}
	if !l.mysql {
		// A rehearsal by an older version has left GTIDs out of order in the log. (Tools before
		// 10.8 do not know the option, nor the check.)
		options = append(options, "--loose-skip-gtid-strict-mode")
	}
	return options
}

// choice has the tool write the one database's part, for the other one.
func (l *logReplay) choice() []string {
	if l.from == l.to && l.mysql {
		return []string{"--database=" + l.from, "--skip-gtids"} // as newGTIDs does
	}
	if l.from == l.to {
		return []string{"--database=" + l.from}
	}
	rewrite := "--rewrite-db=" + l.from + "->" + l.to
	if !l.mysql {
		return []string{"--database=" + l.from, rewrite} // chooses by the name in the log
	}
	// MySQL's tool chooses by the new name, so what was done to an older database of this
	// name, such as by a rehearsal, needs another one.
	return []string{"--database=" + l.to, rewrite, "--rewrite-db=" + l.to + "->" + l.to + "_before", "--skip-gtids"}
}

// readLog runs the tool. Times are UTC to it.
func (l *logReplay) readLog(ctx context.Context, out io.Writer, options, files []string) error {
	command := slices.Concat(l.reader, options, files)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: the engine's tool, on files that the operator names
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MEMS_") || strings.HasPrefix(v, "TZ=")
	})
	cmd.Env = append(cmd.Env, "TZ=UTC")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(command[0]), err, said.String())
	}
	return nil
}

// newGTIDs leaves out what gives transactions their old numbers on MariaDB, whose tool
// has no option for it: the server has seen those, and its log would be out of order.
type newGTIDs struct {
	out  io.Writer
	line []byte // begun
}

var oldGTID = regexp.MustCompile(`^/\*M?!100001 SET @@session\.gtid_seq_no=\d+\*//\*!\*/;\n$`)

// Write writes whole lines on.
func (g *newGTIDs) Write(p []byte) (int, error) {
	for part := range bytes.Lines(p) {
		if g.line = append(g.line, part...); part[len(part)-1] != '\n' {
			break
		}
		if err := g.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (g *newGTIDs) flush() error {
	line := g.line
	g.line = g.line[:0]
	if oldGTID.Match(line) {
		return nil
	}
	_, err := g.out.Write(line)
	return err
}

// statementKind is the beginning of a statement, such as CREATE USER: what follows may
// be a password or a patient's data, which are not for a terminal or a log.
func statementKind(text string) string {
	words := strings.Fields(text)
	return strings.ToUpper(strings.Join(words[:min(len(words), 2)], " "))
}
