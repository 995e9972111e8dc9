"""What is learnt about faces, and the pictures of FER2013: samples, hard ones, class sizes, copies (figures 4.9-4.13).

The copies are those by which AUG-B balances the training pictures that a row of ``pretrain`` really sees. The pictures
that a trained network finds hardest show where the labels of FER2013 may be wrong.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.special import log_softmax
from torch.nn import functional

from mien.augment.aug_b import BALANCING, DIFFER, DRAWS, OversamplingPlan, balance, change, no_copies
from mien.errors import TableError
from mien.evaluation.runs import Run, read_run
from mien.io import tables
from mien.io.randomness import rng_for
from mien.report.figures.samples import Corpus, apexes, read_corpus
from mien.report.style import (
    add_panels,
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

N_PEOPLE, N_OF_A_PERSON = 6, 8  # figure 4.9
N_OF_FER2013, N_OF_OTHERS = 4, 2  # rows of figure 4.10
N_COLUMNS = 8  # of figure 4.11
N_HARDEST, N_DOUBTFUL = {"training": 16, "validation": 8}, 8
N_PAIRS = 4  # per class in figure 4.13
PANELS = {"training": "training", "validation": "public test (validation)", "test": "private test"}
BARS = {"pictures": "#1f6fb4", "copies": "#f0a860", "apart": "#9aa5b1"}
BAND, DOUBT = "#cfe3d2", "#c8321c"
FOLD = 0  # the official division
APART = "apart"  # role of clips with an identical twin on another side of the division
ALIASES = {"anger": "angry", "sadness": "sad"}  # words of other corpora for emotions of FER2013
SHOWN = ["role", "rank", "clip", "label", "predicted", "loss", "defect", "twins", "doubt"]


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
    name = found[0].corpus
    if strange := next((run for run in found if run.corpus != name), None):
        raise TableError(f"{strange.folder}: of {strange.corpus}, the first run of {name}; name runs of one corpus")
    corpus, *others = (read_gallery(results, name) for name in [name, *(beside or [])])
    if corpus.clips.empty:
        raise TableError(f"{results / 'faces' / name}: no clip of {name} has a face; there is nothing to show")
    draw_people(out, read_gallery(results, people))
    draw_corpora(out, [corpus, *(other for other in others if len(other.clips))])
    draw_hardest(out, corpus, best_run(found))
    draw_balanced(out, corpus, found[0])
    log.info("%s: figures 4.9 to 4.13", out)


def read_gallery(results: Path, corpus: str) -> Corpus:
    """Read a corpus below `results`, its clips with a face in the order of their names.

    They have a column role: training, validation, test, apart or empty.

    Raises
    ------
    TableError : a stage has not run, or its files are damaged.
    """
    folder, faces = Path(results) / "corpora" / corpus, Path(results) / "faces" / corpus
    found = read_corpus(folder / "clips.parquet", folder / "corpus.json", faces=faces, sound=None)
    folds = tables.read(folder / "folds.parquet", tables.FOLDS)
    clips = found.clips[found.clips.has_video].sort_values("clip", ignore_index=True)
    folds = folds[folds.fold == FOLD]
    role = clips.group.map(dict(zip(folds.group, folds.role, strict=True))).fillna("").mask(clips.apart, APART)
    return replace(found, clips=clips.assign(role=role))


def best_run(runs: list[Run]) -> Run:
    """Return the run of lowest validation loss, or the first where none was trained; no test is looked at."""
    trained = [run for run in runs if run.trained]
    return min(trained, key=lambda run: run.record["metrics"]["honest"]["validation_loss"], default=runs[0])


def _evenly(rows: pd.DataFrame, n: int, *, offset: float = 0.5) -> pd.DataFrame:
    """Return up to `n` of `rows`, from the middle of equal parts; `offset` 0..1 moves them within these."""
    n = min(n, len(rows))
    return rows.iloc[[int((k + min(offset, 0.999)) * len(rows) / n) for k in range(n)]]


def choose_people(corpus: Corpus, *, n_people: int, n_pictures: int) -> dict[str, list[str]]:
    """Return clips of up to `n_people` people, spread over their names, each with up to `n_pictures` spread as well."""
    clips = corpus.clips[corpus.clips.actor != ""]
    people = spread(sorted(set(clips.actor)), n_people)
    return {name: _evenly(clips[clips.actor == name], n_pictures)["clip"].tolist() for name in people}


def draw_people(out: Path, corpus: Corpus) -> None:
    """Draw a row per person (figure 4.9)."""
    chosen = choose_people(corpus, n_people=N_PEOPLE, n_pictures=N_OF_A_PERSON)
    rows = enumerate(map(corpus.grey, chosen.values()))
    cells = {(row, column): picture for row, pictures in rows for column, picture in enumerate(pictures)}
    title = corpus.title("Figure 4.9: faces whose identity is learnt")
    with saved_figure(title, 7.6, 0.5 + 0.86 * max(1, len(chosen)), *svg_png(out, "4.9"), square=True) as figure:
        if not chosen:
            draw_absent(figure.subplots(), title=corpus.info["corpus"], reason="no clip has a face and a named person")
            return
        draw_grid(figure.subplots(), cells, rows=list(chosen), columns=[""] * N_OF_A_PERSON)


def choose_emotions(corpus: Corpus, emotions: Sequence[str], *, n: int) -> dict[str, list[str]]:
    """Return emotion -> up to `n` clips, of different people where they are named.

    Which clip of a person: see `apexes`. Blank pictures and those with a twin are left to figure 4.11.
    """
    harmless = corpus.clips.defect.map(lambda defect: not {"twin", "blank"} & set(defect.split(";")))
    clips = corpus.clips[(corpus.clips.label >= 0) & harmless]
    person = clips.actor.where(clips.actor != "", clips["clip"])
    clips = apexes(clips.assign(label_name=clips.label_name.replace(ALIASES), person=person), "person")
    return {
        emotion: _evenly(clips[clips.label_name == emotion], n, offset=k / len(emotions))["clip"].tolist()
        for k, emotion in enumerate(emotions)
    }


def draw_corpora(out: Path, corpora: Sequence[Corpus]) -> None:
    """Draw a block per corpus with a column per emotion of the first one (figure 4.10)."""
    emotions = corpora[0].info["classes"]
    n_most = [N_OF_FER2013] + [N_OF_OTHERS] * (len(corpora) - 1)
    chosen = [choose_emotions(corpus, emotions, n=n) for corpus, n in zip(corpora, n_most, strict=True)]
    heights = [max(map(len, clips.values())) for clips in chosen]
    first, *others = (corpus.info["corpus"] for corpus in corpora)
    names = f"{first} beside {', '.join(others)}" if others else first
    synthetic = any(corpus.info["source"] == "synthetic" for corpus in corpora)
    title = title_line("Figure 4.10: samples", names, synthetic=synthetic)
    with saved_figure(title, 7.0, 0.6 + 0.93 * sum(n_most), *svg_png(out, "4.10"), square=True) as figure:
        axes = figure.subplots(len(corpora), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, corpus, clips, n_rows in zip(axes, corpora, chosen, heights, strict=True):
            pictures = iter(corpus.grey(clip for emotion in emotions for clip in clips[emotion]))
            cells = {(row, k): next(pictures) for k, name in enumerate(emotions) for row in range(len(clips[name]))}
            draw_grid(ax, cells, rows=[""] * n_rows, columns=emotions if ax is axes[0] else [""] * len(emotions))
            ax.set_ylabel(corpus.info["corpus"], fontsize=9, fontweight="bold")


def hardest(run: Run, corpus: Corpus) -> pd.DataFrame:
    """Return SHOWN for every training and validation picture, by role and falling loss.

    loss : cross-entropy in nat under the epoch of lowest validation loss.   twins : pictures with the same pixels and
    their labels.   doubt : blank, "also <labels>" where the same pixels stand under others, or empty.

    Raises
    ------
    TableError : a judged clip has no face shard, or its label has changed.
    """
    rows = run.predictions()
    rows = rows[(rows.selection == "honest") & rows.role.isin(["training", "validation"]) & (rows["head"] == "fused")]
    clips = corpus.clips.set_index("clip")
    if strange := sorted(set(rows["clip"]) - set(clips.index)):
        raise TableError(f"{run.folder}: judged {strange[0]}, which has no face now; train {run.variant} again")
    if (clips.label.loc[rows["clip"]].to_numpy() != rows.label.to_numpy()).any():
        raise TableError(f"{run.folder}: labels of {run.corpus} have changed; train {run.variant} again")
    same = corpus.clips.loc[corpus.clips.duplicate != "", ["clip", "label_name", "duplicate"]]
    pairs = same.merge(same, on="duplicate", suffixes=("", "_other")).query("clip != clip_other")
    twins = (pairs.clip_other + " (" + pairs.label_name_other + ")").groupby(pairs["clip"]).agg(", ".join)
    pairs = pairs.query("label_name != label_name_other").groupby("clip").label_name_other
    doubts = pairs.agg(lambda names: f"also {', '.join(sorted(set(names)))}")
    logits = np.stack(rows.logits).astype(float) if len(rows) else np.empty((0, len(run.classes)))
    classes, defect = np.array(corpus.info["classes"]), rows["clip"].map(clips.defect)
    doubt = pd.Series([doubts.get(clip, "") for clip in rows["clip"]], index=rows.index, dtype=object)
    found = rows.assign(
        loss=-log_softmax(logits, axis=1)[np.arange(len(rows)), rows.label],
        label=classes[rows.label],
        predicted=classes[rows.predicted],
        defect=defect,
        twins=[twins.get(clip, "") for clip in rows["clip"]],
        doubt=doubt.mask(defect.str.split(";").map(lambda words: "blank" in words), "blank"),
    )
    found = found.sort_values(["role", "loss", "clip"], ascending=[True, False, True], ignore_index=True)
    return found.assign(rank=found.groupby("role").cumcount() + 1)[SHOWN]


def choose_hardest(found: pd.DataFrame, *, n: dict[str, int], n_doubtful: int) -> dict[str, pd.DataFrame]:
    """Return rows of `hardest` by block: the first `n` of each role, and doubtful ones that are not among these."""
    taken = found["rank"] <= found.role.map(n)
    blocks = {role: found[taken & (found.role == role)] for role in n}
    blocks["doubtful"] = found[~taken & (found.doubt != "")].nlargest(n_doubtful, "loss")
    return {name: rows for name, rows in blocks.items() if len(rows)}


def draw_hardest(out: Path, corpus: Corpus, judge: Run) -> None:
    """Draw blocks of `choose_hardest`: label and prediction above, loss below; doubtful labels framed (figure 4.11)."""
    found = hardest(judge, corpus)
    blocks = choose_hardest(found, n=N_HARDEST, n_doubtful=N_DOUBTFUL)
    write_numbers(out / "4.11.csv", pd.concat([found[:0], *blocks.values()]), number="%.6g")
    titles = {role: f"{role}: the highest losses of {n} pictures" for role, n in found.role.value_counts().items()}
    titles["doubtful"] = "further pictures that are blank or stand under two labels"
    title = corpus.title("Figure 4.11: pictures of high loss") + (f", judged by {judge.variant}" if blocks else "")
    n_rows = {name: -(-len(rows) // N_COLUMNS) for name, rows in blocks.items()}
    with saved_figure(title, 8.0, 0.9 + 1.55 * max(1, sum(n_rows.values())), *svg_png(out, "4.11")) as figure:
        if not blocks:
            draw_absent(figure.subplots(), title=judge.variant, reason=judge.reason or "no picture was judged")
            return
        figure.get_layout_engine().set(h_pad=0.03, w_pad=0.03, hspace=0.0, wspace=0.0)
        heights = [n + (0.15 if name in PANELS else 0.24) for name, n in n_rows.items()]  # title, two lines more below
        parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)
        for part, (name, rows) in zip(parts[:, 0], blocks.items(), strict=True):
            part.suptitle(titles[name], fontsize=9, fontweight="bold", x=0.005, ha="left")
            axes, pictures = add_panels(part, len(rows), n_columns=N_COLUMNS), corpus.grey(rows["clip"])
            for ax, picture, row in zip(axes, pictures, rows.itertuples(), strict=True):
                draw_picture(ax, picture)
                ax.set_title(f"{row.label}\n→ {row.predicted}", fontsize=7.5, fontweight="normal", pad=3)
                rank = "" if name in PANELS else f"rank {row.rank}, {row.role}"
                below = "\n".join(filter(None, (f"loss {row.loss:.2f}", rank, row.doubt)))
                ax.set_xlabel(below, fontsize=7, labelpad=2, color=DOUBT if row.doubt else "black")
                ax.spines[:].set(visible=bool(row.doubt), color=DOUBT, linewidth=2.5)


@dataclass(frozen=True, eq=False)
class Balanced:
    """Training pictures and their copies.

    clips : rows of CLIPS, labelled ones of the role training, in the order of their names.
    copies : source is a number of a row of `clips`.   size_px : side that the network looks at.
    """

    clips: pd.DataFrame
    copies: OversamplingPlan
    size_px: int


def balanced(run: Run, corpus: Corpus) -> Balanced:
    """Draw the copies of a row again as `pretrain` drew them, from the seeds that its run.json names.

    Raises
    ------
    TableError : they are not as many as the row was trained with: the pictures have changed since.
    """
    clips = corpus.clips[(corpus.clips.role == "training") & (corpus.clips.label >= 0)].reset_index(drop=True)
    config, copies = run.record["config"], no_copies()
    if config["pretrain"]["balance"]:
        rng = rng_for(config["seed"], "pretrain", run.corpus, run.seed, "copies")  # as training.pictures has it
        copies = balance(clips.label.to_numpy(np.int64), np.arange(len(clips)), rng=rng)
    counted, said = (len(clips), len(copies)), (run.record["n_clips"]["training"], run.record["n_copies"])
    if counted != said:
        raise TableError(
            f"{run.folder}/run.json: trained on {said[0]} pictures and {said[1]} copies, but {run.corpus} has"
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
    return replace(found, copies=OversamplingPlan(source, rng.random((len(source), DRAWS), dtype=np.float32)))


def pixels(found: Balanced, corpus: Corpus, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return copies and the pictures that they are made from, both (N, S, S) uint8.

    S is the side that the network looks at, or the stored one where that is larger: changes are the same at any side.
    """
    clips = found.clips["clip"].iloc[found.copies.source[numbers]]
    pictures = torch.from_numpy(corpus.grey(clips)).unsqueeze(1).float()  # (N, 1, S, S)
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
    draws, (low, high) = found.copies.draws[numbers], BALANCING.scale
    reach = np.array([BALANCING.rotate, BALANCING.shear, BALANCING.translate, BALANCING.translate])
    rows = found.clips.iloc[found.copies.source[numbers]].reset_index(drop=True)
    rows = rows[["clip", "label_name"]].rename(columns={"label_name": "label"})
    rows = rows.assign(mirrored=draws[:, 0] < BALANCING.mirror, scale=low + (high - low) * draws[:, 1])
    rows[["turn_deg", "shear_deg", "shift_x", "shift_y"]] = (2 * draws[:, 2:] - 1) * reach
    return rows


