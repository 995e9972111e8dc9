"""The sound of a corpus as mono at the rate of section ``sound``."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config import schema
from mien.errors import MienError
from mien.io import media, provenance, shards, tables
from mien.io.files import digest, write_json
from mien.io.shards import SoundShard, write_sound

log = logging.getLogger(__name__)

USED = ["clip", "audio", "sha256"]  # columns of CLIPS that a shard depends on


@dataclasses.dataclass(frozen=True)
class Work:
    """What is needed to build a part; `rows` holds the columns `USED` of its clips."""

    root: Path
    rows: list[dict[str, Any]]
    rate_hz: int
    silence_dbfs: float


def extract_sound(
    *, corpus: str, manifest: Path, clips: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Resample the sound of all clips of a corpus that have one.

    Writes per part wave.npy (N,) int16 and index.parquet (SOUNDS), and once manifest.json: digests of the parts,
    counts, and files with a problem.

    Parameters
    ----------
    manifest : Path
        data/<corpus>.json of get_corpus.
    out : Path
        Folder for the shards and manifest.json.
    """
    import torch

    torch.set_num_threads(1)  # the parts share the cores already; the same bits for any number of them
    sound = schema.section(schema.SoundConfig, schema.load(config), "sound")
    listed = tables.read(clips, tables.CLIPS)
    listed = listed[listed.has_audio & (listed.audio != "")]
    root, _ = shards.source_root(manifest, corpus)
    code = provenance.code_digest("audio.extract:extract_sound")
    tasks = {}
    for part, rows in listed.groupby("part", sort=True):
        work = Work(root, rows[USED].to_dict("records"), sound.rate_hz, sound.silence_dbfs)
        tasks[str(part)] = shards.Task(digest([code, str(root), work.rows, work.rate_hz, work.silence_dbfs]), work)
    # decoding and resampling leave the interpreter lock, and every process would import torch anew
    reports = shards.build_parts(out, tasks, build_part, jobs=jobs, in_threads=True)
    summary = {
        "corpus": corpus,
        "parts": {part: report["digest"] for part, report in reports.items()},
        "rate_hz": sound.rate_hz,
        "n_clips": sum(report["n_clips"] for report in reports.values()),
        "n_samples": sum(report["n_samples"] for report in reports.values()),
        "n_silent": sum(report["n_silent"] for report in reports.values()),
        "problems": [problem for report in reports.values() for problem in report["problems"]],
    }
    write_json(out / "manifest.json", summary)
    log.info(
        "%s: %d clips, %.1f min of sound; %d silent, %d with a problem",
        *(corpus, summary["n_clips"], summary["n_samples"] / sound.rate_hz / 60),
        *(summary["n_silent"], len(summary["problems"])),
    )


def build_part(folder: Path, work: Work) -> dict[str, Any]:
    """Write the shard of one part and return its counts and problems."""
    from mien.audio.resample import is_silent, level_of, to_int16, to_mono

    waves, rows, problems, start = [np.empty(0, np.int16)], [], [], 0
    for row in work.rows:
        path = work.root / row["audio"]
        try:
            wave = to_mono(*media.read_sound(path), work.rate_hz)
        except MienError as error:
            problems.append(shards.problem_of(work.root, row["clip"], row["audio"], error))
            continue
        peak, rms = level_of(wave)
        silent = is_silent(peak, work.silence_dbfs)
        rows.append((row["clip"], start, len(wave), peak, rms, silent))
        waves.append(to_int16(wave))
        start += len(wave)
    index = pd.DataFrame(rows, columns=tables.SOUNDS.columns.names) if rows else tables.empty(tables.SOUNDS)
    write_sound(folder, SoundShard(np.concatenate(waves), index))
    return {
        "n_clips": len(index),
        "n_samples": start,
        "n_silent": int(index.silent.sum()),
        "problems": problems,
    }
