# Two commands for a newcomer: `make demo` and `make test`. Each sets up all it needs in .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test test-all unit lint format bench lock docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "raymesh needs Python 3.11 or newer; '$(PYTHON)' is not. Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "This Python cannot make virtual environments (Debian: apt install python3-venv)." >&2; rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml requirements.lock
	@echo "installing raymesh[demo] into $(VENV) …" >&2
	@$(PIP) install -c requirements.lock -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml requirements.lock
	@echo "installing raymesh[dev] into $(VENV) …" >&2
	@$(PIP) install -c requirements.lock -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## build the retail mesh from real data in ./retail
	@$(BIN)/raymesh demo retail

test: $(VENV)/.dev lint ## lint and the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

test-all: $(VENV)/.dev lint ## the suite with the complete fault matrices
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m ''  --complete

unit: $(VENV)/.dev ## unit tests only, in seconds
	@$(BIN)/python -m pytest -n 2 tests/unit

lint: $(VENV)/.dev ## formatting, lint, types, import directions
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## measure the speed bars side by side; writes benchmarks/README.md
	@$(BIN)/python -m benchmarks

docs: $(VENV)/.dev ## generate the reference pages
	@$(BIN)/python docs/generate.py

lock: $(VENV)/.dev ## write the exact versions of this environment to requirements.lock
	@$(BIN)/python -m pip freeze --exclude-editable --exclude raymesh | LC_ALL=C sort -f > requirements.lock

clean: ## remove the environment and everything built
	rm -rf $(VENV) retail .pytest_cache .mypy_cache .ruff_cache
