"""The plan of a whole run: counts held to the thesis's, hours to measured rates, what is wrong is refused."""

import json
import math

import pandas as pd
import pytest

from mien.config.schema import Params, load, resolve, section
from mien.errors import ConfigError, TableError
from mien.report.plan import COLUMNS, LEARNT, assumed, measured, plan, planned, read_rates, size_of, spaces, summary


@pytest.fixture(scope="module")
def params(repository):
    """Return a function of changed sections -> Params at the scale of the thesis."""

    def at(**changed) -> Params:
        return section(
            Params, resolve({**load(repository / "params.yaml", repository / "config/thesis.yaml"), **changed})
        )

    return at


@pytest.fixture(scope="module")
def found(params):
    """Return the trainings at the scale of the thesis, by stage, corpus and name."""
    return planned(params()).set_index(["stage", "corpus", "name"], drop=False)


@pytest.fixture(scope="module")
def run_of(found):
    """Return a function name -> its row."""
    return lambda name, *, stage="variants", corpus="ravdess": found.loc[stage, corpus, name]


def test_runs_are_folds_times_seeds(found, run_of):
    assert run_of("N2").runs == 12 * 3
    assert run_of("N2", corpus="cremad").runs == 9 * 3
    assert run_of("V_stream", stage="streams").runs == 12 * 3
    for name in ("FER_3", "FER_4", "FER_5", "FER_6", "FER_7", "FER_dense", "FER_imagenet"):
        assert run_of(name, stage="pretrain", corpus="fer2013").runs == 0  # until a file is named
    assert run_of("FER_random", stage="pretrain", corpus="fer2013").runs == 1
    assert "Faces" not in found.name.values  # as nothing starts from it
    assert run_of("AU_SSVM", stage="classifiers", corpus="ckplus_rafd").runs == 30
    assert run_of("CNN1_50", stage="classifiers", corpus="ckplus_rafd").runs == 5
    assert run_of("AM", stage="fuzziness").runs == 4 * (1 + 2 * 4)  # missing or blended, four shares
    assert run_of("N2", stage="fuzziness").runs == 4 * (1 + 4 * 4)


def test_networks_have_the_sizes_of_the_thesis(run_of):
    assert run_of("N2").weights == 27_353_880  # thesis-spec 2.10
    assert run_of("FER_3", stage="pretrain", corpus="fer2013").weights == 134_289_223
    assert run_of("CNN1_75", stage="classifiers", corpus="ckplus_rafd").weights == 551_164
    assert run_of("AU_SSVM", stage="classifiers", corpus="ckplus_rafd").weights == 0


def test_work_is_that_of_the_passes(run_of):
    """Of N2: three passes forward for 20 of 24 actors, one for the two who validate and the two who test."""
    run = run_of("N2")
    assert (run.clips, run.judged) == (1200, 240)
    assert run.work == pytest.approx(36 * 60 * run.multiply_adds * (LEARNT * 1200 + 240), rel=1e-9)
    late = run_of("N0_late")  # both branches stay as they are; heads and fusion are small
    assert late.work == pytest.approx(36 * 60 * late.multiply_adds * 1440, rel=0.001)
    frozen = run_of("N2_frozen")  # trunks stay, memories learn
    assert late.work < frozen.work < 1.02 * late.work
    dense, whole = (run_of(name, stage="pretrain", corpus="fer2013") for name in ("FER_dense", "FER_3"))
    assert whole.learning / dense.learning == pytest.approx(LEARNT, rel=0.2)
    assert dense.multiply_adds == whole.multiply_adds


def test_real_corpora_have_their_own_size(params, found, repository):
    raw = load(repository / "params.yaml", repository / "config/thesis.yaml")["corpora"]
    raw["voxceleb"]["source"] = "voxceleb"
    at = params(corpora=raw)
    assert size_of("voxceleb", at).clips == 153_516
    assert size_of("ravdess", at).clips == 24 * 60
    assert size_of("cremad", at).clips == 91 * 82
    assert "data" in set(spaces(at, found).stage)


