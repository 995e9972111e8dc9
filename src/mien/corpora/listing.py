"""What an adapter reads from file names and label files: clips with candidate files, and findings."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mien.core.errors import CorpusError
from mien.core.media import IMAGE_SUFFIXES

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # what operating systems leave in archives

_CLIP_DEFAULTS = {
    "actor": "",
    "sex": "",
    "item": -1,
    "sequence": "",
    "intensity": "",
    "statement": "",
    "view": "",
    "split": "",
    "cropped": False,
}


@dataclass
class Listing:
    """Clips and findings of one corpus, before any medium is opened.

    A clip row carries `pictures` and `sounds`: candidate files in order of preference, of which the first usable one
    becomes the clip's video and audio. `copies` are further files of the same name as a kept one, `voiced` are pictures
    that should carry a sound track although the sound is taken from elsewhere, `reserved` are groups that the corpus
    keeps for testing.
    """

    corpus: str
    classes: tuple[str, ...]
    clips: list[dict] = field(default_factory=list)
    defects: list[dict] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    voiced: set[str] = field(default_factory=set)
    reserved: set[str] = field(default_factory=set)

    def add_clip(
        self,
        clip: str,
        *,
        label: int,
        part: str,
        group: str,
        pictures: Iterable[str] = (),
        sounds: Iterable[str] = (),
        **columns: object,
    ) -> None:
        """Add a clip; `label` is -1 where unlabelled, `columns` are others of CLIPS (actor, sex, item, ...)."""
        if unknown := columns.keys() - _CLIP_DEFAULTS.keys():
            raise TypeError(f"no columns {sorted(unknown)} in CLIPS")
        row = {"corpus": self.corpus, "clip": clip, "part": part, "group": group, **_CLIP_DEFAULTS, **columns}
        row |= {"label": label, "label_name": self.classes[label] if label >= 0 else ""}
        self.clips.append(row | {"pictures": tuple(pictures), "sounds": tuple(sounds)})

    def add_defect(self, defect: str, *, detail: str, decision: str, clip: str = "", path: str = "") -> None:
        """Put a finding on record."""
        self.defects.append(
            {
                "corpus": self.corpus,
                "clip": clip,
                "path": path,
                "defect": defect,
                "detail": detail,
                "decision": decision,
            }
        )

    def misname(self, path: str, wanted: str) -> None:
        """Record a file whose name does not fit the grammar; it belongs to no clip."""
        self.add_defect("misnamed", path=path, detail=f"not named like {wanted}", decision="ignore")

    def add_missing(self, wanted: Iterable[str], present: Iterable[str]) -> None:
        """Record every clip of `wanted` that is not among `present`."""
        for clip in sorted(set(wanted) - set(present)):
            self.add_defect("missing", clip=clip, detail="the grid of takes has no such file", decision="none to use")


def list_files(root: Path) -> list[str]:
    """Return the files below `root` as sorted paths relative to it; hidden and system files are left out.

    Raises
    ------
    CorpusError : `root` is not a folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; set the source of the corpus in params.yaml, or restore the folder")
    found, seen = [], set()
    for folder, below, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link back to a folder above
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if not _is_junk(name)]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names if not _is_junk(name)]
    return sorted(found)


def first_by_name(listing: Listing, paths: Iterable[str]) -> list[str]:
    """Return one path per file name, the least nested; further ones go to `listing.copies`.

    Some copies of a corpus carry a second full set in a nested folder.
    """
    kept: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        name = path.rsplit("/", 1)[-1]
        if name in kept:
            listing.copies.append((kept[name], path))
        else:
            kept[name] = path
    return sorted(kept.values())


def named_pictures(listing: Listing, root: Path, pattern: re.Pattern, example: str) -> list[str]:
    """Return one path per picture whose file name fits `pattern`; others are put on record as not like `example`."""
    named = []
    for path in list_files(root):
        if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if pattern.fullmatch(path.rsplit("/", 1)[-1]):
            named.append(path)
        else:
            listing.misname(path, example)
    return first_by_name(listing, named)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a label file.

    Raises
    ------
    CorpusError : the file cannot be read as text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a readable text file ({error}); fetch it again") from error


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in _JUNK
