"""Classical methods beside the networks: features, the search, run folders, nothing of the tested people in a fit."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax

from mien.errors import ModelError
from mien.evaluation.runs import read_run
from mien.io.files import read_json
from mien.training import baselines, clips
from mien.training.clips import ActionUnitSequence, Wave
from training.commands import rows_of, run_command
from training.tiny_corpus import SOUND, write_corpus
from training.tiny_units import UNFITTED, write_fits

pytestmark = pytest.mark.usefixtures("scratch")

ROWS = {
    "Voice": {"modality": "audio", "model": "svm"},
    "Units": {"modality": "units", "model": "logistic"},
    "Late": {"model": "late", "parts": ["Voice", "Units"]},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    made = write_corpus(tmp_path_factory.mktemp("baselines") / "results")
    write_fits(made.results, made.name)
    return made


def _fit(corpus, name, out, **changes):
    train = corpus.params["train"] | changes
    config = json.dumps(corpus.params | {"train": train, "baselines": ROWS})
    options = {"corpus": corpus.name, "folds": [0], "seeds": [0], "data": corpus.results, "config": config}
    run_command("fit_baseline", baseline=name, out=out / name, **options)
    return out / name / "fold0-seed0"


@pytest.fixture
def fitted(corpus, tmp_path):
    return {name: _fit(corpus, name, tmp_path) for name in ROWS}


def test_functionals_of_known_units():
    units = np.zeros((5, 8), np.float32)
    units[:, 0], units[2, 7] = [0, 1, 2, 3, 4], -1.0
    found = baselines.functionals(ActionUnitSequence(units, np.arange(5) / 10, 0.5))
    mean, sd, low, high, middle = found.reshape(5, 8)
    assert (mean[0], sd[0], low[0], high[0], middle[0]) == (2.0, pytest.approx(np.sqrt(2)), 0.0, 4.0, 2.0)
    assert (mean[7], low[7], high[7], middle[7]) == (-0.2, -1.0, 0.0, -1.0)


def test_functionals_without_the_silence_are_those_of_the_voice():
    voice = np.random.default_rng(0).normal(0, 3000, 16000).astype(np.int16)
    quiet = np.zeros(8000, np.int16)
    whole, margin = (
        Wave(np.concatenate([quiet, voice, quiet]), 2.0),
        Wave(np.concatenate([quiet[:960], voice, quiet[:960]]), 1.12),
    )
    found = baselines.functionals(whole, SOUND, trimmed=True)
    np.testing.assert_array_equal(found, baselines.functionals(margin, SOUND))
    assert not np.allclose(found, baselines.functionals(whole, SOUND))


def test_a_run_is_like_that_of_a_network_without_epochs_and_has_no_seed(fitted):
    for name, folder in fitted.items():
        run, found = read_json(folder / "run.json"), read_run(folder / "run.json")
        assert (run["variant"], run["status"], run["epochs"]) == (name, "trained", 0)
        assert found.deterministic
        rows = found.predictions()
        assert set(rows.selection) == {"honest"}
        assert set(rows.actor) == {"a0", "a1"}  # nobody who was trained on
        assert (rows.predicted == rows.label).mean() > 0.9  # both modalities tell the two classes apart
        assert found.history().empty
    search = read_json(fitted["Voice"] / "run.json")
    assert set(search["chosen"]) == {"C", "gamma", "temperature"}


def test_the_sum_has_every_clip_that_one_part_knows(fitted):
    voice, units, late = (rows_of(fitted[name]).set_index("clip").logits for name in ROWS)
    assert set(late.index) == set(voice.index) | set(units.index)
    assert UNFITTED not in units
    logs = {name: log_softmax(np.stack([logits]).astype(float))[0] for name, logits in voice.items()}
    np.testing.assert_allclose(late[UNFITTED], logs[UNFITTED], rtol=1e-5)
    both = set(voice.index) & set(units.index)
    for clip in both:
        expected = logs[clip] + log_softmax(units[clip].astype(float))
        np.testing.assert_allclose(late[clip], expected, rtol=1e-4, atol=1e-5)


def test_nothing_of_the_tested_people_enters_a_fit(corpus, fitted):
    dataset = corpus.read("units", running=True)
    roles = clips.split(dataset, 0)
    seen = {role: roles[role] for role in ("training", "validation")}
    inputs = {
        role: np.stack([baselines.functionals(dataset.media["units"][clip]) for clip in rows["clip"]])
        for role, rows in seen.items()
    }
    labels = {role: rows.label.to_numpy() for role, rows in seen.items()}
    logits, _, found = baselines.fit(inputs, labels, model="logistic")  # without test people
    assert found["chosen"] == read_json(fitted["Units"] / "run.json")["chosen"]
    rows = rows_of(fitted["Units"])
    of_validation = np.stack(rows.logits[rows.role == "validation"])
    np.testing.assert_array_equal(of_validation, logits(inputs["validation"]).astype(np.float32))


def test_under_the_protocol_of_the_thesis_the_same_numbers_are_the_optimistic_ones(corpus, fitted, tmp_path):
    rows, thesis = rows_of(fitted["Units"]), rows_of(_fit(corpus, "Units", tmp_path / "thesis", protocol="thesis"))
    assert set(thesis.selection) == {"optimistic"}
    np.testing.assert_array_equal(np.stack(thesis.logits), np.stack(rows.logits))


def test_a_sum_without_its_parts_says_so(corpus, tmp_path):
    with pytest.raises(ModelError, match=r"Voice/fold0-seed0/run.json: is missing.* fit Voice first"):
        _fit(corpus, "Late", tmp_path)


def test_a_corpus_without_the_modality_is_not_applicable(tmp_path):
    silent = write_corpus(tmp_path / "results", with_video=False, takes=2)
    write_fits(silent.results, silent.name)
    run = read_json(_fit(silent, "Units", tmp_path) / "run.json")
    assert (run["status"], run["reason"]) == ("not applicable", "tiny has no usable units")
    _fit(silent, "Voice", tmp_path)
    late = _fit(silent, "Late", tmp_path)
    assert read_json(late / "run.json")["reason"] == "Units was not fitted"
    assert rows_of(late).empty


def test_the_grid_grows_until_its_best_point_lies_inside():
    point, n_points, inside = baselines.search(lambda at: (at[0] - 3.0) ** 2 + (at[1] + 2.5) ** 2, [(-1, 1), (0, 1)])
    assert (point, inside) == ((3.0, -2.5), True)
    assert n_points < 200
    assert baselines.search(lambda _: 1.0, [(-1, 1), (0, 1)])[0] == (0.0, 0.5)  # of equals the middle
    point, _, inside = baselines.search(lambda at: -at[0], [(-1, 1)])
    assert (point, inside) == ((baselines.FARTHEST,), False)
