// Package lint checks the files beside it with the libraries of the programs that
// will read them. It is a module of its own: the product needs none of these.
package lint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
)

// Compose loads a Compose file as `docker compose` does, with the environment given:
// unknown members, wrong types, references to nothing, a service without bounds, and one
// that has no status directory where MEMS_STATUS_DIR says are errors.
func Compose(ctx context.Context, file string, content []byte, environ map[string]string) error {
	project, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: content}},
		Environment: environ,
	}, func(o *loader.Options) { o.SetProjectName("mems", true); o.Profiles = []string{"*"} })
	if err != nil {
		return err
	}
	if _, told := project.Services["retain"].Environment["MEMS_RETAIN_CHANGES_DAYS"]; !told {
		return errors.New("service retain does not take MEMS_RETAIN_CHANGES_DAYS")
	}
	if c := project.Services["revocations"].Command; len(c) == 0 || c[0] != "revocations" {
		return errors.New("no service lists what is revoked and erased")
	}
	for name, s := range project.Services {
		if s.MemLimit == 0 || s.CPUS == 0 || s.PidsLimit == 0 {
			return fmt.Errorf("service %s has no bound of memory, processor or processes", name)
		}
		if s.Logging == nil || s.Logging.Driver != "json-file" || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			return fmt.Errorf("service %s writes logs without end", name)
		}
		status, told := s.Environment["MEMS_STATUS_DIR"]
		if slices.Contains([]string{"mems", "backup", "audit"}, name) != told {
			return fmt.Errorf("service %s tells of its success or reads of it: %t", name, told)
		}
		if told && !slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			return status != nil && v.Target == *status && filepath.Base(v.Source) == "status" && v.ReadOnly == (name == "mems")
		}) {
			return fmt.Errorf("service %s has no status directory where MEMS_STATUS_DIR says", name)
		}
	}
	return nil
}

// noImages answers for every base image that it says nothing about itself, so that
// no registry is asked.
type noImages struct{}

// ResolveImageConfig is what the compiler asks for each FROM.
func (noImages) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture": "amd64", "os": "linux", "config": {}}`), nil
}

// Dockerfile compiles every stage as `docker build` does, up to where it would
// run, and returns the warnings of BuildKit's own checks.
func Dockerfile(ctx context.Context, content []byte) ([]string, error) {
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", content)
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(ctx, content, dockerfile2llb.ConvertOpt{
		MetaResolver: noImages{},
		SourceMap:    source,
	})
	if err != nil {
		return nil, err
	}
	if results.Error != nil {
		return nil, fmt.Errorf("Dockerfile: %s", results.Error.Message)
	}
	var warnings []string
	for _, w := range results.Warnings {
		warnings = append(warnings, w.RuleName+": "+w.Detail)
	}
	return warnings, nil
}

// Goreleaser reads the configuration of releases strictly.
func Goreleaser(content string) error {
	_, err := config.LoadReader(strings.NewReader(content))
	return err
}

// SystemdIsHere tells whether there is a systemd-analyze to ask.
func SystemdIsHere() bool {
	_, err := exec.LookPath("systemd-analyze")
	return err == nil
}

// Units asks systemd-analyze about units, whose program need not be installed.
// It returns what is said about them, and not about other units that the machine
// has; with nothing on a machine without systemd-analyze.
func Units(ctx context.Context, dir string, units map[string]string) (string, error) {
	if !SystemdIsHere() {
		return "", nil
	}
	args := []string{"verify"}
	for name, content := range units {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(content, "=/usr/bin/mems ", "=/bin/true ")), 0o600); err != nil {
			return "", err
		}
		args = append(args, file)
	}
	said, err := exec.CommandContext(ctx, "systemd-analyze", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	var ours strings.Builder
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, dir) || strings.HasPrefix(line, "mems") {
			ours.WriteString(line)
		}
	}
	return ours.String(), nil
}

// InContext tells which of the files a .dockerignore lets into a build.
func InContext(dockerignore string, files []string) (in []string, err error) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(dockerignore))
	if err != nil {
		return nil, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		ignored, err := matcher.MatchesOrParentMatches(file)
		if err != nil {
			return nil, err
		}
		if !ignored {
			in = append(in, file)
		}
	}
	return in, nil
}
