"""What is learnt about faces, and the pictures of FER2013: samples, hard ones, class sizes, copies (figures 4.9-4.13).

The copies are those by which AUG-B balances the training pictures that a row of ``pretrain`` really sees. The pictures
that a trained network finds hardest show where the labels of FER2013 may be wrong.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch.nn import functional

from mien.augment.aug_b import BALANCING, DIFFER, DRAWS, Copies, balance, change, no_copies
from mien.errors import TableError
from mien.evaluation.runs import Run, read_run
from mien.io import shards, tables
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.style import (
    draw_absent,
    draw_grid,
    draw_picture,
    saved_figure,
    spread,
    svg_png,
    title_line,
    write_numbers,
)

log = logging.getLogger(__name__)

FIGURES = ("4.9", "4.10", "4.11", "4.12", "4.13")
N_PEOPLE, N_OF_A_PERSON = 6, 8  # figure 4.9
N_OF_FER2013, N_OF_OTHERS = 4, 2  # rows of figure 4.10
N_COLUMNS = 8  # of figure 4.11
N_HARDEST, N_DOUBTFUL = {"training": 16, "validation": 8}, 8
N_PAIRS = 4  # per class in figure 4.13
PANELS = {"training": "training", "validation": "public test (validation)", "test": "private test"}
OWN, COPIED, ASIDE, DOUBT = "#1f6fb4", "#f0a860", "#9aa5b1", "#c8321c"
_BAND = "#cfe3d2"
_BLANK = 255  # grey level of a cell where nobody is
FOLD = 0  # the official division
APART = "apart"  # role of clips with an identical twin on another side of the division
ALIASES = {"anger": "angry", "sadness": "sad"}  # words of other corpora for emotions of FER2013


@dataclass(frozen=True, eq=False)
class Gallery:
    """The clips of a corpus that have a face.

    clips : rows of CLIPS in the order of their names, with the columns row, of the middle one of the frames with a
        face in the shard `part`, and role (training, validation, test, apart or empty).
    classes : names in the order of labels.   synthetic : the people are none.
    """

    corpus: str
    clips: pd.DataFrame
    classes: tuple[str, ...]
    synthetic: bool
    faces: Path

    def grey(self, clips: list[str]) -> np.ndarray:
        """Return (N, S, S) uint8, the stored regions of `clips` in grey as networks get them."""
        rows = self.clips.set_index("clip").loc[clips, ["part", "row"]].reset_index(drop=True)
        found: dict[int, np.ndarray] = {}
        for part, mine in rows.groupby("part"):
            frames = shards.read_faces(self.faces / part).frames
            for place, row in mine["row"].items():
                found[place] = cv2.cvtColor(np.ascontiguousarray(frames[row]), cv2.COLOR_RGB2GRAY)
        return np.stack([found[place] for place in range(len(clips))])

    def title(self, name: str) -> str:
        """Return the headline of a figure of these clips."""
        return title_line(name, self.corpus, synthetic=self.synthetic)


def read_gallery(results: Path, corpus: str) -> Gallery:
    """Read what the earlier stages left of a corpus below `results`.

    Raises
    ------
    TableError : a stage has not run, its files are damaged, or no clip has a face.
    """
    folder, faces = Path(results) / "corpora" / corpus, Path(results) / "faces" / corpus
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    folds = tables.read(folder / "folds.parquet", tables.FOLDS)
    info = read_json(folder / "corpus.json")
    middle: dict[str, int] = {}
    for part in sorted(read_json(faces / "manifest.json")["parts"]):
        index = shards.read_faces(faces / part).index
        found = pd.Series(np.flatnonzero(index.found)).groupby(index["clip"][index.found].to_numpy())
        middle |= found.agg(lambda rows: rows.iloc[len(rows) // 2]).to_dict()
    clips = clips[clips.has_video & clips["clip"].isin(middle)].sort_values("clip", ignore_index=True)
    if clips.empty:
        raise TableError(f"{faces}: no clip of {corpus} has a face; there is nothing to show")
    folds = folds[folds.fold == FOLD]
    role = clips.group.map(dict(zip(folds.group, folds.role, strict=True))).fillna("").mask(clips.apart, APART)
    clips = clips.assign(row=clips["clip"].map(middle).astype(int), role=role)
    return Gallery(corpus, clips, tuple(info["classes"]), info["source"] == "synthetic", faces)


def choose_people(gallery: Gallery, *, n_people: int, n_pictures: int) -> pd.DataFrame:
    """Return clips of up to `n_people` people, spread over their names, each with up to `n_pictures` spread as well."""
    clips = gallery.clips[gallery.clips.actor != ""]
    if clips.empty:
        raise TableError(f"{gallery.corpus}: the corpus names nobody; choose another one for the row of identities")
    people = spread(sorted(set(clips.actor)), n_people)
    return pd.concat([_evenly(clips[clips.actor == name], n_pictures) for name in people])


def choose_emotions(gallery: Gallery, emotions: tuple[str, ...], *, n: int) -> pd.DataFrame:
    """Return up to `n` clips per emotion, of different people where they are named, with a column emotion.

    Of a person the last clip by name is taken (the apex of a sequence), of the neutral ones the first. Blank pictures
    and those with a twin are left to figure 4.11.
    """
    harmless = gallery.clips.defect.map(lambda defect: not {"twin", "blank"} & set(defect.split(";")))
    clips = gallery.clips[(gallery.clips.label >= 0) & harmless]
    clips = clips.assign(emotion=clips.label_name.replace(ALIASES))
    chosen = []
    for k, emotion in enumerate(emotions):
        mine = clips[clips.emotion == emotion]
        named = mine.actor.where(mine.actor != "", mine["clip"])
        mine = mine[~named.duplicated(keep="first" if emotion == "neutral" else "last")]
        chosen.append(_evenly(mine, n, offset=k / max(1, len(emotions))))
    return pd.concat(chosen)


def _evenly(rows: pd.DataFrame, n: int, *, offset: float = 0.5) -> pd.DataFrame:
    """Return up to `n` of `rows`, from the middle of equal parts; `offset` 0..1 moves them within these."""
    n = min(n, len(rows))
    return rows.iloc[[int((k + min(offset, 0.999)) * len(rows) / n) for k in range(n)]]


@dataclass(frozen=True, eq=False)
class Balanced:
    """Training pictures and their copies.

    clips : rows of CLIPS, labelled ones of the role training, in the order of their names.
    copies : source is a number of a row of `clips`.   size_px : side that the network looks at.
    """

    clips: pd.DataFrame
    copies: Copies
    size_px: int


def balanced(run: Run, gallery: Gallery) -> Balanced:
    """Draw the copies of a row again as `pretrain` drew them, from the seeds that its run.json names.

    Raises
    ------
    TableError : they are not as many as the row was trained with: the pictures have changed since.
    """
    clips = gallery.clips[(gallery.clips.role == "training") & (gallery.clips.label >= 0)].reset_index(drop=True)
    config = run.record["config"]
    copies = no_copies()
    if config["pretrain"]["balance"]:
        rng = rng_for(config["seed"], "pretrain", run.corpus, run.seed, "copies")  # as training.pictures has it
        copies = balance(clips.label.to_numpy(np.int64), np.arange(len(clips)), rng=rng)
    counted, said = (len(clips), len(copies)), (run.record["n_clips"]["training"], run.record["n_copies"])
    if counted != said:
        raise TableError(
            f"{run.folder}/run.json: trained on {said[0]} pictures and {said[1]} copies, but {gallery.corpus} has"
            f" {counted[0]} and needs {counted[1]}; train {run.variant} again"
        )
    size_px = config["extractor"]["vgg_size_px"] if config["pretrain"]["network"] == "vgg16" else None
    return Balanced(clips, copies, size_px or config["faces"]["size_px"])


def illustration(found: Balanced, *, n: int, seed: int) -> Balanced:
    """Return `n` copies of pictures of every class, drawn for a figure: for a corpus whose classes need none."""
    rng = rng_for(seed, "plot_fer2013", "copies")
    label = found.clips.label.to_numpy()
    sources = [rng.permutation(np.flatnonzero(label == name))[:n] for name in np.unique(label)]
    source = np.concatenate(sources).astype(np.int64)
    return Balanced(found.clips, Copies(source, rng.random((len(source), DRAWS), dtype=np.float32)), found.size_px)


def first_copies(found: Balanced, label: int, *, n: int) -> np.ndarray:
    """Return the numbers of the first `n` copies of a class, of different pictures where it has as many."""
    mine = np.flatnonzero(found.clips.label.to_numpy()[found.copies.source] == label)
    _, first = np.unique(found.copies.source[mine], return_index=True)
    return mine[np.sort(first)][:n]


def pixels(found: Balanced, gallery: Gallery, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return copies and the pictures that they are made from, both (N, S, S) uint8.

    S is the side that the network looks at, or the stored one where that is larger: changes are the same at any side.
    """
    names = found.clips["clip"].to_numpy()[found.copies.source[numbers]].tolist()
    pictures = torch.from_numpy(gallery.grey(names)).unsqueeze(1).float()  # (N, 1, S, S)
    if pictures.shape[-1] < found.size_px:
        size = (found.size_px, found.size_px)
        pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
    changed = change(pictures, torch.from_numpy(found.copies.draws[numbers]))
    before, after = (part[:, 0].round().clamp(0, 255).byte().numpy() for part in (pictures, changed))
    return after, before


