"""Command `check_models`: how often `mien predict` is right on recordings whose emotion is known.

Every recording is judged as a file, by itself, as `mien predict` judges it, by networks of whatever corpus: labels and
what is said are both put into the names that corpora share (`config.labels.common_name`), in which calm is neutral. A
recording whose label the networks do not know is not counted; one that nothing could be said of counts as wrong.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config import schema
from mien.config.labels import common_name
from mien.errors import ConfigError, MediaError, TableError
from mien.io import tables
from mien.io.files import atomic_file
from mien.io.shards import source_root

log = logging.getLogger(__name__)

COLUMNS = ("material", "models", "clip", "person", "label", "said", "right", "confidence", "used", "reference")


@dataclass(frozen=True)
class _Recording:
    clip: str
    path: Path
    person: str
    label: str
    cropped: bool
    fold: int = -1  # that tests the person; -1: none does


def check_models(
    *,
    material: str,
    out_csv: Path,
    models: list[Path],
    corpus: str = "",
    data: Path = Path("results"),
    manifest: Path | None = None,
    group: str = "",
    folder: Path | None = None,
    label: str = "",
    by_fold: bool = False,
    reference: bool = False,
    most: int = 0,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Judge recordings of known emotions and list what was said.

    Parameters
    ----------
    material : str
        What the recordings are, in words.
    models : list of Path
        Files of models or folders of rows, as of `mien predict --checkpoint`; with --by-fold one folder of a row.
    corpus : str
        Whose recordings are judged; or --folder.
    manifest : Path
        data/CORPUS.json; by default beside --data.
    group : str
        Of the corpus, such as PrivateTest: no others.
    folder : Path
        Recordings that all show one emotion, which --label names; or a table of --corpus is used.
    label : str
        That emotion.
    by_fold : bool
        Every recording is judged by the network that was tested on its person, and by no other.
    reference : bool
        Beside what is usual for the person: the reference is made of all recordings of that person, without labels.
    most : int
        So many recordings, drawn by a digest of their names; 0: all.

    Raises
    ------
    ConfigError : what should be judged is not said, or not whole.
    TableError : the corpus has not been indexed, or its pictures are rows of a table.
    """
    import torch

    from mien.apps.models import files_of_row, load_models
    from mien.apps.recording import judge_file
    from mien.apps.reference import read_reference

    torch.set_num_threads(jobs)
    settings = schema.section(schema.PredictConfig, schema.load(config), "predict")
    windows = {"window_s": settings.window_s, "hop_s": settings.hop_s}
    if bool(corpus) == bool(folder) or bool(folder) != bool(label):
        raise ConfigError("check_models: name --corpus, or --folder with --label")
    everything = list(_list_corpus(corpus, data, manifest, group) if corpus else _list_folder(folder, label))
    chosen = sorted(everything, key=lambda one: hashlib.sha256(one.clip.encode()).digest())[: most or None]
    by_models = {-1: models}
    if by_fold:
        by_models = {int(path.parent.name[4:].partition("-")[0]): [path] for path in files_of_row(models[0])}
    rows: list[dict[str, Any]] = []
    for fold, files in sorted(by_models.items()):
        judged = sorted((one for one in chosen if not by_fold or one.fold == fold), key=lambda one: one.clip)
        if not judged:
            continue
        loaded = load_models(files, reference=reference)
        names = {common_name(name) for name in loaded[0].settings.classes}
        references: dict[str, Any] = {}
        for one in judged:
            if common_name(one.label) not in names:
                continue
            if reference and one.person not in references:
                own = [other.path for other in everything if other.person == one.person]
                references[one.person] = read_reference(own, loaded)
            try:
                own = references.get(one.person)
                found = judge_file(one.path, loaded, **windows, cropped=one.cropped, reference=own)
            except MediaError as error:
                log.warning("%s", error)
                continue
            rows.append(_row(material, one, found, loaded))
        log.info("%s: %d recordings judged", material, len(rows))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("clip", ignore_index=True)
    with atomic_file(out_csv) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")


def _row(material: str, one: _Recording, found: Any, models: list) -> dict[str, Any]:
    said = "" if np.isnan(found.probabilities[0]) else common_name(found.classes[int(found.probabilities.argmax())])
    truth, model = common_name(one.label), found.model or models[0]
    shown = dict.fromkeys({"video": "face", "units": "face", "audio": "voice"}[name] for name in found.used)
    return {
        "material": material,
        "models": f"{model.settings.variant} of {model.settings.corpus}",
        "clip": one.clip,
        "person": one.person,
        "label": truth,
        "said": said,
        "right": int(said == truth),
        "confidence": round(float(found.probabilities.max()), 4) if said else "",
        "used": "+".join(shown),
        "reference": found.reference,
    }


def _list_corpus(corpus: str, data: Path, manifest: Path | None, group: str) -> Iterator[_Recording]:
    """Yield the labelled recordings of a corpus that has been indexed."""
    place = data / "corpora" / corpus
    clips, folds = (
        tables.read(place / "clips.parquet", tables.CLIPS),
        tables.read(place / "folds.parquet", tables.FOLDS),
    )
    root, _ = source_root(manifest or data.parent / "data" / f"{corpus}.json", corpus)
    tested = folds[folds.role == "test"].drop_duplicates("group").set_index("group").fold
    known = clips[(clips.label >= 0) & (clips.has_video | clips.has_audio)]
    for row in known[known.group == group].itertuples() if group else known.itertuples():
        if row.item >= 0:
            raise TableError(f"{root}/{row.video}: is a table of pictures; give the corpus as a folder of image files")
        name = row.video if row.has_video else row.audio
        fold = int(tested.get(row.group, -1))
        yield _Recording(row.clip, root / name, row.actor, row.label_name, bool(row.cropped), fold)


def _list_folder(folder: Path, label: str) -> Iterator[_Recording]:
    """Yield the recordings of a folder, each of a person of its own."""
    from mien.io import media

    files, problems, _ = media.find_media([folder])
    if not files:
        raise ConfigError(problems[0] if problems else f"{folder}: has no recordings")
    for path in files:
        yield _Recording(path.stem, path, path.stem, label, cropped=False)
