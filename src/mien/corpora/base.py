"""What all adapters share: clips and findings read from names, files examined, and the tables CLIPS and DEFECTS.

An adapter fills a `Listing` from file names and label files. `examine_listing` opens the files (digest, whether they
decode, channels, peak, blank pictures), `settle` and `settle_duplicates` decide which file each clip uses and what is
dropped, and `finish` returns both tables. `Access` says how a corpus is obtained.
"""

import contextlib
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import CorpusError, MediaError
from mien.io import media, tables
from mien.io.files import map_in_processes, sha256
from mien.io.media import IMAGE_SUFFIXES

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # what operating systems leave in archives

_CLIP_DEFAULTS = {"sex": "", "item": -1, "sequence": "", "intensity": "", "statement": "", "view": ""}
_CLIP_DEFAULTS |= {"split": "", "cropped": False}

SILENCE_DBFS = -60.0  # a sound whose peak stays below has no voice; the quietest take of RAVDESS peaks at -44
FEW = 32  # files that one process examines before others have started
_STREAMS = {"video": ("pictures", "picture_flaw"), "audio": ("sounds", "sound_flaw")}


@dataclass(frozen=True, kw_only=True)
class Access:
    """Address, terms and files of a corpus; `open` ones can be fetched without an agreement or a login."""

    address: str
    terms: str
    files: str  # what to fetch
    open: bool = False


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
        actor: str = "",
        part: str = "",
        group: str = "",
        pictures: Iterable[str] = (),
        sounds: Iterable[str] = (),
        **columns: object,
    ) -> None:
        """Add a clip; `label` is -1 where unlabelled, part and group are the actor unless given.

        columns : others of CLIPS (sex, item, ...).
        """
        if unknown := columns.keys() - _CLIP_DEFAULTS.keys():
            raise TypeError(f"no columns {sorted(unknown)} in CLIPS")
        row = {"corpus": self.corpus, "clip": clip, "part": part or actor, "group": group or actor, "actor": actor}
        row |= {"label": label, "label_name": self.classes[label] if label >= 0 else ""}
        self.clips.append(row | _CLIP_DEFAULTS | columns | {"pictures": tuple(pictures), "sounds": tuple(sounds)})

    def add_sequence(
        self, sequence: str, frames: Iterable[tuple[str, str]], *, actor: str, label: int, apex: range
    ) -> None:
        """Add the frames (clip, path) of a sequence: the first is class 0, those in `apex` are `label`, others -1.

        label : -1 where the sequence is unlabelled.
        """
        for k, (clip, path) in enumerate(frames):
            shown = -1 if label < 0 else 0 if k == 0 else label if k in apex else -1
            self.add_clip(clip, label=shown, actor=actor, item=k, sequence=sequence, pictures=[path])

    def add_defect(self, defect: str, *, detail: str, decision: str, clip: str = "", path: str = "") -> None:
        """Put a finding on record."""
        found = {"corpus": self.corpus, "clip": clip, "path": path, "defect": defect}
        self.defects.append(found | {"detail": detail, "decision": decision})

    def misname(self, path: str, wanted: str) -> None:
        """Record a file whose name does not fit the grammar; it belongs to no clip."""
        self.add_defect("misnamed", path=path, detail=f"not named like {wanted}", decision="ignore")

    def add_gaps(
        self, grid: Iterable[str], takes: Mapping[str, Mapping[str, str]], *, words: Mapping[str, str], partly: str
    ) -> None:
        """Record which files of the clips of `grid` are missing, as far as this copy has any files of a kind.

        takes : clip -> kind -> path.   words : kind -> its name.   partly : decision where another file is there.
        """
        kinds = sorted({kind for files in takes.values() for kind in files})
        for clip in grid:
            if gone := [words[kind] for kind in kinds if kind not in takes.get(clip, {})]:
                decision = partly if clip in takes else "none to use"
                self.add_defect("missing", clip=clip, detail=f"no {', '.join(gone)} file", decision=decision)


