"""What the networks of the thesis's listings cost (section 4.4, study X19), and what ours and their training cost.

Everything is counted from shapes; nothing is measured here, so equal settings give equal bytes. Seconds and memory are
measured by benchmarks/complexity.py.
"""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mien.audio.spectrogram import segment_s, segment_shape
from mien.augment.slicing import HOPS, Interval, segment_starts
from mien.config.labels import VECTORS
from mien.config.schema import (
    FacesConfig,
    SoundConfig,
    StreamConfig,
    StreamingConfig,
    TrainConfig,
    VariantConfig,
    load,
    section,
)
from mien.errors import TableError
from mien.evaluation.runs import Run
from mien.io.files import read_json
from mien.models.cost import (
    CLASSES,
    FRAME,
    FRAMES,
    WINDOW,
    Cost,
    Listing,
    costs,
    input_shapes,
    row_costs,
    total,
)
from mien.report.page import render_page, write_table
from mien.report.thesis import read_published

log = logging.getLogger(__name__)

LISTINGS = {  # name -> row of the table of the thesis, frames to look at for a new one of a running film
    "LIST-2D": ("resnet18_2d_lstm_image__resnet18_2d_audio", 1),  # the memory keeps what was
    "LIST-3D": ("resnet18_3d_image__resnet18_2d_audio", FRAMES),
}
PARTS = {"trunk": "image trunk", "lstm": "LSTM", "audio": "audio trunk", "head": "head"}  # attribute -> name
HONEST = "honest multiply-adds"
STEPS = {"video": "frames", "audio": "segments", "units": "fits"}  # modality -> what a network is given of it
CLIP_S = 3.0  # length of the clip that variants are counted with


def count_listings(thesis: Path) -> pd.DataFrame:
    """Return LIST-2D and LIST-3D, counted: a row per part, their totals beside the printed ones, a new frame.

    `multiply_adds` are honest; the thesis's count by the listed rule only.

    Raises
    ------
    TableError
        The file does not hold the thesis's totals.
    """
    try:
        rows = read_published(thesis)["complexity"]["rows"]
        printed = {
            name: {
                "thesis_parameters": round(rows[key]["total_params_M"] * 1e6),
                "thesis_listed": round(rows[key]["mult_adds_G"] * 1e9),
            }
            for name, (key, _) in LISTINGS.items()
        }
    except (KeyError, TypeError) as error:
        raise TableError(f"{thesis} does not hold the thesis's listings ({error!r}); git restore {thesis}") from error
    counted = []
    for name, (_, looked_at) in LISTINGS.items():
        with torch.device("meta"):  # shapes without numbers
            found = costs(Listing(deep=name == "LIST-3D"), WINDOW)
        parts = {title: total(found, part) for part, title in PARTS.items()} | {"total": total(found)}
        counted += [
            _row(name, title, "1 s", cost) | {"listed": cost.listed} for title, cost in parts.items() if cost != Cost()
        ]
        counted[-1] |= printed[name]
        images = parts["image trunk"] + parts["LSTM"]
        frame = images.multiply_adds * looked_at // FRAMES
        counted.append({"network": name, "part": "images", "given": "1 new frame", "multiply_adds": frame})
    return pd.DataFrame(counted).convert_dtypes()


def count_ours(params: Mapping[str, Any], *, classes: int) -> pd.DataFrame:
    """Return the rows of `variants` and `streams`, counted at the scale of `params`."""
    train = section(TrainConfig, params, "train")
    streaming = section(StreamingConfig, params, "streaming")
    faces, sound = section(FacesConfig, params, "faces"), section(SoundConfig, params, "sound")
    sizes = {"classes": classes, "width": train.width, "size_px": faces.size_px, "segment": segment_shape(sound)}
    ours = []
    for name, row in section(dict[str, VariantConfig], params, "variants").items():
        if VECTORS.keys() & set(row.modalities):  # what made the vectors costs more than these networks
            continue
        own = {"width": row.resolve_train(train).width, "segment": segment_shape(row.resolve_sound(sound))}
        steps = steps_of(row, frames=train.frames, seconds=CLIP_S, sound=sound)
        given = " and ".join(f"{n} {STEPS[modality]}" for modality, n in steps.items())
        cost = total(clip_costs(row, steps, **sizes | own))
        ours.append(_row(name, "total", f"a clip of {CLIP_S:g} s: {given}", cost))
    for name, row in section(dict[str, StreamConfig], params, "streams").items():
        rates, judgements, cost = second_cost(row, streaming, **sizes)
        given = " and ".join(f"{rate:g} {STEPS[modality]}" for modality, rate in rates.items())
        ours.append(_row(name, "total", f"a second: {given}, {judgements:g} judgements", cost))
    return pd.DataFrame(ours)


