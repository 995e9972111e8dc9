# One command from a bare clone to tables:  make reproduce
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
UV := $(VENV)/bin/uv
CORES ?= all
# An index with wheels of torch that need no CUDA; without it torch comes from the lock.
TORCH_INDEX ?=
WITHOUT := ^(torch|torchaudio|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==
# Apart from the rest: Snakemake imports an executor that it finds at every start, and this one pandas, and asks SLURM.
SLURM := ^snakemake-executor-plugin-slurm

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
# Bytecode makes every start-up three times as fast.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup reproduce test test-slurm slurm lint site clean

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv==0.13.9
	awk -v without='$(SLURM)$(if $(TORCH_INDEX),|$(WITHOUT))' '/^[a-z]/ {keep = $$0 !~ without} keep' requirements.lock >$(VENV)/lock
ifdef TORCH_INDEX
	grep -oE '^torch(|audio|vision)==[0-9.]+' requirements.lock >$(VENV)/torch
	$(UV) pip install --python $(VENV)/bin/python --no-deps --index-url $(TORCH_INDEX) -r $(VENV)/torch
endif
	$(UV) pip install --python $(VENV)/bin/python --no-deps --require-hashes --compile-bytecode -r $(VENV)/lock
	$(UV) pip install --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	touch $@

reproduce: setup
	snakemake --cores $(CORES)

test: setup
	python -m pytest -n 2 -m "not slow"

slurm: $(VENV)/slurm

$(VENV)/slurm: $(VENV)/.complete
	awk '/^[a-z]/ {keep = /$(SLURM)/} keep' requirements.lock >$(VENV)/lock
	$(UV) pip install --python $(VENV)/bin/python --target $@ --no-deps --require-hashes -r $(VENV)/lock
	touch $@

test-slurm: slurm
	PYTHONPATH="$(CURDIR)/$(VENV)/slurm$${PYTHONPATH:+:$$PYTHONPATH}" tests/slurm/run.sh

lint: setup
	ruff check src tests workflow
	ruff format --check src tests workflow
	snakefmt --check Snakefile workflow

site: setup
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

clean:
	rm -rf data results/corpora results/faces results/sound results/candide results/samples results/training results/embeddings results/trust results/fuzziness results/streams results/figures site logs .checkpoints .snakemake mlflow.db mlartifacts
