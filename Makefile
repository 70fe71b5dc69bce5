# restartinit: `make run` tries it out, `make test` tests it, `make static` builds what goes into an image.

ARCH := $(shell uname -m)
# The machine's own architecture is where all tests look.
STATIC := target/static/$(if $(filter $(shell uname -m),$(ARCH)),,$(ARCH)/)restartinit
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: all run test test-processes test-docker bench bench-quick bench-engine bench-boots fleet fuzz fuzz-quick static dist manual packages lint clean deny referees reproducible miri mutants torture kubernetes frameworks vm

all: static

run: ## a real server under restartinit, and what to try on it
	cargo build --release
	@echo
	@echo "The server says its address. Then, in another terminal:"
	@echo "  curl localhost:$${PORT:-3000}/             who am I"
	@echo "  curl localhost:$${PORT:-3000}/crash        it is back at once; the sixth time restartinit hands over"
	@echo "  curl localhost:$${PORT:-3000}/leftover     a process that would outlive a crash"
	@echo "Ctrl-C stops it. More addresses: examples/server/README.md"
	@echo
	@exec $${CARGO_TARGET_DIR:-target}/release/restartinit -v -- node examples/server/server.js

static: ## target/static/restartinit: one file, no libraries; ARCH=aarch64 or x86_64 builds for the other architecture
	@packaging/static $(ARCH) $(STATIC)

dist: ## target/dist/: all that a release has, and a check of it, as root: archives, npm package, .deb, SBOM, image, checksums
	packaging/dist

manual: ## target/manual/: the man page, and completions for bash, zsh and fish
	cargo run --quiet --locked --example manual target/manual

packages: ## what the tests need beyond Rust and Node
	tests/packages

test: packages static ## everything: the core, the processes (as built here and static), real containers
	tests/all

bench: static ## beside tini, dumb-init, catatonit and pm2-runtime, about 20 minutes on a quiet machine: bench/results.md, bench/plots/
	bench/run.py

bench-quick: static ## the same in about a minute, as a hint only: target/bench/quick.md
	bench/run.py --quick

fleet: ## 10,000 replicas, simulated: what the limits do to them; docs/choosing-limits.md and bench/plots/fleet*.svg, some minutes
	bench/fleet/run.py

bench-engine: static ## beside `docker run --restart always`, half an hour, as root: docs/engine-comparison.md, bench/engine.json, bench/plots/
	tests/docker/with-engine bench/engine.py

bench-boots: static ## what NODE_COMPILE_CACHE takes off a boot, some minutes, as root: docs/faster-boots.md
	bench/boots.py

fuzz: ## ten minutes for each of the parsers that read what others write; needs a C++ compiler
	fuzz/run 600

fuzz-quick: ## the same, 20 seconds each
	fuzz/run 20

torture: packages static ## every fault, every race, the long run, about 15 minutes, as root: a table of what was tried and what fell over
	tests/torture/run.py
	tests/torture/mistakes
	tests/torture/reproducible

lint:
	cargo fmt --check
	cargo clippy --all-targets --all-features --locked -- -D warnings

frameworks: ## Next.js, NestJS and others, built for production, under load: the figures of docs/frameworks.md
	cargo build --examples
	cargo test --test it frameworks:: -- --nocapture --test-threads=1

deny: ## what restartinit is built of: licences, sources, one version of each crate (deny.toml); seconds
	tests/deny

referees: packages ## who keeps which promise: restartinit, tini, dumb-init and catatonit, as a table
	tests/referees

kubernetes: packages static ## the Kubernetes examples on a real kubelet, which KUBELET names, and CONTAINERD its containerd; as root, two minutes
	tests/kubernetes/check
	tests/kubernetes/run

vm: packages static ## machines of their own, emulated by QEMU: the kernel's own init, cgroup v2, arm64, the process tests there; as root on x86_64, half an hour: docs/machines.md
	$(MAKE) static ARCH=aarch64
	tests/vm/run
	tests/vm/suite

reproducible: ## two static builds, in different places, give the same bytes
	tests/torture/reproducible

miri: ## the pure core under Miri, which sees undefined behaviour and overflows; the first time it fetches Miri for the nightly toolchain
	tests/miri

mutants: ## the core changed in one place at a time: the core's own tests must notice each; an hour or more, `tests/mutants --sample 40` a minute
	tests/mutants

clean:
	cargo clean
