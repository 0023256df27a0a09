# TradePulse IQ. `make run` starts everything, `make help` lists the rest. Needs Python >= 3.11 and make.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
NODE := ops/node.sh
DASHBOARD := src/tradepulse/api/static
DASHBOARD_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' 2>/dev/null)
WORKERS ?= 2
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
	--no-emit-index-url --python-version 3.11

export npm_config_fund := false
export npm_config_audit := false
export npm_config_update_notifier := false

.PHONY: help run setup setup-dev dashboard docs test test-python test-dashboard check format package bench honesty chaos lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '##' Makefile

run: setup dashboard  ## set up, then start database, API, paper trader and dashboard on http://127.0.0.1:8000
	@exec $(BIN)/tradepulse up $(ARGS)

setup: $(STAMPS)/runtime $(STAMPS)/project  ## install what running needs into .venv

setup-dev: $(STAMPS)/dev $(STAMPS)/project  ## install what developing needs into .venv

$(STAMPS)/venv:
	@python=$$(ops/find-python.sh) && { test -x $(BIN)/python || $$python -m venv $(VENV); } || \
		{ echo "error: the virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements/runtime.lock | $(STAMPS)/venv
	@echo "Installing the locked dependencies"
	@$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(STAMPS)/dev: requirements/dev.lock | $(STAMPS)/venv
	@echo "Installing the locked dependencies for development"
	@$(PIP) install --quiet --require-hashes -r $<
	@touch $@ $(STAMPS)/runtime

$(STAMPS)/project: pyproject.toml | $(STAMPS)/venv
	@test -e $(STAMPS)/runtime || $(MAKE) $(STAMPS)/runtime
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

dashboard: $(STAMPS)/dashboard  ## build the dashboard when its sources changed

$(STAMPS)/node-modules: dashboard/package-lock.json | $(STAMPS)/venv
	@echo "Installing the dashboard's dependencies"
	@$(NODE) npm --prefix dashboard ci --no-progress --loglevel=error
	@touch $@

$(STAMPS)/dashboard: $(DASHBOARD_SOURCES) | $(STAMPS)/node-modules
	@echo "Building the dashboard"
	@$(NODE) npm --prefix dashboard run build
	@test -f $(DASHBOARD)/index.html || { echo "error: the build left no $(DASHBOARD)/index.html" >&2; exit 1; }
	@touch $@

test: setup-dev dashboard test-dashboard test-python  ## set up, then run every test

test-dashboard: $(STAMPS)/node-modules
	@$(NODE) npm --prefix dashboard test

test-python: setup-dev
	@ops/chromium.sh
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: setup-dev $(STAMPS)/node-modules  ## lint, types, architecture, dashboard lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(NODE) npm --prefix dashboard run --if-present lint
	$(NODE) npm --prefix dashboard run typecheck
	$(NODE) $(BIN)/python dashboard/generate.py --check
	$(BIN)/python ops/generate_client.py --check
	$(BIN)/python -m ops.generate_docs --check

format: setup-dev  ## format the Python sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

package: setup-dev dashboard  ## wheel and source archive with the dashboard inside, and what they are made of (SBOM), in dist/
	@ops/package.sh

docs: setup-dev  ## these pages as a site, in build/site; a link that leads nowhere fails it
	@$(BIN)/python -m ops.generate_docs
	@$(BIN)/zensical build --strict --clean

bench: setup-dev  ## measure speed side by side and print it; nothing is promised (ARGS=--quick: under a minute)
	@$(BIN)/python -m benchmarks $(ARGS)

honesty: setup-dev  ## judge markets without edge and with a planted one by the real gate (ARGS=--quick: some minutes)
	@$(BIN)/python -m benchmarks.honesty $(ARGS)

chaos: setup-dev  ## kill the live trader N times on exchanges that fail; nothing may be lost (N=1000 SEED=1 ARGS=--keep FOLDER)
	@PYTHONPATH=. $(BIN)/python -m benchmarks.chaos --kills $(or $(N),1000) --seed $(or $(SEED),1) $(ARGS)

lock: setup-dev  ## resolve the dependencies anew and write requirements/*.lock
	@test -x $(BIN)/uv || $(PIP) install --quiet uv
	@$(LOCK) --group dev --output-file requirements/dev.lock pyproject.toml
	@$(LOCK) --group build --constraint requirements/dev.lock --output-file requirements/runtime.lock pyproject.toml
	@$(LOCK) --output-file requirements/node.lock requirements/node.in

clean:  ## remove everything that was installed or built here; data stays where it is
	rm -rf build .cache dist $(VENV) $(DASHBOARD) dashboard/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
