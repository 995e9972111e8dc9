"""Speaker verification: are two utterances of one person? (Nagrani et al. 2017, arXiv 1706.08612.)"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from mien.errors import CorpusError

EXAMPLE = "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav"

_PATH = re.compile(r"([^/\s]+)/([^/\s]+)/([^/\s]+)\.wav")


def read_pairs(path: Path) -> pd.DataFrame:
    """Read a list such as veri_test.txt: columns one, other (clips, as `corpora.voxceleb` names them), same (bool).

    Raises
    ------
    CorpusError : the list is missing, empty or damaged.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: the list of verification pairs cannot be read ({error})") from error
    pairs = [_read_pair(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not pairs:
        raise CorpusError(f"{path}: holds no pair; should have lines like {EXAMPLE!r}")
    return pd.DataFrame(pairs, columns=["one", "other", "same"])


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Return the error rate at which as many strangers are accepted as speakers are rejected, and its threshold.

    Between two neighbouring thresholds both rates are taken as straight lines; so is the threshold. (NaN, NaN) unless
    there are both kinds of pairs.

    Parameters
    ----------
    scores : (P,) the higher, the likelier of one person; finite.
    same : (P,) bool.
    """
    same = np.asarray(same, dtype=bool)
    if same.all() or not same.any():
        return float("nan"), float("nan")
    accepted, found, threshold = roc_curve(same, scores, drop_intermediate=False)  # accepted: share of strangers
    rejected = 1.0 - found
    threshold[0] = threshold[1]  # sklearn begins with infinity, where nobody is accepted
    after = int(np.argmax(accepted >= rejected))  # not 0, where all are rejected
    before = after - 1
    gap = rejected[before] - accepted[before], accepted[after] - rejected[after]
    share = gap[0] / (gap[0] + gap[1])
    rate = accepted[before] + share * (accepted[after] - accepted[before])
    return float(rate), float(threshold[before] + share * (threshold[after] - threshold[before]))


def _read_pair(path: Path, number: int, line: str) -> tuple[str, str, bool]:
    fields = line.split()
    found = [_PATH.fullmatch(name) for name in fields[1:]]
    if len(fields) != 3 or fields[0] not in ("0", "1") or not all(found):
        raise CorpusError(f"{path}, line {number}: should look like {EXAMPLE!r}, found {line[:80]!r}")
    one, other = ("-".join(match.groups()) for match in found)
    return one, other, fields[0] == "1"
