"""Vectors of clips laid out in two dimensions, and how far they group by emotion and by person.

t-SNE (van der Maaten & Hinton 2008) keeps neighbours and nothing else: sizes of groups, gaps between them and its axes
mean nothing. So the silhouette (Rousseeuw 1987) is taken in the space of the vectors: of a clip, (b - a) / max(a, b),
where a is its mean distance to the other clips of its group and b that to the nearest other group; 1: groups lie far
apart, 0: they overlap, below 0: clips are nearer to another group than to their own.
"""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

POINTS = ["variant", "feature", "clip", "actor", "role", "label", "x", "y", "by_emotion", "by_actor"]


def tsne_layout(rows: pd.DataFrame, *, perplexity: float, seed: int) -> pd.DataFrame:
    """Return POINTS of the rows of EMBEDDINGS of one network.

    x, y are those of all its clips together; by_emotion and by_actor are the silhouettes of the test clips among
    themselves, NaN for training clips and where there is one group only. With N clips, t-SNE gets a perplexity of
    (N - 1) / 3 at most: it needs three times as many neighbours.
    """
    vectors = np.stack(rows["values"]).astype(np.float64)  # (N, D)
    points = rows.drop(columns="values").reset_index(drop=True)
    sne = TSNE(init="pca", perplexity=min(perplexity, (len(vectors) - 1) / 3), random_state=seed)
    with threadpool_limits(1):  # sums of another number of threads have other last bits
        points[["x", "y"]] = sne.fit_transform(vectors)
    tested = (points.role == "test").to_numpy()
    for name, group in (("by_emotion", "label"), ("by_actor", "actor")):
        points[name] = np.nan
        points.loc[tested, name] = _silhouettes(vectors[tested], points[group][tested].to_numpy())
    return points[POINTS]


def _silhouettes(vectors: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the silhouette of every vector (N, D) in its group (N,); NaN unless there are 2 to N - 1 groups."""
    n_groups = len(np.unique(group))
    if not 2 <= n_groups < len(vectors):
        return np.full(len(vectors), np.nan)
    return silhouette_samples(vectors, group)
