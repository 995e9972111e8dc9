"""Synthetic corpora: people who do not exist, in the files of the real corpora, with the truth beside them."""

import importlib
import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from mien.config.schema import SyntheticConfig
from mien.io.files import atomic_folder, map_in_processes
from mien.synthetic.people import Fuzziness
from mien.synthetic.performance import Actor, Planted, Scene, Truth

log = logging.getLogger(__name__)


def write_corpus(
    corpus: str, folder: Path, *, n_actors: int, config: SyntheticConfig, seed: int, n_jobs: int = 1
) -> None:
    """Write a synthetic `corpus` into `folder` and what it shows into `<folder>.truth`.

    A writer is a module ``write_<corpus>`` with enlist(n_actors) -> cast list, write_actor(scene, root, actor) -> truth
    of each clip, and finish(scene, root, actors) -> planted defects, which also writes label files. Actors are
    independent, so the bytes do not depend on `n_jobs`.

    Raises
    ------
    ConfigError : the corpus has fewer people than asked for.
    """
    writer = importlib.import_module(f"mien.synthetic.write_{corpus}")
    scene = Scene(corpus, seed, config)
    actors = writer.enlist(n_actors)
    with (
        atomic_folder(folder.with_name(f"{folder.name}.truth")) as truth_folder,
        atomic_folder(folder) as root,
    ):
        truths = list(_write_actors(writer.__name__, scene, root, actors, n_jobs))
        planted = writer.finish(scene, root, actors)
        _write_truth(truth_folder, truths, planted)
    log.info("%s: %d clips of %d synthetic people, %d planted defects", folder, len(truths), len(actors), len(planted))


def _write_actors(module: str, scene: Scene, root: Path, actors: list[Actor], n_jobs: int) -> Iterable[Truth]:
    task = partial(_write_actor, module, scene, root)
    written = map_in_processes(task, actors, n_jobs=n_jobs)
    for truths in tqdm(written, total=len(actors), desc=scene.corpus, unit="actor", disable=None):  # on a terminal
        yield from truths


def _write_actor(module: str, scene: Scene, root: Path, actor: Actor) -> list[Truth]:
    cv2.setNumThreads(1)  # the other cores are for the other processes
    return importlib.import_module(module).write_actor(scene, root, actor)


def _write_truth(folder: Path, truths: list[Truth], planted: list[Planted]) -> None:
    """Write clips.parquet (a row per clip), frames.parquet (a row per frame) and planted.parquet (a row per defect)."""
    _write(
        folder / "clips.parquet",
        clip=pa.array([t.clip for t in truths], pa.string()),
        actor=pa.array([t.actor for t in truths], pa.string()),
        emotion=pa.array([t.emotion for t in truths], pa.string()),
        intensity=pa.array([t.intensity for t in truths], pa.float64()),
        **_fuzziness_columns("video", [t.video for t in truths]),
        **_fuzziness_columns("audio", [t.audio for t in truths]),
        voice=pa.array([sorted(t.voice.items()) for t in truths], pa.map_(pa.string(), pa.float64())),
    )
    lengths = [len(t.time_s) for t in truths]
    _write(
        folder / "frames.parquet",
        clip=pa.array(np.repeat([t.clip for t in truths], lengths), pa.string()),
        frame=pa.array([k for n in lengths for k in range(n)], pa.int64()),
        time_s=pa.array(np.concatenate([t.time_s for t in truths]), pa.float64()),
        units=pa.array(list(np.concatenate([t.units for t in truths])), pa.list_(pa.float32())),
        pose=pa.array(list(np.concatenate([t.pose for t in truths])), pa.list_(pa.float32())),
    )
    _write(
        folder / "planted.parquet",
        clip=pa.array([p.clip for p in planted], pa.string()),
        path=pa.array([p.path for p in planted], pa.string()),
        defect=pa.array([p.defect for p in planted], pa.string()),
    )


def _fuzziness_columns(modality: str, found: list[Fuzziness | None]) -> dict[str, pa.Array]:
    """Return kind, other emotion and its weight; kind is empty where the clip lacks the modality."""
    return {
        f"{modality}_kind": pa.array([f.kind if f else "" for f in found], pa.string()),
        f"{modality}_other": pa.array([f.other if f else "" for f in found], pa.string()),
        f"{modality}_weight": pa.array([f.weight if f else 0.0 for f in found], pa.float64()),
    }


def _write(path: Path, /, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), path)
