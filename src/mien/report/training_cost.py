"""What a training cost: multiply-adds, counted from shapes. Seconds depend on the machine and are not counted."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from mien.augment.slicing import SEGMENTS
from mien.core.config import SoundConfig, VariantConfig, section
from mien.evaluation.runs import Run
from mien.models.build import CHANNELS, build
from mien.models.cost import multiply_adds
from mien.models.units import UNITS
from mien.sound.spectrogram import segment_shape


@dataclass(frozen=True)
class TrainingCost:
    """Multiply-adds of all passes forward, until the chosen epoch; a pass backward costs about twice as much."""

    per_clip: int
    clips: float  # of an epoch, mean over runs
    epochs: float  # until the chosen one, mean over runs
    total: float  # of all runs together


def cost_of(runs: list[Run], selection: str) -> TrainingCost:
    """Return what trained runs of one variant cost."""
    clips = [run.record["n_clips"]["training"] for run in runs]
    epochs = [run.record["best_epoch"][selection] for run in runs]
    per_clip = adds_per_clip(runs[0])
    total = per_clip * sum(n * k for n, k in zip(clips, epochs, strict=True))
    return TrainingCost(per_clip, sum(clips) / len(runs), sum(epochs) / len(runs), total)


def adds_per_clip(run: Run) -> int:
    """Return the multiply-adds of one pass forward with one training clip."""
    parts = {key: run.record["config"][key] for key in ("variant", "train", "faces", "sound")}
    return _adds(json.dumps(parts), len(run.classes))


@cache
def _adds(text: str, n_classes: int) -> int:
    """Return the multiply-adds of the network that sections of params.yaml, as JSON, describe."""
    config: dict[str, Any] = json.loads(text)
    variant, train = section(VariantConfig, config, "variant"), config["train"]
    size_px = config["faces"]["size_px"]
    shapes = {
        "video": (train["frames"], CHANNELS["video"], size_px, size_px),
        "audio": (
            SEGMENTS[variant.augmentation],
            CHANNELS["audio"],
            *segment_shape(section(SoundConfig, config, "sound")),
        ),
        "units": (train["frames"], UNITS),
    }
    with torch.device("meta"):  # shapes without numbers
        model = build(
            variant.modalities,
            fusion=variant.fusion,
            aggregator=variant.aggregator,
            side_head=variant.side_head,
            trunk=variant.trunk,
            classes=n_classes,
            width=train["width"],
            dropout=train["dropout"],
        )
    return multiply_adds(model, {modality: (1, *shapes[modality]) for modality in variant.modalities})
