"""What all adapters share: clips and findings read from names, files examined, and the tables CLIPS and DEFECTS.

An adapter fills a `Listing` from file names and label files. `examine_listing` opens the files (digest, whether they
decode, channels, peak, blank pictures), `settle` and `settle_duplicates` decide which file each clip uses and what is
dropped, and `finish` returns both tables. `Access` says how a corpus is obtained.
"""

import hashlib
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import CorpusError, MediaError
from mien.io import media, tables
from mien.io.files import map_in_processes, sha256
from mien.io.media import IMAGE_SUFFIXES

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

SILENCE_DBFS = -60.0  # a sound whose peak stays below has no voice; the quietest take of RAVDESS peaks at -44
FEW = 32  # files that one process examines before others have started
_STREAMS = {"video": ("pictures", "picture_flaw"), "audio": ("sounds", "sound_flaw")}


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


@dataclass(frozen=True, kw_only=True)
class Access:
    """Address, terms and files of a corpus; `open` ones can be fetched without an agreement or a login."""

    address: str
    terms: str
    files: str  # what to fetch
    open: bool = False


@dataclass(frozen=True)
class Facts:
    """What was found in one file.

    `flaw` concerns the whole file, `picture_flaw` and `sound_flaw` one stream; all empty where nothing is wrong or
    where the stream was not asked for. `detail` words the flaw.
    """

    sha256: str = ""
    flaw: str = ""  # empty, pointer, unreadable
    picture_flaw: str = ""  # unreadable, blank
    sound_flaw: str = ""  # mute, silent, unreadable
    detail: str = ""
    voiced: bool = False  # has a sound stream
    channels: int = 0
    palette: bool = False  # an image of indices into a colour table


