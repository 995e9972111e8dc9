"""What all adapters share: clips and findings read from names, files examined, and the tables CLIPS and DEFECTS.

An adapter fills a `Listing` from file names and label files. `examine_listing` opens the files (digest, whether they
decode, channels, peak, blank pictures), `settle` and `settle_duplicates` decide which file each clip uses and what is
dropped, and `finish` returns both tables. `Access` says how a corpus is obtained.
"""

import codecs
import contextlib
import csv
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import CorpusError, MediaError
from mien.io import media, tables
from mien.io.files import map_in_processes, sha256
from mien.io.media import IMAGE_SUFFIXES

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # what operating systems leave in archives
_COPY = re.compile(r" ?\(\d+\)$| - Copy$| copy$", re.IGNORECASE)  # what browsers and file managers add to a name
_PACKED = re.compile(r".*(\.(zip|tar|t?gz|tbz2?|txz|bz2|xz|7z|rar|z\d\d)(\.\d{3})?|_part[a-z]{2})", re.IGNORECASE)

_CLIP_DEFAULTS = {"sex": "", "item": -1, "sequence": "", "intensity": "", "statement": "", "view": ""}
_CLIP_DEFAULTS |= {"split": "", "cropped": False}

SILENCE_DBFS = -60.0  # a sound whose peak stays below has no voice; the quietest take of RAVDESS peaks at -44
RATES_HZ = (4000, 384_000)  # of a sound; others are headers that lie
CUT_SHORT = 0.9  # a medium of which less than this share of the length it declares is there is truncated
CUT_SHORT_S = 0.1  # if it lacks at least this
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
        self,
        sequence: str,
        frames: Iterable[tuple[str, str]],
        *,
        actor: str,
        label: int,
        apex: Container[int],
        starts: bool,
    ) -> None:
        """Add the frames (clip, path) of a sequence: the first is class 0, those in `apex` are `label`, others -1.

        label : -1 where the sequence is unlabelled.   starts : the first frame is that of the recording.
        """
        for k, (clip, path) in enumerate(frames):
            shown = -1 if label < 0 else 0 if k == 0 and starts else label if k in apex else -1
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


def survey(root: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the files below `root`, and (path, cause) of what is there and cannot be listed.

    Files are sorted paths relative to `root`; hidden and system files are left out.

    Raises
    ------
    CorpusError : `root` is not a folder, or cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; set the source of the corpus in params.yaml, or restore the folder")

    def is_junk(name: str) -> bool:
        return name.startswith(".") or name in _JUNK

    found, lost, seen = [], [], set()

    def lose(error: OSError) -> None:
        path = Path(error.filename)
        if path == root:
            raise CorpusError(f"{root}: cannot be read ({error.strerror}); give yourself the right to read it")
        lost.append((path.relative_to(root).as_posix(), f"the folder cannot be read ({error.strerror})"))

    for folder, below, names in os.walk(root, followlinks=True, onerror=lose):
        if (real := os.path.realpath(folder)) in seen:  # a link back to a folder above
            below.clear()
            continue
        seen.add(real)
        below[:] = [name for name in below if not is_junk(name)]
        for name in names:
            path = (Path(folder) / name).relative_to(root).as_posix()
            if is_junk(name):
                continue
            if (shown := path.encode("utf-8", "backslashreplace").decode()) != path:
                lost.append((shown, "its name is not UTF-8: rename it"))
            else:
                found.append(path)
    return sorted(found), sorted((p.encode("utf-8", "backslashreplace").decode(), cause) for p, cause in lost)


def list_files(root: Path) -> list[str]:
    """Return the files of `survey`."""
    return survey(root)[0]


def is_packed(path: str) -> bool:
    """Tell whether the name of a file is that of an archive, or of a part of one."""
    return _PACKED.fullmatch(path) is not None


def plain_name(path: str) -> str:
    """Return the name of a file as its publisher gave it: without ' (1)' or ' - Copy', the suffix in small letters."""
    stem, dot, suffix = path.rsplit("/", 1)[-1].rpartition(".")
    return f"{_COPY.sub('', stem)}{dot}{suffix.lower()}" if dot else suffix


def find_file(files: Iterable[str], *names: str) -> str | None:
    """Return the first of the paths `files` whose file name is the first of `names` that any has; None if none has.

    Capitals do not count, and an exact name comes before one with ' (1)'.
    """
    files = sorted(files, key=lambda path: plain_name(path).lower() != path.rsplit("/", 1)[-1].lower())
    return next((path for name in names for path in files if plain_name(path).lower() == name.lower()), None)


def parse_names(
    listing: Listing, paths: Iterable[str], parse: Callable[[str], tuple[str, ...] | None], example: str
) -> list[tuple[str, tuple[str, ...]]]:
    """Return (path, fields) of one path per medium, sorted, as `parse` reads it.

    Paths of which it returns None are put on record as not named like `example`. Of several files with equal fields, as
    some copies of a corpus carry a second full set in a nested folder, the least nested is taken; others go to
    `listing.copies`.
    """
    kept: dict[tuple[str, ...], str] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), plain_name(path) != path.rsplit("/", 1)[-1], path)):
        fields = parse(path)
        if fields is None:
            listing.misname(path, example)
        elif fields in kept:
            listing.copies.append((kept[fields], path))
        else:
            kept[fields] = path
    return sorted((path, fields) for fields, path in kept.items())


