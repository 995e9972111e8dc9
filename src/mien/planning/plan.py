"""Command plan: what all trainings of the parameters take in runs, hours and disk, counted before anything is run.

Without --out-csv and --out-md the page is printed.
"""

import logging
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mien.core.config import SCALES, Params, load, resolve
from mien.core.errors import ConfigError
from mien.core.typed import build

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--scale", choices=SCALES, help="plan for this scale instead of that of params.yaml")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--tflops", type=float, help="TFLOP/s that a device sustains in training, assumed")
    speed.add_argument("--device", help="device of --rates, whose measured speed counts")
    parser.add_argument("--rates", type=Path, default=Path("resources/rates.csv"), help="what was measured")
    parser.add_argument("--out-csv", type=Path, help="a row per kind of training")
    parser.add_argument("--out-md", type=Path, help="the page")


def run(args: Namespace) -> None:
    """Count; write or print the page.

    Raises
    ------
    ConfigError : one file is asked for without the other, or the device was not measured.
    """
    import pandas as pd

    from mien.planning.line import summary
    from mien.planning.pages import render, rows_of
    from mien.planning.rates import ASSUMED_TFLOPS, assumed, measured, read_rates
    from mien.planning.runs import planned
    from mien.report.markdown import write_table

    if (args.out_csv is None) != (args.out_md is None):
        raise ConfigError("plan: give --out-csv and --out-md, or neither to have the page printed")
    params = _params(args.config, args.scale)
    if args.device:
        speed = measured(read_rates(args.rates), args.device)
    else:
        speed = assumed(ASSUMED_TFLOPS if args.tflops is None else args.tflops)
    text = render(params, speed)
    if args.out_md is None:
        sys.stdout.write(text)
    else:
        write_table(pd.DataFrame(rows_of(planned(params), speed)), text, csv=args.out_csv, md=args.out_md)
    log.info("%s", summary(params, speed))


def _params(source: str, scale: str | None) -> Params:
    """Return the parameters, at another scale if one is asked for.

    Raises
    ------
    ConfigError : the parameters are no file, so their scale is settled.
    """
    params = load(source)
    if scale is not None and scale != params["scale"]:
        import yaml

        if str(source).lstrip().startswith("{"):
            raise ConfigError(
                f"plan: --scale {scale} needs --config params.yaml; these parameters are resolved already"
            )
        params = resolve({**yaml.safe_load(Path(source).read_text(encoding="utf-8")), "scale": scale})
    return build(Params, params, "")
