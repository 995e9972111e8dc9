"""The command line: thin, honest about errors, quick to start."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli import COMMANDS, main


def _mien(*args: str, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "mien", *args], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    main([command, "--help"])
    text = capsys.readouterr().out
    assert f"Usage: mien {command}" in text
    unexplained = re.findall(r"^  --[\w-]+(?: [^\s:]+)?: ?(?:\[|$)", text, flags=re.MULTILINE)
    assert not unexplained


def test_a_missing_params_file_is_one_line_and_exit_2(tmp_path):
    run = _mien("extract_sound", "--corpus", "ravdess", "--manifest", "m", "--clips", "c", "--out", "o", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.strip().count("\n") == 0
    assert "params.yaml" in run.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_lists_the_known_ones():
    run = _mien("trian")
    assert run.returncode == 2
    assert "train" in run.stderr


def test_several_commands_run_in_one_process_until_one_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").touch()
    calls = ["list_runs --folders run --out a.json", "list_runs --folders none --out b.json", "list_runs --out c.json"]
    run = _mien(*" --then ".join(calls).split(), cwd=tmp_path)
    assert run.returncode == 2
    assert "mien list_runs: none holds no run.json" in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "run"]


def test_starting_up_imports_nothing_heavy():
    probe = "import sys, mien.cli; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    heavy = {"'torch'", "'pandas'", "'mlflow'", "'matplotlib'", "'dlib'", "'cyclopts'"}
    assert not heavy & set(loaded.strip("[]\n").split(", "))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "--tflops", "many"), "--tflops"),
        (("train", "--corpos", "ravdess"), "--corpos"),
        (("index_corpus", "--config", "{bad", "--corpus", "jaffe", "--manifest", "m", "--out", "o"), "is not valid"),
        (("list_runs", "--folders", "none", "--out", "x.json"), "none holds no run.json"),
        (("predict",), "name a video"),
        (("predict", "none.mp4", "--jobs", "0"), "--jobs"),
        (("predict", "none.mp4", "--formats", "srt", "doc"), "--formats doc: there is no such format"),
        (("predict", "none.mp4", "--config", "p.yaml"), "p.yaml: no such file"),
        (("predict", "none.mp4", "--out", "o", "--checkpoint"), "--checkpoint"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(tmp_path, arguments, words):
    run = _mien(*arguments, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert words in run.stderr.splitlines()[-1]


def test_what_cannot_be_judged_is_exit_1(tmp_path):
    run = _mien("predict", "none.mp4", "gone.mp4", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines() == ["mien predict: none.mp4: no such file", "mien predict: gone.mp4: no such file"]


def test_a_clip_may_follow_a_checkpoint(monkeypatch):
    """A stage takes all that follows an option, a command for people one value."""
    seen = {}

    def predict(*clips: Path, checkpoint: list[Path] | None = None) -> None:
        """Judge.

        Parameters
        ----------
        clips
            Files.
        checkpoint
            Files.
        """
        seen.update(clips=clips, checkpoint=checkpoint)

    monkeypatch.setattr("mien.apps.predict.predict", predict)
    main(["predict", "--checkpoint", "a.safetensors", "--checkpoint", "b.safetensors", "c.mp4", "d.mp4"])
    assert seen == {
        "clips": (Path("c.mp4"), Path("d.mp4")),
        "checkpoint": [Path("a.safetensors"), Path("b.safetensors")],
    }
