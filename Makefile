# make help lists the targets. Needs GNU make, bash and Go; the module proxy is the only thing on the
# network, besides the package mirror where make test installs what it misses.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO          ?= go
TIMEOUT     ?= 15m
FUZZTIME    ?= 5s
BENCHCOUNT  ?= 6
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Where git cannot tell the revision (an archive, a folder of someone else), the build goes without.
STAMP := $(shell git status --porcelain >/dev/null 2>&1 || echo -buildvcs=false)

# What the tests run beside the program: a repository is opened by hand with these. Names are Debian's.
TOOLS := age zstd jq python3 npm

# What the tests keep repositories in: an S3 server, and Microsoft's stand-in for Azure Blob Storage.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
AZURITE   := azurite@3.37.0
SERVERS   := $(CURDIR)/bin/.servers
export PATH := $(SERVERS):$(SERVERS)/node_modules/.bin:$(PATH)

.PHONY: help build demo test tools test-race test-long fuzz bench bench-full lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

build: ## build bin/tidemark
	@mkdir -p bin
	$(GO) build $(STAMP) -trimpath -o bin/tidemark ./cmd/tidemark

demo: build ## try it on a made-up tenant on this machine
	bin/tidemark demo

test: tools ## vet, the house rules, then every test
	$(GO) vet ./...
	$(GO) test -count=1 ./internal/house
	$(GO) test -timeout $(TIMEOUT) ./...

tools:
	@missing=
	for tool in $(TOOLS); do
		command -v "$$tool" >/dev/null 2>&1 || missing="$$missing $$tool"
	done
	if [ -z "$$missing" ]; then
		true
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing$$missing"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null
	else
		echo "make test needs these programs, please install them:$$missing" >&2
		exit 1
	fi
	if ! command -v versitygw >/dev/null; then
		echo "installing $(VERSITYGW)"
		GOBIN=$(SERVERS) $(GO) install $(VERSITYGW)
	fi
	if ! command -v azurite-blob >/dev/null; then
		echo "installing $(AZURITE)"
		npm install --prefix $(SERVERS) --no-audit --no-fund --silent $(AZURITE)
	fi

test-race: tools ## every test under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

test-long: tools ## the tests that take hours: large tenants, many seeds
	TIDEMARK_LONG=1 $(GO) test -count=1 -timeout 0 ./...

fuzz: ## every fuzz target for FUZZTIME each
	@count=0
	while IFS=: read -r file target; do
		count=$$((count + 1))
		echo "$$target in $$(dirname "$$file")"
		fuzz() { $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" </dev/null; }
		# The Go tool can take the end of the time for a failure (golang/go#75804). A failure that is one has left its
		# input in testdata, and fails again.
		fuzz || fuzz
	done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sed 's/func //' | sort)
	if [ "$$count" = 0 ]; then
		echo "no fuzz targets found" >&2
		exit 1
	fi

bench: ## every benchmark once, at a size that takes minutes: a ratio that does not hold fails
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout $(TIMEOUT) ./...

bench-full: ## measure; the result goes to bin/bench.txt, see doc/performance.md
	@mkdir -p bin
	{ uname -srm; $(GO) version; nproc; grep -m1 'model name' /proc/cpuinfo || true; } | tee bin/bench.txt
	TIDEMARK_LONG=1 $(GO) test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) -timeout 0 ./... | tee -a bin/bench.txt

lint: ## gofmt, go vet, go mod tidy, staticcheck
	@unformatted=$$(gofmt -l cmd internal)
	if [ -n "$$unformatted" ]; then
		printf 'gofmt would change:\n%s\n' "$$unformatted" >&2
		exit 1
	fi
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

clean: ## remove what was built
	rm -rf bin dist

.ONESHELL:
