# Everything here does its own set-up, on a machine with Rust, CPython >= 3.11 with pip, and a C
# compiler. What it makes goes into build/, dist/ and target/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
SHELL := /bin/bash

# What runs may still be a shim for nothing, too old, or without the stable ABI (free-threaded).
SUITABLE := import sys, sysconfig; sys.exit(sys.version_info < (3, 11) \
	or sys.implementation.name != "cpython" or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
PYTHON := $(or $(PYTHON),$(shell for python in python3 python3.{14..11}; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && command -v $$python && break; done))
export PYO3_PYTHON := $(PYTHON)

# An IPC namespace of our own, where that is allowed: no other program's objects are seen there,
# ours are gone with it, and its limits may be lowered.
UNSHARE := $(shell unshare --ipc true 2>/dev/null && echo unshare --ipc \
	|| { unshare --user --map-root-user --ipc true 2>/dev/null \
	&& echo unshare --user --map-root-user --ipc; })

# pytest's workers, each of which moves into a namespace of its own: where that is not allowed they
# would see each other's objects.
WORKERS := $(if $(UNSHARE),-n 2 --dist worksteal)

SOURCES := $(shell find src python -type f -not -name '*.so' -not -name '*.pyc') \
	Cargo.toml Cargo.lock pyproject.toml README.md LICENSE
TEST := build/test/bin/python
PYTHON_FILES := python tests examples tools docs/conf.py docs/_ext $(if $(wildcard benches/*.py),benches)

.PHONY: help demo test lint lint-format lint-rust lint-python test-rust test-python wheel-check \
	instructions instructions-baseline interop interop-programs soak docs bench pictures fuzz \
	asan faults free-threaded clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: build/demo.stamp ## set up, and run the main job
	build/demo/bin/python examples/demo.py

test: lint-format lint-rust test-rust lint-python wheel-check instructions test-python ## set up, and check everything

lint: lint-format lint-rust lint-python ## only what needs no run

lint-format: build/checkers.stamp
	cargo fmt --check
	$(TEST) -m ruff check --quiet $(PYTHON_FILES)
	$(TEST) -m ruff format --quiet --check $(PYTHON_FILES)

lint-rust:
	cargo clippy --quiet --locked --all-targets -- -D warnings
	cargo clippy --quiet --locked --lib --features python -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --no-deps
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --no-deps --document-private-items \
		--features python

test-rust:
	$(UNSHARE) cargo test --locked

lint-python: build/test.stamp
	$(TEST) -m mypy $(PYTHON_FILES)
	cd build && ../$(TEST) -m mypy.stubtest sysv_ipc_rs \
		--allowlist ../tools/stubtest_allowlist.txt --ignore-unused-allowlist

wheel-check: build/wheel.stamp ## the wheel installs and works on every CPython >= 3.11 found
	tools/wheel_check.sh

instructions: build/test.stamp ## what the hottest calls cost, beside the committed counts (valgrind)
	$(UNSHARE) $(TEST) benches/instructions.py

instructions-baseline: build/test.stamp ## commit to what they cost now
	$(UNSHARE) $(TEST) benches/instructions.py --write

# The last line that this prints is pytest's own.
test-python: build/test.stamp
	@[ -n "$(UNSHARE)" ] || echo "notice: no IPC namespace of our own is allowed here"
	@cd build && ../$(TEST) -c 'import sys, sysv_ipc_rs; \
		assert sysv_ipc_rs.__file__.startswith(sys.prefix), "not the wheel is tested"'
	$(UNSHARE) $(TEST) -m pytest $(WORKERS)

interop: build/test.stamp interop-programs ## with the other programs that we talk to, which it installs
	$(UNSHARE) $(TEST) -m pytest tests/interop

interop-programs: build/checkers.stamp
	$(TEST) tests/interop/programs.py

soak: build/test.stamp ## the laws that need long runs
	$(UNSHARE) $(TEST) tests/soak/run.py
	$(UNSHARE) $(TEST) tests/hostile/random_calls.py --calls 1000000
	STATE_MACHINE_EXAMPLES=2000 INTERPRETER_EXITS=250 $(UNSHARE) $(TEST) -m pytest -q --timeout 3600 \
		tests/test_state_machines.py tests/test_state_machine_memory.py \
		tests/test_state_machine_waiting.py tests/test_lifetimes.py

docs: build/docs.stamp ## the documentation site, in build/site
	build/docs/bin/python -m sphinx --builder html --fresh-env --doctree-dir build/doctrees \
		--fail-on-warning --keep-going --quiet docs build/site
	build/docs/bin/python tools/check_links.py build/site

bench: build/bench.stamp ## beside C and the peers, in one run
	set -o pipefail; $(UNSHARE) cargo bench --quiet --locked --bench core -- --noplot \
		| grep -E 'time:|core/bare'
	$(UNSHARE) build/bench/bin/python -m pytest --quiet benches -p no:cacheprovider \
		--benchmark-columns=min,median --benchmark-sort=min --benchmark-json=build/peers.json
	$(UNSHARE) build/bench/bin/python benches/table.py --json build/bench.json --charts docs/img
	$(UNSHARE) build/bench/bin/python benches/scale.py --json build/scale.json --charts docs/img

pictures: build/test.stamp ## of ls, top and doctor, for the docs
	$(UNSHARE) $(TEST) tools/pictures.py docs/img

# Both need what only an unstable compiler offers, or a stable one that is told to.
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz: ## the parsers, a minute each (FUZZ_SECONDS), under cargo-fuzz
	cargo install --quiet --root build/cargo cargo-fuzz
	cd fuzz && for target in proc keys; do \
		../build/cargo/bin/cargo-fuzz run $$target -- -max_total_time=$(or $(FUZZ_SECONDS),60) \
		|| exit 1; done

asan: export RUSTC_BOOTSTRAP = 1
asan: export RUSTFLAGS = -Zsanitizer=address
asan: ## the core's tests under AddressSanitizer
	$(UNSHARE) cargo test --locked --lib --tests --target-dir target/asan \
		--target $(shell rustc -vV | sed -n 's/host: //p')

faults: build/test.stamp ## one deliberate fault after the other, and the test that catches it
	$(UNSHARE) $(TEST) tools/faults.py

free-threaded: ## the suite on a CPython without the GIL, which is built if none is found
	tools/free_threaded.sh

clean: ## away with all that was made
	rm -rf build dist target .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A virtual environment each for building, testing, timing and the demo: what is tested is the
# wheel, as a user gets it. Some distributions leave out ensurepip, then our own pip helps.

build/%/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "no CPython >= 3.11 found; say which: make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv build/$* >/dev/null || { $(PYTHON) -m venv --clear --without-pip build/$* \
		&& $(PYTHON) -m pip --python $@ install --quiet pip; }
	$@ -m pip install --quiet --upgrade pip

build/wheel.stamp: build/tools/bin/python $(SOURCES)
	$< -m pip install --quiet 'maturin>=1.16,<2'
	rm -f dist/*.whl
	build/tools/bin/maturin build --quiet --release --locked --interpreter $< --out dist
	touch $@

build/demo.stamp: build/demo/bin/python build/wheel.stamp
	$< -m pip install --quiet --force-reinstall dist/*.whl
	touch $@

build/checkers.stamp: build/test/bin/python pyproject.toml
	$< -m pip install --quiet --group test
	touch $@

build/test.stamp: build/checkers.stamp build/wheel.stamp
	$(TEST) -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(TEST) -m pip install --quiet "$$(echo dist/*.whl)[cli]"
	touch $@

build/docs.stamp: build/docs/bin/python build/wheel.stamp
	$< -m pip install --quiet --group docs
	$< -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

build/bench.stamp: build/bench/bin/python build/wheel.stamp
	$< -m pip install --quiet --group bench
	$< -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

.PRECIOUS: build/%/bin/python
