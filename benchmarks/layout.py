"""Compare channels-last with contiguous weights on a CPU: seconds of training and evaluating ResNet-18 and VGG-16.

    python benchmarks/layout.py [--repeats 15] [--threads 1] [--seed 0]

A step goes forward and back and lets AdamW change the weights; an evaluation goes forward. Inputs are random and
contiguous, as networks get them. Both layouts take turns in one process and its processor time is counted, so that
whatever else the machine does meets both; a ratio is taken within a turn. Which layout a network has is set here and
not by `models.layout.to_device`, which knows only one for each.

Widths of ResNet-18 that are no multiple of eight are missing: there channels-last may end the process.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.models.resnet import ResNet18
from mien.models.vgg import VGG16

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
NETWORKS = {
    "resnet18": lambda width, shape: ResNet18(in_channels=shape[1], width=width),
    "vgg16": lambda width, shape: VGG16(7, width=width, size_px=shape[2]),
}
CASES = [  # network, width, (batch, channels, height, width) of its inputs
    *(("resnet18", width, shape) for width in (8, 16, 64) for shape in ((16, 3, 64, 64), (16, 1, 33, 32))),
    *(("vgg16", width, (16, 3, 32, 32)) for width in (4, 8)),
]


def jobs_of(network: nn.Module, inputs: Tensor) -> dict[str, Callable[[], object]]:
    """Return functions that train a step and that evaluate."""
    optimizer = torch.optim.AdamW(network.parameters())

    def train() -> None:
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        optimizer.step()

    return {"training": train, "evaluation": torch.no_grad()(lambda: network(inputs))}


def seconds_of_turns(case: tuple[str, int, tuple[int, ...]], repeats: int, seed: int) -> list[dict[tuple, float]]:
    """Return (what is done, layout) -> seconds for every turn; one turn more comes first and is not counted."""
    name, width, shape = case
    torch.manual_seed(seed)
    inputs = torch.randn(shape)
    work = {}
    for layout, form in LAYOUTS.items():
        network = NETWORKS[name](width, shape)
        for weight in network.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.to(memory_format=form)
        work.update({(job, layout): once for job, once in jobs_of(network, inputs).items()})
    turns = []
    for _ in range(repeats + 1):
        turn = {}
        for what, once in sorted(work.items()):
            started = time.process_time()
            once()
            turn[what] = time.process_time() - started
        turns.append(turn)
    return turns[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="turns that are counted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    print(f"{args.repeats} turns, {args.threads} threads, {torch.backends.cpu.get_cpu_capability()}, ", end="")
    print(f"torch {torch.__version__}; milliseconds: medians")
    print(f"{'':48}{'contiguous':>12}{'channels-last':>15}{'ratio':>8}")
    for case in CASES:
        name, width, shape = case
        title = f"{name}, width {width}, {' x '.join(map(str, shape))}"
        turns = seconds_of_turns(case, args.repeats, args.seed)
        for job in ("training", "evaluation"):
            contiguous, last = ([turn[job, layout] for turn in turns] for layout in LAYOUTS)
            ratio = statistics.median(one / other for one, other in zip(contiguous, last, strict=True))
            print(f"{title:37}{job:11}{1e3 * statistics.median(contiguous):12.1f}", end="")
            print(f"{1e3 * statistics.median(last):15.1f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
