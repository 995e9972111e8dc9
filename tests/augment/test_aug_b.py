"""AUG-B: how many copies of what are made, and that a copy is its source, moved by the printed amounts."""

import numpy as np
import pytest
import torch

from mien.augment.aug_b import DRAWS, balance, change
from mien.io.randomness import rng_for

FER2013 = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # training pictures per class (corpora.md, section 3)


def label_of(sizes) -> np.ndarray:
    return rng_for(0, "labels").permutation(np.repeat(np.arange(len(sizes)), sizes))


def copies_of(label, rows=None, *, seed=0):
    return balance(label, np.arange(len(label)) if rows is None else rows, rng=rng_for(seed, "copies"))


@pytest.mark.parametrize("sizes", [FER2013, (100, 95, 94, 1), (5, 5), (7, 0, 3)])
def test_classes_differ_by_less_than_five_per_cent(sizes):
    label = label_of(sizes)
    copies = copies_of(label)
    counts = np.bincount(np.concatenate([label, label[copies.source]]), minlength=len(sizes))
    assert (counts[np.array(sizes) > 0] >= 0.95 * counts.max()).all()
    assert counts.max() == max(sizes)
    assert (counts >= sizes).all()
    assert (counts == 0).tolist() == [size == 0 for size in sizes]


def test_fer2013_grows_to_the_size_of_the_specification():
    label = label_of(FER2013)
    copies = copies_of(label)
    assert len(label) + len(copies) == 7 * 7215
    disgust = np.bincount(copies.source, minlength=len(label))[label == 1]
    assert disgust.max() - disgust.min() <= 1  # nobody's face is copied more than others'
    assert 1 + disgust.mean() == pytest.approx(16.5, abs=0.1)


def test_only_rows_that_may_be_copied_are():
    label = label_of((60, 20))
    rows = np.flatnonzero(rng_for(1, "rows").random(80) < 0.5)
    copies = copies_of(label, rows)
    assert len(copies) > 0
    assert set(copies.source) <= set(rows)
    assert not set(label[copies.source]) & {0}


def test_copies_move_within_the_printed_ranges():
    """Affine maps are recovered from where three dots go."""
    n = 300
    draws = torch.from_numpy(rng_for(0, "draws").random((n, DRAWS), dtype=np.float32))
    draws[:, 0] = 1.0  # not mirrored
    places = []
    for y, x in ((0, 0), (0, 20), (20, 0)):
        one = torch.zeros(n, 1, 101, 101)
        one[:, :, 50 + y - 1 : 50 + y + 2, 50 + x - 1 : 50 + x + 2] = 1.0
        out, line = change(one, draws)[:, 0], torch.arange(101.0)
        mass = out.sum((1, 2))
        places.append(torch.stack([(out.sum(1) @ line) / mass, (out.sum(2) @ line) / mass], dim=1))
    centre, right, below = places
    inverse = torch.stack([right - centre, below - centre], dim=2) / 20  # the picture's map, columns of x and y
    into = torch.linalg.inv(inverse)  # output -> source = zoom * rotation * shear
    zoom = into[:, :, 0].norm(dim=1)
    assert (1 / zoom).min() >= 0.9 - 0.01
    assert (1 / zoom).max() <= 1.1 + 0.01
    angle = torch.rad2deg(torch.atan2(into[:, 1, 0], into[:, 0, 0]))
    assert 22 < angle.abs().max() <= 25.5
    shear = torch.linalg.det(into) / zoom**2
    assert torch.allclose(shear, torch.ones(n), atol=0.03)  # a shear keeps areas
    lean = torch.rad2deg(torch.atan((into[:, :, 0] * into[:, :, 1]).sum(1) / zoom**2))
    assert 7 < lean.abs().max() <= 8.7
    shift = -(into @ (centre - 50).unsqueeze(2)).squeeze(2) / 101  # in the source, share of the side
    assert 0.09 < shift.abs().max() <= 0.102
