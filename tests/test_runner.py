"""The test runner itself: a test that takes its process down is named, and the others run."""

import os
import subprocess
import sys

DYING = """
import os, signal
def test_before(): pass
def test_that_dies(): os.kill(os.getpid(), signal.SIGSEGV)
def test_after(): pass
"""
LIVING = "def test_one(): pass\ndef test_two(): pass\n"


def test_a_process_that_dies_costs_one_test(tmp_path, repository):
    (tmp_path / "test_b.py").write_text(DYING)
    for name in "acd":
        (tmp_path / f"test_{name}.py").write_text(LIVING)
    options = ["-c", repository / "pyproject.toml", "--rootdir", tmp_path, "-p", "no:cacheprovider"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "xdist", "-n", "2", tmp_path],
        env={**ours, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # half the time
        capture_output=True,
        text=True,
        timeout=60,  # some ways of sharing tests out start the dead one again and again
    )
    assert "crashed while running 'test_b.py::test_that_dies'" in run.stdout
    assert "1 failed, 8 passed" in run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr
    assert 'test_b.py", line 4 in test_that_dies' in run.stderr  # where it was
    assert run.returncode == 1
