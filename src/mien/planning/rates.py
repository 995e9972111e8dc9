"""How fast a machine trains: what was measured of it (resources/rates.csv), or what is assumed in its place."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import ConfigError, TableError
from mien.core.typed import hint
from mien.planning.runs import Planned

ASSUMED_TFLOPS = 10.0  # sustained in training; an assumption, no measurement: half of an A100's float32 peak of 19.5
FLOPS = 2  # operations of a multiply-add
FAMILIES = {"N2": "joint", "VM": "video", "AM": "audio", "VGG-16": "vgg16"}  # network that is timed -> those like it
PRECISIONS = ("float32", "bfloat16")
COLUMNS = (
    "device",
    "precision",
    "network",
    "batch",
    "threads",
    "clips_per_s",
    "multiply_adds",  # of one pass forward of a clip
    "tflops",  # sustained in training
    "ceiling_tflops",  # of matrix products in this precision, measured too
)


@dataclass(frozen=True)
class Speed:
    """TFLOP/s in training by (family, precision) of networks, in words where they come from, and what an hour is of.

    A kind of network that is not there is as fast as its family in another precision, or as the joint networks.
    """

    tflops: dict[tuple[str, str], float]
    source: str
    unit: str = "hours"

    def hours(self, run: Planned) -> float:
        """Return the hours of all runs of a kind, 0 for what is fitted without a GPU."""
        return FLOPS * run.work / (self._of(run.family, run.precision) * 1e12) / 3600 if run.family else 0.0

    def _of(self, family: str, precision: str) -> float:
        order = [(family, precision), *((family, other) for other in PRECISIONS), *(("joint", p) for p in PRECISIONS)]
        return next(self.tflops[kind] for kind in order if kind in self.tflops)


def assumed(tflops: float = ASSUMED_TFLOPS) -> Speed:
    """Return the same speed for all networks.

    Raises
    ------
    ConfigError : it is none.
    """
    if not tflops > 0:
        raise ConfigError(f"--tflops should be above 0, got {tflops}")
    return Speed({("joint", "float32"): tflops}, f"{tflops:g} TFLOP/s in training, assumed", "GPU hours")


def measured(rows: Sequence[dict[str, str]], device: str) -> Speed:
    """Return the fastest that was measured of a device.

    Raises
    ------
    ConfigError : the joint network was not measured on it.
    """
    tflops: dict[tuple[str, str], float] = {}
    for row in rows:
        kind = (FAMILIES[row["network"]], row["precision"])
        if row["device"] == device:
            tflops[kind] = max(tflops.get(kind, 0.0), float(row["tflops"]))
    if not any(family == "joint" for family, _ in tflops):
        known = sorted({row["device"] for row in rows})
        raise ConfigError(f"--device: N2 was not timed on {device!r}; {hint(device, known)}")
    slowest, fastest = min(tflops.values()), max(tflops.values())
    return Speed(tflops, f"{slowest:.3g} to {fastest:.3g} TFLOP/s in training, measured on {device}")


def read_rates(path: Path) -> list[dict[str, str]]:
    """Return the rows of the file that benchmarks/throughput.py writes.

    Raises
    ------
    TableError : there is no such file, or it has other columns or no numbers.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise TableError(f"{path}: should have the columns {', '.join(COLUMNS)}; git restore {path}")
            if any(not float(row["tflops"]) > 0 or row["network"] not in FAMILIES for row in rows):
                raise TableError(f"{path}: a row has no speed, or an unknown network; git restore {path}")
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run benchmarks/throughput.py --out {path}") from None
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: {error}; run benchmarks/throughput.py again") from error
    return rows