def class_sizes(corpus: Corpus, found: Balanced) -> pd.DataFrame:
    """Return role, label, pictures, copies and apart (not used: an identical twin in training) by class.

    The clips apart are counted with the role of their group.
    """
    classes = corpus.info["classes"]
    clips = corpus.clips[corpus.clips.label >= 0]
    apart = clips.role == APART
    role_of = clips[~apart].groupby("group").role.first()
    places = pd.MultiIndex.from_product([PANELS, range(len(classes))], names=["role", "label"])
    counted = {
        "pictures": clips[~apart],
        "copies": found.clips.iloc[found.copies.source],
        "apart": clips[apart].assign(role=clips.group.map(role_of)),
    }
    counts = {name: rows.groupby(["role", "label"]).size() for name, rows in counted.items()}
    sizes = pd.DataFrame({name: count.reindex(places, fill_value=0) for name, count in counts.items()}).reset_index()
    return sizes.assign(label=sizes.label.map(dict(enumerate(classes))))


def draw_balanced(out: Path, corpus: Corpus, run: Run) -> None:
    """Draw the sizes of the classes and the copies of a row (figures 4.12, 4.13)."""
    found = balanced(run, corpus)
    sizes = class_sizes(corpus, found)
    write_numbers(out / "4.12.csv", sizes, number="%.6g")
    with saved_figure(corpus.title("Figure 4.12: sizes of the classes"), 7.0, 5.4, *svg_png(out, "4.12")) as figure:
        draw_sizes(figure, sizes)
    note = f"those that {run.variant} is trained on; pictures + copies of the class"
    if not len(found.copies):
        found = illustration(found, n=N_PAIRS, seed=run.record["config"]["seed"])
        note = f"{run.variant} needs none, these are drawn for the figure"
    # The first copies of every class, of different pictures where it has as many.
    copied = found.clips.iloc[found.copies.source].reset_index(drop=True)
    first = copied.drop_duplicates("clip").groupby("label").head(N_PAIRS).sort_values("label", kind="stable")
    write_numbers(out / "4.13.csv", factors(found, first.index.to_numpy()), number="%.6g")
    classes = first.label.unique()
    title = corpus.title("Figure 4.13: copies by AUG-B") + f"\n{note}"
    with saved_figure(title, 7.8, 0.9 + 0.85 * len(classes), *svg_png(out, "4.13"), square=True) as figure:
        training = sizes[sizes.role == "training"].set_index("label")
        names = [corpus.info["classes"][label] for label in classes]
        rows = [f"{name}\n{training.pictures[name]} + {training.copies[name]}" for name in names]
        after, before = pixels(found, corpus, first.index.to_numpy())
        number = first.groupby("label").cumcount()
        cells: list[dict] = [{} for _ in range(1 + max(number))]
        places = zip(number, pd.factorize(first.label)[0], strict=True)
        for (k, row), picture, copy in zip(places, before, after, strict=True):
            cells[k] |= {(row, 0): picture, (row, 1): copy}
        axes = add_panels(figure, len(cells), n_columns=N_PAIRS)
        for ax, mine in zip(axes, cells, strict=True):
            draw_grid(ax, mine, rows=rows if ax is axes[0] else [""] * len(rows), columns=["picture", "copy"])


