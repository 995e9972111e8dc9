"""Index a corpus: its adapter finds the clips, the bytes decide what may be used, the people make the folds.

An adapter is the module mien.corpora.<corpus> with
- ACCESS : `Access`, how one obtains the corpus,
- EXAMPLE : a path as the grammar wants it,
- find(root) -> `Listing`: clips and findings from names and label files,
- PUBLISHED, where counts are published: column of CLIPS -> number of its values, or value -> number of clips,
and, where the general rules do not fit, arrange(listing, n_folds) -> FOLDS, examine(root, listing, n_jobs=...) and
decide(listing, facts) -> CLIPS; and votes(root) -> VOTES, where raters have said what they heard and saw.
"""

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd

from mien.config.labels import CORPORA
from mien.config.schema import load, section
from mien.corpora import base
from mien.corpora.base import Listing, is_packed
from mien.corpora.folds import TooFewPeople, arrange_published, deal_people, hold_out, list_people, read_split
from mien.errors import ConfigError, CorpusError
from mien.io import tables
from mien.io.files import digest, read_json, write_json
from mien.io.shards import source_root

log = logging.getLogger(__name__)


def adapter_for(corpus: str) -> ModuleType:
    """Import the adapter of `corpus`; nothing else names these modules, so each has its own code digest."""
    if corpus not in CORPORA:
        raise ConfigError(f"there is no corpus {corpus!r}; known: {', '.join(CORPORA)}")
    return importlib.import_module(f"mien.corpora.{corpus}")


