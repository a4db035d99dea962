# `make demo` and `make test` need Python 3.11 or newer and nothing else: all set-up happens in $(VENV).

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= demo
ARGS ?=
JOBS ?= 2

MAKEFLAGS += --no-print-directory
PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints.txt $(VENV)/bin/python -m pip
INSTALL = $(PIP) install --quiet --constraint constraints.txt
INPUTS = pyproject.toml constraints.txt
READY = $(VENV)/ready-$(subst $(COMMA),-,$(EXTRAS))
COMMA := ,
SOURCES = monitor checks alerts tests benchmarks

.PHONY: demo test lint bench torture clean

demo: $(READY)
	@$(VENV)/bin/datavigil demo $(ARGS)

test: $(READY)-test
	@$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: $(READY)-test
	@$(VENV)/bin/ruff check $(SOURCES)
	@$(VENV)/bin/ruff format --check $(SOURCES)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

bench: $(READY)
	@$(VENV)/bin/python -m benchmarks $(ARGS)

torture: $(READY)-test
	@$(VENV)/bin/python -m tests.torture $(ARGS)

clean:
	@rm -rf .venv .venv-* demo-data dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "datavigil needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# A new pip first: those that come with Python 3.11 and 3.12 know neither dependency groups nor build constraints.
$(READY): $(VENV)/bin/python $(INPUTS)
	@echo "Setting up datavigil in $(VENV), once; about a minute ..."
	@$(INSTALL) pip
	@$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

$(READY)-test: $(READY)
	@echo "Setting up the tests in $(VENV), once ..."
	@$(INSTALL) --group test
	@touch $@
