# Nudge: `make demo` shows everything, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := $(VENV)/peers
SERVING := $(VENV)/serving
TORCH := torch==2.13.0
PORT ?= 8080
DATA ?= data
JOBS ?= 3
ARGS ?=

# The environment is made without ensurepip, which Debian's bare Python lacks; pip installs uv, uv the rest.
$(BIN)/uv: requirements/bootstrap.txt
	@echo "Making the environment in $(VENV) ..."
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements/bootstrap.txt
	@touch $@

# The kernels are compiled once, by a compiler that goes again: it is larger than everything else together. The stamp
# lies beside them, so that whoever removes them removes it too.
BUILT := core/compiled/built
KERNELS := $(wildcard core/compiled/*.c core/compiled/*.h)
$(BUILT)/kernels.stamp: $(KERNELS) core/compiled/build.py requirements/compiler.txt | $(BIN)/uv
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes --target $(VENV)/compiler -r requirements/compiler.txt
	@echo "Compiling the kernels for this processor ..."
	@PYTHONPATH=$(VENV)/compiler $(BIN)/python -m core.compiled.build
	@rm -rf $(VENV)/compiler
	@mkdir -p $(BUILT) && touch $@

$(VENV)/default.stamp: requirements/default.txt pyproject.toml $(BIN)/uv | $(BUILT)/kernels.stamp
	@echo "Installing what Nudge needs ..."
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --compile-bytecode --require-hashes -r requirements/default.txt
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements/build.txt
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/default.stamp
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# The peers live apart, and nothing of ours depends on them. PyTorch is pinned by its version alone: its builds differ from
# machine to machine (the index or wheels that pip is configured for decide), so no list of hashes holds everywhere.
$(PEERS)/peers.stamp: requirements/peers.txt $(BIN)/uv
	@echo "Making the environment of the peers in $(PEERS) ..."
	@$(PYTHON) -m venv --without-pip $(PEERS)
	@$(BIN)/uv pip install --python $(PEERS)/bin/python --quiet --compile-bytecode --require-hashes -r requirements/peers.txt
	@$(PYTHON) -m pip --python $(PEERS)/bin/python install --quiet $(TORCH)
	@touch $@

# So do the other servers, which want versions of their own.
$(SERVING)/serving.stamp: requirements/serving.txt $(BIN)/uv
	@echo "Making the environment of the other servers in $(SERVING) ..."
	@$(PYTHON) -m venv --without-pip $(SERVING)
	@$(BIN)/uv pip install --python $(SERVING)/bin/python --quiet --compile-bytecode --require-hashes -r requirements/serving.txt
	@touch $@

.PHONY: help
help:  ## show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: env
env: $(VENV)/default.stamp  ## make the environment (.venv)

.PHONY: demo
demo: $(VENV)/default.stamp  ## start everything, train on handwritten digits, show what was learned, stop everything
	@$(BIN)/python -m standalone.demo $(ARGS)

.PHONY: up
up: $(VENV)/default.stamp  ## start everything and stay up: make up PORT=8123 DATA=some/dir
	@exec $(BIN)/nudged up --port "$(PORT)" --data "$(DATA)" $(ARGS)

# More processes than a small machine has processors, since the longest tests mostly wait. A file stays in one of them.
# What they start again and again is compiled once, whatever the environment says.
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/dev.stamp  ## pass every test: make test ARGS="tests/core -k dense", JOBS=0 for one process
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(VENV)/dev.stamp  ## ruff, mypy, import-linter, locks up to date, openapi in step
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python requirements/lock.py --check
	@$(BIN)/python openapi/export.py --check

.PHONY: fix
fix: $(VENV)/dev.stamp  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: lock
lock: $(VENV)/dev.stamp  ## pin the requirements again (ARGS=--upgrade to take newer versions)
	@$(BIN)/python requirements/lock.py $(ARGS)

.PHONY: openapi
openapi: $(VENV)/dev.stamp  ## write openapi/*.json from the application
	@$(BIN)/python openapi/export.py

.PHONY: bench
bench: $(PEERS)/peers.stamp $(BUILT)/kernels.stamp  ## train beside PyTorch, JAX and scikit-learn: make bench ARGS="--workloads W1,W2 --threads 1"
	@$(PEERS)/bin/python -m benchmarks.training $(ARGS)

.PHONY: peers
peers: $(PEERS)/peers.stamp $(BUILT)/kernels.stamp  ## the same start gives the same weights as in PyTorch, and the same derivatives
	@$(PEERS)/bin/python -m pytest peers $(ARGS)

.PHONY: bench-service
bench-service: $(VENV)/dev.stamp  ## measure submit, events and job start; the last line is JSON
	@$(BIN)/python benchmarks/service.py $(ARGS)

.PHONY: bench-load
bench-load: $(VENV)/dev.stamp  ## ask a server while every core trains; the last line is JSON: make bench-load ARGS="--seconds 20"
	@$(BIN)/python benchmarks/load.py $(ARGS)

.PHONY: bench-serving
bench-serving: $(VENV)/dev.stamp $(SERVING)/serving.stamp  ## predict beside MLServer, LitServe and FastAPI; the last line is JSON: make bench-serving ARGS="--rounds 3"
	@$(BIN)/python benchmarks/serving.py $(ARGS)

.PHONY: chaos
chaos: $(VENV)/dev.stamp  ## break everything while jobs run, and check every one: make chaos ARGS="--faults 200 --database postgresql"
	@$(BIN)/python -m chaos $(ARGS)

.PHONY: literature
literature: $(VENV)/default.stamp  ## repeat the literature's own experiments: make literature ARGS="--quick"
	@$(BIN)/python -m benchmarks.literature $(ARGS)

.PHONY: clean
clean:  ## remove the environment, the kernels and caches (never data)
	@rm -rf $(VENV) $(BUILT) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
