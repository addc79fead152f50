# The entry to everything. `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

RUNTIME := api_service/requirements.txt parser_service/requirements.txt local/requirements.txt
DEVELOP := tests/requirements.txt

# Tests wait for servers and sites much of their time: one worker more than there are cores.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))

.DEFAULT_GOAL := help
.PHONY: help run test check conformance fuzz format pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/runtime ## start the whole system on this machine, without Docker
	@exec $(BIN)/python -m local

.PHONY: admin
admin: $(VENV)/runtime ## make an administrator of the system that runs: EMAIL=ada@example.org
	@exec $(BIN)/python -m local admin "$$EMAIL"

test: $(VENV)/develop ## run the quick tests, on real servers that they start
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

.PHONY: test-again
test-again: $(VENV)/develop ## run only what failed in the last run of tests, one by one
	@exec $(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m "not slow"

.PHONY: test-all
test-all: $(VENV)/develop ## run all tests, also the slow ones: some faults take minutes to show
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: compose-test
compose-test: $(VENV)/develop ## test the images and docker-compose.yml, on a running Docker engine
	@docker info >/dev/null 2>&1 || { echo "compose-test needs a running Docker engine. Start it, and check it with: docker info" >&2; exit 2; }
	@exec $(BIN)/python -m pytest -m compose tests/compose

check: $(VENV)/develop ## run linters, types, import contracts, house rules; compare models and migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.rules
	$(BIN)/python -m local with-servers sh -c "$(BIN)/alembic upgrade head && $(BIN)/alembic check"
	$(BIN)/zizmor --offline --quiet .github/workflows

conformance: $(VENV)/develop ## score the parser on public test suites, into docs/conformance.md
	@$(BIN)/python -m tests.data.conformance

.PHONY: chaos
chaos: $(VENV)/develop ## inject faults of every kind under load, then check that no job is lost: MINUTES=2 SEED=...
	@exec $(BIN)/python -m tests.system.chaos

.PHONY: attack
attack: $(VENV)/develop ## attack a parser from one hostile site, and measure what its neighbours notice: ONLY=name
	@exec $(BIN)/python -m tests.system.attack $(if $(ONLY),"$(ONLY)")

.PHONY: bench
bench: $(VENV)/bench ## measure throughput, latency, costs and memory, into docs/performance.md: ONLY=name QUICK=1
	@exec $(BIN)/python -m benchmarks $(ONLY:%=--only %) $(QUICK:%=--quick)

.PHONY: bench-growth
bench-growth: $(VENV)/bench ## measure what grows with the rows, and other layouts of the tables: ONLY=name
	@exec $(BIN)/python -m benchmarks.hot_and_cold $(ONLY:%=--only %)

fuzz: $(VENV)/develop ## parse randomly mutated pages, then search for pages that cost much: SECONDS=60 SEED=...
	@$(BIN)/python -m tests.data.fuzz $(or $(SECONDS),60) $(SEED)
	@$(BIN)/python -m tests.data.cost_fuzz $(or $(SECONDS),60) $(SEED)

format: $(VENV)/develop ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make pins"

pins: $(VENV)/develop ## compile the pinned requirements from pyproject.toml
	$(PIN) --group api --group parser --group local --group dev --output-file tests/requirements.txt
	$(PIN) --group api --constraint tests/requirements.txt --output-file api_service/requirements.txt
	$(PIN) --group parser --constraint tests/requirements.txt --output-file parser_service/requirements.txt
	$(PIN) --group local --constraint tests/requirements.txt --output-file local/requirements.txt
	$(PIN) --group bench --constraint tests/requirements.txt --output-file benchmarks/requirements.txt

clean: ## remove the virtual environment and caches; databases stay in .data, root's perhaps in /var/tmp
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "'$(PYTHON)' is not Python 3.11 or newer. Name another with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/runtime: $(VENV)/bin/python $(RUNTIME)
	@echo "installing what the services need into $(VENV) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet $(RUNTIME:%=-r %)
	@touch $@

$(VENV)/develop: $(VENV)/runtime $(DEVELOP)
	@echo "installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet $(DEVELOP:%=-r %)
	@touch $@

$(VENV)/bench: $(VENV)/runtime benchmarks/requirements.txt
	@echo "installing what the benchmark needs into $(VENV) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r benchmarks/requirements.txt
	@touch $@
