"""What networks are shown: samples of a corpus, training and test pictures, AUG-A, subspaces, and a CNN-1's maps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from scipy import signal
from torch import Tensor

from mien.augment import aug_a
from mien.classical.samples import FACE4, pictures, read_samples
from mien.classical.subspaces import subspace_pictures
from mien.config.schema import AugmentConfig, CrossConfig, SoundConfig, load, section
from mien.errors import ModelError, TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.randomness import seed_for
from mien.io.shards import FULL_SCALE, FaceShard, SoundShard, read_faces, read_sound
from mien.models import checkpoint
from mien.report.style import (
    ABSENT,
    GAP_PX,
    GREY,
    corpus_title,
    draw_absent,
    draw_grid,
    draw_picture,
    hide_frame,
    saved_figure,
    spread,
    title_line,
    write_numbers,
)

log = logging.getLogger(__name__)

EMOTION = "surprise"  # of the picture that a CNN-1 is shown: the mouth and the brows have most to see
NETWORK_PX = 75  # side of the pictures that the CNN-1 and CNN-2 of table 4.1 see
SUBSPACE_PX = 50  # side of those that the subspaces are made of
N_PEOPLE, N_DRAWS, N_VERSIONS, N_EIGENFACES = 5, 7, 12, 8
Cells = Sequence[Sequence[np.ndarray | None]]  # rows of pictures (S, S) uint8


def choose_training(table: pd.DataFrame, n_people: int) -> pd.DataFrame:
    """Return a picture with a face per emotion and column for `n_people` columns, with a column `column`, 1 and on.

    Rows of SAMPLES. A column is a different person in every row: the people of an emotion are spread evenly over
    their names. Of a person the last clip by name is taken, of the neutral ones the first.

    Raises
    ------
    TableError : no training picture of an emotion has a face.
    """
    rows = table[(table.role == "training") & (table["row"] >= 0)].sort_values("clip")
    chosen = []
    for emotion in FACE4:
        mine = rows[rows.label_name == emotion].drop_duplicates(
            "person", keep="first" if emotion == "neutral" else "last"
        )
        if mine.empty:
            raise TableError(f"samples.parquet: no training picture of {emotion} has a face; run select_samples again")
        mine = mine.sort_values("person")
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
    n_faces = (rows["row"] >= 0).groupby(rows.person).sum()
    person = min(n_faces.index, key=lambda name: (-n_faces[name], name))
    mine = rows[rows.person == person].sort_values("clip").drop_duplicates(["label_name", "angle"])
    return mine.assign(column=mine.angle.map("{}°".format)).sort_values(["angle", "clip"])


def most_lopsided(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Return the picture (S, S) that differs most from its mirror image, so that mirroring shows."""
    return max(pictures.values(), key=lambda picture: float(np.abs(picture - picture[:, ::-1].astype(float)).mean()))


TRIES = 100  # draws of the mirror row, until it has a flipped picture and a kept one


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
    for name, operation in operations.items():
        found[name] = _as_grey(operation(frames, config, factors(operation)))
    return found


def all_operations(picture: np.ndarray, config: AugmentConfig, *, n_draws: int, seed: int, clip: str) -> np.ndarray:
    """Return `n_draws` versions (n_draws, S, S) uint8 of a picture (S, S) uint8 under AUG-A, each in its own order."""
    generator = _generator(seed, clip)
    frames = _as_frames(picture, n_draws)  # the order of the operations is drawn once per batch: a batch per version
    versions = [aug_a.augment(frames[k : k + 1], config, mode="frame", generator=generator)[0] for k in range(n_draws)]
    return np.concatenate([_as_grey(version) for version in versions])


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(seed, "plot_pictures", name))


def _as_frames(picture: np.ndarray, n: int) -> Tensor:
    """Return (n, 1, 1, S, S) float: the picture as AUG-A takes it."""
    return torch.from_numpy(picture).float().expand(n, 1, 1, *picture.shape).clone()


def _as_grey(pictures: Tensor) -> np.ndarray:
    """Return (N, S, S) uint8 of pictures (N, 1, S, S) float."""
    return pictures[:, 0].round().clamp(0, 255).byte().numpy()


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
    ax, best = figure.add_subplot(grid[0, 0:2]), int(found.scores.argmax())
    draw_picture(ax, found.picture)
    ax.set_title(f"{found.variant}: a test picture")
    ax.set_xlabel(f"{found.emotion}, taken for {found.classes[best]} ({found.scores[best]:.0%})", fontsize=8)
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
    hide_frame(ax)


