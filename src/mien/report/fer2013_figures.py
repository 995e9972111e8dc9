"""Draw the figures 4.9 to 4.13: what is learnt about faces and emotions, hard pictures, class sizes, copies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mien.augment.aug_b import DIFFER
from mien.report.fer2013_copies import Balanced, first_copies, pixels
from mien.report.fer2013_pictures import APART, Gallery
from mien.report.picture_grids import draw_grid

OWN, COPIED, ASIDE, DOUBT = "#1f6fb4", "#f0a860", "#9aa5b1", "#c8321c"
_BLANK = 255  # grey level of a cell where nobody is
N_COLUMNS = 8  # of figure 4.11
PANELS = {"training": "training", "validation": "public test (validation)", "test": "private test"}
_BAND = "#cfe3d2"


def draw_people(figure: Figure, gallery: Gallery, chosen: pd.DataFrame, *, n_pictures: int) -> None:
    """Draw a row per person of `choose_people` (figure 4.9)."""
    names = list(dict.fromkeys(chosen.actor))
    grey = {name: gallery.grey(chosen["clip"][chosen.actor == name].tolist()) for name in names}
    cells = [_padded(list(pictures), n_pictures) for pictures in grey.values()]
    draw_grid(figure.subplots(), cells, rows=names, columns=[""] * n_pictures)


def draw_corpora(figure: Figure, found: Sequence[tuple[Gallery, pd.DataFrame]], emotions: Sequence[str]) -> None:
    """Draw a block per corpus with a column per emotion, from clips of `choose_emotions` (figure 4.10)."""
    heights = [chosen.groupby("emotion").size().max() for _, chosen in found]
    axes = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (gallery, chosen), n_rows in zip(axes, found, heights, strict=True):
        pictures = dict(zip(chosen["clip"], gallery.grey(chosen["clip"].tolist()), strict=True))
        columns = [[pictures[clip] for clip in chosen["clip"][chosen.emotion == name]] for name in emotions]
        size = len(next(iter(pictures.values())))
        cells = list(zip(*(_padded(column, n_rows, size=size) for column in columns), strict=True))
        draw_grid(ax, cells, rows=[""] * n_rows, columns=emotions if ax is axes[0] else [""] * len(emotions))
        ax.set_ylabel(gallery.corpus, fontsize=9, fontweight="bold")


def draw_hardest(figure: Figure, gallery: Gallery, blocks: dict[str, pd.DataFrame], *, titles: dict[str, str]) -> None:
    """Draw blocks of `choose_hardest`: label and prediction above, loss below; doubtful labels framed (figure 4.11)."""
    figure.get_layout_engine().set(h_pad=0.03, w_pad=0.03, hspace=0.0, wspace=0.0)
    n_rows = {name: -(-len(rows) // N_COLUMNS) for name, rows in blocks.items()}
    heights = [n + (0.15 if name in PANELS else 0.24) for name, n in n_rows.items()]  # title, and two lines more below
    parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)
    for part, (name, rows) in zip(parts[:, 0], blocks.items(), strict=True):
        part.suptitle(titles[name], fontsize=9, fontweight="bold", x=0.005, ha="left")
        axes = part.subplots(n_rows[name], N_COLUMNS, squeeze=False).ravel()
        for ax, picture, row in zip(axes, gallery.grey(rows["clip"].tolist()), rows.itertuples(), strict=False):
            _draw_hard(ax, picture, row, ranked=name not in PANELS)
        for ax in axes[len(rows) :]:
            ax.set_axis_off()


def class_sizes(gallery: Gallery, found: Balanced) -> pd.DataFrame:
    """Return role, label, pictures, copies and apart (not used: an identical twin in training) by class.

    The clips apart are counted with the role of their group.
    """
    clips = gallery.clips[gallery.clips.label >= 0]
    used = clips[clips.role != APART]
    role_of = dict(zip(used.group, used.role, strict=True))
    role = clips.role.where(clips.role != APART, clips.group.map(role_of))
    n = len(gallery.classes)
    rows = []
    for name in PANELS:
        mine = clips[role == name]
        apart = mine.role == APART
        sizes = {"pictures": np.bincount(mine.label[~apart], minlength=n)}
        sizes["copies"] = found.n_copies(n) if name == "training" else np.zeros(n, int)
        sizes["apart"] = np.bincount(mine.label[apart], minlength=n)
        rows.append(pd.DataFrame({"role": name, "label": gallery.classes, **sizes}))
    return pd.concat(rows, ignore_index=True)


def draw_sizes(figure: Figure, sizes: pd.DataFrame) -> None:
    """Draw the classes of each part of the corpus; those of training before and after AUG-B (figure 4.12)."""
    axes = figure.subplot_mosaic([["training"] * 2, ["validation", "test"]], height_ratios=[1.35, 1.0])
    tested = sizes[sizes.role != "training"]
    highest = (tested.pictures + tested["apart"]).max()
    for role, title in PANELS.items():
        mine = sizes[sizes.role == role]
        _draw_bars(axes[role], mine)
        n_pictures = f"{mine.pictures.sum() + mine['apart'].sum():,}".replace(",", "\N{THIN SPACE}")
        axes[role].set_title(f"{title}: {n_pictures} pictures", loc="left")
        if role != "training":
            axes[role].set_ylim(0, 1.2 * max(1, highest))
            axes[role].tick_params(axis="x", labelsize=6.8)
    most = sizes[sizes.role == "training"].pictures.max()
    axes["training"].axhspan((1 - DIFFER) * most, most, color=_BAND, linewidth=0, zorder=0)
    handles = [
        Patch(color=OWN, label="pictures"),
        Patch(color=COPIED, label="copies by AUG-B"),
        Patch(color=_BAND, label=f"largest class and {DIFFER:.0%} below it"),
    ]
    if sizes["apart"].any():
        handles.append(Patch(color=ASIDE, label="with a twin in training, judged apart"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)


def draw_copies(figure: Figure, gallery: Gallery, found: Balanced, sizes: pd.DataFrame, *, n: int) -> None:
    """Draw `n` pairs of a picture and its copy per class (figure 4.13)."""
    numbers = [first_copies(found, label, n=n) for label in range(len(gallery.classes))]
    training = sizes[sizes.role == "training"].set_index("label")
    rows, pairs = [], []  # of every class with copies: its name, n pairs
    for name, mine in zip(gallery.classes, numbers, strict=True):
        if len(mine):
            rows.append(f"{name}\n{training.pictures[name]} + {training.copies[name]}")
            after, before = (_padded(list(side), n) for side in pixels(found, gallery, mine))
            pairs.append(list(zip(before, after, strict=True)))
    for k, ax in enumerate(figure.subplots(1, n, squeeze=False)[0]):
        cells = [mine[k] for mine in pairs]
        draw_grid(ax, cells, rows=rows if k == 0 else [""] * len(rows), columns=["picture", "copy"])


def _draw_hard(ax: Axes, picture: np.ndarray, row, *, ranked: bool) -> None:
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{row.label}\n→ {row.predicted}", fontsize=7.5, fontweight="normal", pad=3)
    below = [
        f"loss {row.loss:.2f}",
        *([f"rank {row.rank}, {row.role}"] if ranked else []),
        *([row.doubt] if row.doubt else []),
    ]
    ax.set_xlabel("\n".join(below), fontsize=7, labelpad=2, color=DOUBT if row.doubt else "black")
    for spine in ax.spines.values():
        spine.set(visible=bool(row.doubt), color=DOUBT, linewidth=2.5)


def _draw_bars(ax: Axes, sizes: pd.DataFrame) -> None:
    below = np.zeros(len(sizes), int)
    for column, colour in (("pictures", OWN), ("copies", COPIED), ("apart", ASIDE)):
        ax.bar(sizes.label, sizes[column], bottom=below, color=colour, width=0.72)
        below = below + sizes[column].to_numpy()
    for place, row in enumerate(sizes.itertuples()):
        extra = row.copies + row.apart
        ax.annotate(
            f"{row.pictures}" + (f"+{extra}" if extra else ""),
            (place, below[place]),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
        )
    ax.set_ylabel("pictures")
    ax.set_ylim(0, 1.18 * max(1, below.max()))
    ax.tick_params(axis="x", length=0)


def _padded(pictures: list[np.ndarray], n: int, *, size: int = 0) -> list[np.ndarray]:
    """Return `n` cells: the pictures, then white ones."""
    size = size or len(pictures[0])
    return [*pictures, *[np.full((size, size), _BLANK, np.uint8)] * (n - len(pictures))]
