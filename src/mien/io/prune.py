"""Commands `list_runs` and `prune`: what a training job left behind, and what nobody asks for any more."""

import logging
import shutil
from functools import cache
from pathlib import Path

from mien.errors import TableError
from mien.io.files import find_scratch, read_json, sha256, write_json

log = logging.getLogger(__name__)

CHANGED = "its bytes are not those that its training wrote; run snakemake, which trains it again"


def list_runs(*, folders: list[Path], out: Path) -> None:
    """List the files of the run folders of a job with their digests: the one output that the job declares.

    Parameters
    ----------
    folders : list[Path]
        Folders of runs; each must hold a run.json.
    out : Path
        JSON: folder -> file -> SHA-256.

    Raises
    ------
    TableError
        A folder holds no run.
    """
    if missing := [folder for folder in folders if not (folder / "run.json").is_file()]:
        raise TableError(f"{missing[0]} holds no run.json; see the log of the training, and run it again")
    files = {str(folder): sorted(path for path in folder.iterdir() if path.is_file()) for folder in folders}
    write_json(out, {folder: {path.name: sha256(path) for path in paths} for folder, paths in files.items()})


@cache
def is_as_listed(file: Path) -> bool:
    """Say whether the bytes of a file in a folder of a run are those that its job listed; a process reads them once.

    So they are, too, where no job has listed the folder: nobody says otherwise.
    """
    folder = file.parent
    lists = [folder.parent / f"{name}.json" for name in (folder.name.rpartition("-")[2], "seeds", folder.name)]
    listed = [_read_list(path).get(folder.name, {}).get(file.name) for path in lists if path.is_file()]
    return not any(listed) or not file.is_file() or sha256(file) in listed


@cache
def _read_list(path: Path) -> dict[str, dict[str, str]]:
    """Return name of a folder -> file -> SHA-256."""
    return {Path(folder).name: files for folder, files in read_json(path).items()}


def prune(*, root: Path, keep: list[str]) -> None:
    """Delete results of corpora, variants and folds that params.yaml no longer lists, and what killed writers left.

    DVC versions whole folders; a fold that was dropped would stay in them for ever.

    Parameters
    ----------
    root : Path
        Folder below which results are kept.
    keep : list[str]
        Folders and files below the root to keep, and with them all in a folder.
    """
    for path in find_stale(root, keep) + find_scratch(root):
        log.info("removing %s", path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it was in a folder that is gone


def find_stale(root: Path, keep: list[str]) -> list[Path]:
    """Return what is in the stages (first part) of `keep` and neither kept, nor in, nor around what is kept.

    A stage without anything kept is left alone: an empty list must never empty the results.
    """
    kept = {Path(root, path) for path in keep}
    around = {parent for path in kept for parent in path.parents}
    stale, queue = [], sorted({Path(root, Path(path).parts[0]) for path in keep})
    while queue:
        for path in sorted(queue.pop(0).glob("[!.]*")):
            if path in around:
                queue.append(path)
            elif path not in kept:
                stale.append(path)
    return stale
