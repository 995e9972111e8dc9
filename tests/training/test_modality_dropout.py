"""Clips lose a modality in training: how often, never all of them, and without a trace of what they lost."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.io.randomness import rng_for
from mien.models.mrpn import build
from mien.training.clips import LEAST, Batch, drop_modalities, network_inputs
from mien.training.train import train_epoch

NAMES = ("video", "audio", "units")


def batch_of(n, names=NAMES):
    there = torch.ones(n, dtype=torch.int64)
    return Batch({name: torch.zeros(n, 1) for name in names}, dict.fromkeys(names, there), torch.zeros(n).long())


def masks(batches, probability, seed=0):
    """Return (modalities, clips) bool of every batch."""
    lost = drop_modalities(batches, probability, rng=rng_for(seed))
    return [torch.stack(list(batch.n_steps.values())).numpy() > 0 for batch in lost]


def test_clips_lose_one_modality_as_often_as_asked_and_any_alike():
    (present,) = masks([batch_of(6000)], 0.3)
    lost = ~present
    assert set(lost.sum(0)) == {0, 1}  # at most one of a clip
    assert lost.any(0).mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(lost.mean(1), 0.1, atol=0.02)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_batch_statistics_always_have_two_clips(n):
    kept = np.stack(masks([batch_of(n, NAMES[:2])] * 200, 0.9)).sum(2)
    assert kept.min() == LEAST
    assert n == LEAST or (kept < n).any()


def test_a_seed_gives_the_same_losses_and_the_batch_stays_as_it_was():
    batch = batch_of(40)
    first, again, other = (masks([batch] * 3, 0.5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(there.all() for there in batch.n_steps.values())


def step(batch, weights, n_steps):
    """Train an N1 for one step; return what it has become."""
    model = build(NAMES[:2], fusion="n1", aggregator="lstm", side_head="dense", classes=2, width=1, dropout=0.0, seed=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [replace(batch, n_steps=n_steps)]
    train_epoch(model.train(), batches, optimizer, inputs_of=network_inputs, weights=weights)
    return {name: value for name, value in model.state_dict().items() if "num_batches" not in name}


@pytest.fixture(scope="module")
def clips():
    generator = torch.Generator().manual_seed(0)
    inputs = {
        "video": torch.randint(256, (4, 2, 16, 16, 3), generator=generator, dtype=torch.uint8),
        "audio": torch.randn(4, 2, 1, 16, 16, generator=generator),
    }
    there = torch.full((4,), 2)
    return Batch(inputs, {"video": there, "audio": there}, torch.tensor([0, 1, 0, 1]))


def test_a_side_head_does_not_learn_from_clips_that_lost_its_modality(clips):
    n_steps = clips.n_steps | {"audio": torch.tensor([0, 2, 2, 2])}
    alone = {"fused": 0.0, "video": 0.0, "audio": 1.0}
    turned = replace(clips, label=torch.tensor([1, 1, 0, 1]))
    silenced = replace(clips, inputs=clips.inputs | {"audio": clips.inputs["audio"].clone()})
    silenced.inputs["audio"][0] = torch.nan
    wanted = step(clips, alone, n_steps)
    for other in (turned, silenced):
        for name, value in step(other, alone, n_steps).items():
            assert torch.equal(value, wanted[name]), name
    heard = step(turned, alone, clips.n_steps)
    assert not torch.equal(heard["side.audio.weight"], step(clips, alone, clips.n_steps)["side.audio.weight"])


def test_losses_are_weighed(clips):
    plain, doubled, silent = (
        step(clips, weights, clips.n_steps) for weights in (None, {"audio": 2.0}, {"fused": 0.0, "video": 0.0})
    )
    start = build(
        NAMES[:2], fusion="n1", aggregator="lstm", side_head="dense", classes=2, width=1, dropout=0.0, seed=1
    ).state_dict()
    moves = [after["side.audio.weight"] - start["side.audio.weight"] for after in (plain, doubled, silent)]
    torch.testing.assert_close(moves[1], 2.0 * moves[0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(moves[2], moves[0], rtol=1e-3, atol=1e-6)
    assert torch.equal(silent["score.4.weight"], start["score.4.weight"])
