package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/semver"
)

// spec is one version of the contract.
type spec struct {
	path, version string
	data          []byte
	// folder is its directory on the site, if not its version; note is shown beside the
	// version.
	folder, note string
}

// home returns the site's directory of the contract's pages.
func (s spec) home() string {
	if s.folder != "" {
		return s.folder
	}
	return s.version
}

// problemSlugs returns the contract's problem types.
func (s spec) problemSlugs() ([]string, error) {
	var doc struct {
		Components struct {
			Schemas struct {
				ProblemSlug struct {
					Enum []string `yaml:"enum"`
				} `yaml:"ProblemSlug"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	err := yaml.Unmarshal(s.data, &doc)
	return doc.Components.Schemas.ProblemSlug.Enum, err
}

// operationsByProblem maps each problem type to the operations whose x-problems list it, by
// name. It is empty for versions without x-problems.
func (s spec) operationsByProblem() (map[string][]string, error) {
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(s.data, &doc); err != nil {
		return nil, err
	}
	operations := map[string][]string{}
	for _, item := range doc.Paths {
		for _, member := range item {
			op, _ := member.(map[string]any) // a path's parameters are not an operation
			id, _ := op["operationId"].(string)
			listed, _ := op["x-problems"].([]any)
			for _, one := range listed {
				if slug, ok := one.(string); ok {
					operations[slug] = append(operations[slug], id)
				}
			}
		}
	}
	for _, ids := range operations {
		slices.Sort(ids)
	}
	return operations, nil
}

// canonical returns the version in the form that package semver uses.
func (s spec) canonical() string { return "v" + s.version }

// readSpec reads a contract, whose version must have the form 1.4.0.
func readSpec(path string) (spec, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a file of this repository, or of a test
	if err != nil {
		return spec{}, err
	}
	var doc struct {
		Info struct {
			Version string `yaml:"version"`
		} `yaml:"info"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return spec{}, fmt.Errorf("%s: %w", path, err)
	}
	s := spec{path: path, version: doc.Info.Version, data: data}
	if semver.Canonical(s.canonical()) != s.canonical() {
		return spec{}, fmt.Errorf("%s: info.version %q is not of the form 1.4.0; write all three numbers", path, s.version)
	}
	return s, nil
}

// releasedSpecs returns the released contracts, oldest first.
func releasedSpecs(dir string) ([]spec, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var specs []spec
	for _, path := range paths {
		s, err := readSpec(path)
		if err != nil {
			return nil, err
		}
		if name := strings.TrimSuffix(filepath.Base(path), ".yaml"); name != s.version {
			return nil, fmt.Errorf("%s holds version %s: rename it to %s.yaml", path, s.version, s.version)
		}
		specs = append(specs, s)
	}
	slices.SortFunc(specs, func(a, b spec) int { return semver.Compare(a.canonical(), b.canonical()) })
	return specs, nil
}

// release stores the contract as a released one. Releases are immutable: another contract
// of the same version is rejected, unless force says that the first was never published.
func release(contract, dir string, force bool, out io.Writer) error {
	s, err := readSpec(contract)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, s.version+".yaml")
	before, err := os.ReadFile(path) //nolint:gosec // a file of this repository, or of a test
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case bytes.Equal(before, s.data):
		_, _ = fmt.Fprintf(out, "%s is released already\n", s.version)
		return nil
	case !force:
		return fmt.Errorf("%s was released with another content: give info.version in %s a new number, or say FORCE=1 if nobody has it yet", s.version, contract)
	}
	if err := os.WriteFile(path, s.data, 0o644); err != nil { //nolint:gosec // read by everybody
		return err
	}
	_, _ = fmt.Fprintf(out, "released %s as %s; commit it\n", s.version, path)
	return nil
}