def examine(path: Path, wants: frozenset[str]) -> Facts:
    """Open one file; `wants` holds "picture" and "sound": which streams must decode.

    A sound is decoded as a whole; of a video, the headers and the first frame.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(len(media.LFS_POINTER))
    if not head:
        return Facts(flaw="empty", detail="0 bytes")
    found = Facts(sha256=sha256(path))
    if head == media.LFS_POINTER:
        return _with(found, flaw="pointer", detail="a git-lfs pointer: run 'git lfs pull' in the clone")
    if not wants:
        return found
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return _examine_image(path, found)
    try:
        headers = media.probe(path)
    except MediaError as error:
        return _with(found, flaw="unreadable", detail=_cause(error, path))
    found = _with(found, voiced=headers.has_audio, channels=headers.channels)
    if "picture" in wants:
        found = _examine_first_frame(path, found)
    if "sound" in wants:
        found = _examine_sound(path, found)
    return found


def examine_all(root: Path, wants: Mapping[str, frozenset[str]], *, n_jobs: int = 1) -> dict[str, Facts]:
    """Examine every file (path relative to `root` -> wanted streams), in `n_jobs` processes."""
    paths = [Path(root) / path for path in wants]
    n_jobs = n_jobs if len(paths) >= FEW else 1
    chunk = max(1, min(64, len(paths) // (4 * max(1, n_jobs))))
    return dict(zip(wants, map_in_processes(examine, paths, wants.values(), n_jobs=n_jobs, chunk=chunk), strict=True))


def is_blank(picture: np.ndarray) -> bool:
    """Tell whether all pixels of `picture` (H, W) or (H, W, 3) are equal."""
    return bool((picture == picture[:1, :1]).all())


def _examine_image(path: Path, found: Facts) -> Facts:
    from PIL import Image

    try:
        picture = media.read_image(path)
    except MediaError as error:
        return _with(found, flaw="unreadable", detail=_cause(error, path))
    with Image.open(path) as image:
        found = _with(found, palette=image.mode == "P")
    if is_blank(picture):
        return _with(found, picture_flaw="blank", detail=f"every pixel is {picture[0, 0].tolist()}")
    return found


def _examine_first_frame(path: Path, found: Facts) -> Facts:
    frames = media.read_frames(path)
    try:
        next(itertools.islice(frames, 1), None)
    except MediaError as error:
        return _with(found, picture_flaw="unreadable", detail=_cause(error, path))
    finally:
        frames.close()
    return found


def _examine_sound(path: Path, found: Facts) -> Facts:
    if not found.voiced:
        return _with(found, sound_flaw="mute", detail="no sound stream")
    try:
        samples, _ = media.read_sound(path)
    except MediaError as error:
        return _with(found, sound_flaw="unreadable", detail=_cause(error, path))
    peak = float(np.abs(samples).max())
    if peak < 10 ** (SILENCE_DBFS / 20):
        return _with(found, sound_flaw="silent", detail=f"peak {peak:.2g} of full scale")
    return found


def _cause(error: MediaError, path: Path) -> str:
    """Return the message without the path, which has its own column."""
    return str(error).removeprefix(f"{path}: ")


def _with(found: Facts, **changes: object) -> Facts:
    details = [found.detail, changes.pop("detail", "")]
    return replace(found, detail="; ".join(detail for detail in details if detail), **changes)


def examine_listing(root: Path, listing: Listing, *, n_jobs: int = 1) -> dict[str, Facts]:
    """Examine every file that the clips of `listing` name, and the further copies."""
    wants: dict[str, frozenset[str]] = defaultdict(frozenset)
    for row in listing.clips:
        for path in row["pictures"]:
            wants[path] |= {"picture"}
        for path in row["sounds"]:
            wants[path] |= {"sound"}
    for kept, other in listing.copies:
        wants[kept] |= frozenset()
        wants[other] |= frozenset()
    return examine_all(root, wants, n_jobs=n_jobs)


def settle(listing: Listing, facts: Mapping[str, Facts], *, drop_blank: bool = True) -> pd.DataFrame:
    """Choose each clip's files and record what is wrong with them; return CLIPS, sorted by part and clip.

    The first candidate that decodes is used. A clip that has neither a picture nor a sound stays, with both flags
    False. Findings are added to `listing`. `drop_blank` False keeps constant pictures in use (and on record).
    """
    for kept, other in listing.copies:
        _settle_copy(listing, kept, other, facts)
    rows = [_settle_clip(listing, row, facts, drop_blank) for row in listing.clips]
    if not rows:
        return tables.empty(tables.CLIPS)
    clips = pd.DataFrame(rows, columns=tables.CLIPS.columns.names).sort_values(["part", "clip"], ignore_index=True)
    shared = clips.sha256.ne("") & clips.duplicated("sha256", keep=False)
    clips["duplicate"] = clips.sha256.where(shared, "")
    return clips


def settle_duplicates(listing: Listing, clips: pd.DataFrame, facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Decide on files with equal bytes in several clips.

    Under one label the first clip keeps the file; under several, which label is right is unknown and nobody does.
    Equal frames of one sequence are a person who holds still and are left alone.
    """
    clips = clips.copy()
    lost: dict[tuple[int, str], list[str]] = defaultdict(list)  # (row, path) -> streams
    words: dict[tuple[int, str], str] = {}
    for stream in _STREAMS:
        usable = clips[clips[f"has_{stream}"]]
        of_bytes = usable.groupby(usable[stream].map(lambda path: facts[path].sha256), sort=True)
        for _, equal in of_bytes:
            if len(equal) < 2 or (equal.sequence.ne("").all() and equal.sequence.nunique() == 1):
                continue
            torn = equal.label[equal.label >= 0].nunique() > 1
            for row in equal.index if torn else equal.index[1:]:
                others = equal["clip"].drop(row) if torn else equal["clip"].iloc[:1]
                key = (row, clips.at[row, stream])
                lost[key].append(stream)
                words[key] = f"same bytes as {', '.join(others)}" + (" under another label" if torn else "")
    for (row, path), streams in lost.items():
        clips.loc[row, [f"has_{stream}" for stream in streams]] = False
        left = clips.at[row, "has_video"] or clips.at[row, "has_audio"]
        decision = f"drop {streams[0]}" if left else "drop"
        listing.add_defect("twin", clip=clips.at[row, "clip"], path=path, detail=words[row, path], decision=decision)
    return clips


