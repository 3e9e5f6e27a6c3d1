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

// logReplay is a run of "mems replay", which converts one database's part of a binary log
// into SQL for the restored database.
type logReplay struct {
	*program
	reader   []string // the engine's tool
	mysql    bool
	files    []string // of the log, in order
	from, to string   // databases
	start    uint64   // in the first file
	until    time.Time
}

// logPiece is a part of the log for the tool to convert, and a following statement that the
// tool would drop or convert wrongly.
type logPiece struct {
	first, last int    // indexes of files
	start, stop uint64 // positions in the first and last one; a stop of 0 is the end
	statement   string // the statement, if any
}

// write writes the SQL. Its first statement fails if the log was applied before, and its
// last one records that it was applied completely.
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

// plan finds the statements that the tool would handle wrongly, and splits the log there.
// Errors: statements that cannot be replayed, before anything is written.
func (l *logReplay) plan(ctx context.Context) ([]logPiece, error) {
	piece := logPiece{start: l.start}
	var pieces []logPiece
	for i, file := range l.files {
		start := uint64(4) // after the file's magic number
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

// statements returns the statements of a file for which Use may return something else than
// LogPasses.
func (l *logReplay) statements(ctx context.Context, file string, start uint64) ([]backup.LogStatement, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the tool if its output cannot be parsed
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
		// A rehearsal by an older version may have left GTIDs out of order in the log.
		// (Tools before 10.8 have neither the option nor the check.)
		options = append(options, "--loose-skip-gtid-strict-mode")
	}
	return options
}

// choice returns the options that select the database's part and rename the database.
func (l *logReplay) choice() []string {
	if l.from == l.to && l.mysql {
		return []string{"--database=" + l.from, "--skip-gtids"} // like newGTIDs
	}
	if l.from == l.to {
		return []string{"--database=" + l.from}
	}
	rewrite := "--rewrite-db=" + l.from + "->" + l.to
	if !l.mysql {
		return []string{"--database=" + l.from, rewrite} // filters by the name in the log
	}
	// MySQL's tool filters by the new name, so changes of an older database with that name,
	// such as a rehearsal's, must be renamed.
	return []string{"--database=" + l.to, rewrite, "--rewrite-db=" + l.to + "->" + l.to + "_before", "--skip-gtids"}
}

// readLog runs the tool, with times in UTC.
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

// newGTIDs removes the statements that keep transactions' original GTIDs on MariaDB, whose
// tool has no option for it: the server has seen those GTIDs, and its log would get out of
// order.
type newGTIDs struct {
	out  io.Writer
	line []byte // incomplete
}

var oldGTID = regexp.MustCompile(`^/\*M?!100001 SET @@session\.gtid_seq_no=\d+\*//\*!\*/;\n$`)

// Write forwards complete lines.
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

// statementKind returns the beginning of a statement, such as CREATE USER: the rest may
// contain a password or a patient's data, which must not reach a terminal or log.
func statementKind(text string) string {
	words := strings.Fields(text)
	return strings.ToUpper(strings.Join(words[:min(len(words), 2)], " "))
}
