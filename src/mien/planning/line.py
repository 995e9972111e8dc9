"""The plan of a whole run in one line, at once: a dry run says it before the list of its jobs."""

from mien.core.config import Params
from mien.planning.disk import GB, spaces
from mien.planning.rates import Speed, assumed
from mien.planning.runs import planned


def summary(params: Params, speed: Speed | None = None) -> str:
    """Return the plan in one line; without a `speed`, one is assumed."""
    runs, speed = planned(params), speed or assumed()
    trained = sum(run.runs for run in runs if run.family)
    fitted = sum(run.runs for run in runs) - trained
    hours = sum(speed.hours(run) for run in runs)
    held = sum(space.bytes for space in spaces(params, runs))
    return (
        f"scale {params.scale}: {trained} trainings and {fitted} fits of classical classifiers; at most"
        f" {spoken(hours)} {speed.unit} ({speed.source}), {gigabytes(held)} GB on the disk; see `mien plan`"
    )


def spoken(hours: float) -> str:
    """Return hours with as many digits as an estimate has."""
    return f"{hours:,.0f}".replace(",", " ") if hours >= 100 else f"{hours:.1f}"


def gigabytes(size: float) -> str:
    """Return bytes as 10^9 bytes."""
    return f"{size / GB:,.1f}".replace(",", " ")