def _size(kernels: np.ndarray) -> str:
    filters, channels, height, width = kernels.shape
    number = f"{filters} × {channels}" if channels > 1 else f"{filters}"
    return f"{number} kernels of {height} × {width}"


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
    left, right = figure.subplots(1, 2, width_ratios=[training.column.nunique(), test.column.nunique()])
    draw_grid(left, _cells(training, pictures), rows=FACE4, columns=[" \n \n "] * training.column.nunique())
    left.set_title("training, a row shows different people")
    notes = {True: "\n \n ", False: "\nnot in the\nheadline"}
    headings = {row.column: row.column + notes[row.angle in angles] for row in test.itertuples()}
    draw_grid(right, _cells(test, pictures), rows=[""] * len(FACE4), columns=list(headings.values()))
    right.set_title(f"test, {test.person.iloc[0]} from every camera")


def draw_versions(ax: Axes, first: Sequence[np.ndarray], versions: dict[str, np.ndarray]) -> None:
    """Draw a row per name: the picture before (S, S), framed, then what became of it (D, S, S); figures 4.7, 4.8."""
    cells = [[before, *changed] for before, changed in zip(first, versions.values(), strict=True)]
    columns = ["before", "after"] + [""] * (len(cells[0]) - 2)
    draw_grid(ax, cells, rows=list(versions), columns=columns)
    size = len(first[0])
    for row in range(len(cells)):
        corner = (-0.5, row * (size + GAP_PX) - 0.5)
        ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=GREY, linewidth=1.5))


def axis_numbers(pictures: np.ndarray, labels: np.ndarray, axes: np.ndarray) -> pd.DataFrame:
    """Return what the axes (K, S, S) of unit norm tell of pictures (N, S, S) with labels (N,), a row per axis.

    Columns: axis, from 1; variance, the share of the variance of all pixels that lies along the axis; between, the
    share of the variance along the axis that lies between the means of the classes.
    """
    rows = pictures.reshape(len(pictures), -1) / 255.0
    rows = rows - rows.mean(axis=0)
    along = rows @ axes.reshape(len(axes), -1).T  # (N, K)
    variance = (along**2).mean(axis=0)
    means = np.stack([along[labels == label].mean(axis=0) for label in labels])  # (N, K)
    return pd.DataFrame(
        {
            "axis": np.arange(1, len(axes) + 1),
            "variance": variance / (rows**2).mean(axis=0).sum(),
            "between": (means**2).mean(axis=0) / variance,
        }
    )