def index(
    corpus: str,
    root: Path,
    *,
    n_folds: int,
    n_jobs: int = 1,
    split: Path | None = None,
    validation: int | None = None,
    published: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return (CLIPS, FOLDS, DEFECTS, class names) of the corpus below `root`.

    split : file of a published division in folds, instead of the corpus's own.
    validation : people of a fold who validate, instead of one of each sex.
    published : put on record where counts are not the published ones.

    Of fewer people than training takes there are no folds, which is put on record.

    Raises
    ------
    CorpusError : no file fits the corpus's grammar, a label file is damaged, or the people do not make the folds.
    """
    division = None if split is None else read_split(split)
    adapter = adapter_for(corpus)
    listing = adapter.find(root)
    files, lost = base.survey(root)
    for path, detail in lost:
        listing.add_defect("unreadable", path=path, detail=detail, decision="ignore")
    for path in filter(is_packed, files):
        detail = "an archive, or a part of one (join the parts with cat)"
        listing.add_defect("packed", path=path, detail=detail, decision="ignore: unpack it, run get_corpus again")
    if not listing.clips:
        found = f"found {len(files)} files such as {files[len(files) // 2]}" if files else "the folder is empty"
        wanted = f"wanted names like {adapter.EXAMPLE}"
        raise CorpusError(
            f"{root}: nothing of {corpus} here ({wanted}; {found}); check corpora.{corpus}.source{_left_out(listing)}"
        )
    try:  # before the hours of reading
        folds = _arrange(adapter, listing, n_folds, corpus, split, division)
        if validation is not None:
            people = list_people(listing.clips)
            folds = hold_out(folds, dict(zip(people.group, people.sex, strict=True)), validation, corpus=corpus)
    except TooFewPeople as error:
        log.warning("%s%s: nothing can be trained on it", error, _left_out(listing))
        listing.add_defect("few people", detail=str(error), decision="keep: without folds")
        folds = tables.empty(tables.FOLDS)
    except CorpusError as error:
        raise CorpusError(f"{error}{_left_out(listing)}") from error
    facts = getattr(adapter, "examine", base.examine_listing)(root, listing, n_jobs=n_jobs)
    if hasattr(adapter, "decide"):
        clips = adapter.decide(listing, facts)
    else:
        clips = base.settle_duplicates(listing, base.settle(listing, facts), facts)
    for detail in compare_counts(clips, adapter.PUBLISHED) if published and hasattr(adapter, "PUBLISHED") else ():
        log.warning("%s: this copy differs from the published corpus: %s", corpus, detail)
        listing.add_defect("count", detail=detail, decision="keep: not as published")
    clips, defects = base.finish(listing, clips)
    if not (clips.has_video.any() or clips.has_audio.any()):
        reasons = ", ".join(f"{n} {defect}" for defect, n in defects.defect.value_counts().items())
        hint = "; run 'git lfs pull' in the clone" if defects.defect.eq("pointer").any() else ""
        raise CorpusError(f"{root}: not one of the {len(clips)} clips of {corpus} can be used ({reasons}){hint}")
    return clips, folds, defects, listing.classes


def _arrange(
    adapter: ModuleType, listing: Listing, n_folds: int, corpus: str, split: Path | None, division: pd.DataFrame | None
) -> pd.DataFrame:
    """Return FOLDS of a published division, of the adapter, or dealt; put on record who of the first is not here."""
    people = list_people(listing.clips)
    if division is None:
        own = getattr(adapter, "arrange", None)
        return deal_people(people, n_folds, corpus=corpus) if own is None else own(listing, n_folds)
    folds, absent = arrange_published(people, division, n_folds, corpus=corpus, path=split)
    for person in absent:
        detail = f"{person} of {split.name} is not in this copy"
        listing.add_defect("absent", detail=detail, decision="left out of the folds")
    return folds


def _left_out(listing: Listing) -> str:
    """Word what `listing` could not read and could have held more; empty if nothing."""
    paths = [row["path"] for row in listing.defects if row["defect"] in ("packed", "unreadable")]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"; left out, as they cannot be read or are not unpacked: {', '.join(paths[:3])}{more}" if paths else ""


def compare_counts(clips: pd.DataFrame, published: Mapping[str, int | Mapping[str, int]]) -> list[str]:
    """Return in words which counts of CLIPS are not the published ones."""
    words = []
    for column, wanted in published.items():
        values = clips[column][clips[column] != ""]
        if isinstance(wanted, int):
            if (n := values.nunique()) != wanted:
                words.append(f"{column}: {n} of {wanted}")
        else:
            found = values.value_counts()
            other = [f"{key} {found.get(key, 0)} of {n}" for key, n in wanted.items() if found.get(key, 0) != n]
            words += [f"{column}: {', '.join(other)}"] if other else []
    return words


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


def collect_votes(corpus: str, root: Path) -> pd.DataFrame:
    """Return VOTES of the corpus below `root`, without rows where it has no raters.

    Raises
    ------
    CorpusError : its table of votes is damaged.
    """
    adapter = adapter_for(corpus)
    return adapter.votes(root) if hasattr(adapter, "votes") else tables.empty(tables.VOTES)


def index_corpus(
    *, corpus: str, manifest: Path, out: Path, split: Path | None = None, config: str = "params.yaml", jobs: int = 1
) -> None:
    """List the clips, folds and defects of a corpus, and what raters made of the clips.

    Parameters
    ----------
    manifest : Path
        data/NAME.json of get_corpus.
    out : Path
        Folder for four tables and corpus.json.
    split : Path, optional
        Published division in folds, such as one of resources/splits.
    jobs : int
        Number of processes.

    Raises
    ------
    CorpusError
        No file fits the grammar, the people do not make the folds, or the division is not of these people.
    """
    params = load(config)
    n_folds = section(int, params, "folds", corpus)
    validation = section(int, params, "validation", corpus) if corpus in params.get("validation", {}) else None
    root, _ = source_root(manifest, corpus)
    source = read_json(manifest)["source"]
    made = source == "synthetic"
    how = {"n_jobs": jobs, "split": split, "validation": validation, "published": not made}
    clips, folds, defects, classes = index(corpus, root, n_folds=n_folds, **how)
    tables.write(out / "clips.parquet", clips, tables.CLIPS)
    tables.write(out / "folds.parquet", folds, tables.FOLDS)
    tables.write(out / "defects.parquet", defects, tables.DEFECTS)
    tables.write(out / "votes.parquet", collect_votes(corpus, root), tables.VOTES)
    write_json(out / "corpus.json", describe(corpus, source, clips, folds, classes))
    log.info(
        "%s: %d clips of %d groups (%d with a picture, %d with a sound), %d folds; findings: %s",
        corpus,
        len(clips),
        clips.group.nunique(),
        int(clips.has_video.sum()),
        int(clips.has_audio.sum()),
        folds.fold.nunique(),
        defects.defect.value_counts().sort_index().to_dict() or "none",
    )
