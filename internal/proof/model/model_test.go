//go:build spin

package model

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What SPIN says of a search. Anything else than a complete one is no proof.
var (
	errorsFound = regexp.MustCompile(`errors: (\d+)`)
	statesFound = regexp.MustCompile(`(\d+) states, stored`)
	depthFound  = regexp.MustCompile(`depth reached (\d+)`)
	unreached   = regexp.MustCompile(`\.pml:\d+, state \d+, "(.*)"`)
	incomplete  = []string{"Search not completed", "max search depth too small", "Bit statespace", "Hash-Compact", "out of memory", "reached -DMEMLIM"}
)

// A model is searched twice over: for assertions and deadlocks, and for each of its
// LTL formulas, under weak fairness. With "go test -short" what takes long is searched
// on a smaller configuration (-DSMALL).
type model struct {
	name     string
	formulas []string
	small    bool // formulas are checked on the smaller configuration always
	// inShort: with -short, assertions and deadlocks, too. Otherwise they take seconds.
	inShort bool
	spoilt  []spoilt
	// unreached statements, reviewed: each with the reason.
	unreached map[string]string
}

// A spoilt variant lacks one thing, and SPIN must say what goes wrong.
type spoilt struct {
	name    string
	formula string // whose violation is looked for; "" for assertions and deadlocks
	fault   string // in SPIN's words
}

const (
	assertion = "assertion violated"
	deadlock  = "invalid end state"
	cycle     = "acceptance cycle"
)

var models = []model{
	{
		name: "booking", formulas: []string{"every_call_ends"}, small: true, inShort: true,
		spoilt: []spoilt{
			{"NO_GUARD", "", assertion},
			{"NO_PATIENT_GUARD", "", assertion},
			{"LOCK_ORDER", "", deadlock},
			{"NOT_READ_AGAIN", "", assertion},
			{"ROOM_NOT_LOOKED_AT_AGAIN", "", assertion},
		},
	},
	{
		name: "hold", formulas: []string{"every_call_ends", "holds_end"}, small: true, inShort: true,
		spoilt: []spoilt{
			{"HOLD_IS_TRUSTED", "", assertion},
			{"HOLD_STAYS", "", assertion},
			{"HOLD_WITHOUT_GUARD", "", assertion},
			{"HOLD_WITHOUT_END", "", assertion},
		},
	},
	{
		name: "waitlist", formulas: []string{"offers_end", "freed_is_offered"}, inShort: true,
		spoilt: []spoilt{
			{"UNDO_NOT_DECIDED", "", assertion},
			{"ACCEPT_NOT_READ_AGAIN", "", assertion},
			{"ENTRY_BEFORE_GUARD", "", deadlock},
			{"OFFER_WITHOUT_END", "offers_end", cycle},
			{"FREED_IN_MEMORY", "freed_is_offered", cycle},
		},
		unreached: map[string]string{"assert(0)": "an assertion that this is so"},
	},
	{
		name: "feed", formulas: []string{"never_passed_over", "all_are_read"},
		spoilt: []spoilt{
			{"NO_SNAPSHOT", "never_passed_over", assertion},
			{"POSITION_BY_ID", "never_passed_over", assertion},
			{"HEAD_NOT_LOCKED", "", assertion},
		},
	},
	{
		name: "idempotency", formulas: []string{"every_call_ends"}, small: true,
		spoilt: []spoilt{
			{"KEY_AFTERWARDS", "", assertion},
			{"KEY_BEFOREHAND", "every_call_ends", cycle},
			{"REFUSAL_WITHOUT_CLAIM", "", assertion},
		},
	},
	{
		name: "failover", formulas: []string{"every_call_ends", "never_lost"},
		spoilt: []spoilt{
			{"COMMIT_ERROR_MEANS_NO", "", assertion},
			{"RETRY_WITHOUT_KEY", "", assertion},
			{"NO_CERTIFICATION", "", assertion},
			{"FORMER_PRIMARY_KEPT", "every_call_ends", cycle},
		},
		unreached: map[string]string{
			"verdict = 1": "the rival has no key that could be found",
			"log_key = 1": "the rival has no key to write",
		},
	},
}

func TestModels(t *testing.T) {
	t.Parallel()
	for _, m := range models {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.check(t)
		})
		for _, s := range m.spoilt {
			t.Run(m.name+"/SPOILT_"+s.name, func(t *testing.T) {
				t.Parallel()
				m.find(t, s)
			})
		}
	}
}