def factors(found: Balanced, numbers: np.ndarray) -> pd.DataFrame:
    """Return what was done to make copies: clip, label, mirrored, scale, turn_deg, shear_deg, shift_x, shift_y.

    Shifts are shares of the side.
    """
    draws = found.copies.draws[numbers]
    low, high = BALANCING.scale
    reach = np.array([BALANCING.rotate, BALANCING.shear, BALANCING.translate, BALANCING.translate])
    around = (2 * draws[:, 2:] - 1) * reach
    rows = found.clips.iloc[found.copies.source[numbers]][["clip", "label_name"]].rename(
        columns={"label_name": "label"}
    )
    return rows.reset_index(drop=True).assign(
        mirrored=draws[:, 0] < BALANCING.mirror,
        scale=low + (high - low) * draws[:, 1],
        **dict(zip(("turn_deg", "shear_deg", "shift_x", "shift_y"), around.T, strict=True)),
    )


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
        copied = found.clips.label.to_numpy()[found.copies.source] if name == "training" else []
        sizes["copies"] = np.bincount(np.asarray(copied, np.int64), minlength=n)
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


def draw_copies(
    figure: Figure, gallery: Gallery, found: Balanced, sizes: pd.DataFrame, *, numbers: list[np.ndarray]
) -> None:
    """Draw pairs of a picture and its copy, of the `numbers` of every class (figure 4.13)."""
    n = N_PAIRS
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
    draw_picture(ax, picture)
    ax.set_title(f"{row.label}\n→ {row.predicted}", fontsize=7.5, fontweight="normal", pad=3)
    below = (f"loss {row.loss:.2f}", f"rank {row.rank}, {row.role}" if ranked else "", row.doubt)
    ax.set_xlabel("\n".join(filter(None, below)), fontsize=7, labelpad=2, color=DOUBT if row.doubt else "black")
    ax.spines[:].set(visible=bool(row.doubt), color=DOUBT, linewidth=2.5)


