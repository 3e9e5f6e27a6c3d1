# Every task of the repository. `make` alone lists them; each is what CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# --- what can be set from outside -------------------------------------------
GO        ?= go
# A number of runs (Nx), not a duration: until Go 1.27 the end of a duration can
# fail a fuzz run that found nothing (golang/go#75804).
FUZZTIME  ?= 200000x
# mariadb or mysql; empty takes what the machine has.
ENGINE    ?=
# More words for `mems serve`, for internal/bench, internal/attack and `go test`.
ARGS      ?=
BENCHARGS ?=
ATTACKARGS ?=
# For make prove and make prove-it-can-fail.
DURATION  ?= 1m
CLIENTS   ?= 16
SEED      ?= 0
OPERATIONS ?=
RUSH      ?=
FAULTS    ?=
WITHOUT   ?=
TESTARGS  ?=
# What make test tests besides the server.
PACKAGES  ?= ./...
# Empty: make test does not measure coverage, and takes less time.
COVER     ?= 1

# --- pinned versions ----------------------------------------------------------
GOLANGCI_VERSION    := v2.15.0
ACTIONLINT_VERSION  := v1.7.12
GOVULNCHECK_VERSION := v1.9.0
OASDIFF_VERSION     := v1.35.0
# The newest that builds with Go 1.26.
GORELEASER_VERSION  := v2.15.1
CYCLONEDX_VERSION   := v1.10.0
SCALAR_VERSION      := 1.46.4
SCALAR_SHA256       := 81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb

# --- names --------------------------------------------------------------------
# Tools and profiles live in the tree, one folder a version, so that a changed
# pin installs again and nothing of yours is touched.
TOOLS       := $(abspath .tools)
GOLANGCI    := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
ACTIONLINT  := $(TOOLS)/actionlint-$(ACTIONLINT_VERSION)/actionlint
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck
OASDIFF     := $(TOOLS)/oasdiff-$(OASDIFF_VERSION)/oasdiff
GORELEASER  := $(TOOLS)/goreleaser-$(GORELEASER_VERSION)/goreleaser
CYCLONEDX   := $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod
PROFILE     := $(TOOLS)/cover.out
COVER_MIN   := 85.0
GEN         := gen

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

# A private server for as long as the command runs, unless
# MEMS_TEST_DATABASE_URL names one.
WITHDB = $(GO) run ./internal/localdb/withdb$(if $(ENGINE), -engine $(ENGINE)) --

##@ Use

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## build, start a private database, migrate, serve; Ctrl-C stops it all
	@echo "starting MEMS: database, migrations, server"
	@exec ./bin/mems serve --migrate $(ARGS)

.PHONY: build
build: go-present ## bin/mems: one static binary
	@if [ -x bin/mems ]; then echo "building mems"; else echo "building mems (first time: about a minute)"; fi
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false \
	  -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)" \
	  -o bin/mems ./cmd/mems

##@ Test

COVERPKG := -coverpkg=./internal/...,./cmd/...,./db
TEST_ALL := $(GO) test -race -count=1 -timeout=30m $(TESTARGS) $(if $(COVER),$(COVERPKG))

.PHONY: test
test: go-present ## all tests, race detector on, against a private database
	@mkdir -p $(TOOLS)
	@# The server's tests measure crowds, so they have the machine for themselves: other packages would take
	@# its processors, and a backup of theirs stops every write of the database's server for a moment.
	$(WITHDB) sh -uc 'failed=0; \
	  $(TEST_ALL)$(if $(COVER), -coverprofile=$(PROFILE).server) ./internal/server || failed=1; \
	  $(TEST_ALL)$(if $(COVER), -coverprofile=$(PROFILE).others) $$($(GO) list $(PACKAGES) | grep -v /internal/server$$) || failed=1; \
	  exit $$failed'
	@$(if $(COVER),{ cat $(PROFILE).server; tail -n +2 $(PROFILE).others; } > $(PROFILE))

