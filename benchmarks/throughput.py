"""Measure how fast this machine trains at the size of the thesis, for `mien plan --device`.

    python benchmarks/throughput.py [--out resources/rates.csv] [--batch 8] [--repeats 5] [--threads 2] [--networks N2]

A step is what a training does with a batch: pictures are changed (AUG-A) and normalised, the network goes forward and
back, AdamW changes its weights. Networks of chapter 5 get 8 clips of 25 frames of 224 px and 6 segments of 257 x 250,
VGG-16 gets 64 pictures; --batch sets another number. Inputs are random and in memory: reading is not measured. On a GPU
every network is timed in float32 and in bfloat16. The speed is that of the fastest step, as whatever else a machine
does can only hold steps up; beside it stands that of matrix products in the same precision, the ceiling, and the time
that table 5.2 would take. Rows of --out for the same device, network and precision are replaced.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional

from mien.audio.spectrogram import segment_shape
from mien.augment.aug_a import augment
from mien.config.schema import Params, load, section
from mien.io.files import atomic_file
from mien.models.cost import input_shapes, multiply_adds
from mien.models.layout import to_device
from mien.models.mrpn import build
from mien.models.vgg import VGG16
from mien.report.plan import FAMILIES, FLOPS, LEARNT, PRECISIONS, measured, planned, read_rates, spoken
from mien.report.tables.complexity import steps_of
from mien.training.clips import Batch
from mien.training.engine import device, prepare
from mien.training.train import train_epoch

CLASSES = 8
PICTURES = 64  # in a batch of VGG-16
SIDE = {"cuda": 8192, "cpu": 2048}  # of the matrices whose product is the ceiling
PRODUCTS = 10
WARM = {"cuda": 3, "cpu": 0}  # steps before the clock; a GPU chooses its kernels in them


def clip_job(name: str, params: Params, size: int, *, precision: str) -> tuple[Callable[[], object], int]:
    """Return a function that makes a step of a row of `variants` on `size` clips, and the multiply-adds of one clip."""
    row, train = params.variants[name], params.train
    sizes = {"classes": CLASSES, "width": train.width, "dropout": train.dropout}
    kind = {"fusion": row.fusion, "aggregator": row.aggregator, "side_head": row.side_head}
    model = build(row.modalities, **kind, **sizes)
    side = params.faces.size_px
    shape = input_shapes(steps_of(row, train.frames), size_px=side, segment=segment_shape(params.sound))
    work = multiply_adds(model, shape)
    model = to_device(model, device())
    random = {
        "video": lambda: torch.randint(256, (size, train.frames, side, side, 3), dtype=torch.uint8),
        "audio": lambda: torch.randn(size, *shape["audio"][1:]),
    }
    batch = Batch(
        inputs={one: random[one]() for one in row.modalities},
        present={one: torch.ones(size, dtype=torch.bool) for one in row.modalities},
        label=torch.randint(CLASSES, (size,)),
    ).to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=train.learning_rate, fused=True)
    generator = torch.Generator(device()).manual_seed(0)

    def change(frames: torch.Tensor) -> torch.Tensor:
        return augment(frames, params.augment, mode="clip", generator=generator)

    return lambda: train_epoch(model, [batch], optimizer, augment=change, precision=precision), work


def picture_job(params: Params, size: int, *, precision: str) -> tuple[Callable[[], object], int]:
    """Return a function that makes a step of VGG-16 on `size` pictures, and the multiply-adds of one."""
    extractor = params.extractor
    shape = (3, extractor.vgg_size_px, extractor.vgg_size_px)
    model = VGG16(7, width=extractor.vgg_width, size_px=extractor.vgg_size_px, dropout=extractor.vgg_dropout)
    work = multiply_adds(model, (1, *shape))
    model = to_device(model, device()).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=True)
    inputs = (torch.rand(size, *shape) * 255).to(device())
    label = torch.randint(7, (size,)).to(device())

    def step() -> None:
        with torch.autocast(device().type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(inputs).float()
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits, label).backward()
        optimizer.step()

    return step, work


def ceiling_job(precision: str) -> tuple[Callable[[], object], float]:
    """Return a function that multiplies large matrices, and its operations."""
    side = SIDE[device().type]
    a, b = torch.randn(2, side, side, device=device(), dtype=getattr(torch, precision))
    return lambda: [a @ b for _ in range(PRODUCTS)], FLOPS * PRODUCTS * side**3


def seconds_of(step: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of a call."""
    for _ in range(WARM[device().type]):
        step()
    times = []
    for _ in range(repeats):
        _finish()
        started = time.perf_counter()
        step()
        _finish()
        times.append(time.perf_counter() - started)
    return min(times)


