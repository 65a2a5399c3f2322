# Everything happens in .venv; files in .venv/stamps remember what is done already.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The front end is built by its own rule below, and not in the middle of an installation.
export HATCH_JUPYTER_BUILDER_SKIP_NPM := 1
# Some machines forbid it; hundreds of processes would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

RIG := cd tests && $(PYTHON) -m rig
RIG_IN_VENV := cd tests && ../$(BIN)/python -m rig
# A machine without an engine, where none can be started, is no failure outside of CI (3 says so).
# Two processes: what needs the engine in one, the browser and all the rest beside it.
PYTEST := pytest --numprocesses 2 --dist loadgroup
OPTIONAL_ENGINE := || [[ $$? = 3 && -z "$${CI:-}" ]]

FRONT_END := jupyter_dlenv/labextension/package.json
NODE_PACKAGES := labextension/node_modules/.yarn-state.yml
FRONT_END_SOURCES = $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)

##@ See and use

.PHONY: demo
demo: $(STAMPS)/package  ## Launch an environment and run a notebook in it, from nothing
	@$(RIG_IN_VENV).demo

.PHONY: lab
lab: $(STAMPS)/lab $(FRONT_END)  ## Open JupyterLab with the extension of this checkout
	jupyter lab --ServerApp.ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root)

##@ Check

.PHONY: test
test:  ## Set up everything that the tests need, and run them all
	@$(MAKE) --no-print-directory $(TWO) setup
	@$(MAKE) --no-print-directory $(TWO) ready
	cd labextension && jlpm test
	$(PYTEST)

# Two things at a time, since most of the time each waits for a network; but not two of pip.
TWO := --jobs 2 --output-sync=line

.PHONY: setup
setup: machine $(STAMPS)/dev

.PHONY: machine
machine: | $(BIN)/python
	$(RIG).tools chromium
	$(RIG).tools ssh
	$(RIG).engine up $(OPTIONAL_ENGINE)

.PHONY: ready
ready: images $(FRONT_END)

.PHONY: images
images: machine $(STAMPS)/dev
	$(RIG_IN_VENV).images

.PHONY: screenshots
screenshots: $(STAMPS)/dev $(FRONT_END)  ## Take a picture of every view, into build-artifacts/
	$(RIG).tools chromium fonts
	cd tests && ../$(BIN)/python -m browser.screenshots

.PHONY: check
check: $(STAMPS)/dev $(NODE_PACKAGES)  ## Format, lint, types and import rules
	ruff format --check
	ruff check
	mypy
	lint-imports
	cd labextension && jlpm lint:check

##@ The tests' Docker engine, where this machine has none

.PHONY: engine-up
engine-up:  ## Start a Docker engine, unless one answers (as root, on Debian or Ubuntu)
	$(RIG).engine up $(PROFILE)

.PHONY: engine-down
engine-down:  ## Stop the engine that engine-up, demo or test started
	$(RIG).engine down $(PROFILE)

##@ Build

.PHONY: docs
docs: $(STAMPS)/dev  ## Build the documentation into docs/_build
	sphinx-build -W -b html docs docs/_build

.PHONY: wheel
wheel: $(STAMPS)/dev $(NODE_PACKAGES)  ## Build the distributions into dist/, and try the wheel without Node
	rm -rf dist jupyter_dlenv/labextension
	pip install -qq build check-wheel-contents twine
	env -u HATCH_JUPYTER_BUILDER_SKIP_NPM $(BIN)/python -m build
	twine check --strict dist/*
	check-wheel-contents dist/*.whl
	$(RIG_IN_VENV).wheel

.PHONY: binder-check
binder-check: $(STAMPS)/dev  ## Build and visit what Binder would, in a clean container (minutes)
	$(RIG).engine up
	$(RIG_IN_VENV).binder

.PHONY: clean
clean:  ## Remove what was built and installed in this checkout
	rm -rf $(VENV) dist build-artifacts jupyter_dlenv/labextension labextension/node_modules
	rm -rf labextension/lib labextension/tsconfig.tsbuildinfo .mypy_cache .ruff_cache .pytest_cache

.PHONY: help
help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the targets above stand on

$(BIN)/python:
	$(RIG).tools venv

# An installation writes it through the link that `develop` makes; the next one finds it twice.
UNLINKED := rm -f jupyter_dlenv/labextension/install.json

$(STAMPS)/package: pyproject.toml | $(BIN)/python
	$(UNLINKED)
	pip install -qq --editable . nbclient
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/lab: $(STAMPS)/package
	pip install -qq 'jupyterlab>=4.4,<5' 'jupyter-builder>=1.2.0,<2'
	touch $@

$(STAMPS)/dev: pyproject.toml | $(BIN)/python
	$(UNLINKED)
	pip install -qq --editable '.[dev,test]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/package $(STAMPS)/lab

$(STAMPS)/node: | $(BIN)/python
	$(RIG).tools node
	@mkdir -p $(STAMPS) && touch $@

$(NODE_PACKAGES): labextension/package.json labextension/yarn.lock | $(STAMPS)/node $(STAMPS)/lab
	@echo "Installing the front end's packages (1 to 2 minutes) ..."
	@cd labextension && log=$$(jlpm install --immutable 2>&1) || { echo "$$log"; exit 1; }
	touch $@

$(FRONT_END): $(FRONT_END_SOURCES) $(NODE_PACKAGES)
	cd labextension && jlpm build:prod
	jupyter-builder develop . --overwrite
	touch $@
