"""params.yaml: what is accepted, what the refusal says, and what commands are given of it."""

import copy
import dataclasses
import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from pydantic.dataclasses import dataclass

from mien.config import schema
from mien.config.runs import list_runs, needed_folds, select_wanted
from mien.config.values import SECTION, Int
from mien.errors import ConfigError


@pytest.fixture(scope="module")
def shipped(repository) -> dict:
    return schema.read_yaml(repository / "params.yaml")


@pytest.fixture
def raw(shipped) -> dict:
    return copy.deepcopy(shipped)


def put(raw: dict, dotted: str, value: Any) -> None:
    """Set the value at a key; table numbers have a dot of their own, so keys are parted by spaces."""
    *parents, last = dotted.split()
    for key in parents:
        raw = raw.setdefault(key, {})
    raw[last] = value


def test_shipped_files_are_valid_and_differ_in_size(repository):
    mini = schema.load(repository / "params.yaml")
    thesis = schema.load(repository / "params.yaml", repository / "config" / "thesis.yaml")
    assert (mini["scale"], thesis["scale"]) == ("mini", "thesis")
    assert mini["train"]["width"] != thesis["train"]["width"] == 64
    assert mini["sound"]["hop"] == thesis["sound"]["hop"] == 64
    assert list(mini["pretrain"]) == list(thesis["pretrain"])


def test_a_fold_has_one_run_of_a_baseline_whatever_repeats_says(raw):
    raw["repeats"] = 3
    params = schema.section(schema.Params, schema.resolve(raw))
    found = [run for run in list_runs(params) if run.kind == "baseline" and run.corpus == "ravdess"]
    assert {(run.name, run.fold, run.seed) for run in found} == {
        (name, fold, 0) for name in params.baselines for fold in range(3)
    }
    late = next(run for run in found if run.name == "Voice_units_late")
    assert [part.name for part in late.made_from] == ["Units_logistic", "Voice_SVM"]
    assert not late.has_epochs
    table = [run.name for run in select_wanted(list_runs(params), "tables.5.2")]
    assert list(dict.fromkeys(table))[-3:] == ["Voice_SVM", "Units_logistic", "Voice_units_late"]


def test_resolving_twice_is_resolving_once(raw):
    once = schema.resolve(raw)
    assert schema.resolve(copy.deepcopy(once)) == once


def test_a_row_is_like_another_but_for_what_it_says(raw):
    raw["variants"] |= {"Own": {"like": "N2_relu", "modalities": ["audio"], "fusion": "single", "residual": "sigmoid"}}
    rows = schema.resolve(raw)["variants"]
    assert rows["N2_relu"] == rows["N0"] | {"fusion": "mrpn", "residual": "relu"}
    assert rows["Own"]["init"] == {"audio": "P2"}  # of the modalities that it has
    assert rows["N0_late"]["init"] == {}
    assert "like" not in rows["Own"]


