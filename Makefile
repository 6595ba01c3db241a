# Everything a developer or a build machine does with this project, from a bare clone with
# Python 3.11 or newer. The environment lives in .venv and is made by file dependencies: each
# stamp below is newer than what it was made from, so a second `make` installs nothing again.

PYTHON ?= python3
PORT ?= 8080
SIZE ?= 10
JOBS ?= 2
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
SDK := tests/e2e/node
LOCK := $(VENV)/bin/uv pip compile --no-config --quiet --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes --annotation-style line \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check format test-long bench docs lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.package ## serve on PORT (8080): your providers, or the demo when none is configured
	@exec $(VENV)/bin/syze serve --quickstart --port $(PORT)

test: check $(SDK)/node_modules/.stamp ## check, then the whole test suite, on JOBS (2) cores
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.dev ## formatting, lint and strict types, changing nothing
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(VENV)/.dev ## reformat and repair what the linter can repair
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

test-long: $(VENV)/.dev $(SDK)/node_modules/.stamp ## the test suite, SIZE (10) times as many random cases
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" SYZE_TEST_SIZE=$(SIZE) $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

bench: $(VENV)/.dev ## the benchmarks; ARGS="--help" tells what they take
	$(PY) -m bench $(ARGS)

docs: $(VENV)/.dev ## check the documentation: links, examples, and what it says of the code
	$(PY) -m pytest -q tests/test_house_rules.py tests/test_docs_match_code.py -k docs

lock: $(VENV)/.dev ## choose the pinned requirements anew; ARGS="--upgrade" for newer versions
	$(LOCK) pyproject.toml requirements/build.in -o requirements/runtime.txt
	$(LOCK) --group dev -c requirements/runtime.txt pyproject.toml requirements/build.in \
		-o requirements/dev.txt

clean: ## remove the environment and everything else that these targets made
	rm -rf $(VENV) $(SDK)/node_modules build dist syzeai.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find adapters limiter router bench tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A changed runtime.txt clears the environment, so that no package of an earlier list is left in
# it to hide a requirement that is missing now.
$(VENV)/.runtime: requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "SyzeAI needs Python 3.11 or newer; '$(PYTHON)' is not that."; \
		echo "Name another one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "'$(PYTHON)' cannot make virtual environments (on Debian: install python3-venv)."; \
		exit 1; } >&2
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements/runtime.txt
	@touch $@

$(VENV)/.package: $(VENV)/.runtime pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.package requirements/dev.txt
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# Node itself comes from a Python package of the development requirements.
$(SDK)/node_modules/.stamp: $(VENV)/.dev $(SDK)/package.json $(SDK)/package-lock.json
	cd $(SDK) && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --no-audit --no-fund
	@touch $@