.PHONY: testdb
testdb: go-present ## a database server for tests in other terminals, until Ctrl-C; keeps nothing
	@$(WITHDB) sh -c 'printf "\nin other terminals (then: go test ./internal/server -run NAME):\n\n  export MEMS_TEST_DATABASE_URL='"'"'%s'"'"' MEMS_TEST_DATABASE_ENGINE=%s\n\n" \
	  "$$MEMS_TEST_DATABASE_URL" "$$MEMS_TEST_DATABASE_ENGINE"; while :; do sleep 3600; done'

.PHONY: test-mariadb
test-mariadb: ## all tests on MariaDB
	@$(MAKE) test ENGINE=mariadb

# What depends on the engine: the packages whose tests open a database or ask which engine it is. internal/bench is
# left out: its tests only try whether it runs, and do so on MariaDB.
ENGINE_TESTS = $(shell grep -rlE '"mems/internal/storetest"|^package storetest|MEMS_TEST_DATABASE_ENGINE' --include='*_test.go' cmd internal)
ENGINE_PACKAGES = $(addprefix ./,$(filter-out internal/bench/,$(sort $(dir $(ENGINE_TESTS)))))

.PHONY: test-mysql
test-mysql: ## the tests that use a database, on MySQL
	@$(MAKE) test ENGINE=mysql PACKAGES='$(ENGINE_PACKAGES)' COVER=

.PHONY: kill-moments
kill-moments: go-present ## end a first start COUNT (200) times at random moments, by random signals
	@MEMS_TEST_KILL_MOMENTS=$(or $(COUNT),200) MEMS_TEST_DATABASE_ENGINE=$(ENGINE) \
	  $(GO) test -count=1 -timeout=2h -v -run '^TestFirstStartKilled$$' ./cmd/mems

.PHONY: cover
cover: $(PROFILE) ## coverage of hand-written code by the last test run; fails below the bar
	@# withdb is run by its tests as a process of its own, which the profile cannot see.
	@grep -vE '^mems/internal/(attack|bench|proof|localdb/withdb)/' $(PROFILE) > $(PROFILE).judged
	@$(GO) tool cover -func=$(PROFILE).judged | awk -v min=$(COVER_MIN) ' \
	  $$1 == "total:" { sub("%", "", $$3); total = $$3 } \
	  $$3 == "0.0%" { never = never "  " $$1 " " $$2 "\n" } \
	  END { low = total + 0 < min + 0; \
	    if (low) printf "never run by a test:\n%s", never; \
	    printf "coverage of hand-written code: %.1f %% (at least %.1f %%)\n", total, min; \
	    exit low }'

# Tests are run again only when the profile is older than the code.
$(PROFILE): $(shell find cmd db internal -type f \( -name '*.go' -o -name '*.sql' \) 2>/dev/null)
	@$(MAKE) test

