"""What is learnt from: pictures, AUG-A, subspaces, a margin (3.1, 3.3, 4.6 to 4.8); and a CNN-1's maps (2.12)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from mien.augment import aug_a
from mien.candide.mesh import AU_CODES
from mien.classical.crammer_singer import solve
from mien.classical.samples import FACE4, has_features, pictures, read_samples, vectors
from mien.classical.subspaces import subspace_pictures
from mien.config.schema import AugmentConfig, CrossConfig, load, section
from mien.errors import ModelError, TableError
from mien.io.randomness import seed_for
from mien.models import checkpoint
from mien.report.figures.samples import apexes
from mien.report.style import (
    CLASS_COLOURS,
    GAP_PX,
    GREY,
    corpus_title,
    draw_absent,
    draw_grid,
    draw_picture,
    hide_frame,
    saved_figure,
    spread,
    tile,
    write_numbers,
)

log = logging.getLogger(__name__)

NETWORK_PX = 75  # side of the pictures that the CNN-1 and CNN-2 of table 4.1 see
SUBSPACE_PX = 50  # side of those that the subspaces are made of
N_PEOPLE, N_DRAWS, N_VERSIONS, N_EIGENFACES = 5, 7, 12, 8
TRIES = 100  # draws of the mirror row, until it has a flipped picture and a kept one
PARTED = ("smile", "surprise")  # of figure 3.3
EMOTION = "surprise"  # of the picture that a CNN-1 is shown: the mouth and the brows have most to see
KERNELS, MAPS = (1, 2), (1, 2, 4, 8)  # layers, from 1, whose kernels and whose maps are shown
NUMBERS = ["layer", "filter", "weight", "mean", "largest", "positive"]


def plot_pictures(*, samples: Path, results: Path, out: Path, config: str = "params.yaml") -> None:
    """Draw training and test pictures, AUG-A, subspaces and a margin (thesis, figures 3.1, 3.3, 4.6 to 4.8).

    Parameters
    ----------
    results
        Folder with faces/CORPUS.
    out
        Folder; 3.1, 3.3, 4.6, 4.7, 4.8 as .png, and 3.1.csv.
    """
    params, chosen = load(config), read_samples(samples)
    title = partial(corpus_title, info=chosen.info, corpus=chosen.title)
    training, test = choose_training(chosen.table, N_PEOPLE), choose_test(chosen.table)
    seen: dict[str, np.ndarray] = {}
    for rows in (training, test):
        seen |= zip(rows["clip"], pictures(rows, results, NETWORK_PX), strict=True)
    path, text = out / "4.6.png", title("Figure 4.6: training and test pictures")
    with saved_figure(text, 10.0, 4.75, path, square=True) as figure:
        draw_sides(figure, training, test, pictures=seen, angles=section(CrossConfig, params, "cross").angles)

    augment, seed = section(AugmentConfig, params, "augment"), section(int, params, "seed")
    # The picture that differs most from its mirror image, so that mirroring shows.
    lopsided = max(
        (seen[clip] for clip in training["clip"]), key=lambda one: np.abs(one - one[:, ::-1].astype(float)).mean()
    )
    alone = single_operations(lopsided, augment, n_draws=N_DRAWS, seed=seed)
    path, text = out / "4.7.png", title("Figure 4.7: the operations of AUG-A, each alone")
    with saved_figure(text, 9.2, 6.15, path, square=True) as figure:
        draw_versions(figure.subplots(), [lopsided] * len(alone), alone)
    first = training[training.column == "1"].set_index("label_name")["clip"]
    together = {
        name: all_operations(seen[clip], augment, n_draws=N_VERSIONS, seed=seed, clip=clip)
        for name, clip in first.items()
    }
    path, text = out / "4.8.png", title("Figure 4.8: all of AUG-A together")
    with saved_figure(text, 11.0, 3.75, path, square=True) as figure:
        draw_versions(figure.subplots(), [seen[clip] for clip in first], together)

    learnt = chosen.table[(chosen.table.role == "training") & (chosen.table["row"] >= 0)]
    shown, labels = pictures(learnt, results, SUBSPACE_PX), learnt.label.to_numpy()
    if len(set(labels)) < 2 or len(shown) < 2 * len(set(labels)):
        raise TableError(
            f"samples.parquet: {len(shown)} training pictures of {len(set(labels))} emotions have a face, too few"
            " for subspaces; raise corpora.<corpus>.actors in params.yaml"
        )
    found = subspace_pictures(shown, labels)
    kinds = {"eigenface": found["eigenfaces"], "fisherface": found["fisherfaces"]}
    numbers = pd.concat([axis_numbers(shown, labels, axes).assign(kind=kind) for kind, axes in kinds.items()])
    write_numbers(out / "3.1.csv", numbers[["kind", "axis", "variance", "between"]], number="%.6f")
    text = title(f"Figure 3.1: eigenfaces and fisherfaces of {len(shown)} training pictures")
    with saved_figure(text, 10.2, 3.9, out / "3.1.png") as figure:
        draw_subspaces(figure, found["mean"][0], {kind: axes[:N_EIGENFACES] for kind, axes in kinds.items()}, numbers)
    with saved_figure(title("Figure 3.3: margin of an SVM"), 5.2, 4.2, out / "3.3.png") as figure:
        draw_margin(figure.subplots(), chosen.table)
    log.info("%s: 5 figures", out)


def choose_training(table: pd.DataFrame, n_people: int) -> pd.DataFrame:
    """Return a picture with a face per emotion and column for `n_people` columns, with a column `column`, "1" and on.

    Rows of SAMPLES. A column is a different person in every row: the people of an emotion are spread evenly over
    their names. Which picture of a person: see `apexes`.

    Raises
    ------
    TableError : no training picture of an emotion has a face.
    """
    rows = apexes(table[(table.role == "training") & (table["row"] >= 0)], "person").sort_values("person")
    chosen = []
    for emotion in FACE4:
        mine = rows[rows.label_name == emotion]
        if mine.empty:
            raise TableError(f"samples.parquet: no training picture of {emotion} has a face; run select_samples again")
        mine = mine.iloc[spread(range(len(mine)), n_people)]
        chosen.append(mine.assign(column=[str(k + 1) for k in range(len(mine))]))
    return pd.concat(chosen)


def choose_test(table: pd.DataFrame) -> pd.DataFrame:
    """Return a picture per emotion and camera of one tested person, with a column `column`, the camera's angle.

    The person with most faces among its pictures, then the first by name; gaze to the front. Pictures without a face
    stay, with row -1.

    Raises
    ------
    TableError : there is no tested picture.
    """
    rows = table[(table.role != "training") & table.gaze.isin(["", "frontal"])]
    if rows.empty:
        raise TableError("samples.parquet: nothing is to be tested; look at cross.test and run select_samples again")
    person = (rows["row"] >= 0).groupby(rows.person).sum().idxmax()
    mine = rows[rows.person == person].sort_values("clip").drop_duplicates(["label_name", "angle"])
    return mine.assign(column=mine.angle.map("{}°".format)).sort_values(["angle", "clip"])


def draw_sides(
    figure: Figure,
    training: pd.DataFrame,
    test: pd.DataFrame,
    *,
    pictures: dict[str, np.ndarray],
    angles: Sequence[int],
) -> None:
    """Draw training pictures left and test pictures by camera right, a row per emotion (figure 4.6).

    pictures : clip -> (S, S) uint8.   angles : the cameras that count.
    """
    notes = {True: "\n \n ", False: "\nnot in the\nheadline"}
    people = dict.fromkeys(training.column, " \n \n ")
    cameras = {row.column: row.column + notes[row.angle in angles] for row in test.itertuples()}
    axes = figure.subplots(1, 2, width_ratios=[len(people), len(cameras)])
    for ax, table, names, rows in zip(axes, (training, test), (people, cameras), (FACE4, [""] * 4), strict=True):
        cells: dict = {(row, column): None for row in range(len(FACE4)) for column in range(len(names))}
        for one in table[table["row"] >= 0].itertuples():
            cells[FACE4.index(one.label_name), list(names).index(one.column)] = pictures[one.clip]
        draw_grid(ax, cells, rows=rows, columns=list(names.values()))
    axes[0].set_title("training, a row shows different people")
    axes[1].set_title(f"test, {test.person.iloc[0]} from every camera")


def draw_versions(ax: Axes, first: Sequence[np.ndarray], versions: dict[str, np.ndarray]) -> None:
    """Draw a row per name: the picture before (S, S), framed, then what became of it (D, S, S); figures 4.7, 4.8."""
    lines = [(before, *changed) for before, changed in zip(first, versions.values(), strict=True)]
    cells = {(row, column): picture for row, line in enumerate(lines) for column, picture in enumerate(line)}
    draw_grid(ax, cells, rows=list(versions), columns=["before", "after"] + [""] * (len(lines[0]) - 2))
    size = len(first[0])
    for row in range(len(lines)):
        corner = (-0.5, row * (size + GAP_PX) - 0.5)
        ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=GREY, linewidth=1.5))


def single_operations(picture: np.ndarray, config: AugmentConfig, *, n_draws: int, seed: int) -> dict[str, np.ndarray]:
    """Return what each operation of AUG-A makes of a picture (S, S) uint8: text -> (n_draws, S, S) uint8.

    Mirroring is drawn again until a picture is flipped and another kept, where it can be; the text says which.
    """
    (low, high), (small, large) = config.contrast, config.scale
    operations = {
        f"crop\nup to {config.crop:.0%} of a side": aug_a.crop,
        f"blur\n{config.blur:.0%}, up to {config.blur_sigma:g} px": aug_a.blur,
        f"contrast\ntimes {low:g} to {high:g}": aug_a.contrast,
        f"noise\nsd {config.noise:g} grey levels": aug_a.noise,
        f"scale {small:g} to {large:g},\nshift up to {config.translate:.0%},\n"
        f"turn {config.rotate:g}°, shear {config.shear:g}°": aug_a.warp,
    }
    frames = _as_frames(picture, n_draws)[:, 0]

    def factors(operation: Callable) -> aug_a.Factors:
        return aug_a.Factors(n_draws, 1, mode="frame", generator=_generator(seed, operation.__name__))

    drawn = factors(aug_a.mirror)
    for _ in range(TRIES):
        mirrored = aug_a.mirror(frames, config, drawn)
        flipped = (mirrored != frames).flatten(1).any(dim=1)
        if flipped.any() and not flipped.all():
            break
    which = ", ".join(str(k + 1) for k in flipped.nonzero().flatten().tolist()) or "none"
    found = {f"mirror\n{config.mirror:.0%} of pictures,\nhere {which}": _as_grey(mirrored)}
    return found | {name: _as_grey(change(frames, config, factors(change))) for name, change in operations.items()}


def all_operations(picture: np.ndarray, config: AugmentConfig, *, n_draws: int, seed: int, clip: str) -> np.ndarray:
    """Return `n_draws` versions (n_draws, S, S) uint8 of a picture (S, S) uint8 under AUG-A, each in its own order."""
    generator = _generator(seed, clip)
    frames = _as_frames(picture, n_draws)  # the order of the operations is drawn once per batch: a batch per version
    versions = [aug_a.augment(one, config, mode="frame", generator=generator)[0] for one in frames.split(1)]
    return np.concatenate([_as_grey(version) for version in versions])


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(seed, "plot_pictures", name))


def _as_frames(picture: np.ndarray, n: int) -> Tensor:
    """Return (n, 1, 1, S, S) float: the picture as AUG-A takes it."""
    return torch.from_numpy(picture).float().expand(n, 1, 1, *picture.shape).clone()


def _as_grey(pictures: Tensor) -> np.ndarray:
    """Return (N, S, S) uint8 of pictures (N, 1, S, S) float."""
    return pictures[:, 0].round().clamp(0, 255).byte().numpy()


def axis_numbers(pictures: np.ndarray, labels: np.ndarray, axes: np.ndarray) -> pd.DataFrame:
    """Return what the axes (K, S, S) of unit norm tell of pictures (N, S, S) with labels (N,), a row per axis.

    Columns: axis, from 1; variance, the share of the variance of all pixels that lies along the axis; between, the
    share of the variance along the axis that lies between the means of the classes.
    """
    rows = pictures.reshape(len(pictures), -1) / 255.0
    rows = rows - rows.mean(axis=0)
    along = pd.DataFrame(rows @ axes.reshape(len(axes), -1).T)  # (N, K)
    variance = along.var(ddof=0)
    between = along.groupby(labels).transform("mean").var(ddof=0) / variance
    share = variance / rows.var(axis=0).sum()
    return pd.DataFrame({"axis": np.arange(1, len(axes) + 1), "variance": share, "between": between})


def draw_subspaces(figure: Figure, mean: np.ndarray, kinds: dict[str, np.ndarray], numbers: pd.DataFrame) -> None:
    """Draw the mean face (S, S), and a row per kind with its axes (figure 3.1).

    kinds : name -> axes (K, S, S).   numbers : of `axis_numbers`, with the kind in an additional column.
    """
    grid = figure.subplots(len(kinds), 1 + max(map(len, kinds.values())), squeeze=False)
    for ax in grid.ravel():
        ax.set_axis_off()
    grid[0, 0].imshow(mean, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    grid[0, 0].set_title("mean", fontsize=8)
    for line, (name, axes) in zip(grid, kinds.items(), strict=True):
        for ax, axis, facts in zip(line[1:], axes, numbers[numbers.kind == name].itertuples(), strict=False):
            limit = np.abs(axis).max()
            ax.imshow(axis, cmap="gray", vmin=-limit, vmax=limit, interpolation="bilinear")
            ax.set_title(f"{name} {facts.axis}", fontsize=8)
            share = f"{facts.variance:.1%}" if facts.variance >= 0.001 else "< 0.1%"
            text = f"{share} of variance,\n{facts.between:.0%} of it\nbetween classes"
            ax.text(0.5, -0.04, text, transform=ax.transAxes, ha="center", va="top", fontsize=6.5)


def draw_margin(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the machine that parts two emotions of the training pictures by two action units (figure 3.3).

    The units are those whose means differ most, relative to their spread; `table`: rows of SAMPLES.
    """
    rows = table[(table.role == "training") & table.label_name.isin(PARTED) & has_features(table, "AU8")]
    labels, units = (rows.label_name == PARTED[1]).to_numpy(int), vectors(rows, "AU8")
    if len(set(labels)) < 2:
        draw_absent(ax, reason=f"no fitted pictures of {' and '.join(PARTED)}")
        return
    apart = np.abs(units[labels == 1].mean(0) - units[labels == 0].mean(0)) / (units.std(0) + 1e-9)
    pair = np.sort(np.argsort(-apart, kind="stable")[:2])
    weights, bias = find_plane(units[:, pair], labels)
    reached = units[:, pair] @ weights + bias  # at least 1 beyond the margin of the one, at most -1 of the other
    for label, name in enumerate(PARTED):
        ax.scatter(*units[labels == label][:, pair].T, s=14, color=CLASS_COLOURS[name], label=name, alpha=0.7)
    held = (2 * labels - 1) * reached <= 1 + 1e-3
    ax.scatter(*units[held][:, pair].T, s=48, facecolors="none", edgecolors="black", linewidths=0.8, label="support")
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    grid = np.meshgrid(np.linspace(left, right, 60), np.linspace(low, high, 60))
    height = weights[0] * grid[0] + weights[1] * grid[1] + bias
    ax.contour(*grid, height, levels=[-1, 0, 1], colors=GREY, linestyles=["--", "-", "--"], linewidths=1.2)
    ax.set(xlabel=AU_CODES[pair[0]], ylabel=AU_CODES[pair[1]])
    ax.set_title("solid: decision boundary; dashed: margin", loc="left", fontsize=8)
    ax.legend(loc="best")


