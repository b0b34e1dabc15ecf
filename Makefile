# Each target sets up what it needs in .venv: Python 3.10-3.12 with pip is
# enough to start. PYTHON=/path/to/python chooses an interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= cpu,sweep,video,notebook,test
DEMO_DIR ?= demo
export TF_CPP_MIN_LOG_LEVEL ?= 2

# The first interpreter that runs and has a version TensorFlow 2.18 knows.
IS_SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	$$p -c '$(IS_SUPPORTED)' >/dev/null 2>&1 && echo $$p && break; done)

# Built once for a Python, a TensorFlow and a choice of MPI and GPU operations.
HOROVOD_VERSION := 0.28.1
HOROVOD_CACHE ?= .cache/horovod
HOROVOD_GPU_OPERATIONS ?=
export HOROVOD_GPU_OPERATIONS

.PHONY: help setup horovod demo test test-distributed test-slow format protos \
	clean

help:
	@echo "make demo       train and evaluate on a data set that is drawn here"
	@echo "make test       run the tests"
	@echo "make setup      only install into $(VENV) (EXTRAS=cpu,sweep,video,notebook,test)"
	@echo "make horovod    build and install Horovod, for several processes"
	@echo "make test-distributed  the tests of several processes"
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

# Horovod is compiled against the installed TensorFlow, with Gloo, with MPI
# where mpicxx is, and for GPUs with HOROVOD_GPU_OPERATIONS=NCCL.
horovod: setup
	@export PATH="$(abspath $(BIN)):$$PATH"
	@if ! command -v c++ >/dev/null; then
		echo "error: no C++ compiler (c++) found; install one, such as the" \
			"package g++" >&2
		exit 7
	fi
	@mpi=HOROVOD_WITHOUT_MPI
	@if command -v mpicxx >/dev/null; then mpi=HOROVOD_WITH_MPI; fi
	@key=$$(python -c 'import sys, importlib.metadata as m; \
		print(f"cp{sys.version_info[0]}{sys.version_info[1]}", *(f"tf{d.version}" \
		for d in m.distributions() if d.metadata["Name"] in \
		("tensorflow", "tensorflow_cpu", "tensorflow-cpu")), sep="-")')
	@cache="$(HOROVOD_CACHE)/$$key-$${mpi#HOROVOD_}-$${HOROVOD_GPU_OPERATIONS:-CPU}"
	@if ! ls "$$cache"/horovod-*.whl >/dev/null 2>&1; then
		# CMake 4 does not read what Horovod's parts are written in.
		command -v cmake >/dev/null || pip install --quiet 'cmake>=3.18,<4'
		echo "Building Horovod $(HOROVOD_VERSION) ($$mpi), some minutes"
		env "$$mpi=1" HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITH_GLOO=1 \
			HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 \
			pip wheel --quiet --disable-pip-version-check --no-cache-dir \
			--no-deps --no-build-isolation --wheel-dir "$$cache" \
			horovod==$(HOROVOD_VERSION)
	fi
	@pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt "$$cache"/horovod-*.whl
	@python -c 'import horovod.tensorflow as hvd; \
		print("Horovod", "$(HOROVOD_VERSION)", "with", *(n for n, b in ( \
		("Gloo", hvd.gloo_built()), ("MPI", hvd.mpi_built()), \
		("NCCL", hvd.nccl_built())) if b))'

demo: setup
	@$(BIN)/python -m object_detection.demo --output_dir $(DEMO_DIR)

test: setup
	@$(BIN)/python -m pytest -m "not slow and not distributed"

test-distributed: horovod
	@$(BIN)/python -m pytest -n 0 -m distributed qa/distributed

test-slow: setup
	@$(BIN)/python -m pytest -m "not distributed"

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

protos:
	@PYTHON='$(PYTHON)' bash models/research/object_detection/protos/generate.sh

clean:
	@rm -rf $(VENV) $(DEMO_DIR) .pytest_cache .ruff_cache
