# Settld: every command a person or a CI run needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
STAMP := $(VENV)/.settld-installed
LOCKS := requirements/dev.lock requirements/installer.lock
# Any python3.11 will do: `make setup PYTHON=/opt/python3.11/bin/python3.11`.
PYTHON ?=
PYTEST_WORKERS ?= auto
PYTEST_ARGS ?=
# Container images like to set it; without bytecode every start and every test process compiles for seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo test check fast bench lock fmt clean

help: ## List the commands
	@grep -hE '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## Create .venv from the hashed locks (nothing to do the second time)

$(STAMP): $(LOCKS) .ci/bootstrap.sh
	@bash .ci/bootstrap.sh "$(PYTHON)" "$(VENV)"
	@touch $@

run: setup ## Start everything: PostgreSQL, Redis, web, worker, beat, Stripe simulator, demo data
	@exec $(PY) -m settld.launcher run

demo: setup ## Seed the demo into the deployment that `make run` started
	@$(PY) -m settld.launcher manage demo

test: setup ## The whole test suite
	@$(PY) -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not bench" $(PYTEST_ARGS)

check: setup ## Format, lint, types, imports, migrations, OpenAPI snapshot, fast tests
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m settld.launcher scratch makemigrations --check --dry-run
	@$(PY) -m settld.launcher scratch openapi_snapshot --check
	@$(MAKE) fast

fast: setup ## The tests that are not marked slow
	@$(PY) -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not slow and not bench and not browser" -q $(PYTEST_ARGS)

bench: setup ## Measure against a floor taken in the same run
	@$(PY) -m tests.bench $(BENCH_ARGS)

lock: setup ## Resolve pyproject.toml into the hashed locks
	@bash .ci/lock.sh "$(UV)"

fmt: setup ## Format and fix what can be fixed
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

clean: ## Remove the virtualenv and caches; the state in .local stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.local/*' -prune -exec rm -rf {} +
