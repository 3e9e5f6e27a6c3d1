//go:build oasdiff

// These tests need the pinned oasdiff: `make check-breaking` builds it, sets OASDIFF and
// runs them.
package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type object = map[string]any

// in returns a nested object of a contract.
func in(doc object, names ...string) object {
	for _, name := range names {
		doc = doc[name].(object)
	}
	return doc
}

// deprecate marks an operation or member as deprecated.
func deprecate(at object, sunset string) {
	at["deprecated"], at["x-deprecated-at"], at["x-sunset"] = true, "2019-01-01", sunset
}

// TestGate changes the contract in various ways and checks which changes the gate accepts.
func TestGate(t *testing.T) {
	t.Parallel()
	rooms := func(doc object) object { return in(doc, "paths", "/rooms", "post") }
	member := func(doc object) object { return in(doc, "components", "schemas", "RoomCreate", "properties", "name") }
	drop := func(doc object) {
		delete(in(doc, "components", "schemas", "RoomCreate", "properties"), "name")
		in(doc, "components", "schemas", "RoomCreate")["required"] = []any{}
	}
	cases := []struct {
		name     string
		released func(object) // changes the released contract
		changed  func(object)
		// What the refusal says for a minor version, a major one and a minor one of 0.y;
		// empty: accepted.
		minor, major, zero string
	}{
		{name: "nothing"},
		{
			name:    "a new operation",
			changed: func(doc object) { in(doc, "paths")["/more"] = in(doc, "paths", "/healthz") },
		},
		{
			name: "a security scheme has another name",
			changed: func(doc object) {
				schemes := in(doc, "components", "securitySchemes")
				schemes["key"] = schemes["apiKeyAuth"]
				delete(schemes, "apiKeyAuth")
				doc["security"] = []any{object{"key": []any{}}, object{"bearer": []any{}}}
			},
		},
		{
			name: "a security scheme reads another header",
			changed: func(doc object) {
				in(doc, "components", "securitySchemes", "apiKeyAuth")["name"] = "X-Key"
			},
			minor: "api-security-removed", major: "",
		},
		{
			name: "an enum value is gone",
			changed: func(doc object) {
				s := in(doc, "components", "schemas", "CancellationReason")
				s["enum"] = s["enum"].([]any)[1:]
			},
			minor: "enum-value-removed",
		},
		{
			name: "a member is required",
			changed: func(doc object) {
				s := in(doc, "components", "schemas", "PatientCreate")
				s["required"] = append(s["required"].([]any), "phone")
			},
			minor: "request-property-became-required",
		},
		{
			name:    "a path is gone without notice",
			changed: func(doc object) { delete(in(doc, "paths"), "/queue") },
			minor:   "api-path-removed-without-deprecation", major: "api-path-removed-without-deprecation",
		},
		{
			name:     "an operation is gone before its sunset",
			released: func(doc object) { deprecate(rooms(doc), "2099-01-01") },
			changed:  func(doc object) { delete(in(doc, "paths", "/rooms"), "post") },
			minor:    "api-removed-before-sunset", major: "api-removed-before-sunset", zero: "api-removed-before-sunset",
		},
		{
			name:     "an operation is gone after its sunset",
			released: func(doc object) { deprecate(rooms(doc), "2020-01-01") },
			changed:  func(doc object) { delete(in(doc, "paths", "/rooms"), "post") },
			minor:    "after its sunset",
		},
		{
			name:    "a member is gone without notice",
			changed: drop,
			minor:   "request-property-removed", major: "request-property-removed",
		},
		{
			name:     "a member is gone after its sunset",
			released: func(doc object) { deprecate(member(doc), "2020-01-01") },
			changed:  drop,
			minor:    "request-property-removed",
		},
		{
			name:    "a sunset too near",
			changed: func(doc object) { deprecate(rooms(doc), "2020-01-01") },
			minor:   "sunset-date-too-small", major: "sunset-date-too-small", zero: "sunset-date-too-small",
		},
		{
			name:    "a deprecation without a date",
			changed: func(doc object) { rooms(doc)["deprecated"] = true },
			minor:   "sunset-missing", major: "sunset-missing", zero: "sunset-missing",
		},
		{
			name:    "a deprecation with notice",
			changed: func(doc object) { deprecate(rooms(doc), "2099-01-01") },
		},
	}
	for _, c := range cases {
		for _, release := range []struct{ from, to, want string }{
			{"1.0.0", "1.1.0", c.minor},
			{"1.0.0", "2.0.0", c.major},
			{"0.1.0", "0.2.0", c.zero},
			{"0.1.0", "0.1.1", c.minor}, // a patch version must not break, not even in 0.y
		} {
			want := release.want
			t.Run(c.name+" in "+release.to, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, "released"), 0o755); err != nil {
					t.Fatal(err)
				}
				contract, err := os.ReadFile("../../openapi.yaml")
				if err != nil {
					t.Fatal(err)
				}
				write := func(path, version string, edits ...func(object)) {
					var doc object
					if err := yaml.Unmarshal(contract, &doc); err != nil {
						t.Fatal(err)
					}
					in(doc, "info")["version"] = version
					for _, edit := range edits {
						if edit != nil {
							edit(doc)
						}
					}
					data, err := yaml.Marshal(doc)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, path), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				write("released/"+release.from+".yaml", release.from, c.released)
				write("new.yaml", release.to, c.released, c.changed)
				var out strings.Builder
				err = check(t.Context(), os.Getenv("OASDIFF"), filepath.Join(dir, "new.yaml"), filepath.Join(dir, "released"), &out)
				switch {
				case want == "" && err != nil:
					t.Errorf("check = %v, want no error:\n%s", err, &out)
				case want == "" && release.to == "0.2.0" && c.minor != "" && !strings.Contains(out.String(), c.minor):
					t.Errorf("what breaks is not listed, want %s\n%s", c.minor, &out)
				case want != "" && (err == nil || !strings.Contains(out.String(), want)):
					t.Errorf("%v, want a refusal for %s\n%s", err, want, &out)
				}
			})
		}
	}
}

// A version older than the released one, and an empty directory, are reported as such.
func TestGateNeedsARelease(t *testing.T) {
	dir := t.TempDir()
	if err := check(t.Context(), os.Getenv("OASDIFF"), "../../openapi.yaml", dir, io.Discard); err == nil || !strings.Contains(err.Error(), "make release-spec") {
		t.Errorf("check without a release = %v, want an error with make release-spec", err)
	}
	contract := "openapi: 3.0.3\ninfo: {title: x, version: 9.0.0}\npaths: {}\n"
	if err := os.WriteFile(filepath.Join(dir, "9.0.0.yaml"), []byte(contract), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context(), os.Getenv("OASDIFF"), "../../openapi.yaml", dir, io.Discard); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("check of an older contract = %v, want an error that says so", err)
	}
}
