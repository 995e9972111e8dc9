"""VoxCeleb1 (Nagrani et al. 2017): utterances of celebrities; the class is the speaker."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, find_file, list_files, parse_names, plain_name, read_lines, read_rows
from mien.corpora.folds import use_official
from mien.errors import CorpusError

CORPUS = "voxceleb"
EXAMPLE = "wav/id10001/1zcIwhmdeo4/00001.wav"
ACCESS = Access(
    address="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
    terms="request form, research",
    files=(
        "vox1_dev_wav.zip (its four parts joined with cat), vox1_test_wav.zip, iden_split.txt, veri_test.txt"
        " and vox1_meta.csv"
    ),
)
PUBLISHED = {"clip": 153_516, "actor": 1251}
BLOCK = 32  # speakers of a part

_PATH = re.compile(r"(?:.*/)?(?i:id)(\d{5})/([^/]+)/(\d{5})\.wav")
_SPLITS = {"1": "train", "2": "dev", "3": "test"}


def find(root: Path) -> Listing:
    """List the utterances; `split` is the official one of speaker identification (iden_split.txt), if present.

    Raises
    ------
    CorpusError : a list is damaged.
    """
    files = list_files(root)
    listing = Listing(CORPUS, ())
    sounds = [path for path in files if path.lower().endswith((".wav", ".m4a"))]
    found = parse_names(listing, sounds, _parse, EXAMPLE)
    speakers = sorted({speaker for _, (speaker, _, _) in found})
    listing.classes = tuple(speakers)
    index_of = {speaker: k for k, speaker in enumerate(speakers)}
    utterances = {"/".join(fields) + ".wav": path for path, fields in found}
    split_of = _read_splits(listing, root, files, utterances)
    sex_of = _read_sexes(listing, root, files)
    _read_pairs(listing, root, files, speakers)
    for path, (speaker, video, number) in found:
        index = index_of[speaker]
        listing.add_clip(
            f"{speaker}-{video}-{number}",
            label=index,
            part=f"speakers-{index // BLOCK:03d}",
            group=speaker,
            actor=speaker,
            sex=sex_of.get(speaker, ""),
            split=split_of.get(f"{speaker}/{video}/{number}.wav", ""),
            sounds=[path],
        )
    return listing


def _parse(path: str) -> tuple[str, ...] | None:
    match = _PATH.fullmatch(f"{Path(path).parent.as_posix()}/{plain_name(path)}")
    return match and (f"id{match[1]}", match[2], match[3])


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Return one split by speaker, as verification wants it.

    The speakers of veri_test.txt are tested, a tenth of the others validates; without the list, or without others, the
    last tenths of all speakers in the order of their numbers do.
    """
    speakers = sorted({row["group"] for row in listing.clips})
    tested = [speaker for speaker in speakers if speaker in listing.reserved]
    others = [speaker for speaker in speakers if speaker not in listing.reserved]
    if not tested or not others:
        n_tested = max(1, len(speakers) // 10)
        others, tested = speakers[:-n_tested], speakers[-n_tested:]
    n_validating = max(1, len(others) // 10) if len(others) > 1 else 0
    roles = dict.fromkeys(others, "training") | dict.fromkeys(others[len(others) - n_validating :], "validation")
    return use_official(roles | dict.fromkeys(tested, "test"), n_folds, corpus=CORPUS)


def _lines_of(listing: Listing, root: Path, files: list[str], name: str, decision: str) -> tuple[str, list[str]]:
    """Return where a list is and its lines; a missing or empty one is put on record."""
    path = find_file(files, name)
    lines = [] if path is None else [line for line in read_lines(Path(root) / path) if line.strip()]
    if not lines:
        detail = "no such list" if path is None else "the list is empty"
        listing.add_defect("missing", path=path or name, detail=detail, decision=decision)
    return f"{root}/{path}", lines


def _read_splits(listing: Listing, root: Path, files: list[str], utterances: Mapping[str, str]) -> dict[str, str]:
    """Return path below wav/ -> train, dev or test of iden_split.txt; what it and the files disagree on is recorded."""
    listed: dict[str, set[str]] = defaultdict(set)
    name, lines = _lines_of(listing, root, files, "iden_split.txt", "keep: without the split of identification")
    for line in lines:
        fields = line.split()
        if len(fields) != 2 or fields[0] not in _SPLITS:
            raise CorpusError(f"{name}: should have lines like '1 {EXAMPLE[4:]}', found {line[:60]!r}")
        listed[fields[1]].add(_SPLITS[fields[0]])
    speakers = {utterance.split("/")[0] for utterance in utterances}
    for utterance, splits in sorted(listed.items()):
        clip = utterance.removesuffix(".wav").replace("/", "-")
        if len(splits) > 1:
            detail = f"iden_split.txt has it in {' and '.join(sorted(splits))}"
            listing.add_defect("label", clip=clip, detail=detail, decision="keep: without a split")
        if utterance not in utterances and utterance.split("/")[0] in speakers:
            listing.add_defect("missing", clip=clip, detail="listed in iden_split.txt", decision="none to use")
    if absent := {utterance.split("/")[0] for utterance in listed} - speakers:
        detail = f"nothing of {len(absent)} speakers of iden_split.txt, the first is {min(absent)}"
        listing.add_defect("missing", path="iden_split.txt", detail=detail, decision="none to use")
    for utterance, path in utterances.items() if listed else ():
        if utterance not in listed:
            clip = utterance.removesuffix(".wav").replace("/", "-")
            detail = "not listed in iden_split.txt"
            listing.add_defect("unlisted", clip=clip, path=path, detail=detail, decision="keep: without a split")
    return {utterance: next(iter(splits)) for utterance, splits in listed.items() if len(splits) == 1}


def _read_pairs(listing: Listing, root: Path, files: list[str], speakers: Sequence[str]) -> None:
    """Reserve the speakers of the verification pairs for testing."""
    decision = "keep: the last tenth of the speakers is tested"
    name, lines = _lines_of(listing, root, files, "veri_test.txt", decision)
    for line in lines:
        fields = line.split()
        if len(fields) != 3 or fields[0] not in ("0", "1"):
            raise CorpusError(f"{name}: should have lines like '1 {EXAMPLE[4:]} {EXAMPLE[4:]}', found {line[:60]!r}")
        listing.reserved |= {path.split("/")[0] for path in fields[1:]}
    if gone := listing.reserved.difference(speakers):
        detail = f"nothing of {len(gone)} of its {len(listing.reserved)} speakers, the first is {min(gone)}"
        none_left = len(gone) == len(listing.reserved)
        kept = decision if none_left else "keep: the others are tested"
        listing.add_defect("missing", path="veri_test.txt", detail=detail, decision=kept)


def _read_sexes(listing: Listing, root: Path, files: list[str]) -> dict[str, str]:
    """Return speaker -> sex."""
    _lines_of(listing, root, files, "vox1_meta.csv", "keep: sexes unknown")
    path = find_file(files, "vox1_meta.csv")
    rows = [] if path is None else read_rows(Path(root) / path, "VoxCeleb1 ID", "Gender")
    return {row["VoxCeleb1 ID"]: {"m": "male", "f": "female"}.get(row["Gender"].lower(), "") for row in rows}
