"""params.yaml: what is accepted, and what the refusal says."""

import copy
import json

import pytest
import yaml

from mien.core import config
from mien.core.errors import ConfigError


@pytest.fixture
def raw(repository):
    return yaml.safe_load((repository / "params.yaml").read_text())


@pytest.mark.parametrize("scale", config.SCALES)
def test_shipped_params_are_valid_at_every_scale(raw, scale):
    params = config.resolve({**raw, "scale": scale})
    assert params["scale"] == scale
    assert isinstance(config.section(config.TrainConfig, params, "train").width, int)


def test_scale_picks_one_of_two_values_and_leaves_the_rest(raw):
    mini, thesis = (config.resolve({**raw, "scale": scale}) for scale in config.SCALES)
    assert mini["train"]["width"] != thesis["train"]["width"] == 64
    assert mini["sound"]["hop"] == thesis["sound"]["hop"] == 64


def test_a_section_survives_the_json_that_a_rule_passes(raw):
    params = config.resolve(raw)
    text = json.dumps({"faces": params["faces"]})
    assert config.section(config.FacesConfig, config.load(text), "faces") == config.section(
        config.FacesConfig, params, "faces"
    )


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("train", "learing_rate"), 0.1, ["train.learing_rate", "unknown", "did you mean learning_rate?"]),
        (("train", "learning_rate"), "1e-3", ["train.learning_rate", "float", "1.0e-3"]),
        (("train", "batch"), True, ["train.batch", "int", "True"]),
        (("train", "batch"), 1, ["train", "batch >= 2"]),
        (("corpora", "ravdes"), {"source": "synthetic", "actors": 4}, ["corpora.ravdes", "did you mean ravdess?"]),
        (("corpora", "ravdess", "source"), 3, ["corpora.ravdess.source", "str"]),
        (("folds", "ravdess"), 0, ["folds.ravdess"]),
        (("variants", "N2", "fusion"), "mrnp", ["variants.N2.fusion", "mrpn"]),
        (("variants", "a/b"), {}, ["variants.a/b"]),
        (("tables", "5.2", "rows"), {"N3": ""}, ["tables.5.2", "N3"]),
        (("augment", "contrast"), [1.0], ["augment.contrast", "list of 2"]),
        (("predict", "joint"), "N9", ["predict.joint", "N9"]),
        (("scale",), "huge", ["scale", "mini, thesis", "huge"]),
        (("seed",), -1, ["seed", "-1"]),
        (("train",), [1], ["train", "mapping"]),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(raw, path, value, words):
    broken = copy.deepcopy(raw)
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ConfigError) as error:
        config.resolve(broken)
    for word in words:
        assert word in str(error.value)


def test_a_missing_key_is_named(raw):
    del raw["sound"]["hop"]
    with pytest.raises(ConfigError, match=r"sound\.hop is missing"):
        config.resolve(raw)


def test_a_frozen_branch_must_be_of_the_same_modality(raw):
    raw["variants"]["N0_late"]["frozen"] = {"video": "AM"}
    with pytest.raises(ConfigError, match="AM is not a video network"):
        config.resolve(raw)


@pytest.mark.parametrize(("text", "word"), [("a: [", "not valid YAML"), ("- 1", "mapping"), ("", "mapping")])
def test_an_unreadable_file_is_named(tmp_path, text, word):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        config.load(path)
    with pytest.raises(ConfigError, match="no such file"):
        config.load(tmp_path / "absent.yaml")
