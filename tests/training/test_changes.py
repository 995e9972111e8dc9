"""Clips of one person as one recording: what came long before changes nothing for a memory that is bounded."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from mien.models.mrpn import build
from mien.training.changes import BEFORE, follow_changes, judge

HOW = SimpleNamespace(streaming=SimpleNamespace(corpus="ravdess", hop_s=0.5, window_s=1.5), seed=0)


@pytest.fixture(scope="module", params=["video", "both"])
def network(request):
    modalities = ("video",) if request.param == "video" else ("video", "audio")
    fusion = "dense" if request.param == "video" else "mrpn"
    made = build(modalities, fusion=fusion, aggregator="lstm", side_head="dense", classes=3, width=2, dropout=0.0)
    return made.eval()


def recording(network, n, seed=0):
    """Return features and times of n looks, 5 a second, and of segments, 2 a second from 1 s on."""
    generator = torch.Generator().manual_seed(seed)
    counts = {"video": (n, 0.0, 0.2), "audio": (int(n / 2.5) - 2, 1.0, 0.5)}
    features, times = {}, {}
    for name, encoder in network.branches.items():
        size, start_s, step_s = counts[name]
        features[name] = torch.randn(size, encoder.dim, generator=generator)
        times[name] = start_s + step_s * np.arange(size)
    return features, times


def test_judgements_of_a_short_recording_are_the_same_with_both_memories(network):
    features, times = recording(network, 14)
    told = [judge(network, features, times, 2.8, hop_s=0.5, window_s=window_s) for window_s in (np.inf, 1.5)]
    for one, other in zip(*told, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(told[0][0]) == (14 if len(network.branches) == 1 else 5)


def test_every_clip_is_followed_after_others_with_other_labels(network):
    n = 12
    followed = {f"{k}": (*recording(network, 10, seed=k), 2.0) for k in range(n)}
    clips = pd.DataFrame({"clip": [f"{k}" for k in range(n)], "actor": "1", "label": np.arange(n) % 3})
    rows = pd.DataFrame(follow_changes(network, clips, followed, HOW))
    rows.columns = ["clip", "actor", "label", "n_before", "memory", "right", "previous", "follow_s"]
    assert set(rows.n_before) == set(BEFORE) - {10}  # there are 8 others with another label
    counts = rows.groupby(["n_before", "memory"]).size()
    assert set(counts) == {n}
    assert not rows.previous[rows.n_before == 0].any()
    assert not (rows.right & rows.previous).any()
    alone = rows[rows.n_before == 0].pivot(index="clip", columns="memory", values="right")
    assert (alone.endless == alone.bounded).all()
    assert rows.follow_s[rows.right].between(0, 2.0 + 1e-9).all()
    assert rows.follow_s[~rows.right].isna().all()
