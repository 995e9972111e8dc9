"""Index a corpus: its adapter finds the clips, the bytes decide what may be used, the people make the folds."""

from pathlib import Path

import pandas as pd

from mien.core import tables
from mien.core.errors import CorpusError
from mien.core.files import digest
from mien.corpora import settle
from mien.corpora.adapters import adapter_for
from mien.corpora.folds import people_of
from mien.corpora.listing import Listing, list_files
from mien.corpora.published_splits import arrange_published, read_split


def index(
    corpus: str, root: Path, *, n_folds: int, n_jobs: int = 1, split: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return (CLIPS, FOLDS, DEFECTS, class names) of the corpus below `root`.

    split : file of a published division in folds, instead of the corpus's own.

    Raises
    ------
    CorpusError : no file fits the corpus's grammar, a label file is damaged, or the people do not make the folds.
    """
    published = None if split is None else read_split(split)
    adapter = adapter_for(corpus)
    listing = adapter.find(root)
    if not listing.clips:
        raise CorpusError(_describe_stranger(corpus, root, adapter.EXAMPLE))
    # before the hours of reading
    folds = adapter.arrange(listing, n_folds) if published is None else _arrange(listing, published, n_folds, split)
    examine = getattr(adapter, "examine", settle.examine_listing)
    facts = examine(root, listing, n_jobs=n_jobs)
    decide = getattr(adapter, "decide", _decide)
    clips, defects = settle.finish(listing, decide(listing, facts))
    _refuse_unusable(corpus, root, clips, defects)
    return clips, folds, defects, listing.classes


def describe(corpus: str, source: str, clips: pd.DataFrame, folds: pd.DataFrame, classes: tuple[str, ...]) -> dict:
    """Return what corpus.json holds: counts by class and a digest of the content and of the folds."""
    labelled = clips.label_name[clips.label >= 0]
    content = clips[["clip", "label", "sha256", "has_video", "has_audio", "apart"]].astype(str).to_numpy().tolist()
    return {
        "corpus": corpus,
        "source": source,
        "classes": list(classes),
        "n_clips": len(clips),
        "n_actors": int(clips.actor[clips.actor != ""].nunique()),
        "counts": {name: int((labelled == name).sum()) for name in classes},
        "n_video": int(clips.has_video.sum()),
        "n_audio": int(clips.has_audio.sum()),
        "digest": digest([content, folds.astype(str).to_numpy().tolist()]),
    }


def _arrange(listing: Listing, published: pd.DataFrame, n_folds: int, path: Path) -> pd.DataFrame:
    """Return FOLDS as a published division says, and put the people of it whom this copy lacks on record."""
    folds, absent = arrange_published(people_of(listing.clips), published, n_folds, corpus=listing.corpus, path=path)
    for person in absent:
        detail = f"{person} of {path.name} is not in this copy"
        listing.add_defect("absent", detail=detail, decision="left out of the folds")
    return folds


def votes_of(corpus: str, root: Path) -> pd.DataFrame:
    """Return VOTES of the corpus below `root`, without rows where it has no raters.

    Raises
    ------
    CorpusError : its table of votes is damaged.
    """
    adapter = adapter_for(corpus)
    return adapter.votes(root) if hasattr(adapter, "votes") else tables.empty(tables.VOTES)


def _decide(listing, facts) -> pd.DataFrame:
    return settle.settle_twins(listing, settle.settle(listing, facts), facts)


def _describe_stranger(corpus: str, root: Path, example: str) -> str:
    files = list_files(root)
    found = f"found {len(files)} files such as {files[len(files) // 2]}" if files else "the folder is empty"
    return f"{root}: nothing of {corpus} here (wanted names like {example}; {found}); check corpora.{corpus}.source"


def _refuse_unusable(corpus: str, root: Path, clips: pd.DataFrame, defects: pd.DataFrame) -> None:
    if clips.has_video.any() or clips.has_audio.any():
        return
    reasons = ", ".join(f"{n} {defect}" for defect, n in defects.defect.value_counts().items())
    hint = "; run 'git lfs pull' in the clone" if defects.defect.eq("pointer").any() else ""
    raise CorpusError(f"{root}: not one of the {len(clips)} clips of {corpus} can be used ({reasons}){hint}")
