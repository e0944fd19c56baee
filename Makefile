# Tools run at the versions in internal/tools/go.mod, so that our go.mod does not list them.
TOOL    := go tool -modfile=$(CURDIR)/internal/tools/go.mod
NESTED  := $(patsubst %/go.mod,%,$(wildcard internal/*/go.mod internal/test/*/go.mod internal/test/*/*/go.mod))
KUBE    := internal/test/kubetest/server
# Not linted, because that would compile External Secrets Operator.
CLIENTS := internal/test/clients/programs
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help build programs man screenshots run install packages packages-test reproducible kubetest test lint peers generate verify vault-clients clients bench profile crash faults twice linear nodes contract-nodes linear-nodes upgrades reloads flood hostile timing fuzz series scale dotenv runs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

build: ## Build .bin/strongroom
	@test -f .bin/strongroom || echo '== building (the first build takes about a minute)'
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o .bin/strongroom ./cmd/strongroom

run: build ## Build and serve an instance in .run/ (created on the first run)
	test -f .run/strongroom.yaml || .bin/strongroom init --console --dir .run
	.bin/strongroom serve --config .run/strongroom.yaml --metrics 127.0.0.1:9465

# Install directories as in the GNU Coding Standards; packagers set DESTDIR.
PREFIX  ?= /usr/local
DESTDIR ?=

install: build ## Install the program into PREFIX=/usr/local
	install -D -m 0755 .bin/strongroom '$(DESTDIR)$(PREFIX)/bin/strongroom'

screenshots: ## Write pictures of the console into .bin/screenshots
	mkdir -p .bin/screenshots
	cd internal/test/browsertest && STRONGROOM_SCREENSHOTS=$(CURDIR)/.bin/screenshots go test -count=1 -run TestScreenshots .

man: ## Write the man pages into .bin/man
	mkdir -p .bin/man
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) go run -tags man -ldflags '-X main.version=$(VERSION)' ./cmd/strongroom .bin/man

# The version of the packages, and of the image in configs/kubernetes. A changelog is in cmd/strongroom/README.md.
RELEASE  ?= 0.1.0
PACKAGES := .bin/packages
# Set it to NAME <ADDRESS> of the publisher. No mail reaches the default.
MAINTAINER ?= Strongroom maintainers <strongroom@users.noreply.github.com>

packages: ## Build deb, rpm, tar.gz, images and SBOMs in .bin/packages (SIGN=SSH-KEY, MAINTAINER=)
	cd internal/tools && go build -o $(CURDIR)/.bin/build-packages ./packages
	.bin/build-packages -out $(PACKAGES) -version $(RELEASE) -maintainer '$(MAINTAINER)' $(if $(SIGN),-sign $(SIGN)) $(if $(ARCH),-arch $(ARCH)) \
		-commit "$$(git rev-parse HEAD)" -epoch "$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)}"

# Signed with a key of its own. The packages of version 0.0.1 are those to upgrade from.
TESTED := $(CURDIR)/.bin/packages-test
packages-test: ## Install, upgrade, remove and lint the packages (as root, on Debian, with rpm, rpmlint and lintian)
	mkdir -p $(TESTED)
	test -f $(TESTED)/key || ssh-keygen -q -t ed25519 -N '' -C test -f $(TESTED)/key
	echo "test $$(cat $(TESTED)/key.pub)" > $(TESTED)/signers
	$(MAKE) packages PACKAGES=$(TESTED)/before RELEASE=0.0.1 ARCH=$$(go env GOARCH)
	$(MAKE) packages PACKAGES=$(TESTED)/current SIGN=$(TESTED)/key
	STRONGROOM_PACKAGES_BEFORE=$(TESTED)/before STRONGROOM_PACKAGES=$(TESTED)/current go test -count=1 -v -timeout 20m ./internal/test/packages
	cd internal/tools && STRONGROOM_PACKAGES=$(TESTED)/current go test -count=1 -run TestBuiltBOMsAreValid ./packages

# With a build cache for each build, so that the second compiles everything again.
reproducible: ## Build the packages of this commit twice, in two directories, and compare them
	@set -e; dir=$$(mktemp -d); trap 'chmod -R u+w "$$dir"; rm -rf "$$dir"' EXIT; \
	for copy in one another-directory; do \
		git clone -q . "$$dir/$$copy"; \
		GOCACHE="$$dir/cache-$$copy" $(MAKE) -C "$$dir/$$copy" packages ARCH=$(ARCH) RELEASE=$(RELEASE); \
	done; \
	diff -r "$$dir/one/$(PACKAGES)" "$$dir/another-directory/$(PACKAGES)"; \
	echo 'both builds are the same, byte for byte'

