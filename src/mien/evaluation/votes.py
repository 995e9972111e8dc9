"""What raters heard and saw in a clip, beside what its actor meant and what a network says.

Of classes with equally many votes, the most of a clip, each is its perceived label with an equal share: what counts is
the chance of a label that is drawn among them. So no clip is left out.
"""

from collections.abc import Collection

import numpy as np

JUDGED_BY = {  # what a network uses -> how the raters met the clip
    frozenset({"audio"}): "voice",
    frozenset({"video"}): "face",
    frozenset({"video", "audio"}): "multimodal",
}


def raters_of(modalities: Collection[str]) -> str:
    """Return how raters met what a network of these modalities is given; action units are seen in the face."""
    seen = {"video" if modality == "units" else modality for modality in modalities}
    return JUDGED_BY[frozenset(seen)]


def perceived(counts: np.ndarray) -> np.ndarray:
    """Return (N, C) shares of the perceived label: 1 at the class of most votes, divided among equals.

    counts : (N, C) votes, at least one of every clip.
    """
    top = counts == counts.max(axis=1, keepdims=True)
    return top / top.sum(axis=1, keepdims=True)


def share_at(shares: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return of (N, C) shares those (N,) at one class of every row."""
    return shares[np.arange(len(classes)), classes]
