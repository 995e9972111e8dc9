"""Risk and coverage: an example by hand, the bounds, and equal confidences."""

import math

import numpy as np
import pytest

from mien.evaluation.calibration import area, least_area, risk_coverage
from mien.io.randomness import rng_for


def test_an_example_by_hand():
    coverage, risk = risk_coverage(np.array([0.9, 0.5, 0.7, 0.6]), np.array([0, 1, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == [0, 1 / 2, 1 / 3, 1 / 2]
    assert area(np.array([0.9, 0.5, 0.7, 0.6]), np.array([0, 1, 1, 0])) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_the_area_lies_between_knowing_every_mistake_and_knowing_nothing():
    rng = rng_for(0, "selective")
    wrong = (rng.random(2000) < 0.3).astype(float)
    useful = -wrong + rng.normal(0, 1, 2000)
    assert least_area(wrong) < area(useful, wrong) < area(-useful, wrong)
    assert area(np.zeros(2000), wrong) == pytest.approx(wrong.mean())
    error = wrong.mean()  # of many clips, the least area is r + (1 - r) log(1 - r) (Geifman, Uziel & El-Yaniv 2019)
    assert least_area(wrong) == pytest.approx(error + (1 - error) * math.log(1 - error), abs=1e-3)


def test_the_order_of_equally_sure_clips_does_not_matter():
    confidence, wrong = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([0, 1, 0, 0, 1])
    order = [3, 1, 4, 2, 0]
    one, other = risk_coverage(confidence, wrong), risk_coverage(confidence[order], wrong[order])
    np.testing.assert_allclose(one, other)


def test_full_coverage_is_the_error_rate_and_only_the_order_counts():
    rng = rng_for(1, "selective")
    confidence, wrong = rng.random(50), (rng.random(50) < 0.5).astype(float)
    coverage, risk = risk_coverage(confidence, wrong)
    assert (coverage[-1], risk[-1]) == (1.0, pytest.approx(wrong.mean()))
    np.testing.assert_allclose(risk_coverage(np.exp(confidence), wrong)[1], risk)
    assert math.isnan(area(np.empty(0), np.empty(0)))