def list_files(root: Path) -> list[str]:
    """Return the files below `root` as sorted paths relative to it; hidden and system files are left out.

    Raises
    ------
    CorpusError : `root` is not a folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; set the source of the corpus in params.yaml, or restore the folder")

    def is_junk(name: str) -> bool:
        return name.startswith(".") or name in _JUNK

    found, seen = [], set()
    for folder, below, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link back to a folder above
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if not is_junk(name)]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names if not is_junk(name)]
    return sorted(found)


def find_file(files: Iterable[str], *names: str) -> str | None:
    """Return the first of the paths `files` whose file name is the first of `names` that any has; None if none has."""
    return next((path for name in names for path in files if path.rsplit("/", 1)[-1] == name), None)


def parse_names(
    listing: Listing, paths: Iterable[str], parse: Callable[[str], tuple[str, ...] | None], example: str
) -> list[tuple[str, tuple[str, ...]]]:
    """Return (path, fields) of one path per file name, sorted, as `parse` reads it.

    Paths of which it returns None are put on record as not named like `example`. Of several files of one name, as some
    copies of a corpus carry a second full set in a nested folder, the least nested is taken; others go to
    `listing.copies`.
    """
    kept: dict[str, tuple[str, tuple[str, ...]]] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        fields, name = parse(path), path.rsplit("/", 1)[-1]
        if fields is None:
            listing.misname(path, example)
        elif name in kept:
            listing.copies.append((kept[name][0], path))
        else:
            kept[name] = (path, fields)
    return sorted(kept.values())


def read_name(pattern: re.Pattern) -> Callable[[str], tuple[str, ...] | None]:
    """Return what gives the groups of `pattern` in the file name of a path, None where it does not fit."""
    return lambda path: (match := pattern.fullmatch(path.rsplit("/", 1)[-1])) and match.groups()


def list_images(root: Path) -> list[str]:
    """Return the paths of `list_files` that have the suffix of a picture."""
    return [path for path in list_files(root) if Path(path).suffix.lower() in IMAGE_SUFFIXES]


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


@dataclass
class Facts:
    """What was found in one file.

    `flaw` concerns the whole file, `picture_flaw` and `sound_flaw` one stream; all empty where nothing is wrong or
    where the stream was not asked for. `detail` words the flaws.
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
    from PIL import Image

    path = Path(path)
    found = Facts()

    def note(kind: str, flaw: str, cause: object) -> Facts:
        setattr(found, kind, flaw)
        words = str(cause).removeprefix(f"{path}: ")  # the path has its own column
        found.detail = f"{found.detail}; {words}" if found.detail else words
        return found

    with path.open("rb") as file:
        head = file.read(len(media.LFS_POINTER))
    if not head:
        return note("flaw", "empty", "0 bytes")
    found.sha256 = sha256(path)
    if head == media.LFS_POINTER:
        return note("flaw", "pointer", "a git-lfs pointer: run 'git lfs pull' in the clone")
    if not wants:
        return found
    if path.suffix.lower() in IMAGE_SUFFIXES:
        try:
            picture = media.read_image(path)
        except MediaError as error:
            return note("flaw", "unreadable", error)
        with Image.open(path) as image:
            found.palette = image.mode == "P"
        if is_blank(picture):
            note("picture_flaw", "blank", f"every pixel is {picture[0, 0].tolist()}")
        return found
    try:
        headers = media.probe(path)
    except MediaError as error:
        return note("flaw", "unreadable", error)
    found.voiced, found.channels = headers.has_audio, headers.channels
    if "picture" in wants:
        try:
            with contextlib.closing(media.read_frames(path)) as frames:
                next(frames, None)
        except MediaError as error:
            note("picture_flaw", "unreadable", error)
    if "sound" in wants and not found.voiced:
        note("sound_flaw", "mute", "no sound stream")
    elif "sound" in wants:
        try:
            peak = float(np.abs(media.read_sound(path)[0]).max())
            if peak < 10 ** (SILENCE_DBFS / 20):
                note("sound_flaw", "silent", f"peak {peak:.2g} of full scale")
        except MediaError as error:
            note("sound_flaw", "unreadable", error)
    return found


def is_blank(picture: np.ndarray) -> bool:
    """Tell whether all pixels of `picture` (H, W) or (H, W, 3) are equal."""
    return bool((picture == picture[:1, :1]).all())


