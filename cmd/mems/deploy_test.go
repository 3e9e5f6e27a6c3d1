package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What .deploy sets is what the program knows, and can be used as it is.
func TestDeployedSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range settings() {
		known[s.name] = true
	}
	seen := 0
	err := filepath.WalkDir("../../.deploy", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range regexp.MustCompile(`MEMS_[A-Z_]+`).FindAllString(string(text), -1) {
			seen++
			if !known[name] {
				t.Errorf("%s sets %s, which is no setting", path, name)
			}
		}
		if filepath.Ext(path) == ".yaml" {
			for documents := yaml.NewDecoder(bytes.NewReader(text)); ; {
				var document map[string]any
				if err := documents.Decode(&document); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Errorf("%s: %v", path, err)
					break
				}
				if document["kind"] == "ConfigMap" {
					checkConfigMap(t, document)
				}
			}
		}
		return nil
	})
	if err != nil || seen < 10 {
		t.Errorf("%d settings, %v", seen, err)
	}
}

func checkConfigMap(t *testing.T, document map[string]any) {
	t.Helper()
	data, _ := document["data"].(map[string]any)
	var environ []string
	for name, value := range data {
		text, ok := value.(string)
		if !ok {
			t.Errorf("%s is not text: quote it", name)
		}
		environ = append(environ, name+"="+text)
	}
	slices.Sort(environ)
	if _, err := readConfig(environ); err != nil || len(environ) == 0 {
		t.Errorf("%v: %v", environ, err)
	}
}
