"""Command `assess`: trained variants judge their test clips again, disturbed and without a modality.

Sounds are disturbed as waves, before the spectrogram, and pictures as stored regions. Every clip has its own draws
under every condition, so that all networks hear and see the same. Action units are those of the undisturbed pictures.
What a network says of clean clips must be what its training has put down; anything else is an error.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mien.audio import corrupt as disturb_sound
from mien.audio.spectrogram import spectrogram
from mien.augment import corrupt as disturb_pictures
from mien.config import schema
from mien.errors import ModelError
from mien.evaluation.calibration import CLEAN, Condition, conditions
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.io import tables
from mien.io.randomness import rng_for
from mien.io.shards import FULL_SCALE
from mien.models import checkpoint
from mien.training import clips as media
from mien.training import engine, run_folder
from mien.training.clips import ClipDataset, Sampling, Spectrogram, Wave, assemble, network_inputs, split

log = logging.getLogger(__name__)

TOLERANCES = {"cpu": 1e-5, "cuda": 1e-3, "bfloat16": 5e-2}  # of a logit, absolute and relative: rounding


def assess(
    *,
    corpus: str,
    runs: list[Path],
    out: Path,
    data: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Let the networks of section trust judge their test clips again, disturbed and without a modality.

    Parameters
    ----------
    out : Path
        results/trust/CORPUS, for <variant>.parquet: table ASSESSMENTS of all folds and seeds; that of an option without
        runs is empty.

    Raises
    ------
    TableError : a row of section trust has no runs, or lacks a fold that another one has.
    """
    engine.prepare(jobs)
    settings = run_folder.read_settings(schema.load(config), "trust", "train", "faces", "sound", "seed")
    trust, sections = settings.trust, {"faces": settings.faces, "sound": settings.sound}
    given = read_runs(runs)
    found_runs = select_runs(given, corpus, trust.rows)
    found_runs += [run for run in given if run.corpus == corpus and run.variant in trust.asked[len(trust.rows) :]]
    used = sorted({name for run in found_runs for name in run.record["config"]["variant"]["modalities"]})
    heard = media.read(data, corpus, ["audio"] if "audio" in used else [], **sections, running=True)
    job = Assessment(
        dataset=media.read(data, corpus, used, **sections), waves=heard.media.get("audio", {}), settings=settings
    )
    folds = sorted({run.fold for run in found_runs})
    found = pd.concat([assess_fold(job, [run for run in found_runs if run.fold == fold]) for fold in folds])
    for variant in trust.asked:
        rows = found[found.variant == variant].drop(columns="variant")
        tables.write(out / f"{variant}.parquet", rows, tables.ASSESSMENTS)
    log.info("%s: %d judgements of %d networks", corpus, len(found), sum(run.trained for run in found_runs))


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What all networks of a command share.

    dataset : of all modalities that a network uses.   waves : clip -> its sound.
    settings : with trust, train, sound and seed.
    """

    dataset: ClipDataset
    waves: Mapping[str, Wave]
    settings: SimpleNamespace

    def rng(self, condition: Condition, clip: str) -> np.random.Generator:
        """Return the draws of a clip under a condition."""
        return rng_for(self.settings.seed, "trust", self.dataset.corpus, condition.name, clip)


class CachedEncoder(nn.Module):
    """A branch that says the same about the same input without looking again: most conditions change one modality."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch, self.dim = branch, branch.dim
        self.asked: Tensor | None = None
        self.said: Tensor | None = None

    def forward(self, sequence: Tensor, n_steps: Tensor | None = None) -> Tensor:
        return self._encode_cached(self.branch, sequence, n_steps)

    def states(self, sequence: Tensor, n_steps: Tensor | None = None) -> Tensor:
        """Return what the branch says after every step."""
        return self._encode_cached(self.branch.states, sequence, n_steps)

    def _encode_cached(self, look: Callable[..., Tensor], sequence: Tensor, n_steps: Tensor | None) -> Tensor:
        if self.asked is not sequence:
            self.asked, self.said = sequence, look(sequence, n_steps)
        return self.said


@torch.no_grad()
def assess_fold(job: Assessment, runs: list[Run]) -> pd.DataFrame:
    """Return ASSESSMENTS, with a first column variant, of the trained `runs` of one fold: all variants and seeds.

    Raises
    ------
    ModelError : a model file is missing, or what it says of undisturbed clips is not in its predictions.parquet.
    """
    train, device = job.settings.train, engine.device()
    trained, alike = [run for run in runs if run.trained], {}
    for run in trained:
        model, card = checkpoint.load(Path(run.folder) / "model.safetensors", device=device.type)
        for name, branch in model.branches.items():
            model.branches[name] = CachedEncoder(branch)
        sampling = Sampling.of(card.augmentation, frames=card.frames, share=1.0, sound=job.settings.sound)
        alike.setdefault((card.modalities, sampling), []).append((run, model))  # who look at clips alike
    voices = {condition: _disturb_voices(job, condition, runs[0].fold) for condition in conditions(job.settings.trust)}
    rows = []
    for (modalities, sampling), networks in sorted(alike.items(), key=lambda item: repr(item[0])):
        view = replace(job.dataset, media={name: job.dataset.media[name] for name in modalities})
        clips, size = split(view, runs[0].fold)["test"], engine.EVALUATED * train.batch  # as a training evaluates
        for part in (clips.iloc[start : start + size] for start in range(0, len(clips), size)):
            names = list(zip(part["clip"], part.actor, part.label, strict=True))
            for condition, inputs, n_steps in _corrupted_inputs(job, view, part, sampling, voices):
                left = torch.stack(list(n_steps.values())).any(dim=0).tolist()  # of a clip, anything
                for run, model in networks:
                    with engine.autocast(device, train.precision):
                        logits = model(inputs, n_steps)["fused"].float().cpu().numpy()
                    said = (run.variant, condition.name, run.fold, run.seed)
                    rows += [(*said, *clip, one) for clip, one, ok in zip(names, logits, left, strict=True) if ok]
    found = pd.DataFrame(rows, columns=["variant", *tables.ASSESSMENTS.columns.names])
    for run in trained:
        check_clean(run, found[(found.variant == run.variant) & (found.condition == CLEAN)])
    return found.sort_values(["seed", "clip"], kind="stable")  # of a clip, the conditions keep their order


