"""The ledger tells what was changed since a job wrote it, and reads content only where it must."""

import os
import shutil

import pytest

from mien.io import ledger
from mien.io.files import write_json
from mien.io.ledger import Ledger, files_of

OUTPUTS = ("data/jaffe.json", "results/sound/jaffe/manifest.json", "results/training/jaffe/AM/seed0.json", "5.2.md")
STAND_FOR = {  # output -> files that it stands for beside itself
    OUTPUTS[0]: ["data/jaffe/a.wav", "data/jaffe/deep/b.wav", "data/jaffe.truth/t.parquet"],
    OUTPUTS[1]: ["results/sound/jaffe/01.json", "results/sound/jaffe/01/wave.npy"],
    OUTPUTS[2]: ["results/training/jaffe/AM/fold0-seed0/run.json"],
    OUTPUTS[3]: [],
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a ledger of a corpus, a stage of shards, a training and a table, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for output, names in STAND_FOR.items():
        for name in [output, *names]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"bytes of {name}")
    write_json(tmp_path / OUTPUTS[2], {"results/training/jaffe/AM/fold0-seed0": {"run.json": "0"}})
    (tmp_path / "results/sound/jaffe/.01.9.partial").mkdir()
    Ledger(tmp_path / "ledger").record(OUTPUTS)
    return Ledger(tmp_path / "ledger")


def changes(written):
    """Return the changes that a new process would find."""
    return {output: change for output in OUTPUTS if (change := Ledger(written.path).find_change(output))}


def test_an_output_stands_for_the_files_that_it_lists(written):
    assert {output: files_of(output) for output in OUTPUTS} == {
        output: sorted([output, *names]) for output, names in STAND_FOR.items()
    }
    assert files_of("results/sound") == sorted([OUTPUTS[1], *STAND_FOR[OUTPUTS[1]]])  # a folder


def test_what_is_as_it_was_is_not_read(written, monkeypatch):
    monkeypatch.setattr(ledger, "sha256", None)
    assert changes(written) == {}


@pytest.mark.parametrize("output", OUTPUTS)
def test_other_bytes_of_equal_size_and_time_are_found(written, output):
    for name in [output, *STAND_FOR[output]][-1:]:
        status, text = (written.path.parent / name).stat(), (written.path.parent / name).read_bytes()
        (written.path.parent / name).write_bytes(text[:-1] + b"#")
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert changes(written) == {output: f"{name} was changed (same size, other content)"}


@pytest.mark.parametrize("output", OUTPUTS[:3])
def test_missing_and_strange_files_are_found(written, output):
    name = STAND_FOR[output][0]
    (written.path.parent / name).rename(f"{name}.orphan")
    assert changes(written)[output] in (f"{name} is gone", f"{name}.orphan was not written by it")
    shutil.copy(f"{name}.orphan", name)
    assert f"{name}.orphan was not written by it" in changes(written).values() or output == OUTPUTS[2]


def test_a_file_that_was_cut_is_found(written):
    os.truncate("5.2.md", 3)
    assert changes(written) == {"5.2.md": "5.2.md was changed (15 bytes were written, 3 are there)"}


def test_copied_files_are_read_once(written, monkeypatch):
    for name in STAND_FOR[OUTPUTS[0]]:
        shutil.copy(name, "copy")
        (written.path.parent / "copy").replace(name)
    assert changes(written) == {}
    monkeypatch.setattr(ledger, "sha256", None)
    assert changes(written) == {}


def test_what_it_does_not_know_is_taken_as_it_is_but_not_in_a_dry_run(written):
    Ledger(written.path, writable=False).find_change("params.yaml")
    (written.path.parent / "params.yaml").write_text("first")
    before = written.path.read_bytes()
    assert Ledger(written.path, writable=False).find_change("params.yaml") == ""
    assert written.path.read_bytes() == before
    assert Ledger(written.path).find_change("params.yaml") == ""
    (written.path.parent / "params.yaml").write_text("other")
    assert "params.yaml was changed" in Ledger(written.path).find_change("params.yaml")


def test_a_line_that_was_broken_off_costs_no_other(written):
    text = written.path.read_text()
    written.path.write_text(text[:-20])
    last = Ledger(written.path)
    assert last.find_change(OUTPUTS[-1]) == ""  # noted anew
    (written.path.parent / OUTPUTS[-1]).write_text("edited by hand")
    (written.path.parent / STAND_FOR[OUTPUTS[1]][1]).write_text("flipped")
    assert changes(written).keys() == {OUTPUTS[-1], OUTPUTS[1]}


def test_it_does_not_grow_with_the_runs(written):
    size = written.path.stat().st_size
    for _ in range(10):
        Ledger(written.path).find_change(OUTPUTS[0])
        Ledger(written.path).record(OUTPUTS)
    assert written.path.stat().st_size < 4 * size
    assert changes(written) == {}
