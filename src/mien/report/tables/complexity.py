"""What the networks of the thesis's listings cost (section 4.4, study X19), and what ours and their training cost.

Everything is counted from shapes; nothing is measured here, so equal settings give equal bytes. Seconds and memory are
measured by benchmarks/complexity.py.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mien.audio.spectrogram import segment_shape
from mien.augment.slicing import SEGMENTS
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
from mien.models.cost import CLASSES, FRAME, FRAMES, WINDOW, Cost, Listing2D, Listing3D, costs, total
from mien.models.mrpn import CHANNELS, UNITS, build
from mien.report.page import render_page, write_table
from mien.report.thesis import read_published

log = logging.getLogger(__name__)

LISTINGS = {  # name -> (network, row of the table "complexity" of the thesis)
    "LIST-2D": (Listing2D, "resnet18_2d_lstm_image__resnet18_2d_audio"),
    "LIST-3D": (Listing3D, "resnet18_3d_image__resnet18_2d_audio"),
}
PARTS = {"trunk": "image trunk", "lstm": "LSTM", "audio": "audio trunk", "head": "head"}  # attribute -> name
STEPS = {"video": "frames", "audio": "segments", "units": "fits"}  # modality -> what a network is given of it


@dataclass(frozen=True)
class Listed:
    """A listing, rebuilt and counted; `printed` are the thesis's totals."""

    name: str
    parts: dict[str, Cost]  # part -> cost for one second
    printed: Cost
    new_frame: int  # multiply-adds that one more frame costs in a running film, of the pictures' encoder

    @property
    def total(self) -> Cost:
        """Return the cost of the whole network for one second."""
        return sum(self.parts.values(), Cost())


@dataclass(frozen=True)
class Own:
    """One of our networks; `given` says in words what `cost` is the cost of."""

    name: str
    given: str
    cost: Cost


def read_printed(path: Path) -> dict[str, Cost]:
    """Return the totals that the thesis prints, by row of its listings; they count by the listed rule only.

    Raises
    ------
    TableError : the file does not hold them.
    """
    try:
        rows = read_published(path)["complexity"]["rows"]
        return {
            key: Cost(parameters=round(rows[key]["total_params_M"] * 1e6), listed=round(rows[key]["mult_adds_G"] * 1e9))
            for _, key in LISTINGS.values()
        }
    except (KeyError, TypeError) as error:
        raise TableError(f"{path} does not hold the thesis's listings ({error!r}); git restore {path}") from error


def count_listings(printed: Mapping[str, Cost]) -> dict[str, Listed]:
    """Return LIST-2D and LIST-3D, counted, beside what is printed."""
    counted = {}
    for name, (network, key) in LISTINGS.items():
        with torch.device("meta"):  # shapes without numbers
            model = network()
        found = costs(model, WINDOW)
        parts = {title: total(found, part) for part, title in PARTS.items() if hasattr(model, part)}
        frames = 1 if name == "LIST-2D" else FRAMES  # the memory keeps what was; a window must be looked at again
        again = costs(_Watching(model), (1, frames, *FRAME))
        counted[name] = Listed(name, parts, printed[key], new_frame=total(again).multiply_adds)
    return counted


def count_ours(params: Mapping[str, Any], *, classes: int) -> list[Own]:
    """Return the rows of `variants` and `streams`, counted at the scale of `params`."""
    train = section(TrainConfig, params, "train")
    streaming = section(StreamingConfig, params, "streaming")
    faces, sound = section(FacesConfig, params, "faces"), section(SoundConfig, params, "sound")
    steps = steps_of(faces.size_px, sound)
    sizes = {"classes": classes, "width": train.width, "dropout": train.dropout}
    ours = []
    for name, row in section(dict[str, VariantConfig], params, "variants").items():
        heads = sizes if row.target == "label" else sizes | {"classes": 1}
        given = " and ".join(_number_of(n, modality) for modality, n in steps_per_clip(row, train.frames).items())
        ours.append(Own(name, f"a clip: {given}", cost_of_clip(row, steps, heads, frames=train.frames)))
    streams = section(dict[str, StreamConfig], params, "streams")
    return ours + [_running(name, row, streaming, steps, sizes) for name, row in streams.items()]


