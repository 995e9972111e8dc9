"""Command `prune`: delete results of corpora, variants and folds that params.yaml no longer lists.

DVC versions whole folders; a fold that was dropped would stay in them for ever.
"""

import logging
import shutil
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of `prune`."""
    parser.add_argument("--root", type=Path, required=True, help="folder below which results are kept")
    parser.add_argument("--keep", nargs="*", default=[], metavar="FOLDER", help="folders below the root to keep")


def run(args) -> None:
    """Delete what is below the stages that `--keep` names, but not kept."""
    for folder in stale_folders(args.root, args.keep):
        log.info("removing %s", folder)
        shutil.rmtree(folder)


def stale_folders(root: Path, keep: list[str]) -> list[Path]:
    """Return the folders in the stages (first part) of `keep` that are neither kept, nor in, nor around a kept one.

    A stage without a kept folder is left alone: an empty list must never empty the results.
    """
    kept = {Path(root, folder) for folder in keep}
    around = {parent for folder in kept for parent in folder.parents}
    stale, queue = [], sorted({Path(root, Path(folder).parts[0]) for folder in keep})
    while queue:
        for folder in sorted(path for path in queue.pop(0).glob("*") if path.is_dir()):
            if folder in around:
                queue.append(folder)
            elif folder not in kept:
                stale.append(folder)
    return stale
