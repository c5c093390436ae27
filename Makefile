# Needs Python >= 3.10 and make, nothing else; uv is used where it is installed.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
UV := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),"$(UV)" pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
LOCK = uv pip compile pyproject.toml --extra local --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --no-annotate -q
# pip wants a hash for a package both with its extra and without it, where different others ask for either.
WITHOUT_EXTRAS = awk 'function flush() { if (twin) print twin; twin = "" } /^ / { print; if (twin) twin = twin "\n" $$0; next } { flush(); print } /^[^ ]+\[/ { twin = $$0; sub(/\[[^]]*\]/, "", twin) } END { flush() }'

# The small model of provider `local`; where it cannot be fetched, everything goes on without it.
MODEL := models/SmolLM2-135M-Instruct.Q4_1.gguf

# Processes that run tests: more than there are cores, as a third of a test's time is waiting.
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help run install dev model stack test test-busy test-stack check lint format types imports unit coverage bench simulate torture lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("LLMFlowLab needs Python 3.10 to 3.13; this is %d.%d. Name another with: make PYTHON=python3.12 ..." % sys.version_info[:2]) if not (3, 10) <= sys.version_info[:2] <= (3, 13) else None'
	@echo "making .venv ..."
	@$(if $(UV),"$(UV)" venv --quiet --seed --python "$(PYTHON)" .venv,$(PYTHON) -m venv .venv)

.venv/.run-installed: requirements.txt | $(BIN)/python
	@echo "installing requirements.txt (about two minutes the first time) ..."
	@$(INSTALL) -r requirements.txt
	@touch $@

.venv/.dev-installed: requirements-dev.txt .venv/.run-installed | $(BIN)/python
	@echo "installing requirements-dev.txt ..."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

.venv/.stack-installed: requirements-stack.txt .venv/.dev-installed
	@echo "installing requirements-stack.txt ..."
	@$(INSTALL) -r requirements-stack.txt
	@touch $@

install: .venv/.run-installed ## make .venv and install the pinned requirements

dev: .venv/.dev-installed ## ... and the development tools

$(MODEL): | .venv/.run-installed
	@LLMFLOWLAB_HOME="$(CURDIR)" $(BIN)/python main.py models fetch || echo "going on without the model; 'make model' tries again"

model: $(MODEL) ## ... and the small language model for provider local (98 MB)

run: install model ## install what is missing and start the lab
	@$(BIN)/python main.py

stack: dev .venv/.stack-installed ## the service, its chat page and MLflow on PostgreSQL, until Ctrl-C (OPTIONS="-- --model REF")
	@$(BIN)/python -m deployment.stack $(OPTIONS)

test: check unit ## everything CI runs

check: lint types imports ## ... without the tests

lint: dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: dev
	@$(BIN)/mypy

imports: dev
	@$(BIN)/lint-imports

unit: dev model
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

coverage: dev model ## run the tests with branch coverage, which takes half as long again
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered

test-busy: dev model ## run the tests beside a busy loop on every core: none may hang on time
	@$(BIN)/python -m tests.busy -n $(WORKERS) --dist worksteal

test-stack: dev .venv/.stack-installed ## the lab on real stores and in a browser; skips what is not installed
	@$(BIN)/python -m pytest -rs tests/stack

format: dev ## put the code in shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: dev model ## what must be fast, measured beside other programs: one table (many minutes)
	@$(BIN)/python -m benchmarks

simulate: dev ## hold what is concluded against worlds whose truth is known (a quarter of an hour)
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulations
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulations.alerts
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulations.canary

torture: dev ## 200 kills and 10,000 budgets: nothing may be lost, nothing overspent (half an hour)
	@$(BIN)/python -m benchmarks.torture
	@$(BIN)/python -m benchmarks.torture.schedules

lock: ## compile requirements*.txt from pyproject.toml (needs uv)
	$(LOCK) --group deployment -o requirements-deployment.txt
	$(LOCK) -c requirements-deployment.txt -o requirements.txt
	$(LOCK) --group dev -c requirements.txt -o requirements-dev.txt
	$(subst pyproject.toml --extra local,,$(LOCK)) --group stack -c requirements-dev.txt -c requirements-deployment.txt -o requirements-stack.txt
	for file in requirements-deployment.txt requirements.txt requirements-dev.txt requirements-stack.txt; do \
	  $(WITHOUT_EXTRAS) $$file > $$file.new && mv $$file.new $$file || exit 1; \
	done

clean: ## remove .venv and caches (never your data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
