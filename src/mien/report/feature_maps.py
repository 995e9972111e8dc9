"""What a trained CNN-1 looks for and what it sees in a picture: kernels and feature maps (thesis, figure 2.12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.core.errors import ModelError, TableError
from mien.models.classifier import load_classifier
from mien.report.confusion import draw_absent
from mien.samples.read import pictures

KERNELS, MAPS = (1, 2), (1, 2, 4, 8)  # layers, from 1, whose kernels and whose maps are shown
NUMBERS = ["layer", "filter", "weight", "mean", "largest", "positive"]
_COLUMNS = {1: 8, 2: 8, 4: 8, 8: 16}  # maps in a row


@dataclass(frozen=True, eq=False)
class Features:
    """A network and its answer to one picture.

    picture : (S, S) uint8.   kernels : layer -> weights (filters, channels, k, k).
    maps : layer -> (filters, h, w), after batch norm and, where the layer is strided, the ReLU.
    scores : (C,) probabilities.   layers are numbered from 1.
    """

    variant: str
    clip: str
    emotion: str
    picture: np.ndarray
    kernels: dict[int, np.ndarray]
    maps: dict[int, np.ndarray]
    classes: tuple[str, ...]
    scores: np.ndarray


def choose_picture(table: pd.DataFrame, emotion: str) -> pd.DataFrame:
    """Return one row of SAMPLES: a frontal test picture with a face, of `emotion` if there is one, the first by name.

    Raises
    ------
    TableError : no test picture has a face.
    """
    rows = table[(table.role == "test") & (table["row"] >= 0)]
    if rows.empty:
        raise TableError("samples.parquet: no test picture has a face; look at cross.test and run select_samples again")
    turned = (rows.angle - 90).abs() + 90 * ~rows.gaze.isin(["", "frontal"])
    return rows.assign(other=rows.label_name != emotion, turned=turned).sort_values(["other", "turned", "clip"])[:1]


def look(model: Path, row: pd.DataFrame, results: Path) -> Features:
    """Show the CNN-1 of a model file the picture of one row of SAMPLES, whose shard is below `results`.

    Raises
    ------
    ModelError : the file holds another network, or none.
    """
    network, settings = load_classifier(model)
    if settings.model != "cnn1":
        raise ModelError(f"{model}: holds {settings.model}; figure 2.12 shows a CNN-1, such as CNN1_50")
    (picture,) = pictures(row, results, settings.size_px)
    layers = network.network.layers
    maps, seen = {}, (torch.from_numpy(picture).float()[None, None] - network.mean) / network.deviation
    with torch.inference_mode():
        for number, layer in enumerate(layers, start=1):
            seen = layer(seen)
            maps[number] = seen[0].numpy().copy()
        scores = seen.mean(dim=(2, 3)).softmax(dim=1)[0]
    return Features(
        variant=settings.variant,
        clip=row["clip"].iloc[0],
        emotion=row.label_name.iloc[0],
        picture=picture,
        kernels={number: layers[number - 1][0].weight.detach().numpy() for number in KERNELS},
        maps={number: maps[number] for number in MAPS},
        classes=settings.classes,
        scores=scores.numpy(),
    )


def filter_numbers(found: Features | None) -> pd.DataFrame:
    """Return NUMBERS, a row per filter of the layers whose maps are shown.

    weight : norm of the kernel, where it is shown, else NaN.   mean, largest : of the map.
    positive : share of its places above 0.
    """
    rows = []
    for layer, maps in found.maps.items() if found else ():
        kernels = found.kernels.get(layer)
        for number, one in enumerate(maps):
            weight = np.nan if kernels is None else np.linalg.norm(kernels[number])
            rows.append((layer, number + 1, weight, one.mean(), one.max(), (one > 0).mean()))
    return pd.DataFrame(rows, columns=NUMBERS)


def draw_features(figure: Figure, found: Features | None) -> None:
    """Draw the picture, the kernels of the first two layers, and maps on the way to the answer."""
    if found is None:
        draw_absent(figure.subplots(), title="CNN-1", reason="it could not be trained")
        return
    grid = figure.add_gridspec(3, 6, height_ratios=[2.25, 1.0, 1.8])
    _draw_picture(figure.add_subplot(grid[0, 0:2]), found)
    first, second = (found.kernels[layer] for layer in KERNELS)
    ax = figure.add_subplot(grid[0, 2:4])
    draw_tiles(ax, first[:, 0], n_columns=4, signed=True)
    ax.set_title(f"layer 1: {_size(first)}")
    ax = figure.add_subplot(grid[0, 4:6])
    draw_tiles(ax, second.reshape(-1, *second.shape[2:]), n_columns=second.shape[1], signed=True)
    ax.set_title(f"layer 2: {_size(second)}")
    ax.set_xlabel("map of layer 1", fontsize=7)
    ax.set_ylabel("filter", fontsize=7)
    for place, layer in zip((grid[1, 0:3], grid[1, 3:6], grid[2, 0:3], grid[2, 3:6]), MAPS, strict=True):
        maps = found.maps[layer]
        signed = bool((maps < 0).any())
        ax = figure.add_subplot(place)
        draw_tiles(ax, maps, n_columns=_COLUMNS[layer], signed=signed)
        note = "" if signed else ", after the ReLU"
        ax.set_title(f"layer {layer}: {len(maps)} maps of {maps.shape[1]} × {maps.shape[2]}{note}")


def draw_tiles(ax: Axes, tiles: Sequence[np.ndarray], *, n_columns: int, signed: bool) -> None:
    """Draw tiles (N, h, w) in rows as one image with one scale of colours.

    signed : red above 0, blue below, else dark at 0 and light at the largest value.
    """
    n_rows, (height, width) = -(-len(tiles) // n_columns), tiles[0].shape
    gap = max(1, round(0.06 * width))
    sheet = np.full((n_rows * (height + gap) - gap, n_columns * (width + gap) - gap), np.nan)
    for number, tile in enumerate(tiles):
        y, x = (number // n_columns) * (height + gap), (number % n_columns) * (width + gap)
        sheet[y : y + height, x : x + width] = tile
    limit = np.quantile(np.abs(tiles), 0.995) or 1.0  # one bright place does not darken all others
    colours = {"cmap": "RdBu_r", "vmin": -limit} if signed else {"cmap": "magma", "vmin": 0.0}
    ax.imshow(sheet, vmax=limit, interpolation="nearest", **colours)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_picture(ax: Axes, found: Features) -> None:
    ax.imshow(found.picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    best = int(found.scores.argmax())
    ax.set_title(f"{found.variant}: a test picture")
    ax.set_xlabel(f"{found.emotion}, taken for {found.classes[best]} ({found.scores[best]:.0%})", fontsize=8)


def _size(kernels: np.ndarray) -> str:
    filters, channels, height, width = kernels.shape
    number = f"{filters} × {channels}" if channels > 1 else f"{filters}"
    return f"{number} kernels of {height} × {width}"
