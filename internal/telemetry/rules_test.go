package telemetry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"mems/internal/storetest"
)

// tool returns the path of a Prometheus program, which .ci/run installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install it with \"apt-get install --no-install-recommends prometheus\"", err)
	}
	return path
}

// Each alert fires when it should and not earlier, according to promtool, and every alert
// has a test.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	if said, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "alerts.yaml").CombinedOutput(); err != nil {
		t.Fatalf("promtool check rules: %v, want no error:\n%s", err, said)
	}
	var rules map[string][]struct {
		Name  string           `yaml:"name"`
		Rules []map[string]any `yaml:"rules"`
	}
	var cases struct {
		Tests []struct {
			Rules []struct {
				Alertname string `yaml:"alertname"`
				Expected  []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	read := func(name string, into any) []byte {
		text, err := os.ReadFile(name)
		if err == nil {
			err = yaml.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	read("alerts.yaml", &rules)
	tests := read("alerts_test.yaml", &cases)
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, r := range c.Rules {
			if len(r.Expected) > 0 {
				fires[r.Alertname] = true
			} else {
				rests[r.Alertname] = true
			}
		}
	}
	for _, g := range rules["groups"] {
		for _, r := range g.Rules {
			if name, _ := r["alert"].(string); !fires[name] || !rests[name] {
				t.Errorf("alert %s is tested to fire: %t, and not to: %t; want both", name, fires[name], rests[name])
			}
			delete(r, "annotations") // promtool would require them verbatim
		}
	}
	bare, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"alerts.yaml": bare, "alerts_test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(dir, "alerts_test.yaml")).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v, want no error:\n%s", err, said)
	}
}

// With a server scraped by Prometheus, every panel of the dashboard has data, and those of
// faults show one.
func TestPanelsHaveData(t *testing.T) {
	t.Parallel()
	f := setup(t)
	metrics := httptest.NewServer(f.watch.Metrics())
	t.Cleanup(metrics.Close)
	prometheus := startPrometheus(t, strings.TrimPrefix(metrics.URL, "http://"))
	f.everything()
	f.noteAll()
	seen := func(count int) func() bool {
		return func() bool {
			got := query(t, prometheus, `mems_http_requests_total{operation="bookAppointment",status="503"}`)
			return len(got) == 1 && got[0] == fmt.Sprint(count)
		}
	}
	waitUntil(t, "the first fault is scraped", seen(1))
	f.loseCommit.Store(true)
	if r := f.Post("/appointments", booking(1, 1, "2027-03-02T12:00:00Z")); r.Status != http.StatusServiceUnavailable {
		t.Fatalf("POST /appointments during the outage = %d, want 503", r.Status)
	}
	waitUntil(t, "the second fault is scraped", seen(2))
	for where, expression := range expressions(t) {
		title, isPanel := strings.CutPrefix(where, "panel ")
		if !isPanel {
			continue
		}
		expression = strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*").Replace(expression)
		values := query(t, prometheus, expression)
		if len(values) == 0 {
			t.Errorf("panel %s has no values, want some: %s", title, expression)
		}
		if strings.HasPrefix(title, "Faults") && !slices.ContainsFunc(values, func(v string) bool { return v != "0" && v != "NaN" }) {
			t.Errorf("panel %s = %v, want a fault", title, values)
		}
	}
}

// startPrometheus starts a Prometheus that scrapes a server every second.
func startPrometheus(t *testing.T, target string) (address string) {
	t.Helper()
	dir := t.TempDir()
	address = storetest.FreeAddress(t)
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: mems\n    static_configs: [{targets: ['" + target + "']}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said lockedBuffer
	cmd := exec.CommandContext(context.Background(), tool(t, "prometheus"),
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	waitUntil(t, "Prometheus scrapes", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK && slices.Equal(query(t, address, `up`), []string{"1"})
	})
	return address
}

// query returns the values of an instant vector.
func query(t *testing.T, address, expression string) (values []string) {
	t.Helper()
	response, err := http.PostForm("http://"+address+"/api/v1/query", url.Values{"query": {expression}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var body struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Error != "" {
		t.Fatalf("query %s: %v %s, want no error", expression, err, body.Error)
	}
	for _, r := range body.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values
}

func waitUntil(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("waited a minute until %s", what)
}
