"""Command ``check_units``: the action units and poses of the fit beside what the synthetic people did.

Twice with landmarks that are exact but for a little noise, once with those that dlib found in every synthetic corpus.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas as pd

from mien.core.config import CandideConfig, load, section

log = logging.getLogger(__name__)

NOTICE = "Synthetic people: the faces are computed, so this is not a result on people."
RANDOM, ACTED, DLIB = "random", "acted", "dlib"
SOURCE = ["source", "corpus", "angle"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--candide", type=Path, required=True, help="folder with the fits of every corpus")
    parser.add_argument("--data", type=Path, required=True, help="folder with <corpus>.truth")
    parser.add_argument("--corpora", nargs="*", required=True, help="names of corpora that were fitted")
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)


def run(args: Namespace) -> None:
    """Measure all kinds of landmarks, write both files."""
    from mien.core.files import atomic_file
    from mien.synthetic.exact_faces import recover_acted, recover_random
    from mien.synthetic.recovery import COLUMNS, has_truth, measure, recover_twin

    params = load(args.config)
    config = section(CandideConfig, params, "candide")
    measured = [
        (RANDOM, "", recover_random(params["seed"], config)),
        (ACTED, "", recover_acted(params["seed"], config)),
    ]
    without = [corpus for corpus in args.corpora if not has_truth(corpus, args.data)]
    for corpus in (corpus for corpus in args.corpora if corpus not in without):
        measured.append((DLIB, corpus, recover_twin(corpus, args.candide, args.data)))
    rows = []
    for source, corpus, (recovery, cameras) in measured:
        if not len(cameras):
            log.warning("%s: no fitted frame belongs to a frame of the truth", corpus)
        for camera in sorted(set(cameras.tolist())):
            rows += measure(recovery.take(cameras == camera), source=source, corpus=corpus, angle=camera)
    table = pd.DataFrame(rows, columns=COLUMNS)
    with atomic_file(args.out_csv) as scratch:
        table.round(9).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    with atomic_file(args.out_md) as scratch:
        scratch.write_text(render(table, without, config), encoding="utf-8", newline="\n")
    log.info("%d sources measured; no truth: %s", table.groupby(SOURCE).ngroups, ", ".join(without) or "none")


def render(table: pd.DataFrame, without: list[str], config: CandideConfig) -> str:
    """Return the page: the correlations of every unit and source, then errors and poses."""
    names = {key: _name(*key) for key in table[SOURCE].drop_duplicates().itertuples(index=False, name=None)}
    blocks = [
        "# Action units: fitted and true",
        f"**{NOTICE}**",
        _explanation(config),
        "## Correlation with the true unit",
        _by_unit(table, names, "correlation"),
        "## Correlation within a person",
        "The mean of every person is taken off both sides: what is left is how a face moves, not whose face it is.",
        _by_unit(table, names, "correlation_within"),
        "## Root mean square error of the unit",
        _by_unit(table, names, "rmse"),
        "## Pose, and how much was fitted",
        "Degrees. Median and 95% quantile of the angle between the true and the fitted head; bias: mean turn from the"
        " true to the fitted head about the camera's axes to the right (pitch), up (yaw) and to the viewer (roll).",
        *_warning(table),
        _poses(table, names),
    ]
    if without:
        blocks.append(f"No truth, so nothing is said about: {', '.join(without)}.")
    return "\n\n".join(blocks) + "\n"


def _explanation(config: CandideConfig) -> str:
    return (
        "What the Candide-3 fit finds in faces whose units and pose are known. Exact: landmarks are the true places of"
        " the 35 vertices with noise of 0.01 model units, and the shape comes from one neutral frontal face of the"
        " person. Random units: the eight units of the fit, drawn evenly from -1 to 1. Acted: emotions as the synthetic"
        " people act them, with 11 moving units, of which the fit knows 8. Other rows: landmarks that dlib found in the"
        " pictures of the synthetic corpora, where people act too; RaFD by camera, 90 is frontal. All people differ in"
        f" 14 shape units, of which the fit knows 7. Settings: candide.landmarks {config.landmarks}, candide.ridge"
        f" {config.ridge:g}. A - stands for nothing to report: too few fitted frames, or a unit that never moves."
    )


def _name(source: str, corpus: str, angle: int) -> str:
    if source == DLIB:
        return f"{corpus}, camera {angle}" if corpus == "rafd" else corpus
    return f"exact, {'random units' if source == RANDOM else source}, yaw {angle - 90}"


def _by_unit(table: pd.DataFrame, names: dict[tuple, str], column: str) -> str:
    wide = table.pivot(index=SOURCE, columns="unit", values=column)
    units = list(dict.fromkeys(table.unit))
    return _grid(
        [{"landmarks": name} | {unit: _number(wide.loc[key, unit]) for unit in units} for key, name in names.items()]
    )


def _poses(table: pd.DataFrame, names: dict[tuple, str]) -> str:
    first = table.drop_duplicates(SOURCE).set_index(SOURCE)
    rows = []
    for key, name in names.items():
        row = first.loc[key]
        counts = {"frames": f"{row.n_frames}", "fitted": f"{row.n}", "%": f"{100 * row.n / row.n_frames:.1f}"}
        angles = {"median": _number(row.pose_median_deg), "95%": _number(row.pose_q95_deg)}
        bias = {f"{axis} bias": _number(row[f"{axis}_bias_deg"]) for axis in ("pitch", "yaw", "roll")}
        rows.append({"landmarks": name} | counts | angles | bias)
    return _grid(rows)


def _warning(table: pd.DataFrame) -> list[str]:
    """Say how far dlib's landmarks lead the fitted heads astray."""
    from mien.synthetic.recovery import FRONTAL

    found = table[(table.source == DLIB) & (table.n > 0)].drop_duplicates(SOURCE)
    if found.empty:
        return []
    pitch = found.pitch_bias_deg
    text = (
        f"With dlib's landmarks the pitch bias lies between {_number(pitch.min())} and {_number(pitch.max())}, where a"
        " negative one says that heads are fitted leaning too far back"
    )
    pulled = found[found.yaw_bias_deg * (found.angle - FRONTAL) < 0]
    places = [f"camera {row.angle} (yaw bias {_number(row.yaw_bias_deg)})" for row in pulled.itertuples()]
    return [f"{text}; turned heads are fitted too near the front at {' and '.join(places)}." if places else f"{text}."]


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def _grid(rows: list[dict[str, str]]) -> str:
    table = pd.DataFrame(rows)
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)
