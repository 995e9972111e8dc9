"""What the networks of the thesis's listings cost, what the claim "up to 15 times" rests on, and what ours cost.

Everything is counted from shapes; nothing is measured here, so equal settings give equal bytes. Seconds and memory are
measured by benchmarks/complexity.py.

What a training cost: multiply-adds, counted from shapes. Seconds depend on the machine and are not counted.

Command count_complexity: the listings of thesis section 4.4 (study X19), counted again, as CSV and Markdown.
"""

import json
import logging
from argparse import ArgumentParser, Namespace
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
from mien.models.cost import CLASSES, FRAME, FRAMES, WINDOW, Cost, Listing2D, Listing3D, costs, multiply_adds, total
from mien.models.mrpn import CHANNELS, UNITS, build
from mien.report.page import grid
from mien.report.thesis import read_published

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
    steps = {  # modality -> shape of one step
        "video": (CHANNELS["video"], faces.size_px, faces.size_px),
        "audio": (CHANNELS["audio"], *segment_shape(sound)),
        "units": (UNITS,),
    }
    sizes = {"classes": classes, "width": train.width, "dropout": train.dropout}
    ours = []
    for name, row in section(dict[str, VariantConfig], params, "variants").items():
        numbers = {"video": train.frames, "audio": SEGMENTS[row.augmentation], "units": train.frames}
        shapes = {modality: (1, numbers[modality], *steps[modality]) for modality in row.modalities}
        with torch.device("meta"):
            model = build(
                row.modalities,
                fusion=row.fusion,
                aggregator=row.aggregator,
                side_head=row.side_head,
                trunk=row.trunk,
                **(sizes if row.target == "label" else sizes | {"classes": 1}),
            )
        given = " and ".join(_number_of(numbers[modality], modality) for modality in row.modalities)
        ours.append(Own(name, f"a clip: {given}", total(costs(model, shapes))))
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
    flat, deep = listings["LIST-2D"], listings["LIST-3D"]
    blocks = [
        "# Table complexity: what a second of film costs a 2D and a 3D network",
        "Thesis section 4.4 prints the totals of two networks. LIST-2D: ResNet-18 for every picture and an LSTM of two "
        "layers along them; LIST-3D: 3D-ResNet-18 for all pictures at once; both with ResNet-18 for the sound and a "
        f"head for {CLASSES} emotions. A second is {FRAMES} pictures of {FRAME[1]} px and a spectrogram of "
        f"{WINDOW['audio'][2]} x {WINDOW['audio'][3]}. 'Listed' counts as the tool behind the thesis's listings does: "
        "one member of a batch, and an LSTM once; 'honest' counts every multiplication of convolutions, dense layers "
        "and LSTM. Nothing here is measured; `python benchmarks/complexity.py` measures seconds and memory.",
        "## The two listings",
        grid([row for one in listings.values() for row in _parts(one)]),
        "## Beside the thesis",
        grid([row for one in listings.values() for row in _differences(one)]),
        "## Three ratios",
        grid(
            [
                {"multiply-adds": what, "LIST-3D": _giga(more), "LIST-2D": _giga(less), "ratio": f"{more / less:.2f}"}
                for what, more, less in _ratios(listings)
            ]
        ),
        '## What "up to 15 times" rests on',
        _reading(flat, deep),
        f"## Our networks at scale {scale}",
        f"Networks of {classes} emotions. A clip is what a row of variants looks at in training and in a window of "
        "`mien predict`; a second is what a network that runs along is given in it, with the judgements it makes.",
        grid(
            [
                {
                    "network": one.name,
                    "given": one.given,
                    "parameters": _count(one.cost.parameters),
                    "honest multiply-adds": _count(one.cost.multiply_adds),
                }
                for one in ours
            ]
        ),
    ]
    return "\n\n".join(blocks) + "\n"


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


def _reading(flat: Listed, deep: Listed) -> str:
    by_rule, by_all, by_frame = (more / less for _, more, less in _ratios({one.name: one for one in (flat, deep)}))
    return (
        "The thesis speaks of multiply-adds up to 15 times faster than those of CNN and LSTM (L1054). The words are "
        "turned round: in its listings it is the 3D network that needs more. "
        f"The ratio of the printed numbers, {by_rule:.2f}, comes from the rule of counting and not from the "
        f"networks. LIST-2D is given the {FRAMES} frames as a batch, of which the rule counts one member, and one step "
        f"of the LSTM; LIST-3D is given them as one input, of which it counts everything. With all {FRAMES} frames "
        f"counted in both, a second costs the 3D network {by_all:.2f} times as much, and it has "
        f"{deep.total.parameters / flat.total.parameters:.2f} times the parameters.\n\n"
        "The 2D network does save much where a film runs and every frame is to be judged: its memory keeps what was "
        f"seen, so a new frame costs one frame ({_giga(flat.new_frame)}), where the 3D network, as it is, looks at "
        f"all {FRAMES} frames of its window again ({_giga(deep.new_frame)}): {by_frame:.0f} times as much. Where every "
        f"k-th frame is judged, it is {by_frame:.0f} / k. So the answer is {by_all:.1f} for a recording that is judged "
        f"once a second and {by_frame:.0f} for one that is judged at every frame; 15 is neither."
    )


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


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the emotions that ours know")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Build the networks without numbers, count, write the table."""
    from mien.io.files import read_json
    from mien.report.page import write_table

    params = load(args.config)
    classes = len(read_json(args.corpus_info)["classes"])
    printed, ours = read_printed(args.thesis), count_ours(params, classes=classes)
    listings = count_listings(printed)
    text = render(listings, ours, classes=classes, scale=section(str, params, "scale"))
    write_table(frame_of(listings, ours), text, csv=args.out_csv, md=args.out_md)
    log.info("complexity: two listings and %d networks counted", len(ours))
