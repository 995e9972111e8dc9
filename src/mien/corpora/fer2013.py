"""FER2013 (Goodfellow et al. 2013): 35 887 grey faces of 48 x 48 px, in a CSV file or as a folder of images.

People are unknown, so the official usage is the group, and images of one usage with a duplicate in another are
kept apart from every headline. Blank images and contradictory labels stay, as published results count them.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mien.corpora import base
from mien.corpora.base import Access, Facts, Listing, find_file, is_blank, list_files, parse_names, plain_name, settle
from mien.corpora.folds import use_official
from mien.errors import CorpusError
from mien.io.media import IMAGE_SUFFIXES

CORPUS = "fer2013"
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
EXAMPLE = "fer2013.csv (emotion, pixels, Usage) or train/angry/Training_3908.jpg"
ACCESS = Access(
    address="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
    terms="Kaggle login and competition rules",
    files="fer2013.csv or icml_face_data.csv",
)
PUBLISHED = {
    "clip": 35_887,
    "group": {"Training": 28_709, "PublicTest": 3589, "PrivateTest": 3589},
    "label_name": dict(zip(CLASSES, (4953, 547, 5121, 8989, 6077, 4002, 6198), strict=True)),
}
SIDE = 48  # px
BLOCK = 4000  # images of a part

_ROLES = {"Training": "training", "PublicTest": "validation", "PrivateTest": "test"}
_TABLES = ("fer2013.csv", "icml_face_data.csv")  # the same images; the second has another order of columns
_USAGES = {usage.lower(): usage for usage in _ROLES}
_NAME = re.compile(rf"({'|'.join(_USAGES)})_(\d+)\.[a-z]+")


def find(root: Path) -> Listing:
    """List the image files below `root`, else the images of the table (`item` is its row).

    Of image files, the folder belongs to the name: exporters gave one number to several pictures.

    Raises
    ------
    CorpusError : the table lacks a column, or a usage is unknown.
    """
    listing = Listing(CORPUS, CLASSES)
    files = list_files(root)
    lists = [path for path in files if path.lower().endswith(".csv")]
    images = [path for path in files if Path(path).suffix.lower() in IMAGE_SUFFIXES]
    table = None if images else find_file(lists, *_TABLES) or next(iter(lists), None)
    if table is not None:
        _find_rows(listing, root, table)
    else:
        _find_images(listing, images)
    for path in lists:
        if path != table:
            detail = f"{table or 'the image files'} have the pictures"
            listing.add_defect("unused", path=path, detail=detail, decision="ignore")
    for usage in sorted(_ROLES.keys() - {row["group"] for row in listing.clips}) if listing.clips else ():
        decision = f"none to use for {_ROLES[usage]}"
        listing.add_defect("missing", path=table or "", detail=f"no pictures of {usage}", decision=decision)
    n_seen: Counter[str] = Counter()
    for row in listing.clips:  # blocks of at most `BLOCK` images within each usage
        row["part"] = f"{row['group']}-{n_seen[row['group']] // BLOCK:02d}"
        n_seen[row["group"]] += 1
    return listing


def examine(root: Path, listing: Listing, *, n_jobs: int = 1) -> dict[str, Facts]:
    """Examine image files; the rows of a table are examined when they are read, keyed by clip (see `decide`)."""
    if all(row["item"] < 0 for row in listing.clips):
        return base.examine_listing(root, listing, n_jobs=n_jobs)
    table = listing.clips[0]["pictures"][0]
    rows = read_table(Path(root) / table).pixels
    return {f"{row:05d}": _examine_row(row, text) for row, text in enumerate(rows)}


def decide(listing: Listing, facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Return CLIPS: every image stays; test images with a duplicate in another usage are `apart`."""
    if facts.keys() >= {row["clip"] for row in listing.clips}:  # rows of a table: every row is its own file
        table = listing.clips[0]["pictures"][0]
        rows = [{**row, "pictures": (row["clip"],)} for row in listing.clips]
        of_rows = Listing(CORPUS, CLASSES, clips=rows, defects=listing.defects)
        n_before = len(listing.defects)
        clips = settle(of_rows, facts, drop_blank=False).assign(video=table)
        for found in listing.defects[n_before:]:
            found["path"] = table
    else:
        clips = settle(listing, facts, drop_blank=False)
    return _settle_duplicates(listing, clips)


def arrange(listing: Listing, n_folds: int) -> pd.DataFrame:
    """Return the official split: Training, PublicTest for validation, PrivateTest for testing."""
    return use_official({row["group"]: _ROLES[row["group"]] for row in listing.clips}, n_folds, corpus=CORPUS)


