"""The thesis's numbers: complete, consistent with themselves, and equal to the reference where that is at hand."""

import numpy as np
import pytest
import yaml

from mien.config.schema import Params, load, section
from mien.errors import ConfigError
from mien.report.tables.classifiers import cell_beside
from mien.report.thesis import (
    other_systems,
    printed_beside,
    published_beside,
    published_row,
    read_published,
    summed_row,
)


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
    for ours, row in zip(thesis["5.4"]["others"], reference["5.4"]["others"], strict=True):
        assert (ours["reference"], ours["ravdess"], ours["cremad"]) == (row["ref"], row["RAVDESS"], row["Crema-d"])
    assert thesis["4.1"]["features"] == reference["4.1"]["vectorised"]
    assert thesis["4.1"]["images"] == reference["4.1"]["images"]


def test_folds_are_compared_only_when_all_names_agree(thesis):
    row = published_row(thesis, "5.2/N2_e2e", "ravdess")
    assert row.at(list(row.folds))["A1,2"] == 97.5
    assert row.at(["A1-4", "A5-8"]) == {}
    assert row.mean_at(["A1-4", "A5-8"]) == row.mean
    assert row.at(["A1,2", "A3,4"]) == {"A1,2": 97.5, "A3,4": 92.1}
    assert row.mean_at(["A1,2", "A3,4"]) == pytest.approx((97.5 + 92.1) / 2)
    assert row.at(["A3,4", "A1,2"]) == {}
    row = published_row(thesis, "5.3/N2_e2e", "cremad")
    assert row.at([f"S{k}" for k in range(1, 10)]) == {}, "the thesis does not say who is in S1 to S9"
    assert set(row.headlines.values()) == {83.0, 83.15}


def test_sums_are_held_against_the_folds_that_they_sum_up(thesis):
    """Specification I-13 and I-14: three of the headlines of table 5.4 are not the means of their folds."""
    gaps = {}
    for corpus in ("ravdess", "cremad"):
        for key in thesis["5.4"]["rows"]:
            found = summed_row(thesis, key, corpus)
            if found.folds and abs(found.gap) > 0.3:
                gaps[corpus, key] = round(found.gap, 2)
    assert gaps == {
        ("ravdess", "N2_e2e_VA_AO"): -0.67,
        ("cremad", "N0_e2e_VA_AO"): 2.93,
        ("cremad", "N2_e2e_VA_AO"): 2.41,
        ("cremad", "N2_e2e_VA_AO_transf"): 2.56,
    }
    assert summed_row(thesis, "N0_e2e_VA_WO", "ravdess").folds is None
    assert summed_row(thesis, "", "ravdess") is None
    with pytest.raises(ConfigError, match="N2_e2e_VA_AO_transf"):
        summed_row(thesis, "N9", "ravdess")


def test_other_systems_keep_their_reference_and_their_gaps(thesis):
    found = other_systems(thesis, ["cremad"])
    assert [one.reference for one in found] == ["[64]", "[65]", "[111]", "[69]", "[67]", "[72]", "[105]"]
    assert found[3].values == {"cremad": 69.42}
    assert np.isnan(found[2].values["cremad"])


def test_an_unknown_row_names_the_known(thesis):
    assert published_row(thesis, "", "cremad") is None
    with pytest.raises(ConfigError, match=r"5\.2/N2_e2e"):
        published_row(thesis, "5.2/N3", "ravdess")
    with pytest.raises(ConfigError, match="about ravdess"):
        published_row(thesis, "5.2/N2_e2e", "cremad")


def test_what_is_printed_stands_beside_a_row_that_params_has(thesis, repository):
    params = section(Params, load(repository / "params.yaml"))
    for number, rows in (("5.1", params.variants), ("5.2", params.variants), ("5.3", params.variants)):
        assert set(thesis[number]["ours"]) <= set(thesis[number]["rows"])
        assert set(thesis[number]["ours"].values()) <= set(rows)
    assert set(thesis["5.4"]["ours"]) == set(thesis["5.4"]["rows"])
    assert set(thesis["5.4"]["ours"].values()) <= set(params.overview.rows)
    cells = {name: cell_beside(thesis, row) for name, row in params.classifiers.items()}
    assert sorted(filter(None, cells.values())) == sorted(thesis["4.1"]["ours"])
    assert (cells["CNN1_75"], cells["AU_DNN"], cells["AU_DNN_raw"]) == ("CNN-1_75x75x1", "DNN/AU", "")
    for shown in (["FER_3", "FER_dense"], ["FER_6", "FER_dense"]):
        assert printed_beside(thesis["4.3"], shown[0], shown) == "ours_vggface_transfer"
    assert printed_beside(thesis["4.3"], "FER_6", ["FER_3"]) == ""


def test_a_table_prefers_its_own_row_of_the_thesis(thesis):
    beside = {name: published_beside(thesis, name, "ravdess", number="5.2") for name in ("AM", "N0", "N2", "N2_relu")}
    assert {name: row and row.name for name, row in beside.items()} == {
        "AM": "5.1/AM_T",
        "N0": "5.2/N0_e2e",
        "N2": "5.2/N2_e2e",
        "N2_relu": None,
    }
    assert published_beside(thesis, "N0", "ravdess", number="5.1").name == "5.1/JM_T"
    assert published_beside(thesis, "N0", "cremad", number="5.1").name == "5.3/N0_e2e"
    assert published_beside(thesis, "AM", "cremad", number="5.3") is None
