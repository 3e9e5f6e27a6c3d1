package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mems/gen/api"
	"mems/internal/contracttest"
)

// Nothing is served below a path that ends in a parameter, and a path with other methods lists
// them: never 422, whatever the method.
func TestNothingBelowAnAddress(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	doc, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	known := doc.Paths.Map()
	is := func(path string) bool {
		return slices.ContainsFunc(doc.Paths.InMatchingOrder(), func(template string) bool {
			want, got := strings.Split(template, "/"), strings.Split(path, "/")
			return len(want) == len(got) && !slices.ContainsFunc(slices.Collect(indices(want)), func(i int) bool {
				return !strings.HasPrefix(want[i], "{") && want[i] != got[i]
			})
		})
	}
	for template, item := range known {
		path := strings.NewReplacer("{id}", "1", "{time_off_id}", "1", "{delivery_id}", "1", "{slug}", "not-found", "{token}", "abc").Replace(template)
		for _, below := range []string{path + "/nothing", path + "/1", path + "/1/2", path + "/", path + "//", path + "%2F1", "/" + path} {
			if is(below) {
				continue
			}
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} {
				r := f.Send(contracttest.Request{Method: method, Path: below})
				if r.Status != 404 {
					t.Errorf("%s %s = %d, want 404", method, below, r.Status)
				}
			}
		}
		if allowed := f.Send(contracttest.Request{Method: "OPTIONS", Path: path}).Header.Get("Allow"); strings.Contains(allowed, "HEAD") != (item.Get != nil) ||
			!strings.Contains(allowed, "OPTIONS") {
			t.Errorf("OPTIONS %s: Allow %s, want OPTIONS, and HEAD exactly if there is a GET", path, allowed)
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if item.GetOperation(method) != nil {
				continue
			}
			r := f.Send(contracttest.Request{Method: method, Path: path}).Want(t, 405, "method-not-allowed")
			allowed := strings.Split(r.Header.Get("Allow"), ", ")
			for other := range item.Operations() {
				if !slices.Contains(allowed, other) {
					t.Errorf("%s %s: Allow %v lacks %s", method, path, allowed, other)
				}
			}
			if slices.Contains(allowed, "HEAD") != (item.Get != nil) {
				t.Errorf("%s %s: Allow %v, want HEAD exactly if there is a GET", method, path, allowed)
			}
		}
	}
	if allowed := f.Send(contracttest.Request{Method: "OPTIONS", Path: "/docs/init.js"}).Header.Get("Allow"); allowed != "OPTIONS, GET, HEAD" {
		t.Errorf("OPTIONS /docs/init.js: Allow %s, want OPTIONS, GET, HEAD", allowed)
	}
	held(t, f.Get("/fhir/Patient/1/_history").Want(t, 404, "not-found"))
	held(t, f.Get("/fhir/Appointment/$book").Want(t, 405, "method-not-allowed"))
	held(t, f.Get("/fhir").Want(t, 404, "not-found"))
}

func indices(s []string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range s {
			if !yield(i) {
				return
			}
		}
	}
}

// Percent-encoded characters in a path are decoded, and an encoded slash is not a separator.
func TestEncodedPaths(t *testing.T) {
	t.Parallel()
	f := setup(t, "UTC")
	patient := f.patient()
	if patient != 1 {
		t.Fatalf("first patient has id %d, want 1", patient)
	}
	doctor := f.doctor()
	for path, status := range map[string]int{
		"/patients/%31":     200,
		"/%70atients/1":     200,
		"/p%61tient%73/%31": 200,
		"/patients/%31/merge%2Dpreview?duplicate_id=": 422,
		"/fhir/Appointment/%24find":                   200,
		"/%66hir/Patient/%31":                         200,
		"/fhir/Slot/1%2D20270302T0800Z-30":            200,
		"/%72eception":                                404, // this server has no desk
		"/patients%2F1":                               404,
		"/patients%2f1":                               404,
		"/patients/1%2Fexport":                        404,
		"/fhir%2FPatient":                             404,
		"/patients/%2531":                             422,
		"/patients/%C3%A4":                            422,
		"/patients/%ED%A0%80":                         422,
		"/healthz%00":                                 404,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, status)
		}
	}
	f.Delete(fmt.Sprintf("/doctors/%%3%d", doctor)).Want(t, 204, "")
}