def measure(name: str, precision: str, params: Params, args: argparse.Namespace) -> dict[str, object]:
    """Time a network; return a row of the table of rates."""
    size = args.batch or (PICTURES if name == "VGG-16" else params.train.batch)
    if name == "VGG-16":
        step, work = picture_job(params, size, precision=precision)
    else:
        step, work = clip_job(name, params, size, precision=precision)
    products, operations = ceiling_job(precision)
    before = seconds_of(products, args.repeats)
    per_s = size / seconds_of(step, args.repeats)
    product_s = min(before, seconds_of(products, args.repeats))
    return {
        "device": device_name(),
        "precision": precision,
        "network": name,
        "batch": size,
        "threads": torch.get_num_threads(),
        "clips_per_s": float(f"{per_s:.4g}"),
        "multiply_adds": work,
        "tflops": float(f"{FLOPS * LEARNT * work * per_s / 1e12:.4g}"),
        "ceiling_tflops": float(f"{operations / product_s / 1e12:.4g}"),
    }


def device_name() -> str:
    """Return the name of the GPU, or of the processor with its number of threads."""
    if device().type == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{model}, {torch.get_num_threads()} threads"


def keep(rows: pd.DataFrame, path: Path) -> None:
    """Put `rows` into the table of rates, in the place of those of the same kind."""
    kind = ["device", "network", "precision"]
    old = [read_rates(path)] if path.exists() else []
    table = pd.concat([*old, rows]).drop_duplicates(kind, keep="last").sort_values(kind)
    with atomic_file(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")


def _finish() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("params.yaml"), help="its values for scale thesis are used")
    parser.add_argument("--out", type=Path, help="table of rates to put the rows into")
    parser.add_argument("--networks", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--batch", type=int, default=0, help="clips; 0: as in the trainings")
    parser.add_argument("--repeats", type=int, default=5, help="steps that are timed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    prepare(args.threads)
    params = section(Params, load(args.config, args.config.parent / "config" / "thesis.yaml"))
    precisions = PRECISIONS if device().type == "cuda" else PRECISIONS[:1]

    print(f"{device_name()}, torch {torch.__version__}")
    print(f"{'':10}{'precision':>10}{'batch':>7}{'clips/s':>10}{'TFLOP/s':>10}{'ceiling':>10}{'share':>8}")
    rows = []
    for name in args.networks:
        for precision in precisions:
            row = measure(name, precision, params, args)
            rows.append(row)
            share = row["tflops"] / row["ceiling_tflops"]
            print(f"{name:10}{precision:>10}{row['batch']:7}{row['clips_per_s']:>10}", end="")
            print(f"{row['tflops']:>10}{row['ceiling_tflops']:>10}{share:8.0%}", flush=True)
    rates = pd.DataFrame(rows)
    if args.out:
        keep(rates, args.out)
    if "N2" in args.networks:
        table, runs = params.tables["5.2"], planned(params)
        runs = runs[(runs.stage == "variants") & (runs.corpus == table.corpus) & runs.name.isin(table.rows)]
        hours = measured(rates, device_name()).hours(runs).sum()
        print(f"table 5.2: {runs.runs.sum()} trainings, at most {spoken(hours)} hours in {params.train.precision}")


if __name__ == "__main__":
    main()
