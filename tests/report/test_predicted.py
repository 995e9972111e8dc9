"""The page on how often `mien predict` is right has the numbers of its recordings."""

import json

import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.report.tables.predicted import build_predicted

CONFIG = json.dumps({"evaluate": planted.EVALUATE})


def write(path, said, label="happy sad sad sad", *, material="films", reference="none"):
    rows = [
        {"material": material, "models": "P1 of fer2013", "clip": f"c{k}", "person": f"p{k // 2}", "label": truth}
        | {
            "said": told.strip("-"),
            "right": int(told == truth),
            "confidence": 0.5,
            "used": "face",
            "reference": reference,
        }
        for k, (truth, told) in enumerate(zip(label.split(), said.split(), strict=True))
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_the_page_counts_what_is_right(tmp_path):
    judged = [
        write(tmp_path / "a.csv", "happy sad happy -"),
        write(tmp_path / "b.csv", "sad sad sad sad", material="stills"),
    ]
    table, page = planted.run_table(build_predicted, tmp_path, judged=judged, config=CONFIG)
    first, second = table.to_dict("records")
    assert (first["recordings"], first["people"], first["right"], first["unjudged"]) == (4, 2, 2, 1)
    assert (first["accuracy"], first["commonest"]) == (0.5, 0.75)
    assert first["uar"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-4)
    assert (second["accuracy"], second["uar"]) == (0.75, 0.5)
    z = 1.959964  # Wilson 1927: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), p = 1/2 and n = 4
    half = z * (0.25 / 4 + z**2 / 64) ** 0.5 / (1 + z**2 / 4)
    assert (first["low"], first["high"]) == (pytest.approx(0.5 - half, abs=1e-3), pytest.approx(0.5 + half, abs=1e-3))
    assert "| films" in page
    assert "### stills: P1 of fer2013" in page


def test_nothing_judged_is_said(tmp_path):
    empty = write(tmp_path / "a.csv", "happy sad happy -")
    empty.write_text(empty.read_text().splitlines()[0] + "\n")
    with pytest.raises(TableError, match=r"a.csv: no recording was judged"):
        planted.run_table(build_predicted, tmp_path, judged=[empty], config=CONFIG)
