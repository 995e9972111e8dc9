"""params.yaml: what is accepted, and what the refusal says."""

import copy
import json

import pytest
import yaml

from mien.config import schema
from mien.config.runs import needed_folds
from mien.errors import ConfigError


@pytest.fixture(scope="module")
def shipped(repository) -> dict:
    return yaml.safe_load((repository / "params.yaml").read_text())


@pytest.fixture
def raw(shipped) -> dict:
    return copy.deepcopy(shipped)


@pytest.mark.parametrize("scale", schema.SCALES)
def test_shipped_params_are_valid_at_every_scale(raw, scale):
    params = schema.resolve({**raw, "scale": scale})
    assert params["scale"] == scale
    assert isinstance(schema.section(schema.TrainConfig, params, "train").width, int)


def test_scale_picks_one_of_two_values_and_leaves_the_rest(raw):
    mini, thesis = (schema.resolve({**raw, "scale": scale}) for scale in schema.SCALES)
    assert mini["train"]["width"] != thesis["train"]["width"] == 64
    assert mini["sound"]["hop"] == thesis["sound"]["hop"] == 64


def test_a_section_survives_the_json_that_a_rule_passes(raw):
    params = schema.resolve(raw)
    text = json.dumps({"faces": params["faces"]})
    assert schema.section(schema.FacesConfig, schema.load(text), "faces") == schema.section(
        schema.FacesConfig, params, "faces"
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
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ConfigError) as error:
        schema.resolve(raw)
    for word in words:
        assert word in str(error.value)


def test_a_missing_key_is_named(raw):
    del raw["sound"]["hop"]
    with pytest.raises(ConfigError, match=r"sound\.hop is missing"):
        schema.resolve(raw)


def test_a_frozen_branch_must_be_of_the_same_modality(raw):
    raw["variants"]["N0_late"]["frozen"] = {"video": "AM"}
    with pytest.raises(ConfigError, match="AM is not a video network"):
        schema.resolve(raw)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("pretrain", "Faces", "corpus"), "ravdes", ["pretrain.Faces.corpus"]),
        (
            ("pretrain", "FER_3", "init"),
            "Face",
            ["pretrain.FER_3.init", "neither a row", "did you mean Faces?"],
        ),
        (("pretrain", "FER_3", "init"), "randon", ["did you mean random?"]),
        (("pretrain", "FER_3", "init"), "FER_3", ["pretrain.FER_3.init: FER_3 -> FER_3 has no first row"]),
        (("pretrain", "Faces", "init"), "FER_4", ["Faces -> FER_4 -> Faces has no first row"]),
        (("pretrain", "FER_3", "init"), "P1", ["P1 is a resnet18 of video, FER_3 a vgg16 of video", "FER_4"]),
        (("pretrain", "P2", "init"), "P1", ["P1 is a resnet18 of video, P2 a resnet18 of audio", "random"]),
        (("transfer", "rates"), ["FER_33"], ["transfer.rates: FER_33 is no row of pretrain", "did you mean FER_3?"]),
        (
            ("transfer", "table"),
            ["Faces"],
            ["Faces learns actor on ravdess, not the emotions of fer2013"],
        ),
        (("transfer", "frozen"), ["P2"], ["transfer.frozen: P2 learns actor on voxceleb"]),
        (("variants", "AM", "init"), {"audio": "P1"}, ["variants.AM.init.audio: P1 is a resnet18 of video", "P2"]),
        (("variants", "VM", "init"), {"video": "Faces"}, ["Faces is a vgg16 of video, not a resnet18 of video"]),
        (("variants", "VM", "init"), {"video": "P3"}, ["P3 is neither a row", "known: P1", "leave video out"]),
        (("variants", "VM", "init"), {"video": "random"}, ["random is neither", "leave video out"]),
    ],
)
def test_networks_start_from_what_fits(raw, path, value, words):
    test_a_wrong_value_is_named_with_what_to_do(raw, path, value, words)


def test_a_file_or_nothing_yet_may_be_a_start(raw):
    raw["pretrain"]["FER_3"]["init"] = "data/weights/vgg16.pth"
    raw["pretrain"]["FER_4"]["init"] = "none"
    raw["pretrain"]["FER_5"]["init"] = "FER_4"
    raw["variants"]["VM"]["init"] = {"video": "trunk.safetensors"}
    schema.resolve(raw)


def test_a_corpus_that_is_not_there_cannot_be_learnt(raw):
    del raw["corpora"]["voxceleb"]
    with pytest.raises(ConfigError, match=r"pretrain\.P2\.corpus: voxceleb is not under corpora"):
        schema.resolve(raw)


def test_two_rows_cannot_share_a_folder(raw):
    raw["pretrain"]["AM"] = {**raw["pretrain"]["P1"], "corpus": "ravdess", "init": "none"}
    with pytest.raises(ConfigError, match=r"pretrain\.AM and variants\.AM would write results/training/ravdess/AM"):
        schema.resolve(raw)
    raw["pretrain"]["AM"] |= {"target": "actor"}  # another folder
    schema.resolve(raw)


def test_a_row_names_what_its_network_depends_on(raw):
    params = schema.resolve(raw)
    rows = {name: schema.section(schema.PretrainConfig, params, "pretrain", name) for name in ("P1", "P2", "Faces")}
    assert "sound" in rows["P2"].uses
    assert not {"augment", "faces", "extractor.vgg_width"} & set(rows["P2"].uses)
    assert {"augment", "train.width"} < set(rows["P1"].uses)
    assert not {"augment", "train.width", "sound", "extractor.crops"} & set(rows["Faces"].uses)


