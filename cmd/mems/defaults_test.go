package main

import (
	"reflect"
	"strconv"
	"testing"

	"mems/internal/server"
	"mems/internal/store"
)

// The settings' defaults equal those of the packages that apply them.
func TestDefaultsAreThePackages(t *testing.T) {
	t.Parallel()
	settings := reflect.TypeFor[config]()
	for field, want := range map[string]string{
		"MaxBodyBytes":   strconv.Itoa(server.DefaultMaxBodyBytes),
		"RequestTimeout": server.DefaultRequestTimeout.String(),
		"MaxAtOnce":      strconv.Itoa(server.DefaultMaxAtOnce),
		"DatabaseConns":  strconv.Itoa(store.DefaultMaxOpenConns),
	} {
		f, ok := settings.FieldByName(field)
		if got := f.Tag.Get("envDefault"); !ok || got != want {
			t.Errorf("the default of %s is %q, want %q as of its package", field, got, want)
		}
	}
}
