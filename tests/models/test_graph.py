"""The boxes of a network are its modules, and lead where the network leads."""

import pytest

from mien.models.graph import boxes_of
from mien.models.mrpn import build

SIZES = {"aggregator": "lstm", "side_head": "dense", "classes": 4, "width": 2, "dropout": 0.5}


def boxes(fusion, *names):
    return boxes_of(build(names, fusion=fusion, **SIZES))


@pytest.mark.parametrize("names", [("video", "audio"), ("audio", "units", "video")])
@pytest.mark.parametrize("fusion", ["n0", "n1", "mrpn"])
def test_every_modality_has_a_lane_and_all_meet_in_the_concatenation(fusion, names):
    found = {box.name: box for box in boxes(fusion, *names)}
    last = "residual" if fusion == "mrpn" else "norms"
    assert found["concatenation"].inputs == tuple(f"{last}.{name}" for name in names)
    assert {box.lane for box in found.values()} == {*names, ""}
    for name in names:
        assert found[f"branches.{name}.trunk"].inputs == (name,)
        assert found[f"branches.{name}.aggregator"].inputs == (f"branches.{name}.trunk",)
        assert (f"scores of {name}" in found) == (fusion != "n0")
    assert found["joint_norm"].size == f"{16 * len(names)}"
    assert found["scores of fused"].inputs == ("score",)


def test_no_box_comes_before_what_it_gets_something_from():
    seen, found = set(), boxes("mrpn", "video", "audio")
    for box in found:
        assert set(box.inputs) <= seen
        seen.add(box.name)
    assert len(found) == 2 * 7 + 4  # of lanes: input, trunk, memory, norm, residual, head, score
    assert [box.title for box in boxes("single", "units")][:4] == ["units", "perceptron", "LSTM", "FeatureNorm"]
    assert {box.lane for box in boxes("single", "units")} == {"units"}
