# Everything starts here: "make demo" and "make test" set up what they need by themselves.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready

# The first of these that is a Python we support; or say "make setup PYTHON=/path/to/python3.12".
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -I -c '$(IS_SUPPORTED)' 2>/dev/null && echo $(name))))

# Only the environment in .venv counts, whatever the shell around us has active.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE PIP_USER PIP_TARGET PIP_PREFIX
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON              := $(BIN)/python
export UV_PYTHON_DOWNLOADS    := never
export NO_MKDOCS_2_WARNING    := 1

PYTEST_ARGS ?= -n 2

.PHONY: help setup demo test check bench torch docs lock clean remake

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

# -- set-up -----------------------------------------------------------------------------

setup: $(READY) ## make .venv with everything in it; instant when nothing changed

# An environment that is there serves if its Python does, and if uv is in it or can be.
USABLE     := $(shell { $(BIN)/python -I -c '$(IS_SUPPORTED)' && \
	{ test -x $(BIN)/uv || $(BIN)/python -I -c 'import pip'; }; } 2>/dev/null && echo yes)
UV_VERSION  = $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)

$(READY): uv.lock pyproject.toml $(wildcard plugins/*/pyproject.toml) $(if $(USABLE),,remake)
	@echo "Setting up $(VENV). The first time takes about a minute and 1.8 GB."
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)"
	@$(BIN)/uv sync --quiet --frozen --all-packages --compile-bytecode
	@$(BIN)/python -m compileall -q framework plugins
	@touch $@

remake:
	@test -n "$(PYTHON)" || { \
		echo "mlpipe needs Python 3.11, 3.12 or 3.13; python3 here is: $$(python3 --version 2>&1 | tail -n 1)"; \
		echo "   Install one, or name it: make setup PYTHON=/path/to/python3.12"; exit 1; } >&2
	@$(PYTHON) -I -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its module venv is missing"; \
		echo "   On Debian and Ubuntu: apt-get install python3-venv"; exit 1; } >&2
	@$(PYTHON) -m venv --clear $(VENV)

# -- the two commands of the README -------------------------------------------------------

# The demo is a project of its own. What was edited there is newer, and so is left alone.
IN_DEMO    := cd demo && PATH="$(CURDIR)/$(BIN):$$PATH"
DEMO_FILES := $(patsubst %,demo/%,$(shell find recipes -type f -not -path '*/__pycache__/*'))

$(DEMO_FILES): demo/%: %
	@mkdir -p $(@D) && cp $< $@

demo: $(READY) $(DEMO_FILES) ## run the machine-learning recipe from raw data to a live A/B endpoint
	@test -d demo/.git || git init --quiet demo
	@echo '$$ mlpipe run diagnosis'
	@$(IN_DEMO) mlpipe run diagnosis
	@echo '$$ mlpipe endpoint invoke diagnosis --file recipes/diagnosis/row.json'
	@$(IN_DEMO) mlpipe endpoint invoke diagnosis --file recipes/diagnosis/row.json
	@echo 'The project is in demo/. To go on there: cd demo && . ../$(BIN)/activate'

test: check ## set up, check, and run all tests with short benchmarks
	$(BIN)/python -m pytest tests/benchmarks
	$(BIN)/python -m pytest --ignore=tests/benchmarks $(PYTEST_ARGS)

# -- single steps -------------------------------------------------------------------------

check: $(READY) docs ## format, lint, types, import layers, documentation
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy || { test $$? -eq 2 && $(BIN)/mypy; }  # 2: it crashed, and found nothing
	$(BIN)/lint-imports --no-logo

docs: $(READY) ## build the documentation into site/
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY) ## full benchmarks and soaks, beside other tools in environments of their own
	$(BIN)/python -m pytest tests/benchmarks --full

# PyTorch is 700 MB, and its builds for CPUs are not on every index: an environment of its own,
# which the tests of distributed training use where it is there.
torch: .venv-torch/.ready ## make .venv-torch, for the tests that train with PyTorch

.venv-torch/.ready:
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet torch==2.13.0 numpy
	@touch $@

lock: ## resolve dependencies anew where a pyproject.toml changed
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory setup
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --all-packages --all-extras --no-dev --no-emit-workspace --no-hashes \
		--no-annotate --output-file constraints.txt

clean: ## remove what make made; the demo's endpoint is stopped first
	@if test -d demo/.mlpipe/endpoints/diagnosis; then $(IN_DEMO) mlpipe endpoint stop diagnosis; fi
	rm -rf demo site build dist $(VENV) .venv-torch .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
