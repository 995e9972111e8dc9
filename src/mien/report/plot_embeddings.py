"""Command plot_embeddings: what networks judge clips by, in two dimensions (thesis, figure 5.1)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import EmbeddingsConfig, load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="table EMBEDDINGS of every fold")
    parser.add_argument("--corpus-info", type=Path, required=True, help="corpus.json of the corpus")
    parser.add_argument("--out-svg", type=Path, required=True)
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="a row per point")


def run(args: Namespace) -> None:
    """Lay the vectors of every network and fold out, draw a panel of each."""
    import pandas as pd

    from mien.core import tables
    from mien.core.files import atomic_file, read_json
    from mien.core.rng import seed_for
    from mien.evaluation.embeddings import POINTS, lay_out
    from mien.report.embeddings import draw_embeddings
    from mien.report.figures import new_figure, save_figure, title_line

    params = load(args.config)
    config = section(EmbeddingsConfig, params, "embeddings")
    seed = seed_for(params["seed"], "embeddings") % 2**32  # numpy's old generators take no more
    info = read_json(args.corpus_info)
    columns = [(config.rows[key], symbol) for key, symbol in tables.FEATURES.items() if key in config.rows]
    folds = []
    for path in args.embeddings:
        rows = tables.read(path, tables.EMBEDDINGS)
        parts = [
            lay_out(part, perplexity=config.perplexity, seed=seed) for _, part in rows.groupby("variant", sort=False)
        ]
        folds.append(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=POINTS))
    name = "Figure 5.1: what networks judge clips by"
    title = title_line(name, info["corpus"], synthetic=info["source"] == "synthetic")
    with new_figure(2.7 * len(columns), 0.9 + 2.8 * len(folds)) as figure:
        draw_embeddings(figure, folds, columns, info["classes"])
        figure.suptitle(f"{title}\nt-SNE: distances and axes mean nothing, only who is beside whom", fontsize=10)
        save_figure(figure, args.out_svg)
        save_figure(figure, args.out_png)
    named = {path.stem: points for path, points in zip(args.embeddings, folds, strict=True)}
    rows = pd.concat(named, names=["fold", None]).reset_index("fold")
    with atomic_file(args.out_csv) as scratch:
        rows.to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    log.info("%s: %d points in %d panels", args.out_svg, len(rows), len(folds) * len(columns))
