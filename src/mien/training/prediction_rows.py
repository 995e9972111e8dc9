"""What a training says about single clips, as rows of PREDICTIONS."""

import pandas as pd

from mien.core import tables
from mien.training.dataset import ROLES
from mien.training.progress import Progress
from mien.training.recordings import Recordings


def prediction_rows(
    recordings: Recordings, roles: dict[str, pd.DataFrame], progress: Progress, selection: str
) -> pd.DataFrame:
    """Return rows of PREDICTIONS; a side head is silent about clips without its modality."""
    rows = []
    for role in ROLES[1:]:
        for head, logits in progress.choices[selection].logits.get(role, {}).items():
            media = recordings.media.get(head)  # None for the fused head
            for clip, values in zip(roles[role].itertuples(), logits.numpy(), strict=True):
                if media is None or clip.clip in media:
                    rows.append((selection, role, clip.clip, clip.actor, clip.label, head, values))
    return pd.DataFrame(rows, columns=tables.PREDICTIONS.columns.names)