def examine_listing(root: Path, listing: Listing, *, n_jobs: int = 1) -> dict[str, Facts]:
    """Examine every file that the clips of `listing` name, and the further copies, in `n_jobs` processes."""
    wants: dict[str, frozenset[str]] = defaultdict(frozenset)
    for row in listing.clips:
        for path in row["pictures"]:
            wants[path] |= {"picture"}
        for path in row["sounds"]:
            wants[path] |= {"sound"}
    for path in (path for both in listing.copies for path in both):
        wants[path] |= frozenset()
    paths = [Path(root) / path for path in wants]
    n_jobs = n_jobs if len(paths) >= FEW else 1
    chunk = max(1, min(64, len(paths) // (4 * max(1, n_jobs))))
    return dict(zip(wants, map_in_processes(examine, paths, wants.values(), n_jobs=n_jobs, chunk=chunk), strict=True))


def settle(listing: Listing, facts: Mapping[str, Facts], *, drop_blank: bool = True) -> pd.DataFrame:
    """Choose each clip's files and record what is wrong with them; return CLIPS, sorted by part and clip.

    The first candidate that decodes is used. A clip that has neither a picture nor a sound stays, with both flags
    False. Findings are added to `listing`. `drop_blank` False keeps constant pictures in use (and on record).
    """
    for kept, other in listing.copies:
        twin = facts[kept].sha256 == facts[other].sha256
        detail = f"same name and bytes as {kept}" if twin else f"same name as {kept}, other bytes"
        listing.add_defect("twin copy" if twin else "rival copy", path=other, detail=detail, decision="drop")
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


def _settle_clip(listing: Listing, row: dict, facts: Mapping[str, Facts], drop_blank: bool) -> dict:
    flaws, chosen = defaultdict(dict), {}  # path -> flaw -> streams; stream -> path
    for stream, (candidates, stream_flaw) in _STREAMS.items():
        for path in row[candidates]:
            flaw = facts[path].flaw or getattr(facts[path], stream_flaw)
            if flaw:
                flaws[path].setdefault(flaw, []).append(stream)
            if not flaw or (flaw == "blank" and not drop_blank):
                chosen.setdefault(stream, path)

    def note(defect: str, path: str, detail: str, decision: str) -> None:
        listing.add_defect(defect, clip=row["clip"], path=path, detail=detail, decision=decision)

    for path, of_flaw in flaws.items():
        for flaw, streams in of_flaw.items():
            note(flaw, path, facts[path].detail, _word_decision(row, path, streams, chosen))
    for path in dict.fromkeys(row["pictures"] + row["sounds"]):
        found = facts[path]
        if found.flaw:
            continue
        if found.channels > 1:
            note("stereo", path, f"{found.channels} channels", "mix down")
        if found.palette:
            note("palette", path, "indices into a colour table", "convert")
        if path in listing.voiced and not found.voiced:
            note("mute", path, "no sound stream", "keep: the sound has its own file")
    used = {stream: chosen.get(stream) or next(iter(row[_STREAMS[stream][0]]), "") for stream in _STREAMS}
    digests = [facts[path].sha256 for path in dict.fromkeys(used.values()) if path and facts[path].sha256]
    if len(digests) > 1:  # one digest for the bytes of two files
        digests = [hashlib.sha256("".join(digests).encode()).hexdigest()]
    settled = {"has_video": "video" in chosen, "has_audio": "audio" in chosen, "apart": False, "duplicate": ""}
    return row | used | settled | {"defect": "", "sha256": "".join(digests)}


def _word_decision(row: dict, path: str, streams: list[str], chosen: Mapping[str, str]) -> str:
    """Word what happens to a clip one of whose candidate files cannot be used for `streams`."""
    lost = [stream for stream in streams if stream not in chosen]
    if lost:
        return f"drop {' and '.join(lost)}" if chosen else "drop"
    if path in chosen.values():
        return "keep"
    instead = [chosen[s] for s in streams if row[_STREAMS[s][0]].index(chosen[s]) > row[_STREAMS[s][0]].index(path)]
    return f"use {', '.join(dict.fromkeys(instead))}" if instead else "not used"
