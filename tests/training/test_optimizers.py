"""Optimisers without torch's compiler: the printed rules, a schedule, a state to go on from, and no import of it."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mien.training.engine import Adam, AdamW

START = (3.0, -1.0, 0.5)
DECAY = {"Adam": 0.0, "AdamW": 0.3}
OURS = {"Adam": partial(Adam, learning_rate=0.1), "AdamW": partial(AdamW, learning_rate=0.1, weight_decay=0.3)}


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Make an import of the compiler an error."""
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)


def by_the_book(*, decay: float, steps: int) -> np.ndarray:
    """Minimise the sum of cubes by algorithm 1 of Kingma and Ba, with the decoupled decay of Loshchilov and Hutter.

    The rate is 0.1 in the first two steps and halves then with every step.
    """
    weight, mean, square = np.array(START), np.zeros(3), np.zeros(3)
    for step in range(1, steps + 1):
        rate = 0.1 * 0.5 ** max(step - 2, 0)
        gradient = 3 * weight**2
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        change = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weight = weight - rate * decay * weight - rate * change
    return weight


def minimise(make, *, steps: int) -> np.ndarray:
    """Minimise the same, with a new optimiser before every step that goes on from the state of the one before."""
    weight, state = nn.Parameter(torch.tensor(START)), None
    for _ in range(steps):
        optimizer = make([weight])
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        if state is not None:
            optimizer.load_state_dict(state[0])
            scheduler.load_state_dict(state[1])
        optimizer.zero_grad()
        weight.pow(3).sum().backward()
        optimizer.step()
        scheduler.step(1.0)  # never better than the first time
        state = optimizer.state_dict(), scheduler.state_dict()
    return weight.detach().numpy()


@pytest.mark.parametrize("name", OURS)
def test_a_schedule_and_a_restart_in_every_step_leave_the_printed_rule(name):
    expected = by_the_book(decay=DECAY[name], steps=5)
    np.testing.assert_allclose(minimise(OURS[name], steps=5), expected, rtol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_frozen_weights_are_left_out(name):
    weights = [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1), requires_grad=False)]
    assert [len(group["params"]) for group in OURS[name](weights).param_groups] == [1]
