"""Table 5.4: planted networks beside what the thesis prints, on the folds that are asked for and no others."""

import json
from pathlib import Path

import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.io.files import read_json, write_json
from mien.report.tables.overview import build_overview
from report import planted_variants

BOTH = ["ravdess", "cremad"]
ROWS = {
    "N1": {"corpora": BOTH, "baseline": "N0"},
    "N0": {"corpora": BOTH, "baseline": ""},
    "N2": {"corpora": ["ravdess"], "baseline": "N1"},
}
SHARES = {"N0": 0.5, "N1": 0.75, "N2": 0.5}


def config(**changes) -> str:
    overview = {"folds": {"ravdess": 2, "cremad": 1}, "rows": ROWS} | changes
    return json.dumps({"seed": 0, "scale": "mini", "evaluate": planted.EVALUATE, "overview": overview})


def write_runs(root: Path) -> tuple[list[Path], dict[str, Path]]:
    """Write runs in the order of ROWS, with a fold more than is asked for; return them and the corpora's folders."""
    folders = {corpus: planted.write_corpus(root, n_actors=6, corpus=corpus) for corpus in BOTH}
    runs = [
        planted_variants.write_run(
            root, name, k, {2 * k + 1: SHARES[name], 2 * k + 2: SHARES[name] + 1 / 12}, corpus=corpus, n_parameters=200
        )
        for name, row in ROWS.items()
        for corpus in row["corpora"]
        for k in range(3 if corpus == "ravdess" else 2)
    ]
    return runs, folders


@pytest.fixture
def build(tmp_path, repository):
    """Return call(runs, folders, config) -> (CSV frame, Markdown)."""

    def call(runs, folders, config: str) -> tuple[pd.DataFrame, str]:
        return planted.run_table(
            build_overview,
            tmp_path / "tables",
            runs=runs,
            clips=[folder / "clips.parquet" for folder in folders.values()],
            corpus_info=[folder / "corpus.json" for folder in folders.values()],
            thesis=repository / "resources" / "thesis_tables.yaml",
            config=config,
        )

    return call


def test_every_option_stands_beside_the_thesis_and_against_its_row(tmp_path, build):
    runs, folders = write_runs(tmp_path)
    cells, text = build(runs, folders, config())
    ours = cells[cells.part == "ours"]
    assert list(zip(ours.row, ours.corpus, strict=True)) == [(row, corpus) for row in ROWS for corpus in BOTH]
    one = ours[(ours.row == "N1") & (ours.corpus == "ravdess")].iloc[0]
    honest = 100 * (0.75 + 1 / 24)
    assert (one.honest, one.difference) == (pytest.approx(honest, abs=1e-3), pytest.approx(honest - 89.8, abs=1e-3))
    assert (one.n_folds, one.n_people, one.n_clips, one.n_parameters) == (2, 4, 48, 200)  # not the third fold
    assert (one.against, one.gain) == ("N0", 25)
    assert one.gain_low < 25 < one.gain_high  # all actors are equal: of the clips
    assert (one.p, one.p_holm) == (0.5, 1.0)
    assert one.thesis_folds == pytest.approx(89.82, abs=0.005)
    two = ours[(ours.row == "N2") & (ours.corpus == "ravdess")].iloc[0]
    assert (two.against, two.gain) == ("N1", -25)
    alone = ours[(ours.row == "N1") & (ours.corpus == "cremad")].iloc[0]
    assert (alone.n_folds, alone.gain) == (1, 25)
    assert pd.isna(alone.p)
    assert "nan" not in text


def test_a_row_without_a_number_is_a_dash_with_its_reason(tmp_path, build):
    runs, folders = write_runs(tmp_path)
    for path in runs:
        if "cremad/N1" in path.as_posix():
            write_json(path, read_json(path) | {"status": "not applicable", "reason": "nobody speaks"})
    cells, text = build(runs, folders, config())
    found = cells[cells.corpus == "cremad"].set_index("row")
    assert found.honest[["N1", "N2"]].isna().all()
    assert found.reason["N1"] == "nobody speaks"
    line = next(line for line in text.splitlines() if line.startswith("| N2"))
    assert [cell.strip() for cell in line.split("|")][-7:] == ["83.00", *5 * "-", ""]


def test_other_systems_are_named_by_their_references(tmp_path, build):
    runs, folders = write_runs(tmp_path)
    cells, _ = build(runs, folders, config())
    others = cells[cells.part == "others"]
    assert others[others.row == "[64]"].thesis.tolist() == [58.33, 65.0]
    assert len(others) == 14


def test_equal_runs_are_equal_bytes_and_missing_ones_are_named(tmp_path, build):
    runs, folders = write_runs(tmp_path)
    assert build(runs, folders, config())[1] == build(runs, folders, config())[1]
    gone = [path for path in runs if "ravdess/N2/fold1" not in path.as_posix()]
    with pytest.raises(TableError, match="N2 on ravdess, fold 1"):
        build(gone, folders, config())
    with pytest.raises(TableError, match=r"cremad.*--corpus-info"):
        build(runs, {"ravdess": folders["ravdess"]}, config())