.PHONY: fuzz
fuzz: go-present ## every Fuzz function, FUZZTIME (200000x) runs each
	@dirs=$$(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' cmd db internal | xargs -r -n1 dirname | sort -u); \
	for dir in $$dirs; do \
	  names=$$($(GO) test -list '^Fuzz' "./$$dir" | grep '^Fuzz'); \
	  for name in $$names; do \
	    echo "fuzzing $$dir $$name for $(FUZZTIME)"; \
	    $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "./$$dir"; \
	  done; \
	done

.PHONY: model
model: go-present ## check the Promela models with SPIN, spoilt variants included, and replay runs of them; MODELARGS=-short for less
	@command -v spin >/dev/null && command -v gcc >/dev/null || { \
	  [ "$$(id -u)" -eq 0 ] || { echo "SPIN or gcc is missing: apt-get install spin gcc libc6-dev" >&2; exit 1; }; \
	  echo "installing spin and gcc"; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends spin gcc libc6-dev; }
	$(GO) test -tags spin -count=1 -v -p 1 -parallel 2 -run "^TestModels" $(MODELARGS) ./internal/proof/model ./internal/proof

.PHONY: cluster
cluster: go-present ## faults, TLS and settings of .deploy/cluster with real groups of MySQL servers; five minutes
	MEMS_TEST_DATABASE_ENGINE=mysql $(GO) test -tags cluster -count=1 -timeout=40m -v -run '^TestCluster' ./cmd/mems

.PHONY: smoke
smoke: ## book through the built binary with curl, as a user would
	@.ci/smoke

.PHONY: bench
bench: go-present ## measure bookings and reads through HTTP; prints a table
	$(GO) run ./internal/bench $(BENCHARGS)

.PHONY: bench-naive
bench-naive: go-present ## the same load on MEMS and on a server that checks and then inserts: speed, and times booked twice
	$(GO) run ./internal/bench -only naive -sizes 10000 $(BENCHARGS)

.PHONY: attack
attack: go-present ## hostile clients against real servers; prints which defences hold
	@$(GO) run ./internal/attack$(if $(ENGINE), -engine $(ENGINE)) $(ATTACKARGS)

.PHONY: prove
prove: go-present ## book while servers and the database are killed, then check everything; ENGINE=mariadb|mysql|cluster DURATION CLIENTS DOCTORS SEED OPERATIONS RUSH FAULTS
	@$(GO) run ./internal/proof $(if $(ENGINE),-engine $(ENGINE)) -duration $(DURATION) -clients $(CLIENTS) $(if $(DOCTORS),-doctors $(DOCTORS)) -seed $(SEED) $(if $(OPERATIONS),-operations '$(OPERATIONS)') $(if $(RUSH),-rush $(RUSH)) $(if $(FAULTS),-faults '$(FAULTS)')

# Without a docstring: for .ci/run, which has all of them going at once.
.PHONY: prove-on-mariadb prove-on-mysql prove-on-cluster
prove-on-mariadb prove-on-mysql prove-on-cluster: prove-on-%:
	@$(MAKE) --no-print-directory prove ENGINE=$*

.PHONY: prove-it-can-fail
prove-it-can-fail: go-present ## run the proof on copies that lack one safeguard each; fail unless each is caught; WITHOUT=guard,feed,...
	@$(GO) run ./internal/proof $(if $(ENGINE),-engine $(ENGINE)) -can-fail '$(or $(WITHOUT),all)'

##@ Contract

.PHONY: generate
generate: go-present gen/node_modules/.package-lock.json ## rewrite gen/ from openapi.yaml
	@mkdir -p $(GEN)/api
	@cp openapi.yaml $(GEN)/api/openapi.yaml
	@printf '%s\n' \
	  '// Code generated by `make generate`. DO NOT EDIT.' '' \
	  'package api' '' \
	  'import _ "embed" // for SpecYAML' '' \
	  '// SpecYAML is openapi.yaml byte for byte, as people wrote it, comments and all.' \
	  '// The spec that GetSpec returns is the same contract, written anew by a machine.' '//' \
	  '//go:embed openapi.yaml' \
	  'var SpecYAML []byte' > $(GEN)/api/spec.gen.go
	@$(GO) run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen \
	  -config gen/api/oapi-codegen.cfg.yaml -o $(GEN)/api/api.gen.go openapi.yaml
	@# What /docs links to; the program takes it along, so that it opens without a network.
	@mkdir -p $(GEN)/guides
	@sed -e 's#](\.\./\.\./\.\./openapi\.yaml)#](/openapi.yaml)#' \
	  -e 's#](\.\./\.\./\.\./gen/typescript/README\.md)#](/docs/client)#' \
	  internal/publish/guides/partner.md > $(GEN)/guides/partner.md
	@cp gen/typescript/README.md $(GEN)/guides/typescript.md
	@printf '%s\n' \
	  '// Code generated by `make generate`. DO NOT EDIT.' '' \
	  '// Package guides holds what is written for those who build on the contract.' \
	  'package guides' '' \
	  'import _ "embed" // for the texts' '' \
	  '// Partner is the partners'"'"' guide, Client the README of the TypeScript client, in markdown.' '//' \
	  '//go:embed partner.md' 'var Partner []byte' '' \
	  '//go:embed typescript.md' 'var Client []byte' > $(GEN)/guides/guides.gen.go
	@mkdir -p $(GEN)/typescript/src
	@cd gen && node typescript.mjs ../$(GEN)/typescript/src/generated
	@cd gen && node postman.mjs ../$(GEN)/postman
	@echo "generated $(GEN)"

.PHONY: check-generated
check-generated: ## fail unless gen/ matches openapi.yaml
	@rm -rf $(TOOLS)/generated
	@$(MAKE) generate GEN=.tools/generated
	@diff -ru --exclude='*.cfg.yaml' gen/api $(TOOLS)/generated/api && \
	  diff -ru gen/guides $(TOOLS)/generated/guides && \
	  diff -ru gen/typescript/src/generated $(TOOLS)/generated/typescript/src/generated && \
	  diff -ru --exclude=README.md gen/postman $(TOOLS)/generated/postman || { \
	  echo; echo "gen/ does not match openapi.yaml: run 'make generate' and commit what it writes" >&2; exit 1; }
	@echo "gen/ matches openapi.yaml"

.PHONY: lint-spec
lint-spec: gen/node_modules/.package-lock.json ## Redocly and Spectral (OWASP) on openapi.yaml
	@cd gen && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npm run --silent lint

gen/node_modules/.package-lock.json: gen/package-lock.json gen/package.json | npm-present
	@echo "installing the linters and generators into gen/node_modules"
	@cd gen && npm ci --no-progress && touch node_modules/.package-lock.json

.PHONY: client
client: go-present gen/node_modules/.package-lock.json ## build and check the TypeScript client; test it against a real server
	@cd gen/typescript && npm run --silent build && npm run --silent check && npm run --silent test

.PHONY: postman
postman: go-present gen/node_modules/.package-lock.json ## run the Postman collection twice in a row against a real server
	@cd gen && node postman.run.mjs

# The generators stand apart from gen/ and from go.mod: only this step needs them.
GENERATORS := internal/publish/generators
$(GENERATORS)/node_modules/.package-lock.json: $(GENERATORS)/package-lock.json $(GENERATORS)/package.json | npm-present
	@echo "installing other generators into $(GENERATORS)/node_modules"
	@cd $(GENERATORS) && npm ci --no-progress && touch node_modules/.package-lock.json

.PHONY: check-generators
check-generators: go-present $(GENERATORS)/node_modules/.package-lock.json ## generate clients with five other generators and compile them
	@GO=$(GO) .ci/generators

DESK := internal/reception/web
$(DESK)/node_modules/.package-lock.json: $(DESK)/package-lock.json $(DESK)/package.json | npm-present
	@echo "installing what builds the reception desk"
	@cd $(DESK) && npm ci --no-progress && touch node_modules/.package-lock.json

.PHONY: desk
desk: $(DESK)/node_modules/.package-lock.json ## build the reception desk into internal/reception/dist
	@cd $(DESK) && npm run --silent build

.PHONY: check-desk
check-desk: $(DESK)/node_modules/.package-lock.json ## check types and run tests of the desk; fail unless dist matches its source
	@cd $(DESK) && npm run --silent check && npm run --silent test
	@rm -rf $(TOOLS)/desk
	@cd $(DESK) && npm run --silent build -- --logLevel warn --outDir $(TOOLS)/desk
	@diff -rq internal/reception/dist $(TOOLS)/desk || { \
	  echo; echo "internal/reception/dist is not what internal/reception/web gives: run 'make desk' and commit it" >&2; exit 1; }

.PHONY: e2e
e2e: go-present $(DESK)/node_modules/.package-lock.json ## the reception desk in a real browser (Chromium); pictures in internal/reception/web/test-results
	@command -v "$${CHROMIUM:-/usr/bin/chromium}" >/dev/null || { \
	  echo "Chromium is missing: apt-get install chromium, or set CHROMIUM to its path" >&2; exit 1; }
	@cd $(DESK) && npm run --silent e2e

.PHONY: docs-assets
docs-assets: ## fetch the pinned Scalar again into internal/docs
	@rm -rf $(TOOLS)/scalar && mkdir -p $(TOOLS)/scalar
	@cd $(TOOLS)/scalar && npm pack --silent @scalar/api-reference@$(SCALAR_VERSION) && tar -xzf *.tgz
	@echo "$(SCALAR_SHA256)  $(TOOLS)/scalar/package/dist/browser/standalone.js" | sha256sum --check --quiet
	@gzip -n9 < $(TOOLS)/scalar/package/dist/browser/standalone.js > internal/docs/scalar.js.gz
	@echo "internal/docs/scalar.js.gz is Scalar $(SCALAR_VERSION)"

.PHONY: check-breaking
check-breaking: $(OASDIFF) ## fail if openapi.yaml breaks clients of the newest release
	@OASDIFF=$(OASDIFF) $(GO) test -count=1 -tags oasdiff -run TestGate ./internal/publish
	@$(GO) run ./internal/publish -oasdiff $(OASDIFF) check

.PHONY: publish
publish: $(OASDIFF) ## site/: the contract as a static site that opens without a network
	@$(GO) run ./internal/publish -oasdiff $(OASDIFF) site

# The mock server stands apart from gen/, which every run of CI installs.
MOCK := internal/publish/conformance/node_modules/.package-lock.json

.PHONY: mock
mock: $(MOCK) ## a mock server for partners, from the examples in openapi.yaml
	@cd internal/publish/conformance && npm run --silent mock

.PHONY: check-mock
check-mock: $(MOCK) ## start the mock server and check that it responds
	@.ci/mock

$(MOCK): internal/publish/conformance/package-lock.json | npm-present
	@echo "installing the mock server into internal/publish/conformance/node_modules"
	@cd internal/publish/conformance && npm ci --no-progress && touch node_modules/.package-lock.json

.PHONY: release-spec
release-spec: go-present ## store openapi.yaml as the release of its version (FORCE=1 replaces an existing one)
	@$(GO) run ./internal/publish $(if $(FORCE),-force) release

##@ Release

.PHONY: deploy-rules
deploy-rules: ## generate the PrometheusRule for Kubernetes from the alert rules
	@{ printf '%s\n' '# Made by "make deploy-rules" of internal/telemetry/alerts.yaml.' \
	  'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' 'metadata:' '  name: mems' 'spec:'; \
	  sed -n '/^groups:/,$$s/^\(.\)/  \1/p' internal/telemetry/alerts.yaml; } > .deploy/kubernetes/monitoring/prometheusrule.yaml

.PHONY: lint-deploy
lint-deploy: go-present ## check image, Compose, Kubernetes, systemd and release files
	@cd .deploy/lint && $(GO) test -count=1 ./...

.PHONY: check-proxies
check-proxies: go-present ## the proxies' examples with nginx, HAProxy and Caddy in front of real servers
	@command -v nginx >/dev/null && command -v haproxy >/dev/null && command -v caddy >/dev/null || { \
	  echo "a proxy is missing: RUNLEVEL=1 apt-get install nginx-light haproxy caddy" >&2; exit 1; }
	$(WITHDB) $(GO) test -tags proxies -count=1 -timeout=10m -run '^TestProxies' ./cmd/mems

.PHONY: check-package
check-package: go-present ## install, use, upgrade and purge the Debian package in a booted Debian 12
	@command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
	@.ci/package

.PHONY: sbom
sbom: build $(CYCLONEDX) ## bin/mems.cdx.json: the bill of materials of the binary (CycloneDX)
	@# Its warnings are about licences that it does not recognise; what counts is checked.
	@$(CYCLONEDX) bin -json -std -licenses -version $(VERSION) -output bin/mems.cdx.json bin/mems 2>$(TOOLS)/sbom.log || \
	  { cat $(TOOLS)/sbom.log; exit 1; }
	@for module in $$($(GO) version -m bin/mems | awk '$$1 == "dep" { print $$2 "@" $$3 }'); do \
	  grep -qF "pkg:golang/$$module" bin/mems.cdx.json || { echo "bin/mems.cdx.json lacks $$module" >&2; exit 1; }; \
	done
	@echo "bin/mems.cdx.json names $$(grep -c '"purl"' bin/mems.cdx.json) modules"

.PHONY: release-check
release-check: $(GORELEASER) $(CYCLONEDX) ## build a release into bin/release without publishing it
	@PATH="$(dir $(CYCLONEDX)):$$PATH" $(GORELEASER) release --snapshot --clean --skip=publish

.PHONY: release
release: $(GORELEASER) $(CYCLONEDX) ## build and publish the release of a tag; for the workflow
	@PATH="$(dir $(CYCLONEDX)):$$PATH" $(GORELEASER) release --clean

##@ Care

# What is written by hand for browsers and Node. Their formatter and linter are the desk's.
WEB_FILES = $(shell git ls-files '*.ts' '*.svelte' '*.css' '*.js' '*.mjs' | grep -vE '^internal/reception/dist/|/generated/')
PRETTIER  := $(DESK)/node_modules/.bin/prettier --config $(DESK)/prettier.config.js

.PHONY: fmt
fmt: $(GOLANGCI) $(DESK)/node_modules/.package-lock.json ## format Go (gofumpt, goimports), TypeScript, Svelte and CSS (Prettier)
	@$(GOLANGCI) fmt
	@$(PRETTIER) --log-level warn --write $(WEB_FILES)

.PHONY: check-fmt
check-fmt: go-present $(DESK)/node_modules/.package-lock.json ## fail unless every file is formatted as by "make fmt"
	@files=$$(git ls-files '*.go' | xargs -r "$$($(GO) env GOROOT)/bin/gofmt" -l); \
	if [ -n "$$files" ]; then printf '%s\n' "$$files"; echo "not formatted: run 'make fmt'" >&2; exit 1; fi
	@$(PRETTIER) --log-level warn --check $(WEB_FILES)
	@awk 'length > 120 { printf "%s:%d: longer than 120 columns\n", FILENAME, FNR; long = 1 } END { exit long }' $(WEB_FILES)
	@echo "formatted"

.PHONY: lint
lint: $(GOLANGCI) lint-web ## golangci-lint, gosec included, and ESLint
	@$(GOLANGCI) run

.PHONY: lint-web
lint-web: $(DESK)/node_modules/.package-lock.json gen/node_modules/.package-lock.json ## ESLint on TypeScript, Svelte and scripts
	@$(DESK)/node_modules/.bin/eslint -c $(DESK)/eslint.config.js $(filter-out %.css,$(WEB_FILES))

.PHONY: actionlint
actionlint: $(ACTIONLINT) ## check the workflows under .github
	@$(ACTIONLINT) && echo "workflows are sound"

.PHONY: vuln
vuln: $(GOVULNCHECK) | npm-present ## report known vulnerabilities in dependencies and tools; needs the network
	@$(GOVULNCHECK) ./...
	@for tree in gen $(DESK) $(GENERATORS) internal/publish/conformance; do \
	  echo "npm audit in $$tree"; (cd $$tree && npm audit --package-lock-only); \
	done

.PHONY: pin
pin: ## pin actions by commit and images by digest, looked up from their origins; needs the network
	@.ci/pin

.PHONY: clean
clean: ## remove build output; private databases in .mems stay
	rm -rf bin site .tools gen/node_modules gen/typescript/dist internal/publish/conformance/node_modules $(GENERATORS)/node_modules $(GENERATORS)/out $(GENERATORS)/go/oapi $(GENERATORS)/go/ogen $(DESK)/node_modules $(DESK)/test-results

$(GOLANGCI): | go-present
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into .tools (first time: minutes)"
	@GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(ACTIONLINT): | go-present
	@echo "installing actionlint $(ACTIONLINT_VERSION) into .tools"
	@GOBIN=$(@D) $(GO) install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)

$(OASDIFF): | go-present
	@echo "installing oasdiff $(OASDIFF_VERSION) into .tools"
	@GOBIN=$(@D) $(GO) install github.com/oasdiff/oasdiff@$(OASDIFF_VERSION)

$(GOVULNCHECK): | go-present
	@echo "installing govulncheck $(GOVULNCHECK_VERSION) into .tools"
	@GOBIN=$(@D) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

.PHONY: npm-present
npm-present:
	@command -v npm >/dev/null || { echo "npm is missing: install Node 20 or newer" >&2; exit 1; }

$(GORELEASER): | go-present
	@echo "installing goreleaser $(GORELEASER_VERSION) into .tools (first time: minutes)"
	@GOBIN=$(@D) $(GO) install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)

$(CYCLONEDX): | go-present
	@echo "installing cyclonedx-gomod $(CYCLONEDX_VERSION) into .tools"
	@GOBIN=$(@D) $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

.PHONY: go-present
go-present:
	@command -v $(GO) >/dev/null || { \
	  echo "Go is missing. Install Go $$(awk '$$1 == "go" { print $$2 }' go.mod) or newer (go.dev/doc/install) and put its bin folder on PATH." >&2; exit 1; }
