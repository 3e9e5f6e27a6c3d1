package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// recovery is how long after a fault was healed effects are attributed to it.
const recovery = 2 * time.Second

// effect is the effect of one kind of fault on clients.
type effect struct {
	name             string
	times            int
	silence          time.Duration // the longest time in which no booking was answered
	slowest          time.Duration // of a request that was answered
	unavailable      int
	uncertain        int
	unanswered       int
	broken, requests int
}

// aims has the targets: how long bookings may pause, and whether a request may fail.
var aims = map[string]struct {
	silence time.Duration
	failed  bool
}{
	"server killed":   {500 * time.Millisecond, true},
	"server hung":     {20 * time.Second, true},
	"rolling restart": {500 * time.Millisecond, false},
	"primary killed":  {8 * time.Second, true},
	"planned switch":  {4 * time.Second, true},
}

// effects returns the effects of the faults by name, in the order of their first injection.
func (r *result) effects() []*effect {
	var all []*effect
	answeredAt := bookings(r.tries)
	for _, b := range r.bands {
		i := slices.IndexFunc(all, func(e *effect) bool { return e.name == b.name })
		if i < 0 {
			i = len(all)
			all = append(all, &effect{name: b.name})
		}
		e := all[i]
		e.times++
		e.silence = max(e.silence, longestSilence(answeredAt, b.from, min(b.to+recovery, r.duration)))
		for _, t := range r.tries {
			if ended := t.at + t.took; ended < b.from || t.at > b.to {
				continue
			}
			e.requests++
			switch t.class {
			case unavailable:
				e.unavailable++
			case uncertain:
				e.uncertain++
			case unanswered:
				e.unanswered++
			case broken:
				e.broken++
			default:
				e.slowest = max(e.slowest, t.took)
			}
		}
	}
	return all
}

// bookings returns the times of responses to bookings, in order.
func bookings(tries []try) []time.Duration {
	var at []time.Duration
	for _, t := range tries {
		if t.booking && t.class == answered {
			at = append(at, t.at+t.took)
		}
	}
	slices.Sort(at)
	return at
}

// longestSilence returns the longest gap between two of the sorted moments that overlaps
// the span.
func longestSilence(moments []time.Duration, from, to time.Duration) time.Duration {
	before, longest := time.Duration(0), time.Duration(0)
	for _, m := range append(slices.Clone(moments), to) {
		if m > from && before < to {
			longest = max(longest, min(m, to)-before)
		}
		before = m
	}
	return longest
}

// verdict compares an effect with its target.
func (e *effect) verdict() string {
	aim, found := aims[e.name]
	switch {
	case !found:
		return ""
	case e.silence > aim.silence, !aim.failed && e.failed() > 0:
		return "missed"
	}
	return "met"
}

func (e *effect) failed() int { return e.unavailable + e.uncertain + e.unanswered + e.broken }

// report writes report.md and timeline.svg into the folder of the run.
func (r *result) report() error {
	var b strings.Builder
	found := r.faultsFound()
	verdict := "No fault was found."
	if found > 0 {
		verdict = fmt.Sprintf("**%d faults were found.**", found)
	}
	counts := r.counts()
	_, _ = fmt.Fprintf(&b, "# Proof on %s\n\n%s\n\n", r.engine, verdict)
	only := ""
	if r.operations != "" {
		only = " Only these operations: " + r.operations + "."
	}
	_, _ = fmt.Fprintf(&b, "%s on %s, %d cores shared by all of it: %s of load from %d clients on %d servers, %d doctors, %d faults injected, seed %d. %d%% of the steps were in a rush for one time.%s\n",
		r.started.UTC().Format("2006-01-02 15:04 UTC"), r.version, runtime.NumCPU(), r.duration, r.clients, r.servers, r.doctors, len(r.bands), r.seed, r.rush, only)
	_, _ = fmt.Fprintf(&b, "%s. On the wire: %d requests, of which %s.\n\n", r.history.summary(), len(r.tries), counts)
	_, _ = fmt.Fprintf(&b, "![requests and latency by second, faults as bands](timeline.svg)\n\n## Checks\n\n| check | | examined |\n|---|---|---|\n")
	for _, c := range r.checks {
		word := "holds"
		if len(c.faults) > 0 {
			word = "**BROKEN**"
		}
		_, _ = fmt.Fprintf(&b, "| %s | %s | %d |\n", c.name, word, c.examined)
	}
	for _, c := range r.checks {
		for _, text := range c.faults {
			_, _ = fmt.Fprintf(&b, "\n* %s: %s", c.name, text)
		}
	}
	_, _ = fmt.Fprintf(&b, "\n## Faults and what clients saw\n\nThe longest time without an answered booking reaches %s past the moment when everything was whole again; "+
		"requests are those under way during the fault. Every request that was not answered was sent again.\n\n", recovery)
	b.WriteString("| fault | times | no booking answered for at most | aim | slowest answer | 503 | outcome-unknown | no answer | 500 | requests |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, e := range r.effects() {
		aim := "-"
		if word := e.verdict(); word != "" {
			aim = fmt.Sprintf("%s, %s", seconds(aims[e.name].silence), word)
			if !aims[e.name].failed {
				aim = fmt.Sprintf("%s and 0 failed, %s", seconds(aims[e.name].silence), word)
			}
		}
		_, _ = fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %d | %d | %d | %d | %d |\n", e.name, e.times, seconds(e.silence), aim,
			seconds(e.slowest), e.unavailable, e.uncertain, e.unanswered, e.broken, e.requests)
	}
	b.WriteString("\n## Each fault\n\n| from | to | fault | |\n|---|---|---|---|\n")
	for _, one := range r.bands {
		_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", seconds(one.from), seconds(one.to), one.name, one.detail)
	}
	if err := os.WriteFile(filepath.Join(r.out, "report.md"), []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "timeline.svg"), []byte(r.timeline()), 0o600)
}

func (r *result) faultsFound() int {
	n := 0
	for _, c := range r.checks {
		n += len(c.faults)
	}
	return n
}

// counts returns the number of attempts by class.
func (r *result) counts() string {
	var n [classes]int
	for _, t := range r.tries {
		n[t.class]++
	}
	words := make([]string, 0, classes)
	for c := range classes {
		words = append(words, fmt.Sprintf("%d %s", n[c], c))
	}
	return strings.Join(words, ", ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
