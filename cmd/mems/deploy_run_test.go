package main

import (
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mems/internal/storetest"
)

// The commands of Compose, Kubernetes and systemd run with their arguments, scripts and
// settings: jobs succeed and write their files, servers answer their probes. Directories
// and secrets of containers are replaced by the test's.
func TestDeployedCommandsRun(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	all := composeServices(t)
	maps.Copy(all, pods(t))
	maps.Copy(all, units(t))
	for name, way := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "backup" { // like nightly.sh
				way.args = append(way.args, "/backups/mems-2027-03-01-020000.gz")
			}
			way.start(t, d)
		})
	}
}

// start starts MEMS in the given way on a database.
func (way deployed) start(t *testing.T, d *storetest.Database) {
	t.Helper()
	dir, self := t.TempDir(), selfAsMEMS(t)
	// Maps paths inside containers and packages to this machine.
	here := strings.NewReplacer("/backups", dir, "/usr/bin/mems", self, "/status", dir)
	environ := []string{"MEMS_TEST_MAIN=1", "STATE_DIRECTORY=" + dir, "KEEP_DAYS=30", "PATH=" + filepath.Dir(self) + ":/usr/bin:/bin"}
	for name, value := range way.environ {
		switch name {
		case "MEMS_DATABASE_URL_FILE":
			value = writeSecret(t, d.DSN)
		case "MEMS_AUDIT_KEYS_FILE":
			value = writeSecret(t, someKeys)
		case "MEMS_STATUS_DIR":
			value = dir
		case "MEMS_HTTP_ADDR", "MEMS_METRICS_ADDR":
			value = "127.0.0.1:0"
		}
		environ = append(environ, name+"="+value)
	}
	if way.args[0] == "serve" {
		p := startProcess(t, way.args, environ...)
		p.waitFor("MEMS is serving")
		_, said, _ := strings.Cut(p.Output(), "MEMS is serving")
		probe(t, regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(said))
		return
	}
	args := slices.Clone(way.args)
	for i := range args {
		args[i] = here.Replace(args[i])
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	if way.script != "" {
		cmd = exec.CommandContext(t.Context(), "bash", "-euc", here.Replace(way.script))
	}
	cmd.Env = environ
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("run %v: %v, want no error:\n%s", cmd.Args, err, output)
	}
	files, err := filepath.Glob(filepath.Join(dir, map[string]string{"backup": "mems-2*.gz", "revocations": "mems-revocations.gz", "audit": "anchor.json"}[way.args[0]]))
	if err != nil || len(files) != 1 {
		t.Errorf("run wrote %q (%v), want one file", files, err)
	}
}

// selfAsMEMS returns the path of this program under the name mems.
func selfAsMEMS(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "mems")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// probe sends the probes of Kubernetes, and runs the health check of the image and of
// Compose.
func probe(t *testing.T, url string) {
	t.Helper()
	pods, err := os.ReadFile("../../.deploy/kubernetes/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile(`httpGet: \{path: (\S+), port: http\}`).FindAllStringSubmatch(string(pods), -1)
	if len(paths) != 3 {
		t.Fatalf("%d probes, want 3", len(paths))
	}
	for _, path := range paths {
		answered := 0
		// A probe is retried: a concurrent backup briefly blocks every write.
		for end := time.Now().Add(15 * time.Second); answered != http.StatusOK && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			response, err := http.Get(url + path[1])
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			answered = response.StatusCode
		}
		if answered != http.StatusOK {
			t.Errorf("probe of %s = %d, want 200", path[1], answered)
		}
	}
	for file, check := range map[string]string{"compose.yaml": "[CMD, /usr/local/bin/mems, health]", "Dockerfile": `CMD ["/usr/local/bin/mems", "health"]`} {
		content, err := os.ReadFile("../../.deploy/" + file)
		if err != nil || !strings.Contains(string(content), check) {
			t.Errorf("%s lacks %s (%v), want it", file, check, err)
		}
	}
	if code, output := runMEMS(t, []string{"health"}, "MEMS_HTTP_ADDR="+strings.TrimPrefix(url, "http://")); code != exitOK {
		t.Errorf("mems health: exit %d, want %d:\n%s", code, exitOK, output)
	}
}