kubetest: ## Build the Kubernetes API server for the tests (only once)
	@echo '== Kubernetes API server for the tests (the first build takes minutes)'
	go run ./internal/test/kubetest/prebuild

# The programs that the tests run, built once for the tests of all modules.
PROGRAMS := $(CURDIR)/.bin/tested
programs:
	@echo '== building the programs that the tests run'
	@go build -race -buildvcs=false -ldflags '-X main.version=v0-test' -o $(PROGRAMS)/race/strongroom ./cmd/strongroom
	@go build -buildvcs=false -ldflags '-X main.version=v0-test' -o $(PROGRAMS)/fast/strongroom ./cmd/strongroom

# The tests of cmd/strongroom wait for their servers most of the time, so they run beside the rest, whose output comes last. The
# race detector checks their servers and commands, but not the test binary itself, which would take twice the time. envfile
# starts no goroutine.
# vet is a part of make lint. With GORACE, each test binary does not wait for a second at its end.
test: kubetest programs ## Run all tests, and count them
	@echo '== tests of all modules (compiling the validators for the first time takes minutes)'
	@beside=$$(mktemp); trap 'rm -f "$$beside"' EXIT; \
	export STRONGROOM_PROGRAMS=$(PROGRAMS) GORACE=atexit_sleep_ms=10; \
	$(TOOL) gotestsum --format pkgname --raw-command -- sh -c '\
		{ go test -json -vet=off -race -timeout 30m $$(go list ./... | grep -v -e /cmd/strongroom$$ -e /envfile$$) || failed=1; \
		go build -C internal/test/oidctest -race -o $$STRONGROOM_PROGRAMS/race/provider ./provider || failed=1; \
		for module in internal/tools $(addprefix internal/test/,contracttest oidctest browsertest); do \
			(cd $$module && go test -json -vet=off -count=1 ./...) || failed=1; \
		done; exit $${failed:-0}; } >'"$$beside"' & \
		go test -json -vet=off -parallel 4 -timeout 30m ./cmd/strongroom ./internal/client/envfile || failed=1; \
		wait $$! || failed=1; \
		cat '"$$beside"'; \
		exit $${failed:-0}' # -count=1: the cache does not see the server change

# gosec skips test files and the packages that only tests and make bench run: internal/test/bench,
# internal/test/kubetest, internal/test/pgtest and internal/store/storetest. It skips rules G304 and G703, which report every path
# from a flag or the config, since only the administrator writes those.
GOSEC   := -test=false -exclude=G304,G703

lint: ## Check formatting, vet, staticcheck and gosec, in every module
	@echo '== gofumpt'
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if test -n "$$unformatted"; then echo "gofumpt would change:"; echo "$$unformatted"; exit 1; fi
	@set -e; for module in . $(filter-out $(KUBE) $(CLIENTS),$(NESTED)); do \
		echo "== vet and staticcheck in $$module"; \
		(cd $$module && go vet ./... && $(TOOL) staticcheck ./...); \
	done
	@echo '== gosec'
	@cd internal/tools && go build -o $(CURDIR)/.bin/gosec ./gosec
	@.bin/gosec $(GOSEC) $$(go list ./... | grep -v -e /internal/test/bench -e /internal/test/kubetest -e /internal/test/pgtest -e /internal/store/storetest)
	@echo "== vet in $(KUBE) (staticcheck would check all of Kubernetes)"
	cd $(KUBE) && CGO_ENABLED=0 go vet .

# Downloads come from PyPI only. The date selects the dependencies that were current when openhands-ai was released.
PEERS  := $(CURDIR)/.bin/peers
PYTHON := $(lastword python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python))
peers: ## Compare Strongroom's answers with OpenHands' own servers (2 GB from PyPI, needs Python 3.12)
	@set -e; if ! test -f $(PEERS)/installed; then \
		rm -rf $(PEERS); mkdir -p $(PEERS); \
		for name in agent-server openhands; do $(PYTHON) -m venv $(PEERS)/$$name; done; \
		$(PEERS)/openhands/bin/pip install -q -r internal/test/peers/requirements.txt; \
		uv=$(PEERS)/openhands/bin/uv; \
		$$uv pip install -q --python $(PEERS)/agent-server/bin/python openhands-agent-server==1.58.2; \
		$$uv pip install -q --python $(PEERS)/openhands/bin/python --exclude-newer 2025-08-20 openhands-ai==0.53.0; \
		touch $(PEERS)/installed; \
	fi
	STRONGROOM_PEERS=$(PEERS) go test -count=1 -v -timeout 20m ./internal/test/peers

