"""VoxCeleb1 (Nagrani et al. 2017): utterances of celebrities; the class is the speaker."""

import csv
import re
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, find_file, list_files, read_lines
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
BLOCK = 32  # speakers of a part

_PATH = re.compile(r"(?:.*/)?(id\d{5})/([^/]+)/(\d{5})\.wav")
_SPLITS = {"1": "train", "2": "dev", "3": "test"}


def find(root: Path) -> Listing:
    """List the utterances; `split` is the official one of speaker identification (iden_split.txt), if present.

    Raises
    ------
    CorpusError : a list is damaged.
    """
    files = list_files(root)
    found = {path: match.groups() for path in files if (match := _PATH.fullmatch(path))}
    speakers = sorted({speaker for speaker, _, _ in found.values()})
    listing = Listing(CORPUS, tuple(speakers))
    split_of, sex_of, tested = _read_lists(root, files)
    listing.reserved |= tested
    index_of = {speaker: k for k, speaker in enumerate(speakers)}
    kept: dict[str, str] = {}
    for path in files:
        if path not in found:
            if path.endswith((".wav", ".m4a")):
                listing.misname(path, EXAMPLE)
            continue
        speaker, video, number = found[path]
        if (first := kept.setdefault(f"{speaker}/{video}/{number}", path)) != path:
            listing.copies.append((first, path))
            continue
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


def _read_lists(root: Path, files: list[str]) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Return path below wav/ -> train, dev or test; speaker -> sex; and the speakers of the verification pairs."""

    def lines_of(name: str) -> tuple[str, list[str]]:
        path = find_file(files, name)
        lines = [] if path is None else read_lines(Path(root) / path)
        return f"{root}/{path}", [line for line in lines if line.strip()]

    split_of, sex_of, tested = {}, {}, set()
    name, lines = lines_of("iden_split.txt")
    for line in lines:
        fields = line.split()
        if len(fields) != 2 or fields[0] not in _SPLITS:
            raise CorpusError(f"{name}: should have lines like '1 {EXAMPLE[4:]}', found {line[:60]!r}")
        split_of[fields[1]] = _SPLITS[fields[0]]
    name, lines = lines_of("veri_test.txt")
    for line in lines:
        fields = line.split()
        if len(fields) != 3 or fields[0] not in ("0", "1"):
            raise CorpusError(f"{name}: should have lines like '1 {EXAMPLE[4:]} {EXAMPLE[4:]}', found {line[:60]!r}")
        tested |= {path.split("/")[0] for path in fields[1:]}
    name, lines = lines_of("vox1_meta.csv")
    columns = lines[0].split("\t") if lines else []
    if lines and not {"VoxCeleb1 ID", "Gender"} <= set(columns):
        raise CorpusError(f"{name}: needs the columns 'VoxCeleb1 ID' and 'Gender' between tabs, has {columns}")
    for row in csv.DictReader(lines, delimiter="\t"):
        sex_of[row["VoxCeleb1 ID"]] = {"m": "male", "f": "female"}.get(row["Gender"] or "", "")
    return split_of, sex_of, tested
