"""Calibration: planted temperatures and errors come back, and losses are those of scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from mien.evaluation.calibration import (
    at_limit,
    brier_scores,
    calibration_error,
    cross_entropies,
    error_by_chance,
    fit_temperature,
    probabilities,
    reliability,
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
    chance, limit = error_by_chance(confidence, bins=10, resamples=400, level=0.95, rng=rng_for(0, "chance"))
    assert calibration_error(confidence, hit, bins=10) < limit < 0.04
    rng = rng_for(1, "chance")
    again = [
        calibration_error(confidence, (rng.random(len(confidence)) < confidence).astype(float), bins=10)
        for _ in range(100)
    ]
    assert chance == pytest.approx(np.mean(again), rel=0.1)
    assert calibration_error(*sureness(logits, label, 0.3), bins=10) > 3 * limit


def test_the_error_of_an_example_by_hand():
    confidence = np.array([0.95, 0.85, 0.55, 0.65, 0.35])
    hit = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    # two bins: (0, .5] holds .35, (.5, 1] the mean confidence .75 and 3 of 4
    assert calibration_error(confidence, hit, bins=2) == pytest.approx(0.2 * 0.35)
    # ten bins: every clip for itself
    assert calibration_error(confidence, hit, bins=10) == pytest.approx(np.abs(hit - confidence).mean())


def test_bins_share_the_clips_out_and_keep_their_means():
    confidence, hit = sureness(*drawn(500))
    table = reliability(confidence, hit, bins=10)
    assert table.share.sum() == pytest.approx(1)
    assert (table.share * table.accuracy).sum() == pytest.approx(hit.mean())
    assert (table.share * table.confidence).sum() == pytest.approx(confidence.mean())
    assert (table.confidence > table.bin / 10).all()
    assert (table.confidence <= (table.bin + 1) / 10).all()


def test_an_edge_belongs_to_the_bin_below_and_certainty_to_the_last():
    assert reliability(np.array([0.5, 1.0]), np.ones(2), bins=2).bin.tolist() == [0, 1]


def test_nothing_has_no_error():
    assert math.isnan(calibration_error(np.empty(0), np.empty(0), bins=10))
    assert math.isnan(error_by_chance(np.empty(0), bins=10, resamples=9, level=0.9, rng=rng_for(0))[0])
