"""The thesis's numbers: complete, consistent with themselves, and equal to the reference where that is at hand."""

import numpy as np
import pytest
import yaml

from mien.core.errors import ConfigError
from mien.report.published import published_row, read_published


@pytest.fixture(scope="module")
def thesis(repository) -> dict:
    return read_published(repository / "resources" / "thesis_tables.yaml")


def test_the_published_means_come_out_again(thesis):
    for number in ("5.1", "5.2", "5.3"):
        for key, mean in thesis[number]["derived"]["mean"].items():
            row = published_row(thesis, f"{number}/{key}", thesis[number]["corpus"])
            assert row.mean == pytest.approx(mean, abs=0.0051), f"{number}/{key}"


def test_late_fusion_falls_below_one_modality_in_three_folds(thesis):
    one = {key: np.array(values) for key, values in thesis["5.1"]["rows"].items()}
    best = np.maximum(one["AM_T"], one["VM_T"])
    folds = np.array(thesis["5.1"]["folds"])
    assert list(folds[best > thesis["5.2"]["rows"]["N0_late"]]) == ["A1,2", "A9,10", "A23,24"]
    assert list(folds[best > thesis["5.2"]["rows"]["N0_e2e"]]) == ["A9,10"]


def test_numbers_equal_the_reference(thesis, shared):
    reference = yaml.safe_load((shared / "reference" / "thesis-tables.yaml").read_text())["tables"]
    for number in ("5.1", "5.2", "5.3"):
        assert thesis[number]["rows"] == reference[number]["rows"]
        assert thesis[number]["folds"] == reference[number]["folds"]
    for row in reference["5.4"]["ours"]:
        ours = thesis["5.4"]["rows"][row["key"]]
        assert (ours["ravdess"], ours["cremad"]) == (row["RAVDESS"], row["Crema-d"])
    assert thesis["4.1"]["features"] == reference["4.1"]["vectorised"]
    assert thesis["4.1"]["images"] == reference["4.1"]["images"]


def test_folds_are_compared_only_when_all_names_agree(thesis):
    row = published_row(thesis, "5.2/N2_e2e", "ravdess")
    assert row.at(list(row.folds))["A1,2"] == 97.5
    assert row.at(["A1-4", "A5-8"]) == {}
    row = published_row(thesis, "5.3/N2_e2e", "cremad")
    assert row.at([f"S{k}" for k in range(1, 10)]) == {}, "the thesis does not say who is in S1 to S9"
    assert set(row.headlines.values()) == {83.0, 83.15}


def test_an_unknown_row_names_the_known(thesis):
    assert published_row(thesis, "", "cremad") is None
    with pytest.raises(ConfigError, match=r"5\.2/N2_e2e"):
        published_row(thesis, "5.2/N3", "ravdess")
    with pytest.raises(ConfigError, match="about ravdess"):
        published_row(thesis, "5.2/N2_e2e", "cremad")
