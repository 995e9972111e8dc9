"""The pictures that a trained network finds hardest: where the labels of FER2013 may be wrong (figure 4.11)."""

import numpy as np
import pandas as pd

from mien.core.errors import TableError
from mien.evaluation.runs import Run
from mien.report.fer2013_pictures import Gallery

SHOWN = ["role", "rank", "clip", "label", "predicted", "loss", "defect", "twins", "doubt"]


def hardest(run: Run, gallery: Gallery) -> pd.DataFrame:
    """Return SHOWN for every training and validation picture, by role and falling loss.

    loss : cross-entropy in nat under the epoch of lowest validation loss.   twins : pictures with the same pixels and
    their labels.   doubt : blank, "also <labels>" where the same pixels stand under others, or empty.

    Raises
    ------
    TableError : a judged clip has no face shard, or its label has changed.
    """
    rows = run.predictions()
    rows = rows[(rows.selection == "honest") & rows.role.isin(["training", "validation"]) & (rows["head"] == "fused")]
    clips = gallery.clips.set_index("clip")
    if strange := sorted(set(rows["clip"]) - set(clips.index)):
        raise TableError(f"{run.folder}: judged {strange[0]}, which has no face now; train {run.variant} again")
    if (clips.label.loc[rows["clip"]].to_numpy() != rows.label.to_numpy()).any():
        raise TableError(f"{run.folder}: labels of {gallery.corpus} have changed; train {run.variant} again")
    logits = np.stack(rows.logits).astype(float) if len(rows) else np.empty((0, len(run.classes)))
    highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    twins = _twins(gallery.clips)
    classes = np.array(gallery.classes)
    found = pd.DataFrame(
        {
            "role": rows.role.to_numpy(),
            "clip": rows["clip"].to_numpy(),
            "label": classes[rows.label],
            "predicted": classes[rows.predicted],
            "loss": total - logits[np.arange(len(rows)), rows.label],
            "defect": clips.defect.loc[rows["clip"]].to_numpy(),
            "twins": [", ".join(f"{other} ({name})" for other, name in twins.get(clip, [])) for clip in rows["clip"]],
            "doubt": [
                _doubt(clips.defect[clip], label, [name for _, name in twins.get(clip, [])])
                for clip, label in zip(rows["clip"], classes[rows.label], strict=True)
            ],
        }
    )
    found = found.sort_values(["role", "loss", "clip"], ascending=[True, False, True], ignore_index=True)
    return found.assign(rank=found.groupby("role").cumcount() + 1)[SHOWN]


def choose_hardest(found: pd.DataFrame, *, n: dict[str, int], n_doubtful: int) -> dict[str, pd.DataFrame]:
    """Return rows of `hardest` by block: the first `n` of each role, and doubtful ones that are not among these."""
    taken = found["rank"] <= found.role.map(n)
    blocks = {role: found[taken & (found.role == role)] for role in n}
    blocks["doubtful"] = found[~taken & (found.doubt != "")].nlargest(n_doubtful, "loss")
    return {name: rows for name, rows in blocks.items() if len(rows)}


def _twins(clips: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return clip -> the others with the same pixels and their labels."""
    same = clips[clips.duplicate != ""].groupby("duplicate")[["clip", "label_name"]]
    groups = [list(group.itertuples(index=False, name=None)) for _, group in same]
    return {clip: [other for other in group if other[0] != clip] for group in groups for clip, _ in group}


def _doubt(defect: str, label: str, twins: list[str]) -> str:
    if "blank" in defect.split(";"):
        return "blank"
    others = sorted(set(twins) - {label})
    return f"also {', '.join(others)}" if others else ""