def _draw_bars(ax: Axes, sizes: pd.DataFrame) -> None:
    below = np.zeros(len(sizes), int)
    for column, colour in (("pictures", OWN), ("copies", COPIED), ("apart", ASIDE)):
        ax.bar(sizes.label, sizes[column], bottom=below, color=colour, width=0.72)
        below = below + sizes[column].to_numpy()
    for place, row in enumerate(sizes.itertuples()):
        extra = row.copies + row.apart
        text = f"{row.pictures}" + (f"+{extra}" if extra else "")
        look = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 7}
        ax.annotate(text, (place, below[place]), xytext=(0, 2), **look)
    ax.set_ylabel("pictures")
    ax.set_ylim(0, 1.18 * max(1, below.max()))
    ax.tick_params(axis="x", length=0)


def _padded(pictures: list[np.ndarray], n: int, *, size: int = 0) -> list[np.ndarray]:
    """Return `n` cells: the pictures, then white ones."""
    size = size or len(pictures[0])
    return [*pictures, *[np.full((size, size), _BLANK, np.uint8)] * (n - len(pictures))]


SHOWN = ["role", "rank", "clip", "label", "predicted", "loss", "defect", "twins", "doubt"]


def hardest(run: Run, gallery: Gallery) -> pd.DataFrame:
    """Return SHOWN for every training and validation picture, by role and falling loss.

    loss : cross-entropy in nat under the epoch of lowest validation loss.   twins : pictures with the same pixels and
    their labels.   doubt : blank, "also <labels>" where the same pixels stand under others, or empty.

    Raises
    ------
    TableError : a judged clip has no face shard, or its label has changed.
    """
    rows = run.predictions()
    rows = rows[(rows.selection == "honest") & rows.role.isin(["training", "validation"]) & (rows["head"] == "fused")]
    clips = gallery.clips.set_index("clip")
    if strange := sorted(set(rows["clip"]) - set(clips.index)):
        raise TableError(f"{run.folder}: judged {strange[0]}, which has no face now; train {run.variant} again")
    if (clips.label.loc[rows["clip"]].to_numpy() != rows.label.to_numpy()).any():
        raise TableError(f"{run.folder}: labels of {gallery.corpus} have changed; train {run.variant} again")
    logits = np.stack(rows.logits).astype(float) if len(rows) else np.empty((0, len(run.classes)))
    highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    twins = _twins(gallery.clips)
    classes = np.array(gallery.classes)
    found = pd.DataFrame(
        {
            "role": rows.role.to_numpy(),
            "clip": rows["clip"].to_numpy(),
            "label": classes[rows.label],
            "predicted": classes[rows.predicted],
            "loss": total - logits[np.arange(len(rows)), rows.label],
            "defect": clips.defect.loc[rows["clip"]].to_numpy(),
            "twins": [", ".join(f"{other} ({name})" for other, name in twins.get(clip, [])) for clip in rows["clip"]],
            "doubt": [
                _doubt(clips.defect[clip], label, [name for _, name in twins.get(clip, [])])
                for clip, label in zip(rows["clip"], classes[rows.label], strict=True)
            ],
        }
    )
    found = found.sort_values(["role", "loss", "clip"], ascending=[True, False, True], ignore_index=True)
    return found.assign(rank=found.groupby("role").cumcount() + 1)[SHOWN]


