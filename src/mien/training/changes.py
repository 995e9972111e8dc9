"""Command `measure_changes`: what running networks say after other utterances of the same person.

A test clip is followed after 0, 1, 2, 5 and 10 others of its actor with other labels, drawn alike for all networks, as
one recording: once with a memory that never forgets, once with one that is bounded (`models.streaming.run_bounded`).
Pictures and sound of a clip are those that it is evaluated with; what straddles two clips is not heard.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mien.config import schema
from mien.evaluation.runs import read_runs, select_runs
from mien.io import tables
from mien.io.randomness import rng_for
from mien.models import checkpoint
from mien.models.mrpn import Network
from mien.models.streaming import TOLERANCE_S, memory_start, newest_steps, run_bounded, tick_times
from mien.training import clips as media
from mien.training import engine, run_folder
from mien.training.clips import network_inputs, split
from mien.training.streams import StreamTiming, usable, whole_batches

log = logging.getLogger(__name__)

BEFORE = (0, 1, 2, 5, 10)  # utterances


def measure_changes(
    *, runs: list[Path], out: Path, data: Path = Path("results"), config: str = "params.yaml", jobs: int = 1
) -> None:
    """Follow test clips of the corpus of section ``streaming`` after other clips of the same person.

    Parameters
    ----------
    runs : list of Path
        Of the rows of ``streams``.
    out : Path
        Parquet file: table CHANGES, a row per network, clip, number of clips before it, and kind of memory.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    settings = run_folder.read_settings(params, "streaming", "faces", "sound", "seed")
    corpus, sections = settings.streaming.corpus, {"faces": settings.faces, "sound": settings.sound}
    dataset = media.read(data, corpus, ["video", "audio"], **sections, running=True)
    rows = []
    for run in select_runs(read_runs(runs), corpus, params["streams"]):
        if not run.trained:
            continue
        model, card = checkpoint.load(Path(run.folder) / "model.safetensors", kind="stream")
        view = replace(dataset, media={name: dataset.media[name] for name in card.modalities})
        pace = StreamTiming(rate_fps=card.rate_fps, hop_s=card.hop_s, sound=settings.sound)
        view = usable(view, pace)
        clips = split(view, run.fold)["test"]
        followed = encode(model, view, clips, pace)
        for row in follow_changes(model, clips, followed, settings):
            rows.append((run.variant, run.fold, run.seed, *row))
        log.info("%s, fold %d: %d clips", run.variant, run.fold, len(clips))
    tables.write(out, pd.DataFrame(rows, columns=tables.CHANGES.columns.names), tables.CHANGES)


@torch.no_grad()
def encode(model: Network, view: media.ClipDataset, clips: pd.DataFrame, pace: StreamTiming) -> dict[str, tuple]:
    """Return clip -> (modality -> features (T, D) of its steps, modality -> their times (T,) in s, length in s)."""
    found = {}
    for clip, batch in zip(clips["clip"], whole_batches(view, clips, pace, size=1), strict=True):
        inputs, features, times = network_inputs(batch), {}, {}
        for name, encoder in model.branches.items():
            n_steps = int(batch.at[name].max()) + 1
            features[name] = encoder.encode_steps(inputs[name][:, :n_steps])[0] if n_steps else torch.zeros(0, 1)
            # A step is placed at the first tick that knows it.
            first = np.searchsorted(batch.at[name][0].numpy(), np.arange(n_steps))
            times[name] = batch.tick_s[0][first] if n_steps else np.empty(0)
        found[clip] = features, times, view.duration_s(clip)
    return found


