"""Eigenfaces find the directions in which pictures vary, Fisherfaces those in which classes differ."""

import numpy as np

from mien.classical.subspaces import fit_eigenfaces, fit_fisherfaces, subspace_pictures
from mien.io.randomness import rng_for

SIDE = 16
LIGHT, SIGN = np.zeros((2, SIDE, SIDE))
LIGHT[:, : SIDE // 2] = 1.0
SIGN[:8, 12:] = 1.0  # four patches of 2 x 4, one per class


def _pictures(n, rng):
    """Return pictures with strong light from the left that means nothing, and a faint patch that tells the class."""
    labels = np.arange(n) % 4
    patches = np.zeros((n, SIDE, SIDE))
    for k in range(n):
        patches[k, 2 * labels[k] : 2 * labels[k] + 2, 12:] = 1.0
    light = rng.uniform(-60, 60, (n, 1, 1)) * LIGHT
    noise = rng.normal(0, 4, (n, SIDE, SIDE))
    return np.clip(120 + light + 25 * patches + noise, 0, 255).astype(np.uint8), labels


def test_fisherfaces_look_past_the_light():
    rng = rng_for(0, "light")
    (known, labels), (new, truth) = _pictures(80, rng), _pictures(40, rng)
    judged = fit_fisherfaces(known, labels).logits(new)
    assert (judged.argmax(axis=1) == truth).mean() >= 0.95
    assert judged.shape == (40, 4)
    found = subspace_pictures(known, labels)
    first = found["eigenfaces"][0]
    assert abs((first * LIGHT).sum()) / np.linalg.norm(LIGHT) > 0.95  # what varies most is the light
    assert found["fisherfaces"].shape == (3, SIDE, SIDE)
    energy = (found["fisherfaces"] ** 2 * SIGN).sum() / (found["fisherfaces"] ** 2).sum()
    assert energy > 4 * SIGN.mean()
    np.testing.assert_allclose(found["mean"][0], known.mean(axis=0))
    flat = found["eigenfaces"].reshape(len(found["eigenfaces"]), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-9)


def test_known_pictures_are_their_own_nearest():
    known, labels = _pictures(40, rng_for(1, "light"))
    for fit in (fit_eigenfaces, fit_fisherfaces):
        fitted = fit(known, labels)
        logits = fitted.logits(known)
        np.testing.assert_allclose(logits[np.arange(40), labels], 0, atol=1e-6)
        assert (logits <= 0).all()
        np.testing.assert_array_equal(fit(known, labels).logits(known), logits)


def test_eigenfaces_whiten():
    """A logit is the distance in components of unit variance: twice the contrast is the same distance."""
    rng = rng_for(2, "light")
    known, labels = _pictures(40, rng)
    dark = (known // 4).astype(np.uint8)
    bright = (dark * 2).astype(np.uint8)
    np.testing.assert_allclose(fit_eigenfaces(dark, labels).logits(dark), fit_eigenfaces(bright, labels).logits(bright))
