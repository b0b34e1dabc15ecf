# Each target sets up what it needs in .venv: Python 3.10-3.12 with pip is
# enough to start. PYTHON=/path/to/python chooses an interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= cpu,test
DEMO_DIR ?= demo
export TF_CPP_MIN_LOG_LEVEL ?= 2

# The first interpreter that runs and has a version TensorFlow 2.18 knows.
IS_SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	$$p -c '$(IS_SUPPORTED)' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: help setup demo test test-slow format protos clean

help:
	@echo "make demo       train and evaluate on a data set that is drawn here"
	@echo "make test       run the tests"
	@echo "make setup      only install into $(VENV) (EXTRAS=cpu,test)"
	@echo "make test-slow  also the tests that take minutes"
	@echo "make format     format and lint the code"
	@echo "make protos     regenerate the *_pb2.py from the .proto files"

setup: $(VENV)/installed-$(EXTRAS)

# The stamp carries the extras, so another choice of extras installs again.
$(VENV)/installed-$(EXTRAS): pyproject.toml constraints.txt
	@if [[ -z "$(PYTHON)" ]]; then
		echo "error: no Python 3.10, 3.11 or 3.12 found; install one or" \
			"name it with 'make PYTHON=/path/to/python ...'" >&2
		exit 2
	fi
	@echo "Installing into $(VENV) with $$($(PYTHON) --version)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: setup
	@$(BIN)/python -m object_detection.demo --output_dir $(DEMO_DIR)

test: setup
	@$(BIN)/python -m pytest -m "not slow"

test-slow: setup
	@$(BIN)/python -m pytest

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

protos:
	@PYTHON='$(PYTHON)' bash models/research/object_detection/protos/generate.sh

clean:
	@rm -rf $(VENV) $(DEMO_DIR) .pytest_cache .ruff_cache
