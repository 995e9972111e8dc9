"""Command plot_fer2013: what is learnt about faces, and the pictures of FER2013 (thesis, figures 4.9 to 4.13)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import TableError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mien.evaluation.runs import Run
    from mien.report.fer2013_pictures import Gallery

log = logging.getLogger(__name__)

N_PEOPLE, N_OF_A_PERSON = 6, 8  # figure 4.9
N_OF_FER2013, N_OF_OTHERS = 4, 2  # rows of figure 4.10
N_HARDEST, N_DOUBTFUL = {"training": 16, "validation": 8}, 8  # figure 4.11
N_PAIRS = 4  # per class in figure 4.13
FIGURES = ("4.9", "4.10", "4.11", "4.12", "4.13")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--results", type=Path, required=True, help="folder with corpora/ and faces/")
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="+",
        required=True,
        help="run.json of rows that learn FER2013: the copies are those of the first, 4.11 is judged by the one of"
        " lowest validation loss",
    )
    parser.add_argument("--people", required=True, help="corpus whose identities are learnt (4.9)")
    parser.add_argument("--beside", nargs="*", default=[], help="corpora of faces that 4.10 puts beside FER2013")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder; 4.9 to 4.13 as .svg and .png, 4.11 to 4.13 as .csv too"
    )


def run(args: Namespace) -> None:
    """Choose pictures, draw the figures, write the numbers behind them."""
    from mien.evaluation.runs import read_run
    from mien.report.fer2013_pictures import read_gallery

    runs = [read_run(path) for path in args.runs]
    corpus = runs[0].corpus
    if strange := next((run for run in runs if run.corpus != corpus), None):
        raise TableError(f"{strange.folder}: of {strange.corpus}, the first run of {corpus}; name runs of one corpus")
    gallery = read_gallery(args.results, corpus)
    _samples(args, gallery)
    _hardest(args.out, gallery, _best(runs))
    _classes(args.out, gallery, runs[0])
    log.info("%s: figures %s", args.out, ", ".join(FIGURES))


def _best(runs: "list[Run]") -> "Run":
    """Return the run of lowest validation loss, or the first where none was trained; no test is looked at."""
    trained = [run for run in runs if run.trained]
    return min(trained, key=lambda run: run.record["metrics"]["honest"]["validation_loss"], default=runs[0])


def _samples(args: Namespace, gallery: "Gallery") -> None:
    from mien.report.fer2013_figures import draw_corpora, draw_people
    from mien.report.fer2013_pictures import choose_emotions, choose_people, read_gallery
    from mien.report.figures import new_figure, title_line

    people = read_gallery(args.results, args.people)
    chosen = choose_people(people, n_people=N_PEOPLE, n_pictures=N_OF_A_PERSON)
    with new_figure(7.6, 0.5 + 0.86 * chosen.actor.nunique()) as figure:
        figure.set_layout_engine("compressed")  # the pictures are square
        draw_people(figure, people, chosen, n_pictures=N_OF_A_PERSON)
        figure.suptitle(
            title_line("Figure 4.9: faces whose identity is learnt", people.corpus, synthetic=people.synthetic),
            fontsize=10,
        )
        _save(figure, args.out, "4.9")
    found = [(gallery, N_OF_FER2013)] + [(read_gallery(args.results, name), N_OF_OTHERS) for name in args.beside]
    shown = [(one, choose_emotions(one, gallery.classes, n=n)) for one, n in found]
    with new_figure(7.0, 0.6 + 0.93 * sum(n for _, n in found)) as figure:
        figure.set_layout_engine("compressed")
        draw_corpora(figure, shown, gallery.classes)
        names = " beside ".join(filter(None, (gallery.corpus, ", ".join(args.beside))))
        synthetic = any(one.synthetic for one, _ in found)
        figure.suptitle(title_line("Figure 4.10: samples", names, synthetic=synthetic), fontsize=10)
        _save(figure, args.out, "4.10")


def _hardest(out: Path, gallery: "Gallery", judge: "Run") -> None:
    import pandas as pd

    from mien.report.confusion import draw_absent
    from mien.report.fer2013_figures import N_COLUMNS, draw_hardest
    from mien.report.fer2013_losses import choose_hardest, hardest
    from mien.report.figures import new_figure, title_line

    found = hardest(judge, gallery)
    blocks = choose_hardest(found, n=N_HARDEST, n_doubtful=N_DOUBTFUL)
    _write(out / "4.11.csv", pd.concat([found[:0], *blocks.values()]))
    sizes = found.groupby("role").size()
    titles = {role: f"{role}: the highest losses of {sizes[role]} pictures" for role in sizes.index}
    titles["doubtful"] = "further pictures that are blank or stand under two labels"
    title = title_line("Figure 4.11: pictures of high loss", gallery.corpus, synthetic=gallery.synthetic)
    n_rows = sum(-(-len(rows) // N_COLUMNS) for rows in blocks.values())
    with new_figure(8.0, 0.9 + 1.55 * max(1, n_rows)) as figure:
        if blocks:
            draw_hardest(figure, gallery, blocks, titles=titles)
            title += f", judged by {judge.variant}"
        else:
            draw_absent(figure.subplots(), title=judge.variant, reason=judge.reason or "no picture was judged")
        figure.suptitle(title, fontsize=10)
        _save(figure, out, "4.11")


def _classes(out: Path, gallery: "Gallery", row: "Run") -> None:
    from mien.report import fer2013_copies as copies
    from mien.report.fer2013_figures import class_sizes, draw_copies, draw_sizes
    from mien.report.figures import new_figure, title_line

    found = copies.balanced(row, gallery)
    sizes = class_sizes(gallery, found)
    _write(out / "4.12.csv", sizes)
    with new_figure(7.0, 5.4) as figure:
        draw_sizes(figure, sizes)
        figure.suptitle(
            title_line("Figure 4.12: sizes of the classes", gallery.corpus, synthetic=gallery.synthetic), fontsize=10
        )
        _save(figure, out, "4.12")
    note = f"those that {row.variant} is trained on; pictures + copies of the class"
    if not len(found.copies):
        found = copies.illustration(found, n=N_PAIRS, seed=row.record["config"]["seed"])
        note = f"{row.variant} needs none, these are drawn for the figure"
    numbers = [copies.first_copies(found, label, n=N_PAIRS) for label in range(len(gallery.classes))]
    n_rows = sum(map(bool, map(len, numbers)))
    _write(out / "4.13.csv", copies.factors(found, [number for mine in numbers for number in mine]))
    with new_figure(7.8, 0.9 + 0.85 * n_rows) as figure:
        figure.set_layout_engine("compressed")
        draw_copies(figure, gallery, found, sizes, n=N_PAIRS)
        title = title_line("Figure 4.13: copies by AUG-B", gallery.corpus, synthetic=gallery.synthetic)
        figure.suptitle(f"{title}\n{note}", fontsize=10)
        _save(figure, out, "4.13")


def _save(figure: "Figure", out: Path, name: str) -> None:
    from mien.report.figures import save_figure

    for suffix in ("svg", "png"):
        save_figure(figure, out / f"{name}.{suffix}")


def _write(path: Path, rows: "pd.DataFrame") -> None:
    from mien.core.files import atomic_file

    with atomic_file(path) as scratch:
        rows.to_csv(scratch, index=False, float_format="%.6g", lineterminator="\n")