def read_table(path: Path) -> pd.DataFrame:
    """Return columns emotion, pixels, Usage (text) of either published form of the table, a row per image.

    Raises
    ------
    CorpusError : a column is missing, or the file is no table.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, skip_blank_lines=False)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise CorpusError(f"{path}: not a readable CSV table ({error}); fetch it again") from error
    rows.columns = [name.strip() for name in rows.columns]  # icml_face_data.csv writes ' Usage'
    if missing := [name for name in ("emotion", "pixels", "Usage") if name not in rows.columns]:
        hint = "; train.csv and test.csv of the contest lack the usage or the labels, use fer2013.csv"
        if len(rows.columns) == 1 and re.search("[;\t]", rows.columns[0]):
            hint = "; save the table anew with commas between its columns"
        raise CorpusError(f"{path}: lacks the column {missing[0]}, has {list(rows.columns)}{hint}")
    return rows


def _find_rows(listing: Listing, root: Path, table: str) -> None:
    rows = read_table(Path(root) / table)
    usages = rows.Usage.str.strip()
    if strange := sorted(set(usages) - _ROLES.keys()):
        line = int((usages == strange[0]).idxmax()) + 2
        cause = "the row breaks off, fetch the table again" if strange[0] == "" else f"found {strange[:3]}"
        raise CorpusError(f"{root}/{table}, line {line}: Usage should be one of {', '.join(_ROLES)}; {cause}")
    labels = rows.emotion.str.strip().map({str(k): k for k in range(len(CLASSES))})
    for row, (usage, label) in enumerate(zip(usages, labels.fillna(-1).astype(int), strict=True)):
        clip = f"{row:05d}"
        if label < 0:
            detail = f"emotion {rows.emotion[row]!r} in row {row}, known: 0..{len(CLASSES) - 1}"
            listing.add_defect("label", clip=clip, path=table, detail=detail, decision="keep: unlabelled")
        _add_image(listing, clip, label, usage, table, item=row)


def _find_images(listing: Listing, images: list[str]) -> None:
    def parse(path: str) -> tuple[str, str, str] | None:
        folders, match = path.lower().split("/"), _NAME.fullmatch(plain_name(path).lower())
        known = match and len(folders) > 1 and folders[-2] in CLASSES
        return (_USAGES[match[1]], folders[-2], match[2]) if known else None

    for path, (usage, emotion, number) in parse_names(listing, images, parse, "train/angry/Training_3908.jpg"):
        _add_image(listing, f"{emotion}-{usage}_{number}", CLASSES.index(emotion), usage, path)


def _add_image(listing: Listing, clip: str, label: int, usage: str, path: str, *, item: int = -1) -> None:
    listing.add_clip(clip, label=label, part=usage, group=usage, split=usage, cropped=True, item=item, pictures=[path])


def _examine_row(row: int, text: str) -> Facts:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        return Facts(flaw="unreadable", detail=f"row {row}: {error}")
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        detail = f"row {row}: {len(values)} values instead of {SIDE * SIDE} from 0 to 255"
        return Facts(flaw="unreadable", detail=detail)
    pixels = values.astype(np.uint8)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    if is_blank(pixels[None]):
        return Facts(sha256=digest, picture_flaw="blank", detail=f"every pixel is {pixels[0]}")
    return Facts(sha256=digest)


def _settle_duplicates(listing: Listing, clips: pd.DataFrame) -> pd.DataFrame:
    """Mark test images with a duplicate in another usage; put every duplicate on record."""
    apart = defaultdict(bool)
    for _, equal in clips[clips.duplicate.ne("") & clips.has_video].groupby("duplicate", sort=True):
        torn = equal.label[equal.label >= 0].nunique() > 1
        equal = equal.loc[sorted(equal.index, key=lambda row: list(_ROLES).index(equal.group[row]))]
        for row, image in equal.iterrows():
            others = equal.drop(row)
            apart[row] = image.group != "Training" and others.group.ne(image.group).any()
            if row == equal.index[0] and not torn and not apart[row]:
                continue  # the first of a group of good duplicates
            detail = f"same pixels as {', '.join(others['clip'])}" + (" under another label" if torn else "")
            decision = "apart" if apart[row] else "keep"
            listing.add_defect("twin", clip=image["clip"], path=image.video, detail=detail, decision=decision)
    return clips.assign(apart=[apart[row] for row in clips.index])