def list_gaps(numbers: Iterable[str], first: str, last: str) -> list[int]:
    """Return the numbers from `first` to `last` that are not among `numbers`."""
    there = {int(number) for number in numbers}
    return [number for number in range(int(first), int(last) + 1) if number not in there]


def read_name(pattern: re.Pattern, spell: Callable[[str], str] = str) -> Callable[[str], tuple[str, ...] | None]:
    """Return what gives the groups of `pattern` in the `plain_name` of a path, None where it does not fit.

    spell : brings a name to the capitals of the pattern.
    """
    return lambda path: (match := pattern.fullmatch(spell(plain_name(path)))) and match.groups()


def list_images(root: Path) -> list[str]:
    """Return the paths of `list_files` that have the suffix of a picture."""
    return [path for path in list_files(root) if Path(path).suffix.lower() in IMAGE_SUFFIXES]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a label file in UTF-8, or in UTF-16 with its mark, as spreadsheets write it.

    Raises
    ------
    CorpusError : the file cannot be read as text.
    """
    try:
        content = Path(path).read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a readable text file ({error}); fetch it again") from error


def read_rows(path: Path, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a table between commas, semicolons or tabs, as name -> text of `columns`; none of no lines.

    Capitals and spaces around the names of columns do not count. What a short row lacks is empty.

    Raises
    ------
    CorpusError : the file cannot be read, or lacks a column.
    """
    lines = read_lines(path)
    if not any(line.strip() for line in lines):
        return []
    delimiter = max(",;\t", key=lines[0].count)
    try:
        heads, *rows = csv.reader(lines, delimiter=delimiter)
    except csv.Error as error:
        raise CorpusError(f"{path}: not a readable table ({error}); fetch it again") from error
    place_of = {head.strip().lower(): k for k, head in reversed(list(enumerate(heads)))}
    if missing := [column for column in columns if column.lower() not in place_of]:
        raise CorpusError(
            f"{path}: needs the columns {', '.join(map(repr, columns))} between commas, semicolons or tabs;"
            f" lacks {missing[0]!r}, has {[head[:40] for head in heads[:12]]}; fetch it again"
        )
    places = {column: place_of[column.lower()] for column in columns}
    return [{name: row[k].strip() if k < len(row) else "" for name, k in places.items()} for row in rows if any(row)]


@dataclass
class Facts:
    """What was found in one file.

    `flaw` concerns the whole file, `picture_flaw` and `sound_flaw` one stream; all empty where nothing is wrong or
    where the stream was not asked for. `detail` words the flaws.
    """

    sha256: str = ""
    flaw: str = ""  # empty, pointer, unreadable
    picture_flaw: str = ""  # unreadable, truncated, blank
    sound_flaw: str = ""  # mute, silent, truncated, unreadable
    detail: str = ""
    voiced: bool = False  # has a sound stream
    channels: int = 0
    palette: bool = False  # an image of indices into a colour table


