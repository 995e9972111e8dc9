# One command from a bare clone to tables:  make reproduce
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
UV := $(VENV)/bin/uv
CORES ?= all

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
# Bytecode makes every start-up three times as fast.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup reproduce test lint clean

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv==0.13.9
	$(UV) pip install --python $(VENV)/bin/python --require-hashes --compile-bytecode -r requirements.lock
	$(UV) pip install --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	touch $@

reproduce: setup
	snakemake --cores $(CORES)

test: setup
	python -m pytest -n 2 -m "not slow"

lint: setup
	ruff check src tests
	ruff format --check src tests
	snakefmt --check Snakefile workflow

clean:
	rm -rf data results/corpora results/faces results/sound results/candide results/samples results/training results/embeddings results/trust results/fuzziness results/figures logs .checkpoints .snakemake mlflow.db mlartifacts