def follow_changes(model: Network, clips: pd.DataFrame, followed: dict[str, tuple], settings) -> list[tuple]:
    """Return (clip, actor, label, n_before, memory, right, previous, follow_s) of CHANGES."""
    how, rows, label = settings.streaming, [], dict(zip(clips["clip"], clips.label, strict=True))
    for clip in clips.itertuples():
        others = clips[(clips.actor == clip.actor) & (clips.label != clip.label)]
        rng = rng_for(settings.seed, "changes", how.corpus, clip.clip)
        drawn = list(rng.permutation(others["clip"].to_numpy()))[: max(BEFORE)]
        for n_before in BEFORE:
            if n_before > len(drawn):
                continue
            names = [*drawn[:n_before][::-1], clip.clip]  # the one right before is the same for all numbers
            features, times, start_s, stop_s = join(followed, names)
            for memory, window_s in (("endless", np.inf), ("bounded", how.window_s)):
                if memory == "bounded":  # what it has forgotten by then says nothing
                    since_s = memory_start([start_s], window_s=window_s) - TOLERANCE_S
                    kept = {name: at >= since_s for name, at in times.items() if at[-1] >= since_s}
                    features = {name: features[name][of_steps] for name, of_steps in kept.items()}
                    times = {name: times[name][of_steps] for name, of_steps in kept.items()}
                ticks, said = judge(model, features, times, stop_s, hop_s=how.hop_s, window_s=window_s)
                own = ticks > (start_s + TOLERANCE_S if n_before else -1.0)
                now = said[own]
                if not len(now):
                    continue
                right = now == clip.label
                stays = np.flatnonzero(~right)[-1] + 1 if not right.all() else 0
                follow_s = float(ticks[own][stays] - start_s) if stays < len(now) else np.nan
                previous = n_before > 0 and label[names[-2]] == now[-1]
                rows.append(
                    (clip.clip, clip.actor, clip.label, n_before, memory, bool(right[-1]), bool(previous), follow_s)
                )
    return rows


def join(followed: dict[str, tuple], names: list[str]) -> tuple[dict[str, Tensor], dict[str, np.ndarray], float, float]:
    """Return features and times of clips one after the other, and when the last of them begins and ends."""
    features: dict[str, list[Tensor]] = {}
    times: dict[str, list[np.ndarray]] = {}
    start_s = stop_s = 0.0
    for name in names:
        own, at, length_s = followed[name]
        start_s, stop_s = stop_s, stop_s + length_s
        for modality, values in own.items():
            if len(values):
                features.setdefault(modality, []).append(values)
                times.setdefault(modality, []).append(start_s + at[modality])
    joined = {name: torch.cat(values) for name, values in features.items()}
    return joined, {name: np.concatenate(at) for name, at in times.items()}, start_s, stop_s


@torch.no_grad()
def judge(
    model: Network,
    features: dict[str, Tensor],
    times: dict[str, np.ndarray],
    stop_s: float,
    *,
    hop_s: float,
    window_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return when a network judges a recording (K,) in s, and the classes (K,) that it says."""
    bounded = np.isfinite(window_s)
    states = {
        name: run_bounded(model.branches[name], values, times[name], window_s=window_s if bounded else stop_s + 1.0)
        for name, values in features.items()
    }
    only = next(iter(model.branches)) if len(model.branches) == 1 else None
    ticks = times.get(only, np.empty(0)) if only else tick_times(stop_s, hop_s=hop_s)
    since_s = memory_start(ticks, window_s=window_s) if bounded else np.zeros(len(ticks))
    rows, present = {}, {}
    for name, encoder in model.branches.items():
        if name not in states:
            rows[name] = torch.zeros(len(ticks), encoder.dim)
            present[name] = torch.zeros(len(ticks), dtype=torch.bool)
            continue
        newest = newest_steps(times[name], ticks)
        known = (newest >= 0) & (times[name][newest.clip(0)] >= since_s - TOLERANCE_S)
        rows[name] = states[name][torch.from_numpy(newest.clip(0))] * torch.from_numpy(known)[:, None]
        present[name] = torch.from_numpy(known)
    judged = torch.stack(list(present.values())).any(0)
    scores = model.classify_features(
        {k: v[judged] for k, v in rows.items()}, {k: v[judged] for k, v in present.items()}
    )
    return ticks[judged.numpy()], scores["fused"].argmax(1).numpy()
