package server_test

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
)

// problemSlugs returns the contract's problem types.
func problemSlugs(t *testing.T) map[string]bool {
	t.Helper()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	slugs := map[string]bool{}
	for _, v := range doc.Components.Schemas["ProblemSlug"].Value.Enum {
		slugs[v.(string)] = true
	}
	return slugs
}

// Every code of the domain's rules is a problem type of the contract.
func TestEveryCodeIsAProblemType(t *testing.T) {
	t.Parallel()
	slugs := problemSlugs(t)
	source, err := os.ReadFile("../clinic/error.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code\w+\s+Code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 10 {
		t.Fatalf("found %d codes in clinic, want at least 10", len(codes))
	}
	for _, c := range codes {
		if !slugs[c[1]] {
			t.Errorf("code %q of clinic is not in ProblemSlug, want it to be a problem type of the contract", c[1])
		}
	}
}

// Every operation has a summary, a description and its error responses.
func TestEveryOperationIsComplete(t *testing.T) {
	t.Parallel()
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Description == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: summary %q, description of %d bytes, tags %v; want each, and one tag",
					method, path, op.Summary, len(op.Description), op.Tags)
			}
			statuses := []string{"400", "406", "422", "500"}
			if op.RequestBody != nil {
				statuses = append(statuses, "413", "415")
			}
			if slices.Contains([]string{http.MethodPatch, http.MethodDelete}, method) {
				statuses = append(statuses, "404", "412")
			}
			for _, s := range statuses {
				if op.Responses.Value(s) == nil {
					t.Errorf("%s %s does not document the response %s, want it", method, path, s)
				}
			}
		}
	}
}

// Packages depend on each other in one direction only.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	deps := func(pkg string) []string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		return strings.Fields(string(out))
	}
	imports := func(pkg string) []string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, pkg).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		return strings.Fields(string(out))
	}
	forbid := func(pkg string, found []string, banned ...string) {
		t.Helper()
		for _, dep := range found {
			for _, b := range banned {
				if dep == b || strings.HasPrefix(dep, b+"/") {
					t.Errorf("%s imports %s, want it not to", pkg, dep)
				}
			}
		}
	}
	for _, pkg := range []string{"clinic", "auditchain", "ical", "backup"} {
		for _, dep := range deps("mems/internal/" + pkg) {
			if strings.HasPrefix(dep, "mems/") && dep != "mems/internal/"+pkg {
				t.Errorf("%s imports %s, want no package of ours", pkg, dep)
			}
		}
	}
	forbid("clinic", deps("mems/internal/clinic"), "net/http", "database/sql", "github.com/labstack")
	forbid("store", deps("mems/internal/store"), "net/http", "github.com/labstack", "github.com/getkin", "mems/gen", "mems/internal/server",
		"mems/internal/telemetry", "github.com/prometheus", "go.opentelemetry.io")
	forbid("database", deps("mems/internal/database"), "mems/internal/clinic", "mems/internal/store", "mems/internal/server", "mems/gen", "net/http")
	forbid("auditchain", deps("mems/internal/auditchain"), "database/sql")
	forbid("ical", deps("mems/internal/ical"), "database/sql")
	forbid("localdb", deps("mems/internal/localdb"), "mems/internal/clinic", "mems/internal/store", "mems/internal/server", "mems/gen")
	forbid("server", imports("mems/internal/server"), "github.com/jmoiron/sqlx", "github.com/go-sql-driver", "database/sql", "mems/internal/localdb", "mems/db")
	forbid("server", deps("mems/internal/server"), "mems/internal/telemetry", "github.com/prometheus", "go.opentelemetry.io")
	forbid("server", deps("mems/internal/server"), "mems/internal/conformance", "mems/internal/publish")
	forbid("contract", deps("mems/internal/contract"), "mems/internal/store", "mems/internal/server")
	forbid("contract", imports("mems/internal/contract"), "github.com/labstack")
	forbid("conformance", deps("mems/internal/conformance"), "mems/internal/server")
	forbid("publish", deps("mems/internal/publish"), "mems/internal/server")
	forbid("conformance", imports("mems/internal/conformance"), "mems/internal/store", "mems/internal/localdb", "mems/internal/contracttest", "github.com/labstack")
	forbid("cmd", deps("mems/cmd/mems"), "mems/internal/publish", "mems/internal/contracttest", "github.com/yuin/goldmark")
	forbid("cmd", imports("mems/cmd/mems"), "github.com/jmoiron/sqlx", "github.com/go-sql-driver", "github.com/labstack")
}
