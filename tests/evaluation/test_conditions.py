"""Conditions of the shipped parameters: names of their own, and only for networks that can tell."""

import pytest

from mien.config.schema import TrustConfig, load, section
from mien.evaluation.calibration import CLEAN, conditions


@pytest.fixture(scope="module")
def shipped(repository):
    return conditions(section(TrustConfig, load(repository / "params.yaml"), "trust"))


def test_names_are_distinct_and_the_undisturbed_comes_first(shipped):
    names = [one.name for one in shipped]
    assert names[0] == CLEAN
    assert len(set(names)) == len(names)


def test_a_network_meets_the_conditions_of_what_it_uses(shipped):
    def of(*modalities):
        return {one.modality for one in shipped if one.concerns(modalities)}

    assert of("audio") == {"", "audio"}
    assert of("video") == of("video", "units") == {"", "video"}
    assert of("video", "audio") == {"", "audio", "video"}
    alone = [one for one in shipped if one.kind == "missing" and one.concerns(("audio",))]
    assert not alone
    assert len([one for one in shipped if one.kind == "missing" and one.concerns(("video", "audio"))]) == 2
