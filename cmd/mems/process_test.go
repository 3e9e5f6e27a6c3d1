package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary act as "mems" when started with MEMS_TEST_MAIN, race
// detector included; MEMS_TEST_FILES limits its file descriptors.
func TestMain(m *testing.M) {
	if os.Getenv("MEMS_TEST_MAIN") != "" {
		if most, err := strconv.ParseUint(os.Getenv("MEMS_TEST_FILES"), 10, 32); err == nil {
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
				panic(err)
			}
		}
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a separate "mems" process.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	URL    string // of "mems serve"
	mu     sync.Mutex
	output strings.Builder // stdout and stderr
	done   chan struct{}
}

// startProcess starts "mems ARGS" with only the given environment and what every program
// needs. It is stopped when the test ends.
func startProcess(t testing.TB, args []string, env ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), os.Args[0], args...)
	p.cmd.Env = append([]string{
		"MEMS_TEST_MAIN=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
		"GOCOVERDIR=" + t.TempDir(), // or a program built for coverage prints a warning at exit
	}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			p.mu.Lock()
			p.output.WriteString(line)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	go func() {
		_ = p.cmd.Wait() // the state is read later
		// The private database is a child and may keep the pipe open a little longer.
		_ = out.SetReadDeadline(time.Now().Add(time.Second))
		reading.Wait()
		_ = out.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		// Terminate first: a killed process leaves its private database running, which then
		// fills the disk with errors about missing files.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		if t.Failed() {
			t.Logf("%v said:\n%s\n...\n%s", args, faults(p.Output()), last(p.Output(), 4000))
		}
	})
	return p
}

// faults returns a log's first lines about 500 responses, which may be far from its end.
func faults(log string) string {
	var found []string
	for line := range strings.Lines(log) {
		if len(found) < 5 && strings.Contains(line, "internal-error") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// startMEMS starts "mems serve" on a free port and waits until it is serving.
func startMEMS(t testing.TB, env ...string) *process {
	t.Helper()
	p := startProcess(t, []string{"serve"}, append([]string{"MEMS_HTTP_ADDR=127.0.0.1:0", "MEMS_LOG_LEVEL=error"}, env...)...)
	p.waitFor("MEMS is serving ")
	_, rest, _ := strings.Cut(p.Output(), "MEMS is serving ")
	p.URL, _, _ = strings.Cut(rest, "\n")
	return p
}

// waitFor waits until the process has printed text.
func (p *process) waitFor(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(p.Output(), text) {
			return
		}
		select {
		case <-p.done:
			if !strings.Contains(p.Output(), text) {
				p.t.Fatalf("ended without saying %q:\n%s", text, p.Output())
			}
		default:
		}
	}
	p.t.Fatalf("does not say %q:\n%s", text, p.Output())
}

// Output returns the output of the process so far.
func (p *process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Signal sends a signal.
func (p *process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Wait waits for the process and returns its exit code; -1 for a signal.
func (p *process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatal("does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// runMEMS runs "mems ARGS" in this process, for coverage.
func runMEMS(t testing.TB, args []string, env ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = run(t.Context(), args, env, &out, &out)
	return code, out.String()
}

func contains(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
