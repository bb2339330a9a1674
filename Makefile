# What people and CI run. `make` alone lists it. Needs Python 3.11 or newer, and its pip.
PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check bench clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=$(PYTHON) makes $(VENV), once; WORKERS=$(WORKERS) tests run at a time."

demo: $(INSTALLED) ## convert a saved model to PyTorch and ONNX, verify both, write the report
	@$(BIN)/python -m scripts.demo

test: check ## everything that CI runs: make check, then all tests
	@$(BIN)/python -m pytest -n $(WORKERS)

check: $(INSTALLED) ## lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(INSTALLED) ## measure each runtime on the twins in models/
	@$(BIN)/python -m scripts.bench

setup: $(INSTALLED) ## make .venv and install into it; the others do so when needed

clean: ## remove .venv, build products and caches
	rm -rf $(VENV) build dist ifco.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again only when a dependency or its version changes: the package itself is editable.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: ifco needs Python 3.11 or newer" >&2; \
	  echo "  found: $(PYTHON), $$($(PYTHON) --version 2>/dev/null || echo which does not run)" >&2; \
	  echo "  help:  make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "error: $(PYTHON) cannot make a virtual environment" >&2; \
	  echo "  help:  on Debian and Ubuntu, apt-get install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing into $(VENV): about two minutes, once" >&2
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@