# Each client is installed alone, so that one that cannot be had does not prevent the test of the others. What is missing is
# reported here, and its tests are skipped. The Go clients include the Vault provider of External Secrets Operator with all
# that it imports: the first build takes minutes.
VAULT_CLIENTS := $(CURDIR)/.bin/vault-clients
vault-clients: ## Read secrets with clients of Vault and OpenBao (200 MB from PyPI and Go modules, needs Python 3.12)
	@set -e; if ! test -f $(VAULT_CLIENTS)/installed; then \
		rm -rf $(VAULT_CLIENTS); mkdir -p $(VAULT_CLIENTS)/bin; $(PYTHON) -m venv $(VAULT_CLIENTS)/venv; \
		while read -r package; do \
			$(VAULT_CLIENTS)/venv/bin/pip install -q "$$package" || echo "NOT TESTED: $$package CANNOT BE INSTALLED"; \
		done < internal/test/clients/requirements.txt; \
		for name in bao fnox; do ln -s ../venv/bin/$$name $(VAULT_CLIENTS)/bin/$$name; done; ln -s bao $(VAULT_CLIENTS)/bin/vault; \
		touch $(VAULT_CLIENTS)/installed; \
	fi
	go build -C internal/test/clients/programs -o $(VAULT_CLIENTS)/bin/ ./... || echo 'NOT TESTED: THE GO CLIENTS CANNOT BE BUILT'
	STRONGROOM_VAULT_CLIENTS=$(VAULT_CLIENTS) go test -count=1 -v -timeout 20m -run TestVaultsClients ./internal/test/clients

# As above: what cannot be installed is reported, and the test of its language is skipped.
SDKS := $(CURDIR)/.bin/clients
clients: ## Generate Python, TypeScript and Go clients from the documents, and use them (PyPI, npm; needs Node)
	@set -e; if ! test -f $(SDKS)/installed; then \
		rm -rf $(SDKS); mkdir -p $(SDKS); $(PYTHON) -m venv $(SDKS)/venv; \
		$(SDKS)/venv/bin/pip install -q openapi-python-client==0.29.1 || echo 'NOT TESTED: THE GENERATOR FOR PYTHON CANNOT BE INSTALLED'; \
		npm install --silent --no-fund --no-audit --prefix $(SDKS) openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 \
			|| echo 'NOT TESTED: THE GENERATOR FOR TYPESCRIPT CANNOT BE INSTALLED'; \
		touch $(SDKS)/installed; \
	fi
	STRONGROOM_CLIENTS=$(SDKS) go test -count=1 -v -timeout 20m -run TestGeneratedClients ./internal/test/clients

generate: ## Merge the API documents, then generate code from them
	go generate ./specs
	go generate ./gen/...

