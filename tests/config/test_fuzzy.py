"""Conditions and versions of the experiment on missing and fuzzy information."""

from mien.config.fuzziness import CLEAR, FUZZY_MODALITIES, KINDS, NOTHING, VERSIONS, Condition, conditions, made_as
from mien.config.schema import SyntheticConfig


def test_a_share_above_zero_makes_a_condition_of_every_kind_and_modality():
    found = conditions([0.0, 0.3, 0.6])
    assert found[0] == NOTHING
    assert len(found) == len(set(found)) == 1 + 2 * len(KINDS) * len(FUZZY_MODALITIES)
    assert {condition.version for condition in found} == set(VERSIONS)
    assert len({condition.name for condition in found}) == len(found)


def test_a_version_has_all_takes_of_its_kind_and_of_no_other():
    fixed = {"size_px": 128, "rate_fps": 5, "takes": 1}
    for version in VERSIONS:
        config = SyntheticConfig(**fixed, **made_as(version))
        shares = {name: getattr(config, name) for name in made_as(version)}
        assert sum(shares.values()) == (version != CLEAR)
        assert version == CLEAR or shares[version] == 1.0
    assert Condition("blended", "audio", 0.3).version == "blended_audio"
