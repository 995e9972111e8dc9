"""What every classifier without epochs gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier that has seen its training samples.

    logits : features (N, ...) -> (N, C), larger where a class is likelier; comparable within a row only.
    n_parameters : how many numbers it keeps.   chosen : hyper-parameter -> value.   search : how they were chosen.
    """

    logits: Callable[[np.ndarray], np.ndarray]
    n_parameters: int
    chosen: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