def check_clean(run: Run, rows: pd.DataFrame) -> None:
    """Hold what a network says of undisturbed clips against its evaluation.

    run, rows : of one variant and fold; of `rows` those of the run's seed count.

    Raises
    ------
    ModelError : other clips, or logits that differ by more than rounding.
    """
    rows = rows[rows.seed == run.seed].set_index("clip").logits
    said = run.predictions()
    selection = "honest" if (said.selection == "honest").any() else "optimistic"  # whose weights the model file holds
    said = said[(said.selection == selection) & (said.role == "test") & (said["head"] == "fused")]
    said = said.set_index("clip").logits
    if set(said.index) != set(rows.index):
        odd = sorted(set(said.index) ^ set(rows.index))[0]
        raise ModelError(f"{run.folder}: {odd} is judged here or in the evaluation only; train the fold again")
    one, other = np.stack(rows.loc[said.index]), np.stack(said)
    kind = engine.device().type
    rounding = TOLERANCES[
        "bfloat16" if kind == "cuda" and run.record["config"]["train"]["precision"] != "float32" else kind
    ]
    if not np.allclose(one, other, rtol=rounding, atol=rounding):
        raise ModelError(
            f"{run.folder}: the logits of undisturbed clips are up to {np.abs(one - other).max():.2g} from those of"
            " predictions.parquet; assess on the kind of machine that trained, or train the fold again"
        )


def _corrupted_inputs(
    job: Assessment,
    view: ClipDataset,
    clips: pd.DataFrame,
    sampling: Sampling,
    voices: Mapping[Condition, Mapping[str, Spectrogram]],
) -> Iterator[tuple[Condition, dict[str, Tensor], dict[str, Tensor]]]:
    """Yield a condition and what networks are then given of a batch of clips: inputs and numbers of steps."""
    batch = assemble(view, clips, sampling, rng=None)
    clean = batch.to(engine.device())
    inputs = network_inputs(clean)
    for condition, heard in voices.items():
        name = condition.modality
        if not condition.concerns(view.media):
            continue
        if condition.kind == "missing":
            yield condition, inputs, clean.n_steps | {name: torch.zeros_like(clean.n_steps[name])}
            continue
        changed = {}
        if name == "audio":
            other = assemble(replace(view, media=view.media | {name: heard}), clips, sampling, rng=None)
            changed = {name: other.inputs[name]}
        elif name == "video":
            frames = zip(clips["clip"], batch.inputs[name], strict=True)
            changed = {name: torch.stack([_disturb_frames(job, condition, clip, one) for clip, one in frames])}
        disturbed = replace(batch, inputs=changed).to(engine.device())
        yield condition, inputs | network_inputs(disturbed), clean.n_steps


def _disturb_voices(job: Assessment, condition: Condition, fold: int) -> dict[str, Spectrogram]:
    """Return clip -> voice of the test clips of a fold, if it is voices that the condition disturbs."""
    if condition.modality != "audio" or condition.kind == "missing":
        return {}
    sound, voices = job.settings.sound, {}
    for clip in split(job.dataset, fold)["test"]["clip"]:
        if clip in job.waves:
            level = job.waves[clip].samples.astype(np.float32) / FULL_SCALE
            if condition.kind == "noise":
                level = disturb_sound.add_white_noise(level, snr_db=condition.amount, rng=job.rng(condition, clip))
            else:
                level = disturb_sound.through_telephone(level, sound.rate_hz)
            voices[clip] = Spectrogram(spectrogram(torch.from_numpy(level), sound), job.waves[clip].duration_s)
    return voices


def _disturb_frames(job: Assessment, condition: Condition, clip: str, frames: Tensor) -> Tensor:
    pixels, amount = frames.numpy(), condition.amount  # (T, S, S, 3)
    if condition.kind == "noise":
        pixels = disturb_pictures.add_noise(pixels, deviation=amount, rng=job.rng(condition, clip))
    elif condition.kind == "blur":
        pixels = disturb_pictures.blur(pixels, sigma_px=amount)
    else:
        pixels = disturb_pictures.darken(pixels, factor=amount)
    return torch.from_numpy(pixels)