def steps_of(row: VariantConfig, *, frames: int, seconds: float, sound: SoundConfig) -> dict[str, int]:
    """Return how many steps of each of its modalities a variant is given of a clip of so many seconds."""
    length_s = segment_s(sound)
    starts = segment_starts(Interval(0.0, seconds), length_s=length_s, hop_s=HOPS[row.augmentation] * length_s)
    numbers = {"video": frames, "audio": 1 if row.front_end == "logmel" else len(starts), "units": frames}
    return {modality: numbers[modality] for modality in row.modalities}


def clip_costs(
    row: VariantConfig, steps: Mapping[str, int], *, classes: int, width: int, size_px: int, segment: tuple[int, int]
) -> dict[str, Cost]:
    """Return layer -> cost of one pass forward of a variant with one clip of so many steps; see `models.cost`."""
    shapes = input_shapes(steps, size_px=size_px, segment=segment)
    return row_costs(row, classes=classes, width=width, shape=shapes)


def second_cost(
    row: StreamConfig, streaming: StreamingConfig, *, classes: int, width: int, size_px: int, segment: tuple[int, int]
) -> tuple[dict[str, float], float, Cost]:
    """Return what a network that runs along is given in a second, how often it judges, and what both cost.

    Returns
    -------
    rates, judgements, cost
        Modality -> steps per second; judgements per second; cost of the steps of its branches and of the judgements.
    """
    rates = {"video": float(streaming.rate_fps), "audio": 1 / streaming.hop_s}
    rates = {modality: rates[modality] for modality in row.modalities}
    shapes = input_shapes(dict.fromkeys(rates, 1), size_px=size_px, segment=segment)
    found = row_costs(row, classes=classes, width=width, shape=shapes)
    branches = {modality: total(found, f"branches.{modality}").multiply_adds for modality in rates}
    judgements = 1 / streaming.hop_s if len(rates) > 1 else rates[row.modalities[0]]
    judging = total(found).multiply_adds - sum(branches.values())
    spent = judgements * judging + sum(rates[modality] * branches[modality] for modality in rates)
    return rates, judgements, Cost(parameters=total(found).parameters, multiply_adds=round(spent))


def _row(network: str, part: str, given: str, cost: Cost) -> dict[str, Any]:
    counts = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    return {"network": network, "part": part, "given": given} | counts


@dataclass(frozen=True)
class TrainingCost:
    """Multiply-adds of all passes forward, until the chosen epoch; a pass backward costs about twice as much."""

    per_clip: float
    clips: float  # of an epoch, mean over runs
    epochs: float  # until the chosen one, mean over runs
    total: float  # of all runs together


def cost_of(runs: list[Run], selection: str) -> TrainingCost:
    """Return what trained runs of one variant cost."""
    clips = [run.record["n_clips"]["training"] for run in runs]
    epochs = [run.record["best_epoch"][selection] for run in runs]
    passes = [n * k for n, k in zip(clips, epochs, strict=True)]
    total = sum(adds_per_clip(run) * n for run, n in zip(runs, passes, strict=True))
    return TrainingCost(total / sum(passes), sum(clips) / len(runs), sum(epochs) / len(runs), total)