def finish(listing: Listing, clips: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return CLIPS with its `defect` column filled from the findings, and DEFECTS in a fixed order."""
    defects = pd.DataFrame(listing.defects, columns=tables.DEFECTS.columns.names)
    defects = defects.sort_values(["clip", "path", "defect", "detail"], ignore_index=True)
    codes: dict[str, set[str]] = defaultdict(set)
    for row in listing.defects:
        codes[row["clip"]].add(row["defect"])
    clips = clips.assign(defect=[";".join(sorted(codes.get(clip, ()))) for clip in clips["clip"]])
    return clips, defects


def _settle_copy(listing: Listing, kept: str, other: str, facts: Mapping[str, Facts]) -> None:
    if facts[kept].sha256 == facts[other].sha256:
        listing.add_defect("twin copy", path=other, detail=f"same name and bytes as {kept}", decision="drop")
    else:
        listing.add_defect("rival copy", path=other, detail=f"same name as {kept}, other bytes", decision="drop")


def _settle_clip(listing: Listing, row: dict, facts: Mapping[str, Facts], drop_blank: bool) -> dict:
    flaws, chosen = defaultdict(dict), {}  # path -> stream -> flaw; stream -> path
    for stream, (candidates, stream_flaw) in _STREAMS.items():
        for path in row[candidates]:
            flaw = facts[path].flaw or getattr(facts[path], stream_flaw)
            if flaw:
                flaws[path][stream] = flaw
            if not flaw or (flaw == "blank" and not drop_blank):
                chosen.setdefault(stream, path)
    for path, of_stream in flaws.items():
        for flaw in dict.fromkeys(of_stream.values()):
            streams = [stream for stream, found in of_stream.items() if found == flaw]
            decision = _decide(row, path, streams, chosen)
            listing.add_defect(flaw, clip=row["clip"], path=path, detail=facts[path].detail, decision=decision)
    for path in dict.fromkeys(row["pictures"] + row["sounds"]):
        _note_oddities(listing, row["clip"], path, facts[path])
    used = {stream: chosen.get(stream) or next(iter(row[_STREAMS[stream][0]]), "") for stream in _STREAMS}
    digests = [facts[path].sha256 for path in dict.fromkeys(used.values()) if path]
    settled = {**row, **used, "has_video": "video" in chosen, "has_audio": "audio" in chosen, "apart": False}
    settled |= {"duplicate": "", "defect": "", "sha256": _join_digests(digests)}
    del settled["pictures"], settled["sounds"]
    return settled


def _note_oddities(listing: Listing, clip: str, path: str, found: Facts) -> None:
    if found.flaw:
        return
    if found.channels > 1:
        detail = f"{found.channels} channels"
        listing.add_defect("stereo", clip=clip, path=path, detail=detail, decision="mix down")
    if found.palette:
        detail = "indices into a colour table"
        listing.add_defect("palette", clip=clip, path=path, detail=detail, decision="convert")
    if path in listing.voiced and not found.voiced:
        detail = "no sound stream"
        listing.add_defect("mute", clip=clip, path=path, detail=detail, decision="keep: the sound has its own file")


def _decide(row: dict, path: str, streams: list[str], chosen: Mapping[str, str]) -> str:
    """Word what happens to a clip one of whose candidate files cannot be used for `streams`."""
    lost = [stream for stream in streams if stream not in chosen]
    if lost:
        return "drop" if not chosen else f"drop {' and '.join(lost)}"
    if path in chosen.values():
        return "keep"
    instead = [chosen[s] for s in streams if row[_STREAMS[s][0]].index(chosen[s]) > row[_STREAMS[s][0]].index(path)]
    return f"use {', '.join(dict.fromkeys(instead))}" if instead else "not used"


def _join_digests(digests: list[str]) -> str:
    """Return one digest for the bytes of one or two files; empty where none could be read."""
    digests = [value for value in digests if value]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest() if digests else ""
