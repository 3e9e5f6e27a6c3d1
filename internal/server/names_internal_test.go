package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// otherNames are the operations whose handler calls a store method with a different name, with the
// method and the reason.
var otherNames = map[string]struct{ method, reason string }{
	"SearchFhirPatients":     {"CountPatients ListPatients", "FHIR's name for listPatients, with a total"},
	"ReadFhirPatient":        {"Patient", "FHIR's name for getPatient"},
	"SearchFhirAppointments": {"CountAppointments ListAppointments", "FHIR's name for listAppointments, with a total"},
	"ReadFhirAppointment":    {"Appointment", "FHIR's name for getAppointment"},
	"BookFhirAppointment":    {"BookAppointment", "FHIR's name for bookAppointment"},
	"ReadFhirSlot":           {"ListAvailability", "a slot is a free time, which is not stored"},
	"CreateSeries":           {"PreviewSeries CreateSeries", "the operation has a dry run"},
	"GetReadiness":           {"Ready", "the store is ready or not"},
}

// A reader who knows an operationId must find the use case by its name alone.
func TestStoreMethodsAreNamedAfterOperations(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	handlers := 0
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			handler, ok := declaration.(*ast.FuncDecl)
			if !ok || handler.Recv == nil || !isHandler(handler) {
				continue
			}
			handlers++
			name, methods := handler.Name.Name, strings.Join(storeMethods(handler), " ")
			want := strings.TrimPrefix(name, "Get")
			if other, ok := otherNames[name]; ok {
				want = other.method
			}
			if methods != "" && methods != want && methods != name {
				t.Errorf("%s calls %s of the store, want %s", name, methods, want)
			}
		}
	}
	if handlers < 100 {
		t.Errorf("found %d handlers, want one for each operation", handlers)
	}
}

// isHandler reports whether a method takes the request object of an operation.
func isHandler(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		if kind, ok := p.Type.(*ast.SelectorExpr); ok && kind.Sel.Name == f.Name.Name+"RequestObject" {
			return true
		}
	}
	return false
}

// storeMethods returns the names of the store's methods that a handler calls itself.
func storeMethods(f *ast.FuncDecl) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if on, ok := call.X.(*ast.SelectorExpr); ok && on.Sel.Name == "Store" {
				names = append(names, call.Sel.Name)
			}
		}
		return true
	})
	return names
}
