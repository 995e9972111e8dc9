"""What every process of a team does in test_speakers: python -m torch.distributed.run ... team_worker.py ROOT.

It checks gradients and statistics of the global batch itself; runs with their loss curves are left below ROOT.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mien import cli
from mien.training import identify
from mien.training.distributed import join, spread


def pretrain(root: Path, out: str, config: str) -> None:
    """Run the command on the corpus of `root`."""
    files = ["--data", str(root / "results"), "--manifest", str(root / "data" / "voxceleb.json")]
    args = cli.parse(
        ["pretrain", "--row", "Voices", *files, "--seeds", "0", "--out", str(root / out), "--config", config]
    )
    args.run(args)


def small_network() -> nn.Module:
    """Return a network with batch norm, in float64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).double()


def step(net: nn.Module, inputs: torch.Tensor, label: torch.Tensor, factor: float) -> None:
    """Add the gradients of `factor` times the summed loss."""
    net.train()
    (functional.cross_entropy(net(inputs), label, reduction="sum") * factor).backward()


def check_step(n: int) -> None:
    """Hold weights' gradients and batch statistics of the team against those of one process."""
    team = join()
    inputs = torch.randn(n, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    label = torch.arange(n) % 2
    alone, together = small_network(), small_network()
    step(alone, inputs, label, 1 / n)
    share = team.share(np.arange(n))
    step(spread(together, team), inputs[share], label[share], team.size / n)
    assert type(together[1]) is not nn.BatchNorm2d
    for one, other in zip(alone.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(value, together.state_dict()[name], rtol=1e-12, atol=0)
    assert team.gather(torch.from_numpy(share)[:, None], n).flatten().tolist() == list(range(n))


def main(root: Path, config: str) -> None:
    """Check steps with even, uneven and empty shares; train; train again with a kill in between."""
    for n in (6, 5, 1):
        check_step(n)
    os.chdir(root)
    pretrain(root, "two", config)
    real, begun = identify.train_epoch, []

    def killed(*args, **options):
        begun.append(args[2])
        if begun == [1, 2, 3]:
            raise SystemExit
        return real(*args, **options)

    identify.train_epoch = killed
    try:
        pretrain(root, "again", config)
    except SystemExit:
        pretrain(root, "again", config)
    assert begun == [1, 2, 3, 3]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
