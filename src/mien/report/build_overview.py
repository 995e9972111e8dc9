"""Command build_overview: table 5.4 of the thesis beside ours, as CSV and Markdown."""

import logging
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from mien.core.config import ACTED, EvaluateConfig, OverviewConfig, load, section

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="table CLIPS of every corpus")
    parser.add_argument("--corpus-info", type=Path, nargs="+", required=True, help="corpus.json of every corpus")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Read the runs, put every corpus beside the thesis, write both files.

    Raises
    ------
    TableError : a corpus has no corpus.json among those given, or a run is missing.
    """
    from mien.core.errors import TableError
    from mien.core.files import read_json
    from mien.evaluation.metrics import twins
    from mien.evaluation.runs import read_runs, rows_in_order
    from mien.report.markdown import write_table
    from mien.report.overview import cells_of, overview_of
    from mien.report.overview_pages import render
    from mien.report.published import other_systems, read_published, summed_row

    params = load(args.config)
    overview = section(OverviewConfig, params, "overview")
    overview = replace(overview, rows=rows_in_order(args.runs, overview.rows))
    evaluate = section(EvaluateConfig, params, "evaluate")
    thesis, runs, apart = read_published(args.thesis), read_runs(args.runs), twins(args.clips)
    infos = {info["corpus"]: info for info in map(read_json, args.corpus_info)}
    if missing := [corpus for corpus in overview.folds if corpus not in infos]:
        raise TableError(f"overview.folds names {missing[0]}; pass its corpus.json with --corpus-info")
    corpora = [
        overview_of(
            corpus,
            runs,
            overview=overview,
            evaluate=evaluate,
            apart=apart,
            printed={name: summed_row(thesis, row.thesis, corpus) for name, row in overview.rows.items()},
            synthetic=infos[corpus]["source"] == "synthetic",
            seed=params["seed"],
        )
        for corpus in ACTED
        if corpus in overview.folds
    ]
    rows, others = list(overview.rows), other_systems(thesis, [corpus.name for corpus in corpora])
    title = thesis["5.4"]["title"]
    text = render(corpora, rows, others, title=title, scale=params["scale"], confidence=evaluate.confidence)
    write_table(cells_of(corpora, rows, others), text, csv=args.out_csv, md=args.out_md)
    log.info("table 5.4: %d rows, %s, %d runs", len(rows), " and ".join(one.name for one in corpora), len(runs))