// check searches everything and finds no fault.
func (m model) check(t *testing.T) {
	smaller := testing.Short() && m.inShort
	safe := built(t, m.name, configuration(smaller), "-DSAFETY", "-DNOCLAIM")
	output := safe.search(t)
	report(t, m.name+": assertions, deadlocks", output)
	var left []string
	for _, found := range unreached.FindAllStringSubmatch(output, -1) {
		if smaller {
			break // it has fewer processes
		}
		statement := found[1]
		// Of an unless, SPIN lists the escape at each statement that is one step with the one before.
		if !strings.Contains(statement, "dying==_pid") && m.unreached[statement] == "" && statement != "-end-" && !slices.Contains(left, statement) {
			left = append(left, statement)
		}
	}
	if len(left) > 0 {
		t.Errorf("statements that no run reaches and no list names, want none:\n  %s", strings.Join(left, "\n  "))
	}
	claims := built(t, m.name, append(configuration(m.small || testing.Short()), "-DFORMULAS"), "-DNFAIR=4")
	for _, formula := range m.formulas {
		report(t, m.name+": "+formula, claims.search(t, "-a", "-f", "-N", formula))
	}
}

// find searches until the fault is found, and prints how it comes about.
func (m model) find(t *testing.T, s spoilt) {
	options := []string{"-DSPOILT_" + s.name}
	flags, arguments := []string{"-DSAFETY", "-DNOCLAIM"}, []string{}
	if s.formula != "" {
		options = append(options, append(configuration(true), "-DFORMULAS")...)
		flags, arguments = []string{"-DNFAIR=4"}, []string{"-a", "-f", "-N", s.formula}
	}
	p := built(t, m.name, options, append(flags, "-O0")...) // the fault is found before -O1 would pay
	output := p.search(t, arguments...)
	if found := errorsFound.FindStringSubmatch(output); found == nil || found[1] == "0" {
		t.Fatalf("SPIN finds no fault in a model that has one, want it found:\n%s", output)
	}
	if !strings.Contains(output, s.fault) {
		t.Fatalf("SPIN finds another fault, want %q:\n%s", s.fault, output)
	}
	trail := p.run(t, "spin", append(options, "-t", "-p", "-g", m.name+".pml")...)
	t.Logf("%s, SPOILT_%s: %s, by these steps:\n%s", m.name, s.name, s.fault, readable(trail))
}

func configuration(small bool) []string {
	if small {
		return []string{"-DSMALL"}
	}
	return nil
}

func report(t *testing.T, what, output string) {
	t.Helper()
	if found := errorsFound.FindStringSubmatch(output); found == nil || found[1] != "0" {
		t.Fatalf("%s: SPIN finds a fault, want none:\n%s", what, output)
	}
	for _, sign := range incomplete {
		if strings.Contains(output, sign) {
			t.Fatalf("%s: the search is not complete (%s), want it complete", what, sign)
		}
	}
	if !strings.Contains(output, "Full statespace search") {
		t.Fatalf("%s: not a full search, want one:\n%s", what, output)
	}
	t.Logf("%-40s %10s states, depth %s, errors: 0", what, statesFound.FindStringSubmatch(output)[1], depthFound.FindStringSubmatch(output)[1])
}

// readable keeps, of a trail, what the processes did and what changed.
func readable(trail string) string {
	var lines []string
	for line := range strings.Lines(trail) {
		line = strings.TrimRight(line, "\n")
		if strings.Contains(line, "proc") || strings.Contains(line, "= ") || strings.Contains(line, "assert") {
			lines = append(lines, line)
		}
	}
	if over := len(lines) - 60; over > 0 {
		lines = append([]string{fmt.Sprintf("  ... %d steps before", over)}, lines[over:]...)
	}
	return strings.Join(lines, "\n")
}

// pan is the program that SPIN makes of a model, in a directory of its own.
type pan struct{ dir string }

// built makes it.
func built(t *testing.T, name string, options []string, flags ...string) pan {
	t.Helper()
	p := pan{t.TempDir()}
	if err := build(t.Context(), p.dir, name, options, flags...); err != nil {
		t.Fatal(err)
	}
	return p
}

// search runs it: no state is left out, however deep.
func (p pan) search(t *testing.T, arguments ...string) string {
	t.Helper()
	return p.run(t, filepath.Join(p.dir, "pan"), append([]string{"-m2000000"}, arguments...)...)
}

// run runs a command in the directory and returns what it prints.
func (p pan) run(t *testing.T, command string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command, arguments...)
	c.Dir = p.dir
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	err := c.Run()
	// A trail that ends in a violated assertion is a failure to spin, and is what was asked for.
	if err != nil && (output.Len() == 0 || ctx.Err() != nil) {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(arguments, " "), err, output.String())
	}
	return output.String()
}