def draw_subspaces(figure: Figure, mean: np.ndarray, kinds: dict[str, np.ndarray], numbers: pd.DataFrame) -> None:
    """Draw the mean face (S, S), and a row per kind with its axes (figure 3.1).

    kinds : name -> axes (K, S, S).   numbers : of `axis_numbers`, with the kind in an additional column.
    """
    grid = figure.subplots(len(kinds), 1 + max(map(len, kinds.values())), squeeze=False)
    for ax in grid.ravel():
        ax.set_axis_off()
    grid[0, 0].imshow(mean, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    grid[0, 0].set_title("mean", fontsize=8)
    for row, (name, axes) in enumerate(kinds.items()):
        mine = numbers[numbers.kind == name].to_dict("records")
        for ax, axis, facts in zip(grid[row, 1:], axes, mine, strict=False):
            limit = np.abs(axis).max()
            ax.imshow(axis, cmap="gray", vmin=-limit, vmax=limit, interpolation="bilinear")
            ax.set_title(f"{name} {facts['axis']}", fontsize=8)
            share = f"{facts['variance']:.1%}" if facts["variance"] >= 0.001 else "< 0.1%"
            text = f"{share} of variance,\n{facts['between']:.0%} of it\nbetween classes"
            ax.text(0.5, -0.04, text, transform=ax.transAxes, ha="center", va="top", fontsize=6.5)


def _cells(rows: pd.DataFrame, pictures: dict[str, np.ndarray]) -> Cells:
    """Return the pictures by emotion and column; None where there is none, or no face in it."""
    found = {(row.label_name, row.column): pictures[row.clip] for row in rows[rows["row"] >= 0].itertuples()}
    columns = list(dict.fromkeys(rows.column))
    return [[found.get((emotion, column)) for column in columns] for emotion in FACE4]


N_ROWS = 10  # classes shown
ORDINARY = ("", "normal", "LO", "XX")  # words of the corpora for weak, usual or unstated intensity
RANGE_DB = 70.0  # shown below the loudest cell of a spectrogram
ROW_IN, COLUMN_IN = 1.5, 1.15  # of the sheet, inches


@dataclass(frozen=True)
class Sample:
    """A cell of the sheet: face (S, S, 3) uint8 or None; level (F, K) dB re its maximum or None, `length_s` wide."""

    label_name: str
    column: str
    face: np.ndarray | None
    level: np.ndarray | None
    length_s: float


def choose_clips(clips: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    """Return the clips of the sheet with an additional column `column`: a row per class, a column per person.

    People and, where there are more than `N_ROWS`, classes are spread evenly over the corpus. Of several clips the one
    with most modalities comes first, then one that is not of ordinary intensity, then the first by name. People whom
    the corpus does not name are stood for by the part. Where the class is the person (speakers), a column is a take.
    """
    clips = clips[(clips.label >= 0) & (clips.has_video | clips.has_audio)]
    if clips.empty:
        raise TableError("no labelled clip with a picture or a sound: there is nothing to show")
    order = clips.assign(
        column=clips.actor.where(clips.actor != "", clips.part),
        modalities=-(clips.has_video.astype(int) + clips.has_audio),
        ordinary=clips.intensity.isin(ORDINARY),
    )
    order = order[order.label.isin(spread(sorted(order.label.unique()), N_ROWS))]
    order = order.sort_values(["label", "column", "modalities", "ordinary", "clip"])
    if order.label.nunique() > 1 and order.groupby("column").label.nunique().max() == 1:
        order["column"] = "take " + (order.groupby("label").cumcount() + 1).astype(str).str.zfill(2)
    order = order[order.column.isin(spread(sorted(order.column.unique()), n_columns))]
    return order.drop_duplicates(["label", "column"]).reset_index(drop=True)


def only_stored(clips: pd.DataFrame, faces: Path | None, sound: Path | None) -> pd.DataFrame:
    """Return `clips` with has_video and has_audio only where a shard holds a found face or an audible sound."""
    shown, heard = set(), set()
    for part in sorted(set(clips.part)):
        if faces is not None and (faces / part).is_dir():
            index = read_faces(faces / part).index
            shown |= set(index["clip"][index.found])
        if sound is not None and (sound / part).is_dir():
            index = read_sound(sound / part).index
            heard |= set(index["clip"][~index.silent])
    return clips.assign(has_video=clips["clip"].isin(shown), has_audio=clips["clip"].isin(heard))


def read_clips(chosen: pd.DataFrame, faces: Path | None, sound: Path | None, config: SoundConfig) -> list[Sample]:
    """Read the middle face and the sound of the chosen clips from the shards, as far as they have them."""
    samples = []
    for part, rows in chosen.groupby("part", sort=True):
        face_shard = read_faces(faces / part) if faces is not None and (faces / part).is_dir() else None
        sound_shard = read_sound(sound / part) if sound is not None and (sound / part).is_dir() else None
        for row in rows.itertuples():
            face = None if face_shard is None else middle_face(face_shard, row.clip)
            wave = None if sound_shard is None else wave_of(sound_shard, row.clip)
            level = None if wave is None else log_spectrogram(wave, config)
            length_s = 0.0 if wave is None else len(wave) / config.rate_hz
            samples.append(Sample(row.label_name, row.column, face, level, length_s))
    return samples


def middle_face(shard: FaceShard, clip: str) -> np.ndarray | None:
    """Return the region (S, S, 3) uint8 in the middle of the frames in which a face was found, or None."""
    rows = np.flatnonzero((shard.index["clip"] == clip) & shard.index.found)
    return np.array(shard.frames[rows[len(rows) // 2]]) if len(rows) else None


def wave_of(shard: SoundShard, clip: str) -> np.ndarray | None:
    """Return the samples (N,) -1..1 of a clip, or None where it has none or is silent."""
    rows = shard.index[shard.index["clip"] == clip]
    if rows.empty or rows.silent.iloc[0] or rows.n_samples.iloc[0] == 0:
        return None
    start = int(rows.start.iloc[0])
    return shard.wave[start : start + int(rows.n_samples.iloc[0])] / FULL_SCALE


def log_spectrogram(wave: np.ndarray, config: SoundConfig) -> np.ndarray:
    """Return (F, K) level in dB re its maximum, rows from 0 Hz to half the rate, with the networks' window and hop."""
    if len(wave) < config.window:
        wave = np.pad(wave, (0, config.window - len(wave)))
    *_, power = signal.spectrogram(
        wave, config.rate_hz, window="hann", nperseg=config.window, noverlap=config.window - config.hop
    )
    return level_db(power, tiny=np.finfo(power.dtype).tiny)


def level_db(power: np.ndarray, *, tiny: float) -> np.ndarray:
    """Return the level of powers in dB re their maximum, not below -RANGE_DB; `tiny` stands for no power."""
    power = np.maximum(power, tiny)
    return np.maximum(10 * np.log10(power / power.max()), -RANGE_DB)


def draw_level(
    ax: Axes, level: np.ndarray, extent: tuple[float, float, float, float], *, limits: tuple[float, float], **more: str
) -> AxesImage:
    """Draw a spectrogram (F, K) from `extent` (left, right, bottom, top), dark at the lower of the `limits`."""
    low, high = limits
    return ax.imshow(level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=high, **more)


def draw_samples(figure: Figure, samples: list[Sample], classes: list[str], *, rate_hz: int) -> None:
    """Draw a row per class and a column per person or take: the face, and below it the spectrogram of the same clip.

    A modality that no sample has takes no room; an empty cell is a clip without a face or without a voice.
    """
    columns = sorted({sample.column for sample in samples})
    kinds = [kind for kind in ("face", "level") if _has(samples, kind)]
    longest_s = max(sample.length_s for sample in samples)
    cells = {(sample.label_name, sample.column): sample for sample in samples}
    heights = [{"face": 2.0, "level": 1.0}[kind] for kind in kinds] * len(classes)
    axes = figure.subplots(len(heights), len(columns), squeeze=False, height_ratios=heights)
    for row, column in np.ndindex(axes.shape):
        ax, kind = axes[row, column], kinds[row % len(kinds)]
        sample = cells.get((classes[row // len(kinds)], columns[column]))
        _draw_cell(ax, sample, kind, longest_s)
        if row == 0:
            ax.set_title(columns[column], fontsize=8)
        if column == 0 and row % len(kinds) == 0:
            ax.set_ylabel(classes[row // len(kinds)], fontsize=9, fontweight="bold")
    if "level" in kinds:
        axes[-1, 0].set_xlabel(f"{longest_s:.1f} s wide, 0 to {rate_hz / 2000:g} kHz", fontsize=7)


def _draw_cell(ax, sample: Sample | None, kind: str, longest_s: float) -> None:
    hide_frame(ax)
    content = getattr(sample, kind, None)
    if content is None:
        ax.set_facecolor(ABSENT)
        if kind == "face":
            ax.set_box_aspect(1)
    elif kind == "face":
        ax.imshow(content, interpolation="nearest")
    else:
        draw_level(ax, content, (0, sample.length_s, 0, 1), limits=(-RANGE_DB, 0))
        ax.set_xlim(0, longest_s)


def _has(samples: list[Sample], kind: str) -> bool:
    return any(getattr(sample, kind) is not None for sample in samples)


def plot_samples(
    *,
    clips: Path,
    corpus_info: Path,
    out_png: Path,
    faces: Path | None = None,
    sound: Path | None = None,
    columns: int = 6,
    config: str = "params.yaml",
) -> None:
    """Draw a contact sheet of a corpus, as the networks see and hear it.

    Parameters
    ----------
    clips
        Table CLIPS of the corpus.
    corpus_info
        corpus.json of the corpus.
    out_png
        The sheet.
    faces
        Folder of the corpus's face shards.
    sound
        Folder of the corpus's sound shards.
    columns
        Columns of the sheet.
    config
        params.yaml, or its sections as JSON text.
    """
    settings, info = section(SoundConfig, load(config), "sound"), read_json(corpus_info)
    stored = only_stored(tables.read(clips, tables.CLIPS), faces, sound)
    if not (stored.has_video | stored.has_audio).any():
        raise TableError(f"{clips}: no shard holds a face or a sound of these clips; name --faces or --sound")
    samples = read_clips(choose_clips(stored, columns), faces, sound, settings)
    classes = [name for name in info["classes"] if name in {sample.label_name for sample in samples}]
    n_columns = len({sample.column for sample in samples})
    row_in = ROW_IN if _has(samples, "face") and _has(samples, "level") else 0.75 * ROW_IN
    size = (0.9 + COLUMN_IN * n_columns, 0.9 + row_in * len({sample.label_name for sample in samples}))
    with saved_figure(corpus_title("Samples", info), *size, out_png) as figure:
        figure.set_layout_engine("constrained", h_pad=0.015, w_pad=0.015, hspace=0.0, wspace=0.0)
        draw_samples(figure, samples, classes, rate_hz=settings.rate_hz)
    log.info("%s: %d clips", out_png, len(samples))


def plot_features(*, model: Path, samples: Path, results: Path, out_svg: Path, out_png: Path, out_csv: Path) -> None:
    """Draw what a CNN-1 has learnt: its kernels, and what they answer to a test picture (thesis, figure 2.12).

    Parameters
    ----------
    model
        model.safetensors of a CNN-1.
    samples
        Folder of select_samples.
    results
        Folder with faces/CORPUS.
    out_svg, out_png
        The figure.
    out_csv
        A row per filter of the layers shown.
    """
    chosen = read_samples(samples)
    synthetic = chosen.info["source"] == "synthetic"
    found = None if checkpoint.is_bare(model) else look(model, choose_picture(chosen.table, EMOTION), results)
    write_numbers(out_csv, filter_numbers(found), number="%.5f")
    title = title_line("Figure 2.12: what a CNN-1 has learnt", chosen.title, synthetic=synthetic)
    with saved_figure(title, 7.8, 6.9, out_svg, out_png) as figure:
        draw_features(figure, found)
    log.info("%s: %s", out_svg, "nothing was trained" if found is None else f"{found.variant}, {found.clip}")


def plot_pictures(*, samples: Path, results: Path, out: Path, config: str = "params.yaml") -> None:
    """Draw training and test pictures, AUG-A, and mean face and subspaces (thesis, figures 3.1, 4.6 to 4.8).

    Parameters
    ----------
    samples
        Folder of select_samples.
    results
        Folder with faces/CORPUS.
    out
        Folder; 3.1, 4.6, 4.7, 4.8 as .png, and 3.1.csv.
    config
        params.yaml, or its sections as JSON text.
    """
    params, chosen = load(config), read_samples(samples)
    synthetic = chosen.info["source"] == "synthetic"

    def title(text: str) -> str:
        return title_line(text, chosen.title, synthetic=synthetic)

    training, test = choose_training(chosen.table, N_PEOPLE), choose_test(chosen.table)
    seen: dict[str, np.ndarray] = {}
    for rows in (training, test):
        seen |= zip(rows["clip"], pictures(rows, results, NETWORK_PX), strict=True)
    with saved_figure(
        title("Figure 4.6: training and test pictures"), 10.0, 4.75, out / "4.6.png", square=True
    ) as figure:
        draw_sides(figure, training, test, pictures=seen, angles=section(CrossConfig, params, "cross").angles)

    augment, seed = section(AugmentConfig, params, "augment"), section(int, params, "seed")
    one = most_lopsided({clip: seen[clip] for clip in training["clip"]})
    alone = single_operations(one, augment, n_draws=N_DRAWS, seed=seed)
    with saved_figure(
        title("Figure 4.7: the operations of AUG-A, each alone"), 9.2, 6.15, out / "4.7.png", square=True
    ) as figure:
        draw_versions(figure.subplots(), [one] * len(alone), alone)
    first = training[training.column == "1"].set_index("label_name")["clip"]
    together = {
        name: all_operations(seen[clip], augment, n_draws=N_VERSIONS, seed=seed, clip=clip)
        for name, clip in first.items()
    }
    with saved_figure(title("Figure 4.8: all of AUG-A together"), 11.0, 3.75, out / "4.8.png", square=True) as figure:
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
    log.info("%s: 4 figures", out)
