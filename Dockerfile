# The environment of the lock with mien in it: for predict and serve, and for the workflow on a mounted checkout.
#   docker build -t mien .                                  torch as the lock has it: with CUDA on x86-64, without on Arm
#   docker build -t mien --build-arg TORCH_INDEX=URL .      torch from an index of wheels without CUDA that you name
#   --build-arg VERSION="$(python -m setuptools_scm)"      what `mien --version` says there, where .git is not
#   docker run --rm -v "$PWD:/work" mien predict clip.mp4
#   docker run --rm -v "$PWD:/work" --entrypoint snakemake mien --cores all
#   apptainer build mien.sif docker-daemon://mien:latest
FROM python:3.11-slim-bookworm
ARG TORCH_INDEX= VERSION=
ENV MLFLOW_DISABLE_TELEMETRY=true PATH=/opt/mien/.venv/bin:$PATH
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mien
COPY . .
RUN SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MIEN="$VERSION" make setup TORCH_INDEX="$TORCH_INDEX" && rm -rf ~/.cache
WORKDIR /work
ENTRYPOINT ["mien"]