def choose_hardest(found: pd.DataFrame, *, n: dict[str, int], n_doubtful: int) -> dict[str, pd.DataFrame]:
    """Return rows of `hardest` by block: the first `n` of each role, and doubtful ones that are not among these."""
    taken = found["rank"] <= found.role.map(n)
    blocks = {role: found[taken & (found.role == role)] for role in n}
    blocks["doubtful"] = found[~taken & (found.doubt != "")].nlargest(n_doubtful, "loss")
    return {name: rows for name, rows in blocks.items() if len(rows)}


def _twins(clips: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return clip -> the others with the same pixels and their labels."""
    same = clips[clips.duplicate != ""].groupby("duplicate")[["clip", "label_name"]]
    groups = [list(group.itertuples(index=False, name=None)) for _, group in same]
    return {clip: [other for other in group if other[0] != clip] for group in groups for clip, _ in group}


def _doubt(defect: str, label: str, twins: list[str]) -> str:
    if "blank" in defect.split(";"):
        return "blank"
    others = sorted(set(twins) - {label})
    return f"also {', '.join(others)}" if others else ""


def plot_fer2013(*, results: Path, runs: list[Path], people: str, out: Path, beside: list[str] | None = None) -> None:
    """Draw pictures of FER2013 and of other corpora, its hardest ones, the sizes of its classes and their copies.

    Parameters
    ----------
    results
        Folder with corpora/ and faces/.
    runs
        run.json of rows that learn FER2013: the copies are those of the first, 4.11 is judged by the one of lowest
        validation loss.
    people
        Corpus whose identities are learnt (4.9).
    out
        Folder; 4.9 to 4.13 as .svg and .png, 4.11 to 4.13 as .csv too.
    beside
        Corpora of faces that 4.10 puts beside FER2013.
    """
    found = [read_run(path) for path in runs]
    corpus = found[0].corpus
    if strange := next((run for run in found if run.corpus != corpus), None):
        raise TableError(f"{strange.folder}: of {strange.corpus}, the first run of {corpus}; name runs of one corpus")
    gallery = read_gallery(results, corpus)
    _draw_4_9(out, read_gallery(results, people))
    _draw_4_10(out, gallery, [read_gallery(results, name) for name in beside or []])
    _draw_4_11(out, gallery, best_run(found))
    _draw_4_12_and_4_13(out, gallery, found[0])
    log.info("%s: figures %s", out, ", ".join(FIGURES))


def best_run(runs: list[Run]) -> Run:
    """Return the run of lowest validation loss, or the first where none was trained; no test is looked at."""
    trained = [run for run in runs if run.trained]
    return min(trained, key=lambda run: run.record["metrics"]["honest"]["validation_loss"], default=runs[0])


def _draw_4_9(out: Path, people: Gallery) -> None:
    chosen = choose_people(people, n_people=N_PEOPLE, n_pictures=N_OF_A_PERSON)
    title = people.title("Figure 4.9: faces whose identity is learnt")
    height = 0.5 + 0.86 * chosen.actor.nunique()
    with saved_figure(title, 7.6, height, *svg_png(out, "4.9"), square=True) as figure:
        draw_people(figure, people, chosen, n_pictures=N_OF_A_PERSON)


def _draw_4_10(out: Path, gallery: Gallery, beside: list[Gallery]) -> None:
    n_rows = [N_OF_FER2013] + [N_OF_OTHERS] * len(beside)
    shown = [
        (one, choose_emotions(one, gallery.classes, n=n)) for one, n in zip([gallery, *beside], n_rows, strict=True)
    ]
    names = " beside ".join(filter(None, (gallery.corpus, ", ".join(one.corpus for one in beside))))
    title = title_line("Figure 4.10: samples", names, synthetic=any(one.synthetic for one, _ in shown))
    with saved_figure(title, 7.0, 0.6 + 0.93 * sum(n_rows), *svg_png(out, "4.10"), square=True) as figure:
        draw_corpora(figure, shown, gallery.classes)


def _draw_4_11(out: Path, gallery: Gallery, judge: Run) -> None:
    found = hardest(judge, gallery)
    blocks = choose_hardest(found, n=N_HARDEST, n_doubtful=N_DOUBTFUL)
    write_numbers(out / "4.11.csv", pd.concat([found[:0], *blocks.values()]), number="%.6g")
    sizes = found.groupby("role").size()
    titles = {role: f"{role}: the highest losses of {sizes[role]} pictures" for role in sizes.index}
    titles["doubtful"] = "further pictures that are blank or stand under two labels"
    title = gallery.title("Figure 4.11: pictures of high loss")
    title += f", judged by {judge.variant}" if blocks else ""
    n_rows = sum(-(-len(rows) // N_COLUMNS) for rows in blocks.values())
    with saved_figure(title, 8.0, 0.9 + 1.55 * max(1, n_rows), *svg_png(out, "4.11")) as figure:
        if blocks:
            draw_hardest(figure, gallery, blocks, titles=titles)
        else:
            draw_absent(figure.subplots(), title=judge.variant, reason=judge.reason or "no picture was judged")


def _draw_4_12_and_4_13(out: Path, gallery: Gallery, row: Run) -> None:
    found = balanced(row, gallery)
    sizes = class_sizes(gallery, found)
    write_numbers(out / "4.12.csv", sizes, number="%.6g")
    title = gallery.title("Figure 4.12: sizes of the classes")
    with saved_figure(title, 7.0, 5.4, *svg_png(out, "4.12")) as figure:
        draw_sizes(figure, sizes)
    note = f"those that {row.variant} is trained on; pictures + copies of the class"
    if not len(found.copies):
        found = illustration(found, n=N_PAIRS, seed=row.record["config"]["seed"])
        note = f"{row.variant} needs none, these are drawn for the figure"
    numbers = [first_copies(found, label, n=N_PAIRS) for label in range(len(gallery.classes))]
    write_numbers(out / "4.13.csv", factors(found, np.concatenate(numbers)), number="%.6g")
    title = gallery.title("Figure 4.13: copies by AUG-B") + f"\n{note}"
    height = 0.9 + 0.85 * sum(len(mine) > 0 for mine in numbers)
    with saved_figure(title, 7.8, height, *svg_png(out, "4.13"), square=True) as figure:
        draw_copies(figure, gallery, found, sizes, numbers=numbers)
