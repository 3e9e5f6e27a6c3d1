package lint

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// with plants a mistake, and fails when there is nothing to plant it in.
func with(t *testing.T, content, old, mistake string) string {
	t.Helper()
	if !strings.Contains(content, old) {
		t.Fatalf("the file lacks %q, want it there: this test spoils it", old)
	}
	return strings.Replace(content, old, mistake, 1)
}

func TestCompose(t *testing.T) {
	t.Parallel()
	good, zone := read(t, "compose.yaml"), map[string]string{"MEMS_CLINIC_TIME_ZONE": "Europe/Zurich"}
	check := func(content string, environ map[string]string) error {
		return Compose(t.Context(), "../compose.yaml", []byte(content), environ)
	}
	if err := check(good, zone); err != nil {
		t.Error(err)
	}
	if err := check(good, nil); err == nil || !strings.Contains(err.Error(), "Write it into .env") {
		t.Errorf("check without a time zone = %v, want an error that says where to write it", err)
	}
	for _, mistake := range [][2]string{
		{"read_only: true", "readonly: true"},
		{"secrets: [app-url, audit-keys]", "secrets: [app-uri]"},
		{"rights: {condition: service_completed_successfully}", "right: {condition: service_completed_successfully}"},
		{"condition: service_healthy", "condition: healthy"},
		{"stop_grace_period: 2m", "stop_grace_period: soon"},
		{"networks: [inside, outside]", "networks: [outsight]"},
		{"{max-size: 10m, ", "{"},
		{"  cpus: 2\n", ""},
		{"  pids_limit: 200\n  logging: *logging\n", "  pids_limit: 200\n"},
		{"      - ./status:/status:ro\n", ""},
		{"      - ./status:/status\n", ""},
		{"      MEMS_STATUS_DIR: /status\n", ""},
		{"secrets: [migrate-url, audit-keys]", "secrets: [retain-url]"},
		{"      MEMS_RETAIN_CHANGES_DAYS: ${MEMS_RETAIN_CHANGES_DAYS:-90}\n", ""},
		{"    command: [revocations, /backups/mems-revocations.gz]\n", ""},
	} {
		if err := check(with(t, good, mistake[0], mistake[1]), zone); err == nil {
			t.Errorf("check with %q = nil, want an error", mistake[1])
		}
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	good := read(t, "Dockerfile")
	if warnings, err := Dockerfile(t.Context(), []byte(good)); err != nil || len(warnings) > 0 {
		t.Errorf("Dockerfile = %q, %v, want no warnings", warnings, err)
	}
	for _, mistake := range [][2]string{
		{"COPY --from=build /out/mems /usr/local/bin/mems\nCOPY", "COPY --form=build /out/mems /usr/local/bin/mems\nCOPY"},
		{"--from=build", "--from=Build_stage:"},
		{"ENTRYPOINT [\"/usr/local/bin/mems\"]", "ENTRYPOINTS [\"/usr/local/bin/mems\"]"},
		{"CMD [\"serve\"]", "CMD serve"},
		{"MEMS_LOG_FORMAT=json", "MEMS_API_TOKEN=hush"},
		{" AS build", " as build"},
		{"HEALTHCHECK --interval=10s", "HEALTHCHECK --interval=often"},
	} {
		if warnings, err := Dockerfile(t.Context(), []byte(with(t, good, mistake[0], mistake[1]))); err == nil && len(warnings) == 0 {
			t.Errorf("Dockerfile with %q: no warning or error, want one", mistake[1])
		}
	}
}

// The build gets what it reads, and neither secrets nor history.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	want := []string{"cmd/mems/main.go", "db/migrations/00001_clinic.sql", "gen/api/api.gen.go", "go.mod", "internal/server/server.go"}
	for _, file := range want {
		read(t, filepath.Join("..", file)) // is there
	}
	in, err := InContext(read(t, "../.dockerignore"), append(slices.Clone(want),
		".git/config", ".deploy/secrets/app-url", ".mems/db/data/ibdata1", "bin/mems", "cmd/mems/serve_test.go", "gen/node_modules/x/y.js"))
	if err != nil || !slices.Equal(in, want) {
		t.Errorf("%v: the build gets %q, want %q", err, in, want)
	}
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string][]string{
		"../kubernetes": {
			"ConfigMap", "CronJob", "CronJob", "CronJob", "CronJob", "Deployment", "Ingress", "Namespace", "NetworkPolicy",
			"PersistentVolumeClaim", "PersistentVolumeClaim", "PodDisruptionBudget", "Service",
		},
		"../kubernetes/migrate":    {"Job"},
		"../kubernetes/monitoring": {"PrometheusRule", "ServiceMonitor"},
	} {
		built, err := Kustomize(dir)
		if err != nil {
			t.Fatal(err)
		}
		kinds, err := Manifests(built)
		slices.Sort(kinds)
		if err != nil || !slices.Equal(kinds, want) {
			t.Errorf("%s: %v, %v, want %v", dir, err, kinds, want)
		}
	}
	if _, err := Manifests([]byte(read(t, "kubernetes/secret.example.yaml"))); err != nil {
		t.Error(err)
	}
	for _, mistake := range [][3]string{
		{"deployment.yaml", "maxSurge", "maxSurges"},
		{"deployment.yaml", "sleep: # ", "wait: # "},
		{"deployment.yaml", "replicas: 3", "replicas: three"},
		{"deployment.yaml", "apps/v1", "apps/v1beta1"},
		{"deployment.yaml", "  labels:\n        app.kubernetes.io/name: mems", "  labels:\n        app.kubernetes.io/name: nems"},
		{"deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false"},
		{"deployment.yaml", "drop: [ALL]", "drop: []"},
		{"deployment.yaml", "- name: secrets\n          secret:", "- name: secret\n          secret:"},
		{"ingress.yaml", "ingressClassName", "ingressClass"},
		{"service.yaml", "targetPort", "target"},
		{"networkpolicy.yaml", "podSelector", "selector"},
		{"poddisruptionbudget.yaml", "minAvailable", "minimum"},
		{"migrate/job.yaml", "backoffLimit", "backoff"},
		{"migrate/job.yaml", "            - name: ca\n", "            - name: secrets\n              mountPath: /x\n            - name: nothing\n"},
		{"deployment.yaml", "              ephemeral-storage: 256Mi\n", ""},
		{"deployment.yaml", "mountPath: /status", "mountPath: /state"},
		{"deployment.yaml", "/etc/ssl/certs:/run/ca", "/etc/ssl/certs"},
		{"deployment.yaml", "mountPath: /run/ca", "mountPath: /run/authorities"},
		{"cronjobs.yaml", "mountPath: /status", "mountPath: /state"},
		{"cronjobs.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow"},
		{"cronjobs.yaml", "activeDeadlineSeconds: 7200", "completions: 1"},
		{"cronjobs.yaml", "schedule:", "shedule:"},
		{"storage.yaml", "accessModes", "accessMode"},
		{"monitoring/servicemonitor.yaml", "port: metrics", "ports: metrics"},
		{"monitoring/prometheusrule.yaml", "runbook", "{"},
	} {
		file := filepath.Join("kubernetes", mistake[0])
		if _, err := Manifests([]byte(with(t, read(t, file), mistake[1], mistake[2]))); err == nil {
			t.Errorf("Manifests of %s with %q = nil, want an error", file, mistake[2])
		}
	}
}

