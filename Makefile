# Nothing but Python (3.11 or newer) and make is assumed. Each target makes its own .venv from the locked, hashed
# requirements when they have changed, and does nothing about it when they have not.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
OURS   := watchdog tests bench
# One worker more than cores, for they wait for daemons and servers part of their time. A file stays with one worker, so that
# what its tests share is made once; in our order, in which the long ones come first.
CORES  := -n $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))') --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo run test test-fast battery coverage soak lint bench lock clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

demo: $(VENV)/run.stamp  ## the whole job within a minute, on recorded calls
	@$(BIN)/promptwatch demo

run: $(VENV)/run.stamp  ## guard ./config.toml, or a sample platform when there is none
	@$(BIN)/promptwatch run

test: $(VENV)/dev.stamp  ## all tests, on all cores
	@$(BIN)/python -m pytest $(CORES)

test-fast: $(VENV)/dev.stamp  ## what is quick: no killed processes, no simulations
	@$(BIN)/python -m pytest $(CORES) -m "not crash and not simulation and not acceptance"

battery: $(VENV)/dev.stamp  ## take each safety line out, and see that a test notices; then trouble, all faults, and what nobody would write
	@$(BIN)/python -m tests.mutants
	@$(BIN)/python -m pytest tests/crash tests/acceptance/test_killed_demo.py --whole
	@$(BIN)/python -m tests.simulation --seed 1 --prompt-years 20
	@for part in http pairs slack tcp late human clock disk kill; do $(BIN)/python -m tests.faults --part $$part --seed 1 || exit 1; done
	@$(BIN)/python -m tests.replicas --count 2000 --stories 12 --seed 1
	@$(BIN)/python -m tests.replicas --count 200 --stories 8 --seed 4 --apart
	@$(BIN)/python -m tests.simulation.stories --count 300
	@$(BIN)/python -m tests.fuzz --part configs --count 100000 --seed 1
	@$(BIN)/python -m tests.fuzz --part payloads --count 100000 --seed 1
	@$(BIN)/python -m tests.fuzz --part messenger --count 20000 --seed 1
	@$(BIN)/python -m tests.fuzz --part callfiles --count 5000 --seed 1
	@$(BIN)/python -m tests.branches
	@$(BIN)/python -m tests.mutants --score core/rollback core/guards core/commands
	@$(BIN)/python -m tests.mutants --score --sample 300 --seed 1

coverage: $(VENV)/dev.stamp  ## which branches of the saga, the guards and the outbox their tests take
	@$(BIN)/python -m tests.branches

soak: $(VENV)/dev.stamp  ## 1,000 prompt-years of trouble, from one seed: a day on one core
	@$(BIN)/python -m tests.simulation --seed 1000 --prompt-years 1000

lint: $(VENV)/dev.stamp  ## style and types
	@$(BIN)/ruff format --check $(OURS)
	@$(BIN)/ruff check $(OURS)
	@$(BIN)/mypy

bench: $(VENV)/dev.stamp  ## figures of docs/benchmarks.md (a short run) and docs/measurements.md
	@$(BIN)/python -m bench.detection --quick
	@$(BIN)/python -m bench.recovery --quick
	@$(BIN)/python -m bench.cost
	@$(BIN)/python -m bench.real --quick
	@$(BIN)/python bench/daemon_footprint.py

lock: $(VENV)/dev.stamp  ## renew the lock files from pyproject.toml (needs uv)
	uv pip compile pyproject.toml $(LOCK) --group build -o requirements.lock
	uv pip compile pyproject.toml $(LOCK) --group dev --extra postgres --extra parquet --extra plots -o requirements-dev.lock

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--quiet --custom-compile-command "make lock"

clean:  ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp
