"""Compare what revisions of the project make, at the shrunken size and on one machine; for use while refactoring.

python tests/workflow/golden.py run REVISION FOLDER    # results of a revision in FOLDER/clone, output in FOLDER/run.log
python tests/workflow/golden.py compare FOLDER FOLDER  # content, not bytes; rows and lines count from 1
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

REPOSITORY = Path(__file__).resolve().parents[2]


def run(revision: str, folder: Path) -> int:
    """Make the results of a revision, or go on with them, and return the exit status of Snakemake."""
    clone = folder.resolve() / "clone"
    commit = _output("git", "-C", REPOSITORY, "rev-parse", "--verify", f"{revision}^{{commit}}")
    if not clone.exists():
        _prepare(commit, clone)
    if (held := _output("git", "-C", clone, "rev-parse", "HEAD")) != commit:
        sys.exit(f"{clone} holds {held}, but {revision} is {commit}: choose another folder")
    env = os.environ | {"PATH": f"{clone}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": f"{clone}/src"}
    env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONDONTWRITEBYTECODE": ""}  # bytecode makes start-ups fast
    found = _output("python", "-c", "import mien; print(*mien.__path__)", cwd=clone, env=env)
    if found != f"{clone}/src/mien":
        sys.exit(f"jobs would import {found}, not the code in {clone}")
    command = ["snakemake", "all", "--cores", "2", "--quiet", "rules"]
    with (clone.parent / "run.log").open("a") as log:
        return subprocess.run(command, cwd=clone, env=env, stdout=log, stderr=log).returncode


def _prepare(commit: str, clone: Path) -> None:
    """Clone the repository without its committed results, which would hide that a run no longer makes them."""
    scratch = clone.with_name("unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    _output("git", "clone", "--quiet", "--no-checkout", REPOSITORY, scratch)
    _output("git", "-C", scratch, "checkout", "--quiet", "--detach", commit)
    shutil.rmtree(scratch / "results", ignore_errors=True)
    (scratch / ".venv").symlink_to(REPOSITORY / ".venv")
    _output(sys.executable, "tests/workflow/shrink.py", "params.yaml", cwd=scratch)
    scratch.rename(clone)


def _output(*command, **options) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout.strip()


def compare(ours: dict[str, Path], theirs: dict[str, Path]) -> int:
    """Print how the files of two runs differ, and return 1 where they do or where there are none, else 0."""
    equal = Counter()
    for name in sorted(ours | theirs):
        end = next(end for end in READERS if name.endswith(end))
        only = "A" if name not in theirs else "B" if name not in ours else None
        found = [f"only in {only}"] if only else _differences(*map(READERS[end], (ours[name], theirs[name])))
        equal[end] += not found
        sys.stdout.writelines(f"{name}: {line}\n" for line in found)
    print(f"{equal.total()} of {len(ours | theirs)} files are equal:", dict(equal))
    return int(not equal or equal.total() < len(ours | theirs))


def files(folder: Path, ignored: list[str], renamed: list[str]) -> dict[str, Path]:
    """Return the files to compare of a run: name, by the first of the renamings OLD=NEW that applies -> path."""
    found = {}
    for path in (path for end in READERS for path in folder.glob(f"clone/results/**/*{end}")):
        old = new = path.relative_to(folder / "clone").as_posix()
        for source, target in (pair.split("=") for pair in reversed(renamed)):
            new = target + old.removeprefix(source) if f"{old}/".startswith(f"{source}/") else new
        skipped = any(fnmatchcase(name, pattern) for pattern in ignored for name in (old, new))
        if not skipped and found.setdefault(new, path) != path:
            sys.exit(f"{found[new]} and {path} would both be {new}")
    return found


def _differences(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    found = [f"{len(a)} rows in A, {len(b)} in B"] if len(a) != len(b) else []
    if list(a) != list(b):
        only = [[name for name in x if name not in y] for x, y in ((a, b), (b, a))]
        found.append(f"columns only in A: {only[0]}, only in B: {only[1]}" if any(only) else "columns in another order")
    for name in [name for name in a if name in b]:
        x, y = a[name], b[name]
        if x.dtype != y.dtype:
            found.append(f"{name!r} is {x.dtype} in A, {y.dtype} in B")
        rows = [row for row, (p, q) in enumerate(zip(x, y, strict=False)) if _mark(p) != _mark(q)]
        if rows:
            p, q = (pd.to_numeric(z.iloc[rows].explode(), errors="coerce").reset_index(drop=True) for z in (x, y))
            size = (p.astype(float) - q.astype(float)).abs().max()  # NaN where there are no numbers
            cells = f"{x.iloc[rows[0]]!r:.50}, {y.iloc[rows[0]]!r:.50}"
            found.append(f"{name!r} differs in {len(rows)} rows, by at most {size:g}; row {rows[0] + 1}: {cells}")
    return found


def _mark(cell) -> object:
    """Return what is equal for cells that are equal to the bit, NaN and lists included, and for no others."""
    if isinstance(cell, np.ndarray):
        return cell.dtype, repr(cell.tolist()) if cell.dtype.hasobject else cell.tobytes()
    return repr(cell)


READERS = {  # end of a file name -> its content as a table; weights are one row of flat tensors
    ".csv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False),
    "metrics.json": lambda path: pd.json_normalize(json.loads(path.read_text())).sort_index(axis=1),
    ".parquet": lambda path: pd.read_parquet(path).reset_index(),
    ".safetensors": lambda path: pd.DataFrame([{f"{k} {v.shape}": v.ravel() for k, v in load_file(path).items()}]),
    ".md": lambda path: pd.DataFrame({"line": path.read_text().splitlines()}),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "compare"))
    parser.add_argument("first", metavar="REVISION | FOLDER")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--ignore", action="append", default=[], metavar="GLOB", help="such as 'results/plots/*'")
    parser.add_argument("--map", action="append", default=[], metavar="OLD=NEW", help="a path of A, or its beginning")
    args = parser.parse_args()
    if args.command == "run":
        sys.exit(run(args.first, args.folder))
    sys.exit(compare(files(Path(args.first), args.ignore, args.map), files(args.folder, args.ignore, [])))
