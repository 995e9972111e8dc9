"""Synthetic corpora: people who do not exist, in the files of the real corpora, with the truth beside them."""

import importlib
import itertools
import logging
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from mien.config.schema import SyntheticConfig
from mien.errors import ConfigError
from mien.io.files import atomic_folder, map_in_processes
from mien.synthetic.people import Fuzziness
from mien.synthetic.performance import Actor, Planted, Scene, Truth

log = logging.getLogger(__name__)


def write_corpus(
    corpus: str, folder: Path, *, n_actors: int, config: SyntheticConfig, seed: int, n_jobs: int = 1
) -> None:
    """Write a synthetic `corpus` into `folder` and what it shows into `<folder>.truth`.

    A writer is a module ``write_<corpus>`` with NAMES of its people, SEXES that they have in turn (male and female
    unless given), write_actor(scene, root, actor) -> truth of each clip, and finish(scene, root, actors) -> planted
    defects, which also writes label files. Actors are independent, so the bytes do not depend on `n_jobs`.

    Raises
    ------
    ConfigError : the corpus has fewer people than asked for.
    """
    writer = importlib.import_module(f"mien.synthetic.write_{corpus}")
    scene = Scene(corpus, seed, config)
    if n_actors > len(writer.NAMES):
        raise ConfigError(f"params.yaml: corpora.{corpus}.actors should be at most {len(writer.NAMES)}, got {n_actors}")
    sexes = itertools.cycle(getattr(writer, "SEXES", ("male", "female")))
    actors = [Actor(name, sex) for name, sex in zip(writer.NAMES[:n_actors], sexes, strict=False)]
    with (
        atomic_folder(folder.with_name(f"{folder.name}.truth")) as truth_folder,
        atomic_folder(folder) as root,
    ):
        task = partial(_write_actor, writer.__name__, scene, root)
        written = map_in_processes(task, actors, n_jobs=n_jobs)
        shown = tqdm(written, total=len(actors), desc=corpus, unit="actor", disable=None)  # on a terminal
        truths = [truth for of_actor in shown for truth in of_actor]
        planted = writer.finish(scene, root, actors)
        _write_truth(truth_folder, truths, planted)
    log.info("%s: %d clips of %d synthetic people, %d planted defects", folder, len(truths), len(actors), len(planted))


def _write_actor(module: str, scene: Scene, root: Path, actor: Actor) -> list[Truth]:
    cv2.setNumThreads(1)  # the other cores are for the other processes
    return list(importlib.import_module(module).write_actor(scene, root, actor))


def _write_truth(folder: Path, truths: list[Truth], planted: list[Planted]) -> None:
    """Write clips.parquet (a row per clip), frames.parquet (a row per frame) and planted.parquet (a row per defect)."""
    text, number, vector = pa.string(), pa.float64(), pa.list_(pa.float32())
    lengths = [len(t.time_s) for t in truths]
    clips = {
        "clip": ([t.clip for t in truths], text),
        "actor": ([t.actor for t in truths], text),
        "emotion": ([t.emotion for t in truths], text),
        "intensity": ([t.intensity for t in truths], number),
    }
    for modality in ("video", "audio"):  # kind is empty where the clip lacks the modality
        found = [getattr(t, modality) or Fuzziness("", "", 0.0) for t in truths]
        clips |= {f"{modality}_{name}": ([getattr(f, name) for f in found], text) for name in ("kind", "other")}
        clips[f"{modality}_weight"] = ([f.weight for f in found], number)
    clips["voice"] = ([sorted(t.voice.items()) for t in truths], pa.map_(text, number))
    frames = {
        "clip": (np.repeat([t.clip for t in truths], lengths), text),
        "frame": ([k for n in lengths for k in range(n)], pa.int64()),
        "time_s": (np.concatenate([t.time_s for t in truths]), number),
        "units": (list(np.concatenate([t.units for t in truths])), vector),
        "pose": (list(np.concatenate([t.pose for t in truths])), vector),
    }
    defects = {name: ([getattr(p, name) for p in planted], text) for name in ("clip", "path", "defect")}
    for name, table in (("clips", clips), ("frames", frames), ("planted", defects)):
        columns = {column: pa.array(values, kind) for column, (values, kind) in table.items()}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
