package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// deployed is a way in which files in .deploy start MEMS.
type deployed struct {
	args    []string
	environ map[string]string
	grace   time.Duration // from SIGTERM to SIGKILL; 0 if it ends by itself
	script  string        // of a shell, containing args; empty: args are the command
}

// Every way of installation starts MEMS with settings that are valid, with authentication,
// and with enough time to stop. Wrong member names are found by make lint-deploy.
func TestDeployment(t *testing.T) {
	t.Parallel()
	all := composeServices(t)
	maps.Copy(all, pods(t))
	maps.Copy(all, units(t))
	want := []string{
		"audit", "backup", "cronjobs.yaml audit", "cronjobs.yaml backup", "cronjobs.yaml retain", "cronjobs.yaml revocations",
		"deployment.yaml", "mems", "mems-audit.service", "mems-backup.service", "mems-migrate.service", "mems-retain.service",
		"mems-revocations.service", "mems.service", "migrate", "migrate/job.yaml", "retain", "revocations",
	}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Fatalf("found %q, want %q", got, want)
	}
	for name, d := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := d.fault(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// The check of the test above finds faults.
func TestDeploymentFindsFaults(t *testing.T) {
	t.Parallel()
	good := composeServices(t)["mems"]
	for name, change := range map[string]func(d *deployed){
		"unknown variable": func(d *deployed) { d.environ["MEMS_PORT"] = "tcp://10.0.0.1:80" },
		"bad value":        func(d *deployed) { d.environ["MEMS_LOG_FORMAT"] = "xml" },
		"open":             func(d *deployed) { delete(d.environ, "MEMS_AUTH") },
		"no database":      func(d *deployed) { delete(d.environ, "MEMS_DATABASE_URL_FILE") },
		"killed too soon":  func(d *deployed) { d.grace = 10 * time.Second },
		"no such command":  func(d *deployed) { d.args = []string{"server"} },
	} {
		bad := deployed{args: good.args, environ: maps.Clone(good.environ), grace: good.grace}
		change(&bad)
		if bad.fault(t) == nil {
			t.Errorf("fault of %s = nil, want it found", name)
		}
	}
}

// fault returns what would prevent the program from starting or stopping properly.
func (d deployed) fault(t *testing.T) error {
	t.Helper()
	if c, known := commandNamed(d.args[0]); !known {
		return fmt.Errorf("there is no command %q", c.name)
	}
	var environ []string
	for name, value := range d.environ {
		switch name {
		case "MEMS_DATABASE_URL_FILE":
			value = writeSecret(t, someURL)
		case "MEMS_AUDIT_KEYS_FILE":
			value = writeSecret(t, someKeys)
		case "MEMS_STATUS_DIR":
			value = t.TempDir()
		}
		environ = append(environ, name+"="+value)
	}
	c, err := readConfig(environ)
	if err != nil {
		return err
	}
	if c.DatabaseURL == "" {
		return fmt.Errorf("it would start a private database")
	}
	if d.args[0] != "serve" {
		return nil
	}
	if c.AuditKeys == "" || c.open() {
		return fmt.Errorf("the audit trail is not bound, or anybody may do anything")
	}
	if d.grace <= c.ShutdownDelay+c.ShutdownTimeout {
		return fmt.Errorf("it is killed after %s, and may need %s to stop", d.grace, c.ShutdownDelay+c.ShutdownTimeout)
	}
	return (&program{config: c}).checkOpen()
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../.deploy", file))
	if err == nil {
		err = yaml.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// composeServices returns the services that run MEMS.
func composeServices(t *testing.T) map[string]deployed {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
			StopGrace   time.Duration `yaml:"stop_grace_period"`
		}
	}
	readYAML(t, "compose.yaml", &file)
	all := map[string]deployed{}
	for name, s := range file.Services {
		if strings.HasPrefix(s.Image, "mysql:") || strings.HasPrefix(s.Image, "prom/") || strings.HasPrefix(s.Image, "grafana/") {
			continue
		}
		if name == "backup" { // its arguments come from the command line
			s.Command = []string{"backup"}
		}
		for variable, value := range s.Environment {
			if strings.HasPrefix(value, "${MEMS_CLINIC_TIME_ZONE:?") {
				s.Environment[variable] = "Europe/Zurich"
			}
			if optional, found := strings.CutPrefix(value, "${"+variable+":-"); found {
				s.Environment[variable] = strings.TrimSuffix(optional, "}")
			}
		}
		all[name] = deployed{args: s.Command, environ: s.Environment, grace: s.StopGrace}
	}
	return all
}

// pod is the part of a Kubernetes pod that is checked.
type pod struct {
	EnableServiceLinks *bool `yaml:"enableServiceLinks"`
	Grace              int   `yaml:"terminationGracePeriodSeconds"`
	Containers         []struct {
		Args      []string
		Command   []string
		EnvFrom   []any                          `yaml:"envFrom"`
		Env       []struct{ Name, Value string } `yaml:"env"`
		Lifecycle struct {
			PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
		}
	}
}

// deployed returns what the pod starts.
func (p pod) deployed(t *testing.T) deployed {
	t.Helper()
	c := p.Containers[0]
	environ := map[string]string{}
	if len(c.EnvFrom) > 0 {
		environ = envFile(t, "kubernetes/mems.env")
	}
	for _, e := range c.Env {
		environ[e.Name] = e.Value
	}
	if p.EnableServiceLinks == nil || *p.EnableServiceLinks {
		environ["MEMS_PORT"] = "tcp://10.0.0.1:80" // as a service named mems would
	}
	script := ""
	if len(c.Args) == 0 && len(c.Command) > 0 { // of a shell
		script = c.Command[len(c.Command)-1]
		c.Args = strings.Fields(strings.TrimPrefix(script, "mems "))
	}
	return deployed{c.Args, environ, time.Duration(p.Grace-c.Lifecycle.PreStop.Sleep.Seconds) * time.Second, script}
}

// pods returns the pods of Kubernetes.
func pods(t *testing.T) map[string]deployed {
	t.Helper()
	all := map[string]deployed{}
	for _, file := range []string{"deployment.yaml", "migrate/job.yaml"} {
		var object struct {
			Spec struct{ Template struct{ Spec pod } }
		}
		readYAML(t, filepath.Join("kubernetes", file), &object)
		all[file] = object.Spec.Template.Spec.deployed(t)
	}
	content, err := os.ReadFile("../../.deploy/kubernetes/cronjobs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		var object struct {
			Metadata struct{ Name string }
			Spec     struct {
				JobTemplate struct {
					Spec struct{ Template struct{ Spec pod } }
				} `yaml:"jobTemplate"`
			}
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		all["cronjobs.yaml "+strings.TrimPrefix(object.Metadata.Name, "mems-")] = object.Spec.JobTemplate.Spec.Template.Spec.deployed(t)
	}
	return all
}

// units returns the units of systemd.
func units(t *testing.T) map[string]deployed {
	t.Helper()
	all := map[string]deployed{}
	for _, name := range []string{"mems.service", "mems-migrate.service", "mems-backup.service", "mems-retain.service", "mems-audit.service", "mems-revocations.service"} {
		content, err := os.ReadFile(filepath.Join("../../.deploy/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		environ := envFile(t, "systemd/mems.env")
		for _, e := range regexp.MustCompile(`(MEMS_\w+)=(\S+)`).FindAllStringSubmatch(string(content), -1) {
			environ[e[1]] = e[2]
		}
		args := regexp.MustCompile(`ExecStart=.*/usr/bin/mems (.*)`).FindStringSubmatch(string(content))
		stop := regexp.MustCompile(`TimeoutStopSec=(\d+)`).FindStringSubmatch(string(content))
		d := deployed{args: strings.Fields(args[1]), environ: environ}
		for _, line := range regexp.MustCompile(`(?m)^ExecStart(?:Post)?=(.*)`).FindAllStringSubmatch(string(content), -1) {
			// systemd's escapes: $$ and %% are one character.
			d.script += strings.NewReplacer("$$", "$", "%%", "%").Replace(line[1]) + "\n"
		}
		if stop != nil {
			d.grace, err = time.ParseDuration(stop[1] + "s")
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = d
	}
	return all
}

// The service restarts after a crash but not endlessly after a wrong setting, reports
// readiness, and has resource limits.
func TestServiceIsBoundedAndRestarted(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		content, err := os.ReadFile(filepath.Join("../../.deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	unit := read("systemd/mems.service")
	for _, line := range []string{
		"Type=notify", "Restart=always", fmt.Sprintf("RestartPreventExitStatus=%d", exitConfig), "OnFailure=mems-failed@%N.service",
		"MemoryMax=", "Environment=GOMEMLIMIT=", "TasksMax=", "LimitNOFILE=",
	} {
		if !strings.Contains(unit, "\n"+line) {
			t.Errorf("mems.service lacks %s, want it", line)
		}
	}
	for _, name := range []string{"backup", "revocations", "retain", "audit"} {
		if !strings.Contains(read("systemd/mems-"+name+".service"), "OnFailure=") || !strings.Contains(read("systemd/mems-"+name+".timer"), "OnCalendar=") {
			t.Errorf("mems-%s lacks OnFailure= in its service or OnCalendar= in its timer, want both", name)
		}
	}
	if backup := read("systemd/mems-backup.service"); !contains(backup, "-delete", "MEMS_AUDIT_KEYS_FILE=") {
		t.Errorf("mems-backup.service deletes no old backups or has no keys to sign with, want both:\n%s", backup)
	}
	var file struct {
		Services map[string]struct {
			Memory string `yaml:"mem_limit"`
			PIDs   int    `yaml:"pids_limit"`
		}
	}
	readYAML(t, "compose.yaml", &file)
	for name, s := range file.Services {
		if s.Memory == "" || s.PIDs == 0 {
			t.Errorf("service %s of Compose has no limit of memory or processes, want both", name)
		}
	}
}

func envFile(t *testing.T, file string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../.deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
			environ[name] = value
		}
	}
	return environ
}
