package telemetry_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// metricName matches the names of metrics in an expression.
var metricName = regexp.MustCompile(`\b(?:mems|go|process)_[a-z0-9_]+\b`)

// expressions returns the PromQL of the dashboard and the alert rules by location.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	var dashboard struct {
		Panels []struct {
			Type    string `json:"type"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Name  string `json:"name"`
				Type  string `json:"type"`
				Query string `json:"query"`
			} `json:"list"`
		} `json:"templating"`
	}
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q has no targets, want some", p.Title)
		}
		for i, target := range p.Targets {
			found["panel "+p.Title+" "+string(rune('A'+i))] = target.Expr
		}
	}
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			found["variable "+v.Name] = v.Query
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if text, err = os.ReadFile("alerts.yaml"); err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			name := "alert " + r.Alert
			if found[name] != "" {
				t.Errorf("two alerts are called %s, want one", name)
			}
			found[name] = r.Expr
			if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || len(r.Annotations["runbook"]) < 80 {
				t.Errorf("alert %s lacks severity, summary or runbook, want all: %+v", name, r)
			}
		}
	}
	return found
}

// The dashboard, alerts and README name only metrics that a server exports, and the README
// lists all of them.
func TestDashboardAlertsAndReadmeKnowTheMetrics(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.everything()
	f.noteAll()
	f.eventually(`mems_http_requests_total{operation="bookAppointment",status="503"}`, 1)
	exported := map[string]bool{}
	for series := range f.scrape() {
		name, _, _ := strings.Cut(series, "{")
		exported[name] = true
	}
	all := expressions(t)
	if len(all) < 30 {
		t.Fatalf("found %d expressions, want at least 30", len(all))
	}
	for where, expression := range all {
		// A label's value may look like the name of a metric.
		bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expression, "")
		names := metricName.FindAllString(bare, -1)
		if len(names) == 0 && !strings.Contains(expression, "up{") {
			t.Errorf("%s reads no metric, want one: %s", where, expression)
		}
		for _, name := range names {
			if !exported[name] {
				t.Errorf("%s reads %s, want a metric that a server exports", where, name)
			}
		}
	}

	own := map[string]bool{} // metric families
	for name := range exported {
		if strings.HasPrefix(name, "mems_") {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			own[name] = true
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "<!-- metrics: held to the program by a test -->\n")
	table, _, _ = strings.Cut(table, "<!-- /metrics -->")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(mems_[a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented[row[1]] = true
	}
	if !maps.Equal(own, documented) {
		t.Errorf("documented metrics = %v, want those exported: %v",
			slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(own)))
	}
}
