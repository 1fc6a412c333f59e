# One door to every chore. `make` alone lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/sh
export PYTHON
# The tests start some thousand processes: each would compile the house, and pytest every test, anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PY := $(BIN)/python
STEP := scripts/step
# The slowest files first (tests/conftest.py); where they lie, scripts/in-memory says.
PYTEST := $(PY) -m pytest -q -rs --dist loadfile --no-loadscope-reorder -n
QUICK := TMPDIR="$${TMPDIR:-$$(scripts/in-memory)}"
# What waits for servers more than it computes: three workers on two cores.
WAITS := 3
CHECKS := format lint types floors
FIGURES := gauges
TESTS := unit wire journeys api web faults

.PHONY: help setup demo test check $(CHECKS) $(FIGURES) $(TESTS) bench fuzz lock sbom docs fmt clean

help: ## list the chores
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: ## see mail collected and sent, on your own machine, in one command
	@scripts/venv demo
	@$(BIN)/postroom demo

test: ## every check and every test (what CI runs)
	@scripts/test-packages
	@scripts/venv dev
	@FAULTS=$${FAULTS:-short} $(MAKE) --no-print-directory -k $(CHECKS) $(FIGURES) $(TESTS)

setup: ## the environment for work on the project: .venv with everything in it
	@scripts/test-packages
	@scripts/venv dev

check: .dev ## format, lint, types and floors only: seconds, no tests
	@$(MAKE) --no-print-directory -k $(CHECKS)

format: .dev
	@$(STEP) format $(PY) -m ruff format --check

lint: .dev
	@$(STEP) lint $(PY) -m ruff check --quiet

types: .dev
	@$(STEP) types $(PY) -m mypy

floors: .dev
	@$(STEP) floors $(BIN)/lint-imports --no-logo

gauges: .dev
	@$(STEP) gauges $(PY) -m tests.unit.house

unit: .dev ## pure rooms and gauges (no servers)
	@$(QUICK) $(STEP) unit $(PYTEST) 2 tests/unit

wire: .dev ## the wires against real servers on loopback
	@$(QUICK) $(STEP) wire $(PYTEST) $(WAITS) tests/wire

journeys: .dev ## what a person does, from end to end
	@$(QUICK) $(STEP) journeys $(PYTEST) $(WAITS) tests/journeys

api: .dev ## the REST API, health and the served room, over real sockets
	@$(QUICK) $(STEP) api $(PYTEST) $(WAITS) tests/api

web: .dev ## the page in a real browser, over real servers
	@$(QUICK) $(STEP) web $(PYTEST) $(WAITS) tests/web

faults: .dev ## processes killed, frozen, cut off: the full dose (make test: a tenth; FAULTS=long: a night)
	@FAULTS=$${FAULTS:-full} $(STEP) faults $(PYTEST) $(WAITS) tests/faults

bench: .dev ## the numbers beside their peers (minutes; a quiet machine)
	@$(PY) -m tests.bench $(ARGS)

fuzz: .dev ## search for bytes that break a reader: SECONDS=60 for each, or TARGETS="imap smtp"
	@scripts/fuzz $(or $(SECONDS),60) $(TARGETS)

lock: ## write requirements.lock anew: what is installed, by version and hash
	@scripts/supply lock

sbom: ## write dist/postroom.cdx.json: what is installed, as a CycloneDX bill of materials
	@scripts/supply sbom

docs: .dev ## write docs/reference anew from the declared fields
	@$(PY) -m docs.reference

fmt: .dev ## let ruff format and sort
	@$(PY) -m ruff check --fix --quiet
	@$(PY) -m ruff format --quiet

clean: ## remove what the chores made, .venv too (make demo makes it again)
	@rm -rf .venv .venv-supply .servers demo-room dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis .fuzz
	@find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: .dev
.dev:
	@scripts/venv dev
