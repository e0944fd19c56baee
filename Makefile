# Tools run at the versions in internal/tools/go.mod, so they stay out of ours.
TOOL    := go tool -modfile=$(CURDIR)/internal/tools/go.mod
NESTED  := $(patsubst %/go.mod,%,$(wildcard internal/*/go.mod internal/test/*/go.mod internal/test/*/*/go.mod))
KUBE    := internal/test/kubetest/server
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help build run install kubetest test lint peers generate verify bench profile crash faults linear reloads flood hostile timing fuzz scale clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

build: ## Build .bin/strongroom
	@test -f .bin/strongroom || echo '== building (the first build takes about a minute)'
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o .bin/strongroom ./cmd/strongroom

run: build ## Build and serve, with what .run/ holds (made on the first run)
	test -f .run/strongroom.yaml || .bin/strongroom init --dir .run
	.bin/strongroom serve --config .run/strongroom.yaml

# The directories of the GNU Coding Standards; DESTDIR is for packages.
PREFIX  ?= /usr/local
DESTDIR ?=

install: build ## Install the program into PREFIX=/usr/local
	install -D -m 0755 .bin/strongroom '$(DESTDIR)$(PREFIX)/bin/strongroom'

kubetest: ## Build the API server that tests start, once
	@echo '== the API server of Kubernetes for tests (compiling it for the first time takes minutes)'
	go run ./internal/test/kubetest/prebuild

test: kubetest ## Run all tests
	@echo '== tests'
	go test -race ./...
	@echo '== tests of internal/tools'
	cd internal/tools && go test ./...
	@echo '== contract tests (compiling their validator for the first time takes minutes)'
	cd internal/test/contracttest && go test -count=1 ./... # the cache does not see the server change
	@echo '== tests with a real OpenID provider'
	cd internal/test/oidctest && go test -count=1 ./...

# gosec passes over test files, over internal/test/bench, internal/test/kubetest and internal/store/storetest,
# which only tests and make bench run, and over two rules: G304 and G703 report every path that comes
# from a flag or the config, which only the administrator writes.
GOSEC   := -test=false -exclude=G304,G703

lint: ## Check formatting, vet, staticcheck and gosec, in every module
	@echo '== gofumpt'
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if test -n "$$unformatted"; then echo "gofumpt would change:"; echo "$$unformatted"; exit 1; fi
	@set -e; for module in . $(filter-out $(KUBE),$(NESTED)); do \
		echo "== vet and staticcheck in $$module"; \
		(cd $$module && go vet ./... && $(TOOL) staticcheck ./...); \
	done
	@echo '== gosec'
	@cd internal/tools && go build -o $(CURDIR)/.bin/gosec ./gosec
	@.bin/gosec $(GOSEC) $$(go list ./... | grep -v -e /internal/test/bench -e /internal/test/kubetest -e /internal/store/storetest)
	@echo "== vet in $(KUBE) (staticcheck would go through all of Kubernetes)"
	cd $(KUBE) && CGO_ENABLED=0 go vet .

# PyPI is the only place that it fetches from. The date makes the dependencies of openhands-ai those of its day.
PEERS  := $(CURDIR)/.bin/peers
PYTHON := $(lastword python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python))
peers: ## Compare our answers with OpenHands' own servers (2 GB from PyPI, needs Python 3.12)
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

generate: ## Merge the documents, then generate code from them
	go generate ./specs
	go generate ./gen/...

# In a copy, so that it neither needs a commit nor touches the tree.
verify: ## Fail if specs/merged or gen is not what generate makes
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

# Go takes default.pgo by itself and inlines more where the time goes. It is made
# without one, so that it does not depend on what an earlier one had inlined.
profile: ## Measure anew what go build is to optimise for (cmd/strongroom/default.pgo)
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	CGO_ENABLED=0 go build -trimpath -pgo=off -o "$$dir/strongroom" ./cmd/strongroom; \
	go run ./internal/test/bench --binary "$$dir/strongroom" --only get,list,put,reveal --rounds 3 --profile "$$dir/cpu"; \
	cp "$$dir/cpu" cmd/strongroom/default.pgo

# What the proofs run by default is what CI runs; N makes them longer.
PROOF := go test -count=1 -v -timeout 4h

crash: ## Kill the server N=100 times under 16 writing clients
	STRONGROOM_CRASHES=$(or $(N),100) $(PROOF) -run TestEveryAcknowledgedWriteOutlivesKill9 ./cmd/strongroom

faults: ## Torn, cut and flipped files, failing and full disks; N=full for every one
	STRONGROOM_FAULTS=$(N) $(PROOF) ./internal/state ./internal/test/faults

linear: ## Hold N=20000 concurrent operations, kills between, to a model
	STRONGROOM_LINEAR=$(or $(N),20000) $(PROOF) -run 'TestTheModel|TestOperationsHappenOneAfterTheOther|TestNoUpdateIsLost' ./cmd/strongroom

reloads: ## Reload N=1000 times under load, half of them broken
	STRONGROOM_RELOADS=$(or $(N),1000) $(PROOF) -run TestReloadsUnderLoadDisturbNobody ./cmd/strongroom

flood: ## Open N=10000 TLS handshakes that never end, and half as many slow requests
	STRONGROOM_FLOOD=$(or $(N),10000) $(PROOF) -run TestAFloodOfUnfinishedRequestsDrownsNobody ./cmd/strongroom

hostile: ## Attack the server with N=2200 stalled connections, and with what takes memory
	STRONGROOM_HOSTILE=$(or $(N),2200) $(PROOF) -run TestHostile ./cmd/strongroom

timing: ## Time N=1000000 refusals of each kind of key
	STRONGROOM_TIMING=$(or $(N),1000000) $(PROOF) -run TestTimingOfARejectionRevealsNothing ./internal/issued

# Go 1.26 sometimes takes the end of -fuzztime itself for a failure
# (go.dev/issue/75804); what it has found, it says.
fuzz: ## Fuzz our own parsers, each for N=10s
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for package in $$(go list ./internal/...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			{ go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(N),10s) -fuzzminimizetime 1s $$package 2>&1 || echo FAILED; } | tee "$$log"; \
			if grep -q '^FAILED$$' "$$log" && { grep -q 'Failing input written' "$$log" || ! grep -qx ' *context deadline exceeded' "$$log"; }; then exit 1; fi; \
		done; \
	done

tokens: ## Mutate a good token N=1000000 times
	STRONGROOM_MUTATIONS=$(or $(N),1000000) $(PROOF) -run TestMutationsOfAGoodToken ./internal/auth/oidc

scale: ## Compare N=1000 owners of 1,000 secrets with one
	STRONGROOM_SCALE=$(or $(N),1000) $(PROOF) -run TestAMillionSecrets ./cmd/strongroom

clean: ## Remove what was built (not .run/, which holds secrets)
	rm -rf .bin
