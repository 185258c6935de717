# Everything here does its own set-up, on a machine with Rust, CPython >= 3.11 with pip, and a C
# compiler. What it makes goes into build/, dist/ and target/.

.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

# An IPC namespace of our own, where that is allowed: no other program's objects are seen there,
# ours are gone with it, and its limits may be lowered.
UNSHARE := $(shell unshare --ipc true 2>/dev/null && echo unshare --ipc \
	|| { unshare --user --map-root-user --ipc true 2>/dev/null \
	&& echo unshare --user --map-root-user --ipc; })

SOURCES := $(shell find src python benches -name '*.rs' -o -name '*.py' -o -name '*.pyi') \
	Cargo.toml Cargo.lock pyproject.toml README.md
TEST := build/test/bin/python
PYTHON_FILES := python tests examples benches

.PHONY: help demo test lint lint-rust lint-python test-rust test-python wheel-check soak bench \
	free-threaded clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: build/demo.stamp ## set up, and run the main job
	build/demo/bin/python examples/demo.py

test: lint test-rust test-python ## set up, and check everything

lint: lint-rust lint-python

lint-rust:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features python -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet --document-private-items \
		--features python

lint-python: build/test.stamp
	$(TEST) -m ruff check $(PYTHON_FILES)
	$(TEST) -m ruff format --check $(PYTHON_FILES)
	$(TEST) -m mypy $(PYTHON_FILES)
	cd build && ../$(TEST) -m mypy.stubtest sysv_ipc_rs

test-rust:
	$(UNSHARE) cargo test --locked

test-python: build/test.stamp wheel-check
	@[ -n "$(UNSHARE)" ] || echo "notice: no IPC namespace of our own is allowed here"
	$(UNSHARE) $(TEST) -m pytest

wheel-check: build/wheel.stamp ## the wheel installs and imports on every CPython >= 3.11 found
	tools/wheel_check.sh

soak: build/test.stamp ## the laws that need long runs
	$(UNSHARE) $(TEST) tests/soak/run.py

bench: build/bench.stamp ## beside C and the peers, in one run
	$(UNSHARE) build/bench/bin/python benches/run.py

free-threaded: ## the suite on a CPython without the GIL, which is built if none is found
	tools/free_threaded.sh

clean: ## away with all that was made
	rm -rf build dist target .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A virtual environment each for building, testing, timing and the demo: what is tested is the
# wheel, as a user gets it.

build/%/bin/python:
	$(PYTHON) -m venv build/$*
	$@ -m pip install --quiet --upgrade pip

build/wheel.stamp: build/tools/bin/python $(SOURCES)
	$< -m pip install --quiet 'maturin>=1.16,<2'
	rm -f dist/*.whl
	build/tools/bin/maturin build --quiet --release --locked --interpreter $< --out dist
	touch $@

build/demo.stamp: build/demo/bin/python build/wheel.stamp
	$< -m pip install --quiet --force-reinstall dist/*.whl
	touch $@

build/test.stamp: build/test/bin/python build/wheel.stamp
	$< -m pip install --quiet --group test
	$< -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

build/bench.stamp: build/bench/bin/python build/wheel.stamp
	$< -m pip install --quiet --group bench
	$< -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

.PRECIOUS: build/%/bin/python