def adds_per_clip(run: Run) -> float:
    """Return the multiply-adds of one pass forward with a training clip of the mean number of steps.

    Between two whole numbers of steps they are taken to grow evenly.
    """
    parts = {key: run.record["config"][key] for key in ("variant", "train", "faces", "sound")}
    adds = []
    for rounded in (math.floor, math.ceil):
        steps = {modality: rounded(n_steps) for modality, n_steps in run.record["n_steps"].items()}
        adds.append(_adds(json.dumps(parts | {"steps": steps}), len(run.classes)))
    share = max(n_steps % 1 for n_steps in run.record["n_steps"].values())
    return adds[0] + share * (adds[1] - adds[0])


@cache
def _adds(text: str, n_classes: int) -> int:
    config: dict[str, Any] = json.loads(text)
    found = clip_costs(
        section(VariantConfig, config, "variant"),
        config["steps"],
        classes=n_classes,
        width=config["train"]["width"],
        size_px=config["faces"]["size_px"],
        segment=segment_shape(section(SoundConfig, config, "sound")),
    )
    return total(found).multiply_adds


def count_complexity(
    *, thesis: Path, corpus_info: Path, out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Count parameters and multiply-adds of the listings.

    Parameters
    ----------
    corpus_info : Path
        corpus.json of the emotions that ours know.
    """
    params = load(config)
    classes = len(read_json(corpus_info)["classes"])
    ours, listings = count_ours(params, classes=classes), count_listings(thesis)
    totals = listings[listings.part == "total"].set_index("network")
    frames = listings[listings.part == "images"].set_index("network").multiply_adds
    compared = {
        "listed": totals.listed,
        f"honest, all {FRAMES} frames": totals.multiply_adds,
        "honest, one new frame of a running film (images only)": frames,
    }
    ratios = pd.DataFrame(compared).T.rename_axis("part").reset_index()
    ratios["ratio"] = (ratios["LIST-3D"] / ratios["LIST-2D"]).astype(float)
    differences = [
        {"network": name, "number": number, "thesis": theirs, "ours": own, "difference": own - theirs}
        for name, row in totals.iterrows()
        for number, theirs, own in (
            ("parameters", row.thesis_parameters, row.parameters),
            ("listed multiply-adds", row.thesis_listed, row.listed),
        )
    ]
    parts = listings[listings.given == "1 s"].replace({"part": {"total": "**total**"}})
    parts = parts[["network", "part", "parameters", "listed", "multiply_adds"]]
    text = render_page(
        "complexity",
        n_emotions=CLASSES,
        n_frames=FRAMES,
        size_px=FRAME[1],
        spectrogram=WINDOW["audio"][2:4],
        parts=_spaced(parts.rename(columns={"listed": "listed multiply-adds", "multiply_adds": HONEST + ", 1 s"})),
        differences=_spaced(pd.DataFrame(differences)),
        ratios=[
            {
                "multiply-adds": row.part,
                "LIST-3D": _giga(row["LIST-3D"]),
                "LIST-2D": _giga(row["LIST-2D"]),
                "ratio": f"{row.ratio:.2f}",
            }
            for _, row in ratios.iterrows()
        ],
        by_rule=ratios.ratio[0],
        by_all=ratios.ratio[1],
        by_frame=ratios.ratio[2],
        by_parameters=totals.parameters["LIST-3D"] / totals.parameters["LIST-2D"],
        frames=frames.map(_giga),
        scale=section(str, params, "scale"),
        classes=classes,
        ours=_spaced(ours.drop(columns="part").rename(columns={"multiply_adds": HONEST})),
    )
    shown = ratios[["part", "ratio"]].assign(network="LIST-3D / LIST-2D")
    table = pd.concat([listings, shown, ours], ignore_index=True)
    write_table(table, text, csv=out_csv, md=out_md)
    log.info("complexity: two listings and %d networks counted", len(ours))


def _spaced(table: pd.DataFrame) -> pd.DataFrame:
    """Return numbers as texts, thousands a space apart."""
    return table.map(lambda value: value if isinstance(value, str) else f"{value:,}".replace(",", " "))


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f} G"