# Works in a copy, so that it needs no commit and changes no files here.
verify: ## Fail if specs/merged or gen is out of date
	@set -e; copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	cp -R Makefile go.mod go.sum specs gen internal "$$copy"; \
	rm -rf "$$copy"/specs/merged "$$copy"/gen/*/*.gen.go; \
	$(MAKE) --no-print-directory -C "$$copy" generate; \
	for dir in specs/merged gen; do \
		diff -r $$dir "$$copy/$$dir" || { echo "$$dir is stale: run make generate"; exit 1; }; \
	done; \
	echo 'specs/merged and gen are up to date'

bench: ## Run the benchmarks
	go run ./internal/test/bench

# go build uses default.pgo automatically and inlines more in hot functions. The profile is recorded
# from a build without one, so that it does not depend on the inlining of an earlier profile. Missed bars do not matter.
profile: ## Record a new profile for go build (cmd/strongroom/default.pgo)
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	CGO_ENABLED=0 go build -trimpath -pgo=off -o "$$dir/strongroom" ./cmd/strongroom; \
	go run ./internal/test/bench --binary "$$dir/strongroom" --only get,list,put,reveal --rounds 3 --profile "$$dir/cpu" || true; \
	test -s "$$dir/cpu"; cp "$$dir/cpu" cmd/strongroom/default.pgo

# CI runs these long tests with their defaults; a larger N makes them longer.
PROOF := go test -count=1 -v -timeout 4h

crash: programs ## Kill the server N=100 times while 16 clients write
	STRONGROOM_PROGRAMS=$(PROGRAMS) STRONGROOM_CRASHES=$(or $(N),100) $(PROOF) -run TestAcknowledgedWritesSurviveKill9 ./cmd/strongroom

# With -p 1 the progress is shown at once.
faults: ## Test damaged files, and failing and full disks; N=full for many more cases, half an hour
	STRONGROOM_FAULTS=$(N) $(PROOF) -p 1 ./internal/state ./internal/test/faults

# The packages whose closures run in transactions of the state file.
twice: ## Run the tests with every transaction run twice, the first time for nothing
	go test -count=1 -tags twice -timeout 20m $(addprefix ./internal/,secret store/bolt audit issued keyring lastaccess admin backup)
	go test -count=1 -tags twice -run TestOnlyTheSecondRunCounts ./internal/state

linear: ## Check that N=20000 concurrent operations with crashes are linearizable
	STRONGROOM_LINEAR=$(or $(N),20000) $(PROOF) -run 'TestModel|TestOperationsAreLinearizable|TestNoUpdateIsLost' ./cmd/strongroom

contract-nodes: ## Run the contract tests on three nodes behind one address
	cd internal/test/contracttest && STRONGROOM_NODES=3 go test -count=1 -timeout 60m .

nodes: ## Share an agent key's reads, revocations and rotations among three nodes, N=1000 times
	STRONGROOM_ROUNDS=$(or $(N),1000) go test -count=1 -v -timeout 60m -run 'TestAgentKey|TestRevoked|TestNodesRotate' ./internal/test/nodes

linear-nodes: ## The same on three nodes, while they, their connections and the database fail
	STRONGROOM_LINEAR_NODES=$(or $(N),20000) $(PROOF) -run TestOperationsOnThreeNodesAreLinearizable ./cmd/strongroom

# Before the first commit there were no packages, and before the second one no nodes.
upgrades: ## Upgrade from the program of an earlier commit (FROM=; of nodes: NODES_FROM=), go back, and upgrade again; take over a file of format 2
	STRONGROOM_UPGRADE_FROM=$(or $(FROM),1cc0ee4) STRONGROOM_UPGRADE_NODES_FROM=$(or $(NODES_FROM),67fa6a5) \
		$(PROOF) -run 'TestUpgradeKeepsEverythingAndCanBeRolledBack|TestFileOfFormat2|TestNodesAreUpgraded' ./cmd/strongroom

reloads: ## Reload N=1000 times under load, every second time with a broken file
	STRONGROOM_RELOADS=$(or $(N),1000) $(PROOF) -run TestReloadsUnderLoadFailNoRequest ./cmd/strongroom

flood: ## Open N=10000 unfinished TLS handshakes, and half as many slow requests
	STRONGROOM_FLOOD=$(or $(N),10000) $(PROOF) -run TestFloodOfUnfinishedRequestsDoesNotBlockClients ./cmd/strongroom

hostile: ## Attack the server with N=2200 stalled connections and memory-consuming requests
	STRONGROOM_HOSTILE=$(or $(N),2200) $(PROOF) -run TestHostile ./cmd/strongroom

timing: ## Time N=1000000 rejections of each kind of API key
	STRONGROOM_TIMING=$(or $(N),1000000) $(PROOF) -run TestTimingOfARejectionRevealsNothing ./internal/issued

# Two targets run at a time, each with one worker. Go 1.26 sometimes reports the end of -fuzztime as a failure
# (go.dev/issue/75804). A real failure also logs "Failing input written".
FUZZERS := $(shell grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' internal | sed 's,^\(.*\)/[^/]*:func ,\1@,')
.PHONY: $(FUZZERS)
fuzz: ## Fuzz every parser for N=10s
	@$(MAKE) --no-print-directory -j2 --output-sync=target $(FUZZERS)

$(FUZZERS):
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; echo "== $@"; \
	{ go test -vet=off -run '^$$' -fuzz '^$(lastword $(subst @, ,$@))$$' -fuzztime $(or $(N),10s) -fuzzminimizetime 1s -parallel 1 \
		./$(firstword $(subst @, ,$@)) 2>&1 || echo FAILED; } | tee "$$log"; \
	! grep -q '^FAILED$$' "$$log" || { ! grep -q 'Failing input written' "$$log" && grep -qx ' *context deadline exceeded' "$$log"; }

tokens: ## Mutate a valid token N=1000000 times
	STRONGROOM_MUTATIONS=$(or $(N),1000000) $(PROOF) -run TestMutationsOfAGoodToken ./internal/auth/oidc

series: ## Create 10 secrets for each of N=10000 owners, and count the series of metrics
	STRONGROOM_SERIES=$(or $(N),10000) $(PROOF) -run TestOwnersAndSecretsAddNoSeries ./cmd/strongroom

scale: ## Compare the speed of N=1000 owners of 1,000 secrets with one
	STRONGROOM_SCALE=$(or $(N),1000) $(PROOF) -run TestMillionSecrets ./cmd/strongroom

dotenv: ## Let the parsers of Node, Python and Docker Compose read our .env cases again (from npm and PyPI)
	sh internal/client/envfile/testdata/dotenv/generate.sh

runs: ## Start N=1000 commands with strongroom run, and pass on every exit code
	STRONGROOM_STARTS=$(or $(N),1000) $(PROOF) -run 'TestRunAddsLittleTime|TestExitCodesArePassedOn' ./cmd/strongroom

clean: ## Remove build results (but not .run/, which contains secrets)
	rm -rf .bin
