"""Arguments that the commands share which train folds of a corpus."""

from pathlib import Path


def add_fold_arguments(parser, *, init: str, out: str) -> None:
    """Declare which folds and seeds are trained, on what data and from which first weights.

    init : key of params.yaml that names the first weights.   out : an example of the folder that is written.
    """
    parser.add_argument("--folds", type=int, nargs="+", required=True, metavar="K", help="folds to test on, from 0")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="repetitions")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--out", type=Path, required=True, help=out)
    parser.add_argument(
        "--init", nargs="+", default=[], metavar="MODALITY=FILE", help=f"model files of the rows in {init}"
    )