def frame_of(listings: Mapping[str, Listed], ours: list[Own]) -> pd.DataFrame:
    """Return all numbers in one table; empty where there is no such number."""
    rows = []
    for one in listings.values():
        for part, cost in one.parts.items():
            rows.append(_row(one.name, part, "1 s", cost) | {"listed": cost.listed})
        printed = {"thesis_parameters": one.printed.parameters, "thesis_listed": one.printed.listed}
        rows.append(_row(one.name, "total", "1 s", one.total) | {"listed": one.total.listed} | printed)
        rows.append({"network": one.name, "part": "images", "given": "1 new frame", "multiply_adds": one.new_frame})
    for what, more, less in _ratios(listings):
        rows.append({"network": "LIST-3D / LIST-2D", "part": what, "ratio": more / less})
    rows += [_row(one.name, "total", one.given, one.cost) for one in ours]
    table = pd.DataFrame(rows)
    counts = [name for name in table if name not in ("network", "part", "given", "ratio")]
    return table.astype(dict.fromkeys(counts, "Int64"))


def render(listings: Mapping[str, Listed], ours: list[Own], *, classes: int, scale: str) -> str:
    """Return the page."""
    ratios = _ratios(listings)
    by_rule, by_all, by_frame = (more / less for _, more, less in ratios)
    return render_page(
        "complexity",
        n_emotions=CLASSES,
        n_frames=FRAMES,
        size_px=FRAME[1],
        spectrogram=WINDOW["audio"][2:4],
        parts=[row for one in listings.values() for row in _parts(one)],
        differences=[row for one in listings.values() for row in _differences(one)],
        ratios=[
            {"multiply-adds": what, "LIST-3D": _giga(more), "LIST-2D": _giga(less), "ratio": f"{more / less:.2f}"}
            for what, more, less in ratios
        ],
        by_rule=by_rule,
        by_all=by_all,
        by_frame=by_frame,
        flat=listings["LIST-2D"],
        deep=listings["LIST-3D"],
        giga=_giga,
        scale=scale,
        classes=classes,
        ours=[
            {
                "network": one.name,
                "given": one.given,
                "parameters": _count(one.cost.parameters),
                "honest multiply-adds": _count(one.cost.multiply_adds),
            }
            for one in ours
        ],
    )


class _Watching(torch.nn.Module):
    """The part of a listing that looks at pictures, as a network of its own."""

    def __init__(self, listing: Listing2D | Listing3D) -> None:
        super().__init__()
        self.listing = listing

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return self.listing.watch(video)


def _running(
    name: str,
    row: StreamConfig,
    streaming: StreamingConfig,
    steps: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, float],
) -> Own:
    """Count a second of a network that runs along: the steps of its branches, and the judgements."""
    with torch.device("meta"):
        model = build(row.modalities, fusion=row.fusion, aggregator=row.aggregator, side_head="dense", **sizes)
    found = costs(model, {modality: (1, 1, *steps[modality]) for modality in row.modalities})
    rates = {"video": streaming.rate_fps, "audio": 1 / streaming.hop_s}  # steps per second
    branches = {modality: total(found, f"branches.{modality}") for modality in row.modalities}
    whole = total(found)
    judging = whole.multiply_adds - sum(cost.multiply_adds for cost in branches.values())
    judged = rates[row.modalities[0]] if len(row.modalities) == 1 else 1 / streaming.hop_s
    spent = judged * judging + sum(rates[modality] * cost.multiply_adds for modality, cost in branches.items())
    given = " and ".join(_number_of(rates[modality], modality) for modality in row.modalities)
    cost = Cost(parameters=whole.parameters, multiply_adds=round(spent))
    return Own(name, f"a second: {given}, {judged:g} judgements", cost)


