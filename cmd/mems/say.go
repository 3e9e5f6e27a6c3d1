package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// say reports progress to people, or as a log line if programs read the output.
func (p *program) say(format string, args ...any) {
	if p.logsJSON() {
		p.logger().Info(strings.TrimSpace(fmt.Sprintf(format, args...)))
		return
	}
	_, _ = fmt.Fprintf(p.err, format+"\n", args...)
}

// logsJSON reports whether a command's messages are for programs. The installed service's
// format does not apply to a person running a command beside it.
func (p *program) logsJSON() bool { return p.LogFormat == "json" && p.service == "" }

// complain prints the error that ends a command, with the prefix only for people.
func (p *program) complain(prefix string, err error) {
	if p.logsJSON() {
		logsTo(p.err, p.LogFormat, slog.LevelInfo).Error(err.Error(), "command", p.command)
		return
	}
	_, _ = fmt.Fprintf(p.err, "%s: %v\n", prefix, err)
}

// logsTo returns a logger in the format "text" or "json".
func logsTo(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: inSeconds}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// inSeconds writes every logged duration in seconds, with the unit in its name.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(strings.TrimSuffix(a.Key, "_seconds")+"_seconds", a.Value.Duration().Seconds())
}
