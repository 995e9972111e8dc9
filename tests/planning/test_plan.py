"""The plan of a whole run: its formulas against the counted networks, its numbers of runs against the workflow's."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mien.audio.spectrogram import segment_shape
from mien.config.schema import Params, load, resolve, section
from mien.errors import ConfigError, TableError
from mien.models.checkpoint import ResNetClassifier, classifier
from mien.models.cost import costs, multiply_adds
from mien.models.mrpn import AGGREGATORS, n_parameters
from mien.models.resnet import ResNet3D18
from mien.models.vgg import VGG16
from mien.report import plan
from mien.report import plan as formulas
from mien.report.plan import (
    COLUMNS,
    LEARNT,
    assumed,
    input_size,
    measured,
    planned,
    read_rates,
    size_of,
    spaces,
    summary,
    weights_of,
)
from mien.report.tables import complexity


def files_of(repository, scale: str) -> list[Path]:
    return [repository / "params.yaml", *([repository / "config/thesis.yaml"] if scale == "thesis" else [])]


@pytest.fixture(scope="module")
def params(repository):
    """Return a function scale -> Params of the repository."""

    def at(scale: str, **changed) -> Params:
        return section(Params, resolve({**load(*files_of(repository, scale)), **changed}))

    return at


def run_of(found, name, *, stage="variants", corpus="ravdess"):
    return next(run for run in found if (run.stage, run.corpus, run.name) == (stage, corpus, name))


@pytest.mark.parametrize(
    ("scale", "names"),
    [("mini", ["N2", "N2_transformer"]), ("thesis", ["AM_NT", "N2", "N2_bilstm", "N2_units", "Attention"])],
)
def test_formulas_hold_to_the_networks_as_they_are_built(params, repository, scale, names):
    """But for the hundredth, or two at mini scale, that heads and fusion have."""
    raw = load(*files_of(repository, scale))
    chosen = {name: raw["variants"][name] for name in names}
    counted = complexity.count_ours({**raw, "variants": chosen, "streams": {}}, classes=8)
    found = planned(params(scale))
    for own in counted:
        forward = run_of(found, own.name).forward
        assert forward <= own.cost.multiply_adds <= (1.02 if scale == "mini" else 1.01) * forward, own.name
    assert len(counted) == len(names)


def test_formulas_of_trunks_are_exact():
    with torch.device("meta"):
        for size in ((224, 224), (33, 32)):
            net = ResNetClassifier(2, in_channels=1, width=8)
            own = sum((cost.multiply_adds for name, cost in costs(net, (1, 1, *size)).items() if name != "fc"), 0)
            assert formulas.resnet18(1, size, 8) == own
        assert formulas.resnet18(3, (5, 64, 64), 8) == multiply_adds(
            ResNet3D18(in_channels=3, width=8), (1, 5, 3, 64, 64)
        )
        assert formulas.vgg16(64, 8, 7) == multiply_adds(VGG16(7, width=8, size_px=64), (1, 3, 64, 64))
        for name, of in formulas.AGGREGATORS.items():
            if name != "none":
                assert of(64, 6) == multiply_adds(AGGREGATORS[name](64), (1, 6, 64)), name
    for name, side in (("cnn1", 50), ("cnn1", 75), ("cnn2", 75), ("cnn3", 150)):
        counted = multiply_adds(classifier(name, size_px=side, seed=0), (1, 1, side, side))
        assert formulas.cnn(name, side) == pytest.approx(counted, rel=0.04)


def test_segments_are_those_of_the_spectrogram(params):
    for scale in ("mini", "thesis"):
        at = params(scale)
        assert input_size("audio", at) == segment_shape(at.sound)


def test_runs_are_folds_times_seeds(params):
    thesis = params("thesis")
    found = planned(thesis)
    assert run_of(found, "N2").runs == 12 * 3
    assert run_of(found, "N2", corpus="cremad").runs == 9 * 3
    assert run_of(found, "V_stream", stage="streams").runs == 12 * 3
    assert run_of(found, "FER_imagenet", stage="pretrain", corpus="fer2013").runs == 0  # until a file is named
    assert run_of(found, "AU_SSVM", stage="classifiers", corpus="ckplus_rafd").runs == 30
    assert run_of(found, "CNN1_50", stage="classifiers", corpus="ckplus_rafd").runs == 5
    assert run_of(found, "AM", stage="fuzziness").runs == 4 * (1 + 2 * 4)  # missing or blended, four shares
    assert run_of(found, "N2", stage="fuzziness").runs == 4 * (1 + 4 * 4)


def test_work_is_that_of_the_passes(params):
    """Of N2: three passes forward for 20 of 24 actors, one for the two who validate and the two who test."""
    run = run_of(planned(params("thesis")), "N2")
    assert (run.clips, run.judged) == (1200, 240)
    assert run.work == pytest.approx(36 * 60 * run.forward * (LEARNT * 1200 + 240), rel=1e-9)
    late = run_of(planned(params("thesis")), "N0_late")  # both branches stay as they are
    assert late.work == pytest.approx(36 * 60 * late.forward * 1440, rel=1e-9)


def test_real_corpora_have_their_own_size(params, repository):
    raw = load(*files_of(repository, "thesis"))["corpora"]
    raw["voxceleb"]["source"] = "voxceleb"
    at = params("thesis", corpora=raw)
    assert size_of("voxceleb", at).clips == 153_516
    assert size_of("ravdess", at).clips == 24 * 60
    assert size_of("cremad", at).clips == 91 * 82
    assert any(space.stage == "data" for space in spaces(at, planned(at)))


def test_the_disk_holds_faces_and_models(params):
    thesis = params("thesis")
    found = planned(thesis)
    left = spaces(thesis, found)
    jaffe = next(space.bytes for space in left if (space.stage, space.corpus) == ("faces", "jaffe"))
    assert jaffe == 210 * (224 * 224 * 3 + 68 * 2 * 4)
    n2 = next(space.bytes for space in left if space.corpus == "ravdess" and space.what == "N2: models")
    assert n2 == pytest.approx(36 * 4 * 27_353_880, rel=0.04)  # thesis-spec 2.10
    with torch.device("meta"):
        vgg = n_parameters(VGG16(7))
    faces = run_of(found, "FER_3", stage="pretrain", corpus="fer2013")
    assert weights_of(faces, thesis) == vgg


def test_hours_are_work_over_speed(params):
    run = run_of(planned(params("thesis")), "N2")
    assert assumed(20.0).hours(run) == pytest.approx(2 * run.work / 20e12 / 3600)
    fit = run_of(planned(params("thesis")), "AU_SSVM", stage="classifiers", corpus="ckplus_rafd")
    assert assumed().hours(fit) == 0.0
    with pytest.raises(ConfigError, match="above 0"):
        assumed(math.nan)


def rates(path, *rows):
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows((*row[:3], 8, 2, 1.0, 1, row[3], 1.0) for row in rows)
    return path


def test_measured_speeds_hold_for_networks_like_the_timed_one(params, tmp_path):
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
    speed = measured(rows, "A")
    found = planned(params("thesis"))  # float32, and bfloat16 of what is trained ahead

    def tflops(run) -> float:
        return 2 * run.work / speed.hours(run) / 3600 / 1e12

    assert tflops(run_of(found, "N2")) == pytest.approx(4.0)
    assert tflops(run_of(found, "AM")) == pytest.approx(1.0)
    assert tflops(run_of(found, "VM")) == pytest.approx(4.0)  # not timed: as the joint ones
    assert tflops(run_of(found, "P2", stage="pretrain", corpus="voxceleb")) == pytest.approx(1.0)  # in any precision
    with pytest.raises(ConfigError, match="N2 was not timed on 'B'"):
        measured(rows, "B")


def test_a_table_of_rates_that_is_none_is_refused(tmp_path):
    with pytest.raises(TableError, match="is missing"):
        read_rates(tmp_path / "rates.csv")
    with pytest.raises(TableError, match="a row has no speed"):
        read_rates(rates(tmp_path / "rates.csv", ("A", "float32", "N2", 0.0)))
    with pytest.raises(TableError, match=r"rates\.csv"):
        read_rates(rates(tmp_path / "rates.csv", ("A", "float32", "N2", "fast")))
    (tmp_path / "rates.csv").write_text("device,speed\nA,1\n")
    with pytest.raises(TableError, match="should have the columns"):
        read_rates(tmp_path / "rates.csv")


def test_the_shipped_rates_are_read(repository):
    assert {row["network"] for row in read_rates(repository / "resources" / "rates.csv")} >= {"N2"}


def test_the_command_writes_a_page_and_its_numbers(repository, params, tmp_path, capsys):
    config = str(repository / "params.yaml")
    plan.plan(config=config, scale="thesis", out_csv=tmp_path / "plan.csv", out_md=tmp_path / "plan.md")
    page = (tmp_path / "plan.md").read_text()
    assert summary(params("thesis")) in page
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert sum(int(row["runs"]) for row in rows) == sum(run.runs for run in planned(params("thesis")))
    plan.plan(config=config, scale="thesis")
    assert capsys.readouterr().out == page
    for wrong in ({"out_md": tmp_path / "plan.md"}, {"tflops": 20.0, "device": "A"}):
        with pytest.raises(ConfigError, match="plan: give"):
            plan.plan(config=config, **wrong)
    with pytest.raises(ConfigError, match="resolved already"):
        plan.plan(config=json.dumps(load(repository / "params.yaml")), scale="thesis")


def test_the_line_of_a_dry_run_loads_neither_torch_nor_pandas():
    code = "import sys, mien.report.plan; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
