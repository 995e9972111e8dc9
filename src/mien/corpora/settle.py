"""From listed clips and examined files to the tables CLIPS and DEFECTS: which file is used, what is dropped and why."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mien.core import tables
from mien.corpora.facts import Facts, examine_all
from mien.corpora.listing import Listing

_STREAMS = {"video": ("pictures", "picture_flaw"), "audio": ("sounds", "sound_flaw")}


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


def settle_twins(listing: Listing, clips: pd.DataFrame, facts: Mapping[str, Facts]) -> pd.DataFrame:
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
        for _, twins in of_bytes:
            if len(twins) < 2 or (twins.sequence.ne("").all() and twins.sequence.nunique() == 1):
                continue
            torn = twins.label[twins.label >= 0].nunique() > 1
            for row in twins.index if torn else twins.index[1:]:
                others = twins["clip"].drop(row) if torn else twins["clip"].iloc[:1]
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
