"""Calibration, risk and coverage, perceived labels: planted values come back, references agree."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from mien.config.schema import TrustConfig, load, section
from mien.evaluation.calibration import (
    area,
    at_limit,
    brier_scores,
    calibration_error,
    conditions,
    cross_entropies,
    ece_of_calibrated_model,
    fit_temperature,
    optimal_aurc,
    perceived,
    probabilities,
    risk_coverage,
    share_at,
)
from mien.io.randomness import rng_for


def drawn(n: int, *, temperature: float = 1.0, n_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return logits whose labels are drawn from softmax(logits / temperature): calibrated at that temperature."""
    rng = rng_for(0, "calibration", temperature)
    logits = rng.normal(0, 2.0 * temperature, size=(n, n_classes))
    steps = probabilities(logits, temperature).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > steps[:, :-1]).sum(axis=1)


def sureness(logits: np.ndarray, label: np.ndarray, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return probabilities(logits, temperature).max(axis=1), (logits.argmax(axis=1) == label).astype(float)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found_again(temperature):
    logits, label = drawn(8000, temperature=temperature)
    found = fit_temperature(logits, label)
    assert found == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(2 * logits, label) == pytest.approx(2 * found, rel=1e-3)
    losses = [cross_entropies(logits / one, label).mean() for one in (found, 0.9 * found, 1.1 * found)]
    assert losses[0] == min(losses)
    assert not at_limit(found)


def test_a_network_without_mistakes_sets_no_temperature():
    logits = 5 * np.eye(3)
    assert fit_temperature(logits, np.arange(3)) == 1.0
    assert math.isnan(fit_temperature(np.empty((0, 3)), np.empty(0, int)))


def test_losses_are_those_of_scikit_learn():
    logits, label = drawn(200)
    probability = probabilities(logits)
    assert cross_entropies(logits, label).mean() == pytest.approx(log_loss(label, probability, labels=range(4)))
    reference = brier_score_loss(label, probability, labels=range(4), scale_by_half=False)
    assert brier_scores(probability, label).mean() == pytest.approx(reference)


def test_a_calibrated_network_has_the_error_of_chance():
    logits, label = drawn(4000)
    confidence, hit = sureness(logits, label)
    chance, limit = ece_of_calibrated_model(confidence, bins=10, resamples=400, level=0.95, rng=rng_for(0, "chance"))
    assert calibration_error(confidence, hit, bins=10) < limit < 0.04
    rng = rng_for(1, "chance")
    again = [
        calibration_error(confidence, (rng.random(len(confidence)) < confidence).astype(float), bins=10)
        for _ in range(100)
    ]
    assert chance == pytest.approx(np.mean(again), rel=0.1)
    assert calibration_error(*sureness(logits, label, 0.3), bins=10) > 3 * limit


def test_an_example_by_hand():
    coverage, risk = risk_coverage(np.array([0.9, 0.5, 0.7, 0.6]), np.array([0, 1, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == [0, 1 / 2, 1 / 3, 1 / 2]
    assert area(np.array([0.9, 0.5, 0.7, 0.6]), np.array([0, 1, 1, 0])) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_the_area_lies_between_knowing_every_mistake_and_knowing_nothing():
    rng = rng_for(0, "selective")
    wrong = (rng.random(2000) < 0.3).astype(float)
    useful = -wrong + rng.normal(0, 1, 2000)
    assert optimal_aurc(wrong) < area(useful, wrong) < area(-useful, wrong)
    assert area(np.zeros(2000), wrong) == pytest.approx(wrong.mean())
    error = wrong.mean()  # of many clips, the least area is r + (1 - r) log(1 - r) (Geifman, Uziel & El-Yaniv 2019)
    assert optimal_aurc(wrong) == pytest.approx(error + (1 - error) * math.log(1 - error), abs=1e-3)


def test_the_commonest_vote_is_perceived_and_equals_share_it():
    counts = np.array([[5, 3, 2], [4, 4, 2], [3, 3, 3], [0, 0, 1]])
    shares = perceived(counts)
    np.testing.assert_allclose(shares, [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3, [0, 0, 1]])
    assert share_at(shares, np.array([0, 1, 2, 0])).tolist() == [1, 0.5, pytest.approx(1 / 3), 0]


@pytest.fixture(scope="module")
def shipped(repository):
    return conditions(section(TrustConfig, load(repository / "params.yaml"), "trust"))


def test_a_network_meets_the_conditions_of_what_it_uses(shipped):
    def of(*modalities):
        return {one.modality for one in shipped if one.concerns(modalities)}

    assert of("audio") == {"", "audio"}
    assert of("video") == of("video", "units") == {"", "video"}
    assert of("video", "audio") == {"", "audio", "video"}
    alone = [one for one in shipped if one.kind == "missing" and one.concerns(("audio",))]
    assert not alone
    assert len([one for one in shipped if one.kind == "missing" and one.concerns(("video", "audio"))]) == 2