def _ratios(listings: Mapping[str, Listed]) -> list[tuple[str, int, int]]:
    """Return (what is counted, LIST-3D, LIST-2D)."""
    flat, deep = listings["LIST-2D"], listings["LIST-3D"]
    return [
        ("listed", deep.total.listed, flat.total.listed),
        (f"honest, all {FRAMES} frames", deep.total.multiply_adds, flat.total.multiply_adds),
        ("honest, one new frame of a running film (images only)", deep.new_frame, flat.new_frame),
    ]


def _parts(one: Listed) -> list[dict[str, str]]:
    costs_of = {**one.parts, "**total**": one.total}
    return [
        {
            "network": one.name,
            "part": part,
            "parameters": _count(cost.parameters),
            "listed multiply-adds": _count(cost.listed),
            "honest multiply-adds, 1 s": _count(cost.multiply_adds),
        }
        for part, cost in costs_of.items()
    ]


def _differences(one: Listed) -> list[dict[str, str]]:
    pairs = {
        "parameters": (one.printed.parameters, one.total.parameters),
        "listed multiply-adds": (one.printed.listed, one.total.listed),
    }
    return [
        {
            "network": one.name,
            "number": what,
            "thesis": _count(theirs),
            "ours": _count(ours),
            "difference": _count(ours - theirs),
        }
        for what, (theirs, ours) in pairs.items()
    ]


def _row(network: str, part: str, given: str, cost: Cost) -> dict[str, Any]:
    counts = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    return {"network": network, "part": part, "given": given} | counts


def _number_of(number: float, modality: str) -> str:
    return f"{number:g} {STEPS[modality]}"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _giga(number: int) -> str:
    return f"{number / 1e9:.2f} G"


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
    config: dict[str, Any] = json.loads(text)
    steps = steps_of(config["faces"]["size_px"], section(SoundConfig, config, "sound"))
    train, variant = config["train"], section(VariantConfig, config, "variant")
    sizes = {"classes": n_classes, "width": train["width"], "dropout": train["dropout"]}
    return cost_of_clip(variant, steps, sizes, frames=train["frames"]).multiply_adds


def steps_of(size_px: int, sound: SoundConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of one step of every modality."""
    return {
        "video": (CHANNELS["video"], size_px, size_px),
        "audio": (CHANNELS["audio"], *segment_shape(sound)),
        "units": (UNITS,),
    }


def cost_of_clip(
    row: VariantConfig, steps: Mapping[str, tuple[int, ...]], sizes: Mapping[str, Any], *, frames: int
) -> Cost:
    """Return the cost of one pass forward of a variant with one clip."""
    shapes = {modality: (1, n, *steps[modality]) for modality, n in steps_per_clip(row, frames).items()}
    with torch.device("meta"):  # shapes without numbers
        model = build(
            row.modalities,
            fusion=row.fusion,
            aggregator=row.aggregator,
            side_head=row.side_head,
            trunk=row.trunk,
            **sizes,
        )
    return total(costs(model, shapes))


def steps_per_clip(row: VariantConfig, frames: int) -> dict[str, int]:
    """Return how many steps of each of its modalities a variant is given of a clip."""
    numbers = {"video": frames, "audio": SEGMENTS[row.augmentation], "units": frames}
    return {modality: numbers[modality] for modality in row.modalities}


def count_complexity(
    *, thesis: Path, corpus_info: Path, out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Count parameters and multiply-adds of the listings.

    Parameters
    ----------
    thesis : Path
        The thesis's numbers.
    corpus_info : Path
        corpus.json of the emotions that ours know.
    out_csv, out_md : Path
        Numbers and page.
    config : str
        params.yaml, or its sections as JSON text.
    """
    params = load(config)
    classes = len(read_json(corpus_info)["classes"])
    ours, listings = count_ours(params, classes=classes), count_listings(read_printed(thesis))
    text = render(listings, ours, classes=classes, scale=section(str, params, "scale"))
    write_table(frame_of(listings, ours), text, csv=out_csv, md=out_md)
    log.info("complexity: two listings and %d networks counted", len(ours))