def find_plane(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (2,) and a number, w and b: w . x + b is 1 and -1 at the margins of classes 1 and 0 of points (N, 2).

    The machine of table 4.1 with C = 1, on standardised points.
    """
    mean, spread = points.mean(0), points.std(0) + 1e-9
    plane = solve((points - mean) / spread, labels, cost=1.0, n_classes=2)
    weights = (plane.weights[:, 1] - plane.weights[:, 0]) / spread
    return weights, float(plane.bias[1] - plane.bias[0] - weights @ mean)


def plot_features(*, model: Path, samples: Path, results: Path, out_svg: Path, out_png: Path, out_csv: Path) -> None:
    """Draw what a CNN-1 has learnt: its kernels, and what they answer to a test picture (thesis, figure 2.12).

    Parameters
    ----------
    model
        model.safetensors of a CNN-1.
    results
        Folder with faces/CORPUS.
    out_csv
        A row per filter of the layers shown.
    """
    chosen = read_samples(samples)
    found = None if checkpoint.is_bare(model) else look(model, choose_picture(chosen.table, EMOTION), results)
    write_numbers(out_csv, filter_numbers(found), number="%.5f")
    title = corpus_title("Figure 2.12: what a CNN-1 has learnt", chosen.info, corpus=chosen.title)
    with saved_figure(title, 7.8, 6.9, out_svg, out_png) as figure:
        if found is None:
            draw_absent(figure.subplots(), title="CNN-1", reason="it could not be trained")
        else:
            draw_features(figure, found)
    log.info("%s: %s", out_svg, "nothing was trained" if found is None else f"{found.variant}, {found.clip}")


@dataclass(frozen=True, eq=False)
class Features:
    """A network and its answer to one picture.

    picture : (S, S) uint8.   kernels : layer -> weights (filters, channels, k, k).
    maps : layer -> (filters, h, w), after batch norm and, where the layer is strided, the ReLU.
    scores : class -> probability.   layers are numbered from 1.
    """

    variant: str
    clip: str
    emotion: str
    picture: np.ndarray
    kernels: dict[int, np.ndarray]
    maps: dict[int, np.ndarray]
    scores: pd.Series


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
    network, settings = checkpoint.load(model, kind="classifier")
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
        scores=pd.Series(scores.numpy(), index=settings.classes),
    )


def filter_numbers(found: Features | None) -> pd.DataFrame:
    """Return NUMBERS, a row per filter of the layers whose maps are shown.

    weight : norm of the kernel, where it is shown, else NaN.   mean, largest : of the map.
    positive : share of its places above 0.
    """
    rows = []
    for layer, maps in found.maps.items() if found else ():
        kernels = found.kernels.get(layer, np.full(len(maps), np.nan))
        for number, (one, kernel) in enumerate(zip(maps, kernels, strict=True), start=1):
            rows.append((layer, number, np.linalg.norm(kernel), one.mean(), one.max(), (one > 0).mean()))
    return pd.DataFrame(rows, columns=NUMBERS)


def draw_features(figure: Figure, found: Features) -> None:
    """Draw the picture, the kernels of the first two layers, and maps on the way to the answer."""
    places = [["picture"] * 2 + ["first"] * 2 + ["second"] * 2, [1] * 3 + [2] * 3, [4] * 3 + [8] * 3]
    axes = figure.subplot_mosaic(places, height_ratios=[2.25, 1.0, 1.8])
    draw_picture(axes["picture"], found.picture)
    axes["picture"].set_title(f"{found.variant}: a test picture")
    taken = f"{found.emotion}, taken for {found.scores.idxmax()} ({found.scores.max():.0%})"
    axes["picture"].set_xlabel(taken, fontsize=8)
    for name, (layer, kernels) in zip(("first", "second"), found.kernels.items(), strict=True):
        filters, channels, height, width = kernels.shape
        draw_tiles(axes[name], kernels.reshape(-1, height, width), n_columns=4 if channels == 1 else channels)
        number = filters if channels == 1 else f"{filters} × {channels}"
        axes[name].set_title(f"layer {layer}: {number} kernels of {height} × {width}")
    axes["second"].set_xlabel("map of layer 1", fontsize=7)
    axes["second"].set_ylabel("filter", fontsize=7)
    for layer, maps in found.maps.items():
        draw_tiles(axes[layer], maps, n_columns=16 if layer == max(MAPS) else 8)
        note = "" if (maps < 0).any() else ", after the ReLU"
        axes[layer].set_title(f"layer {layer}: {len(maps)} maps of {maps.shape[1]} × {maps.shape[2]}{note}")


def draw_tiles(ax: Axes, tiles: np.ndarray, *, n_columns: int) -> None:
    """Draw tiles (N, h, w) in rows as one image with one scale of colours.

    With numbers below 0: red above, blue below it; else dark at 0 and light at the largest value.
    """
    limit = np.quantile(np.abs(tiles), 0.995) or 1.0  # one bright place does not darken all others
    colours = {"cmap": "RdBu_r", "vmin": -limit} if (tiles < 0).any() else {"cmap": "magma", "vmin": 0.0}
    sheet = tile(tiles, n_columns, gap=max(1, round(0.06 * tiles.shape[2])), fill=np.nan)
    ax.imshow(sheet, vmax=limit, interpolation="nearest", **colours)
    hide_frame(ax)