// The alerts of the Prometheus operator are those of the product.
func TestPrometheusRule(t *testing.T) {
	t.Parallel()
	var operator struct {
		Spec struct {
			Groups any `json:"groups"`
		} `json:"spec"`
	}
	var product struct {
		Groups any `json:"groups"`
	}
	for file, into := range map[string]any{"kubernetes/monitoring/prometheusrule.yaml": &operator, "../internal/telemetry/alerts.yaml": &product} {
		if err := yaml.Unmarshal([]byte(read(t, file)), into); err != nil {
			t.Fatal(err)
		}
	}
	if product.Groups == nil || !reflect.DeepEqual(operator.Spec.Groups, product.Groups) {
		t.Error("prometheusrule.yaml differs from internal/telemetry/alerts.yaml, want the same: run make deploy-rules and commit it")
	}
}

// All that has to be done regularly is, and the secrets that pods ask for are explained.
func TestKubernetesJobs(t *testing.T) {
	t.Parallel()
	jobs := read(t, "kubernetes/cronjobs.yaml")
	for _, words := range []string{
		"mems backup \"/backups/", "args: [audit, verify, --anchor, /backups/anchor.json]", "args: [revocations, /backups/", "args: [retain]",
	} {
		if !strings.Contains(jobs, words) {
			t.Errorf("the jobs lack %q, want it in one", words)
		}
	}
	readme, example := read(t, "README.md"), read(t, "kubernetes/secret.example.yaml")
	for _, name := range []string{"mems", "mems-migrate", "mems-backup"} {
		if !strings.Contains(readme, "create secret generic "+name+" ") || !strings.Contains(example, "\n  name: "+name+"\n") {
			t.Errorf("the README or the example does not create the secret %s, want both to", name)
		}
	}
	if !strings.Contains(readme, "create configmap mems-ca ") {
		t.Error("the README does not create the configmap mems-ca, want it to")
	}
}

