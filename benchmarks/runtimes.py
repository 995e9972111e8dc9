"""Hold onnxruntime against torch: CPU milliseconds per picture, or per voice, of one thread.

    python benchmarks/runtimes.py [--models resources/models] [--repeats 20]

Both are asked in turn, with the same random inputs, after a call that is not timed: torch looks for its kernels in it,
and for onnxruntime the graph is made. Shown are the smallest times, as whatever else the machine does can only add.
"""

import argparse
import time
from pathlib import Path

import torch

from mien.apps.models import RUNTIMES, input_of, load_models


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("resources/models"))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 10], help="pictures or voices at once")
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':20}{'batch':>6}{'torch ms':>10}{'onnx ms':>10}{'ratio':>8}")
    for path in sorted(args.models.glob("*.safetensors")):
        models = [load_models([path], runtime=runtime)[0] for runtime in RUNTIMES]
        name, shape = input_of(models[0])
        for batch in args.batches:
            inputs, seconds = {name: torch.rand(batch, *shape) * 255}, []
            for _ in range(args.repeats + 1):
                seconds.append([])
                for model in models:
                    started = time.process_time()
                    model.network(inputs)
                    seconds[-1].append(time.process_time() - started)
            theirs, ours = (1000 * min(column) / batch for column in zip(*seconds[1:], strict=True))
            print(f"{path.stem:20}{batch:6}{theirs:10.3f}{ours:10.3f}{theirs / ours:8.2f}", flush=True)


if __name__ == "__main__":
    main()
