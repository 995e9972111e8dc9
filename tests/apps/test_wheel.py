"""A wheel, made from an archive of the source and without git, judges clips with what it declares that it needs."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from mien.apps.models import ModelInfo
from mien.models import checkpoint

pytestmark = pytest.mark.slow

BUILD = "from setuptools import build_meta; print(build_meta.build_{}('.'))"
# Runs mien as if the packages of an extra, and what git and the checkout have, were not there.
RUN = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split())); from mien.cli import main; main()"


def python(code, *arguments, folder, **variables):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def tracked(repository):
    """Return the names of the files in git that are no results and no tests."""
    listed = subprocess.check_output(["git", "ls-files", "--", ":!results", ":!tests"], cwd=repository, text=True)
    return listed.splitlines()


@pytest.fixture(scope="module")
def installed(repository, tracked, tmp_path_factory):
    """Return a folder as pip fills it from the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / name, source / name, follow_symlinks=False)
    archive = source / python(BUILD.format("sdist"), folder=source).stdout.split()[-1]
    assert archive.name == "mien-0.1.0.tar.gz"
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    unpacked = folder / "mien-0.1.0"
    with zipfile.ZipFile(unpacked / python(BUILD.format("wheel"), folder=unpacked).stdout.split()[-1]) as file:
        file.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def mien(installed, tmp_path):
    """Return a function that runs the installed command in an empty folder, without the packages of the workflow."""
    modules_of = {}
    for module, names in importlib.metadata.packages_distributions().items():
        for name in names:
            modules_of.setdefault(name.lower(), []).append(module)
    (metadata,) = importlib.metadata.distributions(path=[str(installed)])
    extra = [line.split(";") for line in metadata.requires if 'extra == "workflow"' in line]
    hidden = [one for name, _ in extra for one in modules_of[name.split("=")[0].split(">")[0].strip().lower()]]
    assert {"snakemake", "dvc", "mlflow", "matplotlib", "ruamel"} <= set(hidden)

    def call(*arguments):
        return python(RUN, " ".join(hidden), *arguments, folder=tmp_path, PYTHONPATH=str(installed))

    return call


def test_the_wheel_has_every_file_of_the_package_and_says_that_it_is_typed(tracked, installed):
    links = {"resources", "params.yaml"}
    files = {name.removeprefix("src/mien/") for name in tracked if name.startswith("src/mien/")} - {"resources"}
    files |= {name for name in tracked if name.partition("/")[0] in links}
    assert {"py.typed", "params.yaml", "resources/candide3/units.csv", "report/templates/trust.md.j2"} <= files
    assert files == {path.relative_to(installed / "mien").as_posix() for path in (installed / "mien").rglob("*.*")}


def test_the_wheel_judges_a_clip_without_the_packages_of_the_workflow(mien, models, media_folder, tmp_path):
    run = mien(
        "predict", media_folder / "both.mp4", "--out", "verdicts", "--checkpoint", models["N2"], "--video", "f.mp4"
    )
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "verdicts" / "both.json").read_text())["variant"] == "N2"
    assert (tmp_path / "f.mp4").stat().st_size
    assert mien("--version").stdout == "0.1.0\n"


def test_the_doctor_of_the_wheel_finds_nothing_amiss(mien, installed, models, tmp_path):
    info = ModelInfo(row="AM", corpus="ravdess", modalities=("audio",), networks=1)
    checkpoint.export(tmp_path / "m" / "AM.safetensors", [checkpoint.load(models["AM"])], info.to_dict())
    run = mien("doctor", "--results", "m")
    assert f"installed: mien 0.1.0 in {installed / 'mien'}" in run.stdout, run.stderr
    assert run.stdout.endswith("no problems found\n")


def test_a_command_of_the_workflow_says_what_it_lacks(mien):
    run = mien("plan")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.endswith("mien plan: jinja2 is not installed; pip install 'mien[workflow]' installs it\n")