def test_the_disk_holds_faces_and_models(params, found):
    left = spaces(params(), found).set_index(["stage", "corpus"]).bytes
    assert left["faces", "jaffe"] == 210 * (224 * 224 * 3 + 68 * 2 * 4)
    n2 = spaces(params(), found[found.name == "N2"].query("stage == 'variants' and corpus == 'ravdess'"))
    weights = 36 * 4 * 27_353_880
    assert weights < n2.set_index("stage").bytes["training"] < 1.01 * weights  # and predictions


def test_hours_are_work_over_speed(found):
    fitted = found.family == ""
    hours = assumed(20.0).hours(found)
    pd.testing.assert_series_equal(hours[~fitted], 2 * found.work[~fitted] / 20e12 / 3600, check_names=False)
    assert (hours[fitted] == 0.0).all()
    assert set(found.precision[~fitted & (found.stage != "classifiers")]) == {"bfloat16"}
    of_each = 2 * found.work / assumed().hours(found) / 3600 / 1e12
    assert of_each["variants", "ravdess", "N2"] == pytest.approx(40.0)
    assert of_each["classifiers", "ckplus_rafd", "CNN1_50"] == pytest.approx(10.0)
    with pytest.raises(ConfigError, match="above 0"):
        assumed(math.nan)


def rates(path, *rows):
    table = [(*row[:3], 8, 2, 1.0, 1, row[3], 1.0) for row in rows]
    pd.DataFrame(table, columns=COLUMNS).to_csv(path, index=False)
    return path


def test_measured_speeds_hold_for_networks_like_the_timed_one(found, run_of, tmp_path):
    rows = read_rates(
        rates(
            tmp_path / "rates.csv",
            ("A", "float32", "N2", 2.0),
            ("A", "float32", "N2", 4.0),
            ("A", "bfloat16", "N2", 16.0),
            ("A", "float32", "AM", 1.0),
            ("B", "float32", "VM", 3.0),
        )
    )
    tflops = 2 * found.work / measured(rows, "A").hours(found) / 3600 / 1e12
    assert tflops["variants", "ravdess", "N2"] == pytest.approx(16.0)
    assert tflops["streams", "ravdess", "AV_stream"] == pytest.approx(16.0)
    assert tflops["variants", "ravdess", "AM"] == pytest.approx(1.0)
    assert tflops["variants", "ravdess", "VM"] == pytest.approx(16.0)  # not timed: as the joint ones
    assert tflops["classifiers", "ckplus_rafd", "CNN1_50"] == pytest.approx(4.0)  # float32
    assert tflops["pretrain", "voxceleb", "P2"] == pytest.approx(1.0)  # in any precision
    with pytest.raises(ConfigError, match="N2 was not timed on 'B'"):
        measured(rows, "B")


def test_a_table_of_rates_that_is_none_is_refused(tmp_path, repository):
    path = tmp_path / "rates.csv"
    with pytest.raises(TableError, match="is missing"):
        read_rates(path)
    for tflops in (0.0, "fast"):
        with pytest.raises(TableError, match="a row has no speed"):
            read_rates(rates(path, ("A", "float32", "N2", tflops)))
    for text, message in (("device,speed\nA,1\n", "should have the columns"), ("", "throughput.py again")):
        path.write_text(text)
        with pytest.raises(TableError, match=message):
            read_rates(path)
    assert set(read_rates(repository / "resources" / "rates.csv").network) >= {"N2"}


def test_the_command_writes_a_page_and_its_numbers(repository, tmp_path, capsys):
    config = str(repository / "params.yaml")
    plan(config=config, out_csv=tmp_path / "plan.csv", out_md=tmp_path / "plan.md")
    page = (tmp_path / "plan.md").read_text()
    params = section(Params, load(config))
    assert summary(params) in page
    assert pd.read_csv(tmp_path / "plan.csv").runs.sum() == planned(params).runs.sum()
    plan(config=config)
    assert capsys.readouterr().out == page
    for wrong in ({"out_md": tmp_path / "plan.md"}, {"tflops": 20.0, "device": "A"}):
        with pytest.raises(ConfigError, match="plan: give"):
            plan(config=config, **wrong)
    with pytest.raises(ConfigError, match="resolved already"):
        plan(config=json.dumps(load(repository / "params.yaml")), scale="thesis")
