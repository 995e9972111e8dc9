"""An output that was changed since its job wrote it is named and made again by the plain command."""

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
RULES = """
rule all:
    input:
        "results/tables/5.2.md",
        "mlflow.db",


rule extract_sound:
    output:
        "results/sound/ravdess/manifest.json",
    shell:
        "mkdir -p results/sound/ravdess/01; echo sound > results/sound/ravdess/01/wave.npy; echo {{}} > {output}"


rule build_table:
    input:
        rules.extract_sound.output,
    output:
        "results/tables/5.2.md",
    shell:
        "cp {input} {output}"


rule track:
    output:
        update("mlflow.db"),
    shell:
        "echo store > {output}"
"""
CHANGES = {  # file -> the rules that then run
    "results/sound/ravdess/01/wave.npy": {"extract_sound", "build_table"},
    "results/tables/5.2.md": {"build_table"},
    "mlflow.db": {"track"},
}


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory):
    """Return a folder in which a small workflow with our rule has run."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "Snakefile").write_text(f'include: "{repository / "workflow" / "outputs.smk"}"\n{RULES}')
    snakemake(folder)
    return folder


def snakemake(folder, *args):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete", *args]
    run = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout + run.stderr


def rules_of(output):
    return {line.split()[-1].rstrip(":") for line in output.splitlines() if line.startswith(("rule ", "localrule "))}


def test_changed_outputs_are_named_and_made_again(finished):
    assert "Nothing to be done" in snakemake(finished, "-n")
    before = {name: (finished / name).read_bytes() for name in CHANGES}
    for name, content in before.items():
        (finished / name).write_bytes(b"?" + content[1:])
    planned, said = snakemake(finished, "-n"), snakemake(finished)
    for name in CHANGES:
        assert f"{name} was changed (same size, other content) since rule" in planned
        assert f"{name} was changed (same size, other content) since rule" in said
    assert rules_of(planned) == rules_of(said) == {"all"}.union(*CHANGES.values())
    assert {name: (finished / name).read_bytes() for name in CHANGES} == before
    assert "Nothing to be done" in snakemake(finished, "-n")


def test_a_touch_takes_outputs_as_they_are(finished):
    (finished / "results/tables/5.2.md").write_text("edited")
    assert "was changed" not in snakemake(finished, "--touch", "--forceall")
    assert "Nothing to be done" in snakemake(finished, "-n")
    assert (finished / "results/tables/5.2.md").read_text() == "edited"


def test_an_output_that_was_not_made_here_is_made(finished, tmp_path):
    shutil.copy(finished / "Snakefile", tmp_path)
    table = tmp_path / "results" / "tables" / "5.2.md"
    table.parent.mkdir(parents=True)
    table.write_text("of git")
    assert rules_of(snakemake(tmp_path, "results/tables/5.2.md")) == {"extract_sound", "build_table"}
    assert table.read_text() != "of git"
    assert "Nothing to be done" in snakemake(tmp_path, "-n", "results/tables/5.2.md")