def examine(path: Path, wants: frozenset[str]) -> Facts:
    """Open one file; `wants` holds "picture" and "sound": which streams must decode.

    A sound is decoded as a whole; of a video, the headers and the first frame, and the packets are counted.
    """
    from PIL import Image

    path = Path(path)
    found = Facts()

    def note(kind: str, flaw: str, cause: object) -> Facts:
        setattr(found, kind, flaw)
        words = str(cause).replace(f"{path}: ", "")  # the path has its own column
        if words not in found.detail:
            found.detail = f"{found.detail}; {words}" if found.detail else words
        return found

    try:
        if not path.is_file():
            return note("flaw", "unreadable", "not a file but a link to nothing, a pipe, a socket or a device")
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
            picture = media.read_image(path)
            with Image.open(path) as image:
                found.palette = image.mode == "P"
            if is_blank(picture):
                note("picture_flaw", "blank", f"every pixel is {picture[0, 0].tolist()}")
            return found
        headers = media.probe(path)
        cut = describe_cut(path)
    except (MediaError, Image.DecompressionBombError, ValueError) as error:  # ValueError: tags that are not UTF-8
        return note("flaw", "unreadable", error)
    except OSError as error:
        return note("flaw", "unreadable", f"cannot be opened ({error.strerror})")
    found.voiced, found.channels = headers.has_audio, headers.channels
    if "picture" in wants:
        try:
            with contextlib.closing(media.read_frames(path)) as frames:
                next(frames, None)
            if cut:
                note("picture_flaw", "truncated", cut)
        except MediaError as error:
            note("picture_flaw", "unreadable", error)
    if "sound" in wants and not found.voiced:
        note("sound_flaw", "mute", "no sound stream")
    elif "sound" in wants and not RATES_HZ[0] <= headers.rate_hz <= RATES_HZ[1]:
        note("sound_flaw", "unreadable", f"declares a rate of {headers.rate_hz} Hz")
    elif "sound" in wants:
        try:
            peak = float(np.abs(media.read_sound(path)[0]).max())
            if not np.isfinite(peak):
                note("sound_flaw", "unreadable", "holds samples that are not finite numbers")
            elif peak < 10 ** (SILENCE_DBFS / 20):
                note("sound_flaw", "silent", f"peak {peak:.2g} of full scale")
            elif cut:
                note("sound_flaw", "truncated", cut)
        except MediaError as error:
            note("sound_flaw", "unreadable", error)
    return found


def describe_cut(path: Path) -> str:
    """Say so if less of a film or sound is there than its header declares; else, or if it declares nothing, "".

    Half a file often decodes without an error: a decoder takes the end of the file for that of the sound.
    """
    import av

    if (share := _share_of_wave(path)) is not None:
        return f"{share:.0%} of the samples that it declares are there" if share < CUT_SHORT else ""
    ends: dict[int, float] = defaultdict(float)  # stream -> s
    with media.opened(path) as container:
        heard = [stream for stream in container.streams if stream.type in ("video", "audio")]
        with contextlib.suppress(av.error.FFmpegError):  # where the file ends
            for packet in container.demux(heard):
                if packet.dts is not None:
                    ended = (packet.dts if packet.pts is None else packet.pts) + (packet.duration or 0)
                    ends[packet.stream.index] = max(ends[packet.stream.index], float(ended * packet.time_base))
        last_s = max(ends.values(), default=0.0)
        rates = [stream.average_rate for stream in container.streams.video if stream.average_rate]
        slack_s = max([CUT_SHORT_S, *(1.5 / float(rate) for rate in rates)])  # the last picture may have no length
        for stream in heard:
            start_s = float((stream.start_time or 0) * stream.time_base)
            own = stream.duration is not None
            declared_s = float(stream.duration * stream.time_base) if own else (container.duration or 0) / 1e6
            there_s = (ends[stream.index] if own else last_s) - start_s
            if there_s < CUT_SHORT * declared_s and declared_s - there_s > slack_s:
                return f"ends after {max(there_s, 0.0):.2f} s of {declared_s:.2f} s"
    return ""


def _share_of_wave(path: Path) -> float | None:
    """Return which share of the samples that a RIFF WAVE declares is there; None where it is none, or says nothing.

    FFmpeg takes what is there for the whole.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            n_bytes = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":  # a recorder that cannot go back leaves 0 or the largest number
                return (size - file.tell()) / n_bytes if 0 < n_bytes < 0x7FFFFFFF else None
            file.seek(n_bytes + n_bytes % 2, os.SEEK_CUR)
    return None


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

    The first candidate that decodes is used, a truncated one where there is no other. A clip that has neither a picture
    nor a sound stays, with both flags False. Findings are added to `listing`. `drop_blank` False keeps constant
    pictures in use (and on record).
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
    at_last = {"truncated"} if drop_blank else {"truncated", "blank"}  # used where no candidate is without flaw
    for stream, (candidates, stream_flaw) in _STREAMS.items():
        for path in row[candidates]:
            flaw = facts[path].flaw or getattr(facts[path], stream_flaw)
            if flaw:
                flaws[path].setdefault(flaw, []).append(stream)
            else:
                chosen.setdefault(stream, path)
        for path in row[candidates]:
            if getattr(facts[path], stream_flaw) in at_last:
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