def test_the_row_that_a_variant_is_like_is_its_baseline(raw):
    rows = schema.resolve(raw)["overview"]["rows"]
    assert {name: rows[name]["baseline"] for name in ("AM", "N1", "N2_relu")} == {"AM": "", "N1": "N0", "N2_relu": "N2"}
    assert (rows["N2"]["corpora"], rows["Gated"]["corpora"]) == (["ravdess", "cremad"], ["ravdess"])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        # Kinds and ranges.
        ("train learing_rate", 0.1, ["train.learing_rate is unknown; did you mean learning_rate?"]),
        ("trian", {}, ["trian is unknown; did you mean train?"]),
        ("train learning_rate", "a", ["train.learning_rate should be a number, got 'a'"]),
        ("train learning_rate", float("inf"), ["train.learning_rate should be a finite number"]),
        ("train learning_rate", float("nan"), ["train.learning_rate"]),
        ("train learning_rate", 1e300, ["train.learning_rate should be at most 10"]),
        ("train learning_rate", -1.0, ["train.learning_rate should be above 0"]),
        ("train dropout", 1.0, ["train.dropout should be below 1"]),
        ("train batch", True, ["train.batch should be a whole number, got True"]),
        ("train batch", 8.0, ["train.batch should be a whole number, got 8.0"]),
        ("train batch", 1, ["train.batch should be at least 2, got 1"]),
        ("train width", 10**6, ["train.width should be at most"]),
        ("train", [1], ["train should be a mapping"]),
        ("sound log", 1, ["sound.log should be true or false"]),
        ("sound hop", 9999, ["sound: hop should be at most window", "512"]),
        ("augment contrast", [1.0], ["augment.contrast should be a list of 2"]),
        ("augment scale", [1.1, 0.9], ["scale should be in ascending order"]),
        ("synthetic missing_video", 0.95, ["missing_video and blended_video should add up to at most 1"]),
        ("synthetic size_px", 100_000, ["synthetic.size_px should be at most 4096"]),
        ("faces size_px", 10**6, ["faces.size_px should be at most 4096"]),
        ("trust noise_db", [1.0, "a"], ["trust.noise_db[1] should be a number"]),
        ("evaluate resamples", 10**12, ["evaluate.resamples should be at most"]),
        ("repeats", 10**9, ["repeats should be at most 1000"]),
        ("scale", "huge", ["should be one of mini, study, people, thesis", "huge"]),
        ("seed", -1, ["seed should be at least 0"]),
        ("seed", "0", ["seed should be a whole number"]),
        ("serve port", 70000, ["serve.port"]),
        ("streaming hop_s", 9.0, ["streaming: hop_s should be at most window_s"]),
        ("embeddings folds", [-1], ["embeddings.folds[0]"]),
        ("fuzziness seeds", 9, ["seeds * tested"]),
        ("fuzziness shares", [0.5, 1.0], ["shares should be ascending, from 0.0 on"]),
        ("fuzziness shares", [0.0, 1.5], ["fuzziness.shares[1] should be at most 1"]),
        ("baselines Voice_SVM modality", "video", ["baselines.Voice_SVM.modality", "audio"]),
        ("baselines Voice_SVM parts", ["Units_logistic"], ["parts should be two other rows or more, of late only"]),
        ("baselines Voice_SVM modality", "", ["modality should be of svm and logistic only"]),
        ("variants AM normalise", "person", ["should be one of corpus, subject"]),
        ("variants VM normalise", "subject", ["normalise should be corpus for pictures alone"]),
        ("corpora ravdess columns", {"face_features": [0, 3]}, ["has no vectors", "ravdess_au"]),
        ("corpora ravdess_au", {"source": "synthetic", "actors": 24}, ["folds.ravdess_au is missing"]),
        ("tables 5.2 thesis", {"AM": "nobody"}, ["there is no variant 'nobody'"]),
        (
            "baselines Voice_units_late parts",
            ["Voice_SVM", "AM"],
            ["Voice_units_late.parts", "'AM' is no svm or logistic"],
        ),
        ("baselines N2", {"like": "Voice_SVM"}, ["N2 is a row of baselines and of variants"]),
        ("tables 5.2 baselines", ["Voice_SMV"], ["tables.5.2.baselines", "did you mean Voice_SVM?"]),
        # Corpora.
        ("corpora ravdes", {"source": "synthetic", "actors": 4}, ["corpora.ravdes", "did you mean ravdess?"]),
        ("corpora ravdess source", 3, ["corpora.ravdess.source should be text"]),
        ("corpora ravdess actors", 25, ["corpora.ravdess.actors should be at most 24"]),
        ("corpora cremad actors", 92, ["corpora.cremad.actors should be at most 91"]),
        ("corpora fer2013 actors", 10**7, ["corpora.fer2013.actors should be at most"]),
        ("folds ravdess", 0, ["folds.ravdess should be at least 1"]),
        ("folds ravdess", 13, ["folds.ravdess should be 2 to 12"]),
        ("folds fer2013", 2, ["folds.fer2013 should be 1"]),
        ("splits", {"ravdes": "x.csv"}, ["splits.ravdes", "did you mean ravdess?"]),
        # Names.
        ("variants a/b", {"like": "N2"}, ["variants.a/b", "letters"]),
        ("variants " + "a" * 300, {"like": "N2"}, ["variants.aaa", "up to 64"]),
        ("tables ../../x", {"corpus": "ravdess", "rows": ["AM"]}, ["tables.../../x", "names files"]),
        ("tables a/b", {"corpus": "ravdess", "rows": ["AM"]}, ["tables.a/b", "names files"]),
        ("tables 5.1 confusion", "5.4", ["5.4 is another table or figure"]),
        ("tables 5.1 confusion", "5.6", ["5.6 is the figure of table"]),
        ("tables 5.1 confusion", "5.2", ["5.2 is the table as well"]),
        ("tables 5.1 confusion", "../x", ["tables.5.1.confusion", "names files"]),
        # Rows that are like others.
        ("variants N2 like", "N9", ["variants.N2.like: there is no row 'N9' of variants"]),
        ("pretrain FER_3 like", "FER_4", ["pretrain.", "FER_4 -> FER_3", "leads back"]),
        # Variants.
        ("variants N2 fusion", "mrnp", ["variants.N2.fusion", "mrpn"]),
        ("variants N0 residual", "relu", ["residual should be sigmoid but for mrpn"]),
        ("variants VM modality_dropout", 0.2, ["modality_dropout", "joint networks"]),
        ("variants N0_WO modulation", {"alfa": 0.3}, ["variants.N0_WO.modulation.alfa", "did you mean alpha?"]),
        ("variants AM_random modalities", ["wavlm"], ["AM_random: is made with wavlm", "speech.wavlm"]),
        ("variants N1 modulation", {"alpha": 0.3}, ["modulation should be of fusion n0"]),
        ("variants N0_late modulation", {"noise": True}, ["modulation should be", "without frozen"]),
        ("variants N1_blend blend", {"fused": "N0", "video": "VM"}, ["blend should name all heads"]),
        ("variants N1_blend blend video", "AM", ["N1_blend.blend.video", "AM is no network of video alone"]),
        ("variants N1_blend blend fused", "N0_late", ["N0_late", "frozen branches"]),
        ("variants N2_frozen init", {"video": "P1"}, ["extractors should be frozen with an init each only"]),
        ("variants N2_units init", {"units": "P1"}, ["init should be of its modalities"]),
        ("variants Attention aggregator", "bilstm", ["attention needs aggregator lstm"]),
        ("variants N0_late frozen", {"video": "AM", "audio": "AM"}, ["AM is not a video network"]),
        ("variants AM init", {"audio": "P1"}, ["variants.AM.init.audio: P1 is a resnet18 of video", "P2"]),
        ("variants VM init", {"video": "Faces"}, ["Faces is a vgg16 of video, not a resnet18 of video"]),
        ("variants VM init", {"video": "P3"}, ["P3 is neither a row", "known: P1", "leave video out"]),
        # Networks trained ahead.
        ("pretrain Faces corpus", "ravdes", ["pretrain.Faces.corpus"]),
        ("pretrain FER_3 init", "Face", ["pretrain.FER_3.init", "neither a row", "did you mean Faces?"]),
        ("pretrain FER_3 init", "randon", ["did you mean random?"]),
        ("pretrain FER_3 init", "FER_3", ["pretrain.FER_3.init: FER_3 -> FER_3 has no first row"]),
        ("pretrain Faces init", "FER_4", ["Faces -> FER_4 -> Faces has no first row"]),
        ("pretrain FER_3 init", "P1", ["P1 is a resnet18 of video, FER_3 a vgg16 of video", "FER_4"]),
        ("pretrain P2 init", "P1", ["P1 is a resnet18 of video, P2 a resnet18 of audio", "random"]),
        ("transfer rates", ["FER_33"], ["transfer.rates: FER_33 is no row of pretrain", "did you mean FER_3?"]),
        ("transfer table", ["Faces"], ["Faces learns actor on ravdess, not the emotions of fer2013"]),
        # Tables and studies.
        ("tables 5.1 folds", 99, ["tables.5.1.folds", "99 folds"]),
        ("tables 5.2 controls", {"x": {"N2": "N9"}}, ["tables.5.2.controls.x", "N9", "no row of the table"]),
        ("overview rows ravdess", ["N99"], ["overview.rows: there is no variant 'N99'"]),
        ("overview folds", {"ravdess": 1}, ["overview", "folds should have cremad"]),
        ("intensity rows", ["N2"], ["intensity.rows", "N2 learns label"]),
        ("embeddings rows joint", "N9", ["embeddings.rows.joint", "no variant 'N9'"]),
        ("fuzziness rows", ["N0_late"], ["N0_late needs AM beside it"]),
        ("fuzziness rows", ["N2_units"], ["action units"]),
        ("trust rows", ["Gated"], ["no table asks for Gated on cremad"]),
        ("trust options", {"Gated": "N3"}, ["trust.options.Gated: N3 is no row", "known: AM"]),
        ("trust options", {"N9": "N0"}, ["trust.options: there is no variant 'N9'"]),
        ("predict joint", "N9", ["predict.joint", "N9"]),
        ("predict joint", "VM", ["predict.joint", "VM uses"]),
        ("predict corpus", "ckplus", ["no table asks for N2 on ckplus"]),
        # What runs along.
        ("watch joint", "V_stream", ["watch.joint", "V_stream uses"]),
        ("watch video", "V_steam", ["watch.video", "did you mean V_stream?"]),
        ("streams V_frame fusion", "n0", ["streams.V_frame", "two or more for the fusion n0"]),
        ("streams N2", {"like": "V_stream"}, ["N2 is a row of variants and of streams"]),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(raw, key, value, words):
    put(raw, key, value)
    with pytest.raises(ConfigError) as error:
        schema.resolve(raw)
    assert str(error.value).startswith("params.yaml: ")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_missing_key_is_named(raw):
    del raw["sound"]["hop"], raw["train"]["stop"]
    with pytest.raises(ConfigError, match=r"sound\.hop is missing \(2 missing: hop, stop\)"):
        schema.resolve(raw)


