"""What every process of a group does in test_utterances.

It checks gradients and statistics of the global batch itself; runs with their loss curves are left below ROOT.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mien.errors import ModelError
from mien.training.distributed import join_group
from mien.training.utterances import SpeakerTask
from training.commands import dies_in, run_command


def pretrain(root: Path, out: str, config: str) -> None:
    """Run the command on the corpus of `root`."""
    files = {"data": root / "results", "manifest": root / "data" / "voxceleb.json", "out": root / out}
    run_command("pretrain", row="Voices", seeds=[0], **files, config=config)


def small_network() -> nn.Module:
    """Return a network with batch norm, in float64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).double()


def step(net: nn.Module, inputs: torch.Tensor, label: torch.Tensor, factor: float) -> None:
    """Add the gradients of `factor` times the summed loss."""
    net.train()
    (functional.cross_entropy(net(inputs), label, reduction="sum") * factor).backward()


def check_step(n: int) -> None:
    """Hold weights' gradients and batch statistics of the group against those of one process."""
    group = join_group()
    inputs = torch.randn(n, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    label = torch.arange(n) % 2
    alone, together = small_network(), small_network()
    step(alone, inputs, label, 1 / n)
    share = group.shard(np.arange(n))
    spread = group.spread(together, torch.device("cpu"))
    step(spread, inputs[share], label[share], group.size / n)
    assert type(together[1]) is not nn.BatchNorm2d
    for one, other in zip(alone.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(value, together.state_dict()[name], rtol=1e-12, atol=0)
    assert group.gather(torch.from_numpy(share)[:, None]).flatten().tolist() == list(range(n))


def check_that_strangers_part(root: Path, config: str) -> None:
    """Hold that processes with different parameters all end, each with the message."""
    params = json.loads(config)
    params["pretrain"]["Voices"]["learning_rate"] *= 1 + join_group().rank
    with pytest.raises(ModelError, match=r"other data, parameters, .* than in process 0 in: 1; give"):
        pretrain(root, "strangers", json.dumps(params))


def main(root: str, config: str) -> None:
    """Check steps with even, uneven and empty shares; train; train again with a kill in between."""
    for n in (6, 5, 1):
        check_step(n)
    folder = Path(root)
    os.chdir(folder)
    check_that_strangers_part(folder, config)
    pretrain(folder, "two", config)
    with pytest.MonkeyPatch.context() as patch:
        begun = dies_in(patch, SpeakerTask, 2)
        with pytest.raises(SystemExit):
            pretrain(folder, "again", config)
        pretrain(folder, "again", config)
    assert begun == [1, 2, 2]
