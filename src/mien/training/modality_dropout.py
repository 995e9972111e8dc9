"""Modality dropout: training clips lose a modality, so that a joint network learns to do without any of them.

ModDrop of Neverova, Wolf, Taylor, Nebout (2016), "ModDrop: adaptive multi-modal gesture recognition", and modality
dropout of Chumachenko, Iosifidis, Gabbouj (2022), "Self-attention fusion for audiovisual emotion recognition with
incomplete data". A lost modality is absent as a missing one is in evaluation.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mien.training.dataset import Batch

LEAST = 2  # clips of a batch that keep a modality: batch statistics need two


def lose_modalities(batches: Iterable[Batch], probability: float, *, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield batches of complete clips, each of which has lost one modality, any of them alike, with `probability`.

    Inputs stay as they are. A loss that would leave fewer than `LEAST` clips of a batch with the modality is none.
    """
    for batch in batches:
        present = {name: there.clone() for name, there in batch.present.items()}
        names = list(present)
        losing = rng.uniform(size=len(batch)) < probability
        which = rng.integers(len(names), size=len(batch))
        for clip in np.flatnonzero(losing):
            there = present[names[which[clip]]]
            if there.sum() > LEAST:
                there[clip] = False
        yield replace(batch, present=present)