def draw_sizes(figure: Figure, sizes: pd.DataFrame) -> None:
    """Draw the classes of each part of the corpus; those of training before and after AUG-B (figure 4.12)."""
    axes = figure.subplot_mosaic([["training"] * 2, ["validation", "test"]], height_ratios=[1.35, 1.0])
    sizes = sizes.assign(total=sizes[list(BARS)].sum(axis=1))
    tested = sizes[sizes.role != "training"]
    highest = (tested.pictures + tested["apart"]).max()
    for role, title in PANELS.items():
        ax, mine = axes[role], sizes[sizes.role == role]
        below = 0
        for column, colour in BARS.items():
            bars = ax.bar(mine.label, mine[column], bottom=below, color=colour, width=0.72)
            below = below + mine[column]
        further = (mine.total - mine.pictures).map(lambda n: f"+{n}" if n else "")
        ax.bar_label(bars, mine.pictures.astype(str) + further, padding=2, fontsize=7)
        n_pictures = f"{mine.pictures.sum() + mine['apart'].sum():,}".replace(",", "\N{THIN SPACE}")
        ax.set_title(f"{title}: {n_pictures} pictures", loc="left")
        ax.set_ylabel("pictures")
        ax.set_ylim(0, 1.18 * max(1, mine.total.max()) if role == "training" else 1.2 * max(1, highest))
        ax.tick_params(axis="x", length=0, labelsize=8 if role == "training" else 6.8)
    most = sizes[sizes.role == "training"].pictures.max()
    axes["training"].axhspan((1 - DIFFER) * most, most, color=BAND, linewidth=0, zorder=0)
    labels = {"pictures": "pictures", "copies": "copies by AUG-B"}
    handles = [Patch(color=BARS[name], label=label) for name, label in labels.items()]
    handles.append(Patch(color=BAND, label=f"largest class and {DIFFER:.0%} below it"))
    if sizes["apart"].any():
        handles.append(Patch(color=BARS["apart"], label="with a twin in training, judged apart"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7.5)