def test_a_small_number_may_be_written_as_people_do(tmp_path, repository):
    text = (repository / "params.yaml").read_text().replace("learning_rate: 3.0e-3\n", "learning_rate: 3e-3\n")
    (tmp_path / "params.yaml").write_text(text)
    assert schema.load(tmp_path / "params.yaml")["train"]["learning_rate"] == 3e-3


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "mapping"),
        ("", "mapping"),
        ("seed: 0\nrepeats: 1\nseed: 1\n", "seed stands in line 1 and again in line 3"),
        ("variants:\n  A: {like: B}\n  A: {like: C}\n", "A stands in line 2 and again in line 3"),
        ("a: &a [1]\nb: [*a, *a]\n", r"line 2: \*a is an alias"),
        ("splits: &a {x: *a}\n", r"line 1: \*a is an alias"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: " + "x" * 2**20, "bytes"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path, text, word):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        schema.load(path)
    with pytest.raises(ConfigError, match="no such file"):
        schema.load(tmp_path / "absent.yaml")


def test_an_error_names_the_files_that_were_read(tmp_path, repository):
    (mine := tmp_path / "mine.yaml").write_text("sed: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml, .*mine\.yaml: sed is unknown"):
        schema.load(repository / "params.yaml", mine)


def test_files_that_params_name_have_to_be_there(raw, repository, monkeypatch):
    monkeypatch.chdir(repository)
    schema.check_files(schema.section(schema.Params, schema.resolve(raw)))
    for key, value, words in [
        ("splits", {"ravdess": "resources/splits/ravdess-hicmae.csv"}, "folds.ravdess should be 6"),
        ("splits", {"ravdess": "absent.csv"}, "splits.ravdess: absent.csv cannot be read"),
        ("corpora ravdess source", "absent", "corpora.ravdess.source: absent is not there"),
    ]:
        changed = copy.deepcopy(raw)
        put(changed, key, value)
        with pytest.raises(ConfigError, match=words):
            schema.check_files(schema.section(schema.Params, schema.resolve(changed)))


def test_a_file_or_nothing_yet_may_be_a_start(raw):
    raw["pretrain"]["FER_3"]["init"] = "data/weights/vgg16.pth"
    raw["pretrain"]["FER_4"]["init"] = "none"
    raw["pretrain"]["FER_5"]["init"] = "FER_4"
    raw["variants"]["VM"]["init"] = {"video": "trunk.safetensors"}
    schema.resolve(raw)


def test_one_file_is_the_start_of_all_rows_that_are_like_the_one_that_names_it(raw, repository):
    raw = schema.merge(raw, schema.read_yaml(repository / "config" / "thesis.yaml"))
    likes = ["FER_3", "FER_4", "FER_5", "FER_6", "FER_7", "FER_dense"]
    for start in ("none", "data/weights/vgg_face_dag.pth"):
        raw["pretrain"]["FER_3"]["init"] = start
        rows = schema.resolve(raw)["pretrain"]
        assert {name: rows[name]["init"] for name in likes} == dict.fromkeys(likes, start)
        assert rows["FER_imagenet"]["init"] == "none"


def test_rows_of_pretrain_are_trained_where_something_needs_them(raw):
    def names() -> list[str]:
        runs = list_runs(schema.section(schema.Params, schema.resolve(copy.deepcopy(raw))))
        return [run.name for run in runs if run.kind == "pretrain"]

    assert names() == list(raw["pretrain"])
    raw["pretrain"]["FER_3"]["init"] = "none"  # and so of all FER_*
    raw["pretrain"]["Older"] = {"like": "Faces", "init": "random"}
    raw["pretrain"]["Faces"]["init"] = "Older"
    assert names() == [name for name in raw["pretrain"] if name not in ("Faces", "Older")]
    raw["pretrain"]["FER_dense"]["init"] = "Faces"
    assert names() == list(raw["pretrain"])
    raw["pretrain"]["Tones"] = {"like": "P2"}
    assert "Tones" not in names()
    raw["variants"]["AM_random"]["init"] = {"audio": "Tones"}
    assert "Tones" in names()


def test_a_corpus_that_is_not_there_cannot_be_learnt(raw):
    del raw["corpora"]["voxceleb"]
    with pytest.raises(ConfigError, match=r"pretrain\.P2\.corpus: voxceleb is not under corpora"):
        schema.resolve(raw)


def test_two_rows_cannot_share_a_folder(raw):
    raw["pretrain"]["AM"] = {"like": "P1", "corpus": "ravdess", "init": "none"}
    with pytest.raises(ConfigError, match=r"pretrain\.AM and variants\.AM would write results/training/ravdess/AM"):
        schema.resolve(raw)
    raw["pretrain"]["AM"] |= {"target": "actor"}  # another folder
    schema.resolve(raw)


@pytest.mark.parametrize(("part", "name"), [("variants", "VM"), ("streams", "V_frame")])
def test_no_network_starts_from_the_people_it_is_tested_on(raw, part, name):
    raw["pretrain"]["Own"] = {"like": "P1", "corpus": "ravdess"}
    raw[part][name]["init"] = {"video": "Own"}
    with pytest.raises(ConfigError, match=rf"{part}\.{name}\.init\.video leads to pretrain\.Own.* has seen the people"):
        schema.resolve(raw)


def test_a_row_names_what_its_network_depends_on(raw):
    params = schema.resolve(raw)
    rows = {name: schema.section(schema.PretrainConfig, params, "pretrain", name) for name in ("P1", "P2", "Faces")}
    assert "sound" in rows["P2"].uses
    assert not {"augment", "faces", "extractor.vgg_width"} & set(rows["P2"].uses)
    assert {"augment", "train.width"} < set(rows["P1"].uses)
    assert not {"augment", "train.width", "sound", "extractor.crops"} & set(rows["Faces"].uses)


def test_what_a_network_is_made_from_is_trained_on_as_many_folds(raw):
    params = schema.section(schema.Params, schema.resolve(raw))
    assert needed_folds(params)["ravdess", "N2_relu"] == params.overview.folds["ravdess"]
    raw["tables"] = {"5.2": {"corpus": "ravdess", "rows": ["N0_late"]}}
    raw["overview"] = {"folds": {"ravdess": 1}, "rows": {"ravdess": ["AM"]}}
    raw["trust"] |= {"corpora": ["ravdess"], "rows": ["AM"], "options": {}}
    raw["predict"] |= {"joint": "N0_late"}
    raw["embeddings"]["rows"] = {"joint": "N0_late"}
    alone = needed_folds(schema.section(schema.Params, schema.resolve(raw)))
    n_folds = params.folds["ravdess"]
    assert {variant: alone["ravdess", variant] for variant in ("AM", "VM", "N0_late")} == dict.fromkeys(
        ("AM", "VM", "N0_late"), n_folds
    )
    assert ("ravdess", "N2") not in alone


def test_options_are_asked_again_on_their_own_folds(raw):
    runs = list_runs(schema.section(schema.Params, schema.resolve(raw)))
    folds = {
        name: {run.fold for run in select_wanted(runs, "trust.ravdess") if run.name == name}
        for name in ("N2", "N2_dropout")
    }
    assert folds == {"N2": {0, 1, 2}, "N2_dropout": {0}}
    assert not any(run.name == "Gated" for run in select_wanted(runs, "trust.cremad"))


def test_trainings_of_the_study_of_transfer_are_chains(raw):
    raw["transfer"]["repeats"] = 3
    runs = [run for run in list_runs(schema.section(schema.Params, schema.resolve(raw))) if run.kind == "pretrain"]
    n_seeds = {name: sum(run.name == name for run in runs) for name in raw["pretrain"]}
    assert {name for name, n in n_seeds.items() if n > 1} == {*raw["transfer"]["table"], "Faces"}
    last = next(run for run in runs if (run.name, run.seed) == ("FER_3", 2))
    assert [(part.name, part.seed) for part in last.made_from] == [("Faces", 2)]
    assert last.init == {"": f"{last.made_from[0].folder}/model.safetensors"}
    assert set(last.wanted_by) == {"transfer"}  # figures show the first training


def test_commands_get_back_from_json_what_rules_cut_out(raw):
    params = schema.resolve(raw)
    keys = ["variants.N2_relu", "faces", "tables", "train.width", "seed", "splits", "pretrain"]
    cut = schema.slice_of(params, *keys)
    given = schema.load(json.dumps(cut))
    assert list(given["pretrain"]) == list(params["pretrain"])
    assert cut["variants"]["N2_relu"]["residual"] == "relu"
    assert "aggregator" not in cut["variants"]["N2_relu"]
    assert (given["seed"], given["splits"], given["train"]) == (0, {}, {"width": params["train"]["width"]})
    for kind, path in [
        (schema.VariantConfig, ("variants", "N2_relu")),
        (schema.FacesConfig, ("faces",)),
        (schema.TableConfig, ("tables", "5.1")),
        (schema.PretrainConfig, ("pretrain", "P2")),
    ]:
        assert schema.section(kind, given, *path) == schema.section(kind, params, *path)
    with pytest.raises(ConfigError, match=r"section variants\.N2_rel is missing; did you mean N2_relu\?"):
        schema.slice_of(params, "variants.N2_rel")


def test_a_new_optional_key_changes_no_slice(raw, monkeypatch):
    params = schema.resolve(raw)
    keys = [*(field.name for field in fields(schema.Params)), "train.width", "variants.N2"]
    before = {key: json.dumps(schema.slice_of(params, key)) for key in keys}

    @dataclass(**SECTION)
    class TrainConfig(schema.TrainConfig):
        warm_up: Int = 0

    @dataclass(**SECTION)
    class VariantConfig(schema.VariantConfig):
        depth: Int = 18

    @dataclass(**SECTION)
    class Params(schema.Params):
        train: TrainConfig
        variants: dict[str, VariantConfig]

    monkeypatch.setattr(schema, "Params", Params)
    later = schema.resolve(raw)
    assert (later["train"]["warm_up"], later["variants"]["N2"]["depth"]) == (0, 18)
    assert {key: json.dumps(schema.slice_of(later, key)) for key in keys} == before


def test_sections_stay_plain_data(raw):
    row = schema.section(schema.VariantConfig, schema.resolve(raw), "variants", "N2")
    assert {"modalities", "fusion", "aggregator", "augmentation"} < asdict(row).keys()
    assert row.modalities == ("video", "audio")
    with pytest.raises(AttributeError):
        row.fusion = "n0"


DEFAULTS = {
    schema.ClassifierConfig: {"size_px": 0, "standardise": False},
    schema.PretrainConfig: {"init": "random", "trained": "all", "balance": False},
    schema.StreamConfig: {"init": {}},
    schema.TableConfig: {"single": (), "controls": {}, "confusion": "", "folds": 0},
    schema.VariantConfig: {
        **{"aggregator": "lstm", "augmentation": "VA+AO", "side_head": "dense", "init": {}, "frozen": {}, "trunk": {}},
        **{"residual": "sigmoid", "extractors": "tuned", "modality_dropout": 0.0, "blend": {}, "target": "label"},
    },
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_default_keeps_its_value(kind):
    """It is in no slice and in no digest: networks whose rows leave the key out would not be trained again."""
    given = [one for one in dataclasses.fields(kind) if one.default is not one.default_factory]
    defaults = {one.name: one.default_factory() if one.default is dataclasses.MISSING else one.default for one in given}
    assert DEFAULTS[kind].items() <= defaults.items()