func TestGoreleaser(t *testing.T) {
	t.Parallel()
	good := read(t, "../.goreleaser.yaml")
	if err := Goreleaser(good); err != nil {
		t.Error(err)
	}
	for _, mistake := range [][2]string{{"ldflags:", "ldflag:"}, {"nfpms:", "nfpm:"}, {"artifacts: binary", "artefacts: binary"}} {
		if err := Goreleaser(with(t, good, mistake[0], mistake[1])); err == nil {
			t.Errorf("Goreleaser with %q = nil, want an error", mistake[1])
		}
	}
}

// On a machine without systemd-analyze, both answers are empty: there is nothing to
// compare them with, and the units are tried wherever there is one.
func TestUnits(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../systemd/mems*.*")
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]string{}
	for _, file := range files {
		if ext := filepath.Ext(file); ext == ".service" || ext == ".timer" {
			units[filepath.Base(file)] = read(t, filepath.Join("systemd", filepath.Base(file)))
		}
	}
	if len(units) != 11 {
		t.Fatalf("%d units, want 11", len(units))
	}
	if said, err := Units(t.Context(), t.TempDir(), units); err != nil || said != "" {
		t.Errorf("Units = %q, %v, want nothing reported", said, err)
	}
	// With the drop-in, which is read as if it stood at the unit's end.
	withTLS := map[string]string{"mems.service": units["mems.service"] + "\n" + read(t, "systemd/tls.conf"), "mems-failed@.service": units["mems-failed@.service"]}
	if said, err := Units(t.Context(), t.TempDir(), withTLS); err != nil || said != "" {
		t.Errorf("Units with TLS = %q, %v, want nothing reported", said, err)
	}
	withStatus := maps.Clone(units)
	for _, name := range []string{"mems.service", "mems-backup.service", "mems-audit.service"} {
		withStatus[name] += "\n" + read(t, "systemd/status.conf")
	}
	if said, err := Units(t.Context(), t.TempDir(), withStatus); err != nil || said != "" {
		t.Errorf("Units with the status directory = %q, %v, want nothing reported", said, err)
	}
	units["mems.service"] = with(t, units["mems.service"], "ProtectClock", "ProtectClocks")
	if said, err := Units(t.Context(), t.TempDir(), units); !strings.Contains(said, "ProtectClocks") && SystemdIsHere() {
		t.Errorf("Units with a misspelt name = %q, %v, want it reported", said, err)
	}
}
