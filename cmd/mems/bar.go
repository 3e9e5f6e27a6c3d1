package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// bar shows progress: a bar on a terminal, a few lines elsewhere.
type bar struct {
	w        io.Writer
	terminal bool
	what     string // name of the items
	started  time.Time
	shown    int  // not a terminal: quarters reported
	open     bool // terminal: the bar's line is unfinished
}

func newBar(w io.Writer) *bar {
	f, isFile := w.(*os.File)
	if !isFile {
		return &bar{w: w}
	}
	info, err := f.Stat()
	return &bar{w: w, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// show updates the number of completed items.
func (b *bar) show(what string, done, total int) {
	if what != b.what {
		b.end()
		b.what, b.started, b.shown = what, time.Now(), 0
	}
	counts := fmt.Sprintf("%6d of %d", done, total)
	if s := time.Since(b.started).Seconds(); s > 0.1 {
		counts += fmt.Sprintf(", %.0f/s", float64(done)/s)
	}
	if b.terminal {
		const width = 30
		full := width * done / max(1, total)
		// Clear the rest of a longer previous line.
		_, _ = fmt.Fprintf(b.w, "\r%-13s [%s%s] %s\x1b[K", what, strings.Repeat("#", full), strings.Repeat(".", width-full), counts)
		b.open = true
		return
	}
	if quarter := 4 * done / max(1, total); quarter > b.shown {
		b.shown = quarter
		_, _ = fmt.Fprintf(b.w, "%-13s %s\n", what, counts)
	}
}

// end finishes the bar's line.
func (b *bar) end() {
	if b.open {
		_, _ = fmt.Fprintln(b.w)
		b.open = false
	}
}
