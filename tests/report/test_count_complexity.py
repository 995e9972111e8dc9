"""Command count_complexity: the thesis's listings and our networks, counted."""

import json

import pandas as pd
import pytest

from mien.config import schema
from mien.errors import ConfigError, TableError
from mien.report.tables.complexity import count_complexity

SECTIONS = ("scale", "train", "faces", "sound", "variants", "streams", "streaming")


@pytest.fixture
def params(repository) -> dict:
    """Return the sections at the scale of the thesis: some rows of each kind, and one with a 3D trunk."""
    resolved = schema.load(repository / "params.yaml", repository / "config" / "thesis.yaml")
    kept = {name: resolved[name] for name in SECTIONS}
    rows = {name: kept["variants"][name] for name in ("VM", "N2")}
    rows["VM3D"] = rows["VM"] | {"trunk": {"video": "resnet3d18"}}
    streams = {name: kept["streams"][name] for name in ("V_stream", "AV_stream")}
    return kept | {"variants": rows, "streams": streams}


@pytest.fixture
def count(repository, tmp_path):
    """Return call(params) -> the rows of the table and the text of the page."""

    def call(params, thesis=repository / "resources" / "thesis_tables.yaml"):
        csv, md = tmp_path / "complexity.csv", tmp_path / "complexity.md"
        info = tmp_path / "corpus.json"
        info.write_text(json.dumps({"classes": [f"emotion {k}" for k in range(8)]}))
        count_complexity(thesis=thesis, corpus_info=info, out_csv=csv, out_md=md, config=json.dumps(params))
        return pd.read_csv(csv, dtype=str), md.read_text()

    return call


def test_the_table(count, params):
    table, _text = count(params)
    totals = table[table.part == "total"].set_index("network")
    for name in ("LIST-2D", "LIST-3D"):
        assert totals.parameters[name] == totals.thesis_parameters[name]
        assert totals.listed[name] == totals.thesis_listed[name]
        parts = table[(table.network == name) & (table.given == "1 s") & (table.part != "total")]
        assert str(parts.multiply_adds.astype(int).sum()) == totals.multiply_adds[name]
    ratios = table[table.network == "LIST-3D / LIST-2D"].ratio.astype(float)
    assert list(ratios.round(2)) == [13.55, 1.19, 30.01]
    _check_ours(totals)


def _check_ours(totals):
    """Hold our networks against the sizes of chapter 5, and against sums of what their parts cost."""
    counts, spent = totals.parameters.astype(int), totals.multiply_adds.astype(int)
    assert (counts["N2"], counts["VM"]) == (27_353_880, 13_412_680)
    assert counts["VM3D"] == 33_203_904 + counts["VM"] - 11_176_512 - 2_101_248
    lstm = 2 * 4 * 512 * 512
    image, sound = 1_813_561_344 + lstm, 2_382_453_568 + lstm
    judging = 2 * (512 * 512 + 512 * 8) + 1024 * 256 + 256 * 8
    assert spent["N2"] == 25 * image + 5 * sound + judging
    assert spent["VM3D"] == 54_550_544_384 + 512 * 256 + 256 * 8
    assert spent["V_stream"] == 25 * (image + 512 * 8)
    assert spent["AV_stream"] == 25 * image + 2 * sound + 2 * judging


def test_what_is_missing_is_named(count, params, tmp_path):
    with pytest.raises(ConfigError, match="streaming"):
        count(params | {"streaming": {}})
    thesis = tmp_path / "tables.yaml"
    thesis.write_text("tables: {complexity: {rows: {}}}")
    with pytest.raises(TableError, match=r"tables.yaml does not hold the thesis's listings"):
        count(params, thesis)