@pytest.mark.parametrize(("text", "word"), [("a: [", "not valid YAML"), ("- 1", "mapping"), ("", "mapping")])
def test_an_unreadable_file_is_named(tmp_path, text, word):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        schema.load(path)
    with pytest.raises(ConfigError, match="no such file"):
        schema.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("variants", "VM", "init", {"video": "Own"}),
            ["variants.VM.init.video", "pretrain.Own", "ravdess"],
        ),
        (("streams", "V_frame", "init", {"video": "Own"}), ["streams.V_frame.init.video", "pretrain.Own"]),
    ],
)
def test_no_network_starts_from_the_people_it_is_tested_on(raw, change, words):
    part, name, key, value = change
    raw["pretrain"]["Own"] = raw["pretrain"]["P1"] | {"corpus": "ravdess"}
    raw[part][name][key] = value
    with pytest.raises(ConfigError, match="it has seen the people") as error:
        schema.resolve(raw)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("tables", "5.2", "pairs"), {"x": {"N2": "N9"}}, ["tables.5.2.pairs.x", "N9", "no row of the table"]),
        (("watch", "joint"), "V_stream", ["watch.joint", "V_stream uses"]),
        (("watch", "video"), "V_steam", ["watch.video", "did you mean V_stream?"]),
        (("streams", "V_frame", "fusion"), "n0", ["streams", "dense or single = one modality"]),
        (
            ("streams", "N2"),
            {"modalities": ["video"], "fusion": "dense", "aggregator": "lstm", "init": {}},
            ["N2 is a row of variants and of streams"],
        ),
        (("streaming", "hop_s"), 9.0, ["streaming", "hop_s <= window_s"]),
        (("serve", "port"), 70000, ["serve", "port"]),
    ],
)
def test_wrong_rows_of_what_runs_along_are_named(raw, path, value, words):
    *parents, last = path
    inner = raw
    for key in parents:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(ConfigError) as error:
        schema.resolve(raw)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("variants", "N0", "residual"), "relu", ["residual of mrpn"]),
        (("variants", "VM", "modality_dropout"), 0.2, ["modality_dropout", "joint networks"]),
        (("variants", "N1_blend", "blend"), {"fused": "N0", "video": "VM"}, ["blend of all heads"]),
        (("variants", "N1_blend", "blend", "video"), "AM", ["N1_blend.blend.video", "AM is no network of video alone"]),
        (("variants", "N1_blend", "blend", "fused"), "N0_late", ["N0_late", "frozen branches"]),
        (("variants", "N2_frozen", "init"), {"video": "P1"}, ["frozen extractors with an init each"]),
        (("variants", "N2_units", "init"), {"units": "P1"}, ["init and frozen of its modalities"]),
        (("variants", "Attention", "aggregator"), "bilstm", ["attention with the aggregator lstm"]),
        (("tables", "5.1", "folds"), 99, ["tables.5.1.folds", "99 folds"]),
        (("tables", "5.2", "rows"), {"N2_intensity": ""}, ["N2_intensity learns intensity, not label"]),
        (("overview", "rows", "N0", "against"), "N3", ["overview.rows.N0.against", "'N3'"]),
        (("overview", "folds"), {"ravdess": 1}, ["overview.rows", "cremad is not under overview.folds"]),
        (("intensity", "rows"), ["N2"], ["intensity.rows", "N2 learns label"]),
        (("embeddings", "rows", "joint"), "N9", ["embeddings.rows.joint", "no variant 'N9'"]),
        (("fuzziness", "rows"), ["N0_late"], ["N0_late needs AM beside it"]),
        (("fuzziness", "rows"), ["N2_units"], ["action units"]),
        (("fuzziness", "shares"), [0.5, 1.5], ["ascending shares"]),
        (("trust", "rows"), ["Gated"], ["no table asks for Gated on cremad"]),
        (("predict", "joint"), "N2_units", ["predict.joint", "N2_units uses"]),
        (("predict", "corpus"), "ckplus", ["no table asks for N2 on ckplus"]),
        (("embeddings", "folds"), [-1], ["embeddings", "counted from 0"]),
        (("fuzziness", "seeds"), 9, ["seeds * tested"]),
        (("tables", "5.1", "confusion"), "5.4", ["5.4 is another table or figure"]),
        (("splits",), {"ravdes": "x.csv"}, ["splits.ravdes", "did you mean ravdess?"]),
    ],
)
def test_wrong_studies_are_named(raw, path, value, words):
    *parents, last = path
    inner = raw
    for key in parents:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(ConfigError) as error:
        schema.resolve(raw)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_what_a_network_is_made_from_is_trained_on_as_many_folds(raw):
    params = schema.build(schema.Params, schema.resolve(raw), "")
    assert needed_folds(params)["ravdess", "N2_relu"] == params.overview.folds["ravdess"]
    raw["tables"] = {"5.2": raw["tables"]["5.2"] | {"rows": {"N0_late": ""}, "single": []}}
    raw["overview"] = {
        "folds": {"ravdess": 1},
        "rows": {"AM": raw["overview"]["rows"]["AM"] | {"corpora": ["ravdess"]}},
    }
    raw["trust"] |= {"corpora": ["ravdess"], "rows": ["AM"]}
    raw["predict"] |= {"joint": "N0_late"}
    raw["embeddings"]["rows"] = {"joint": "N0_late"}
    alone = needed_folds(schema.build(schema.Params, schema.resolve(raw), ""))
    n_folds = params.folds["ravdess"]
    assert {variant: alone["ravdess", variant] for variant in ("AM", "VM", "N0_late")} == dict.fromkeys(
        ("AM", "VM", "N0_late"), n_folds
    )
    assert ("ravdess", "N2") not in alone
