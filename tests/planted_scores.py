"""Clip by clip scores with planted shares of right clips, without files."""

import pandas as pd


def scores(right: dict[str, list[list[float]]], *, n_clips: int = 4, seeds: int = 1, name: str = "A") -> pd.DataFrame:
    """Return SCORES of variants: `right[variant][fold]` has the share of right clips of every actor."""
    rows = [
        {
            "variant": variant,
            "fold": fold,
            "fold_name": f"{name}{fold}",
            "seed": seed,
            "selection": "honest",
            "clip": f"{fold}-{actor}-{clip}",
            "actor": f"{fold}{actor}",
            "hit": float(clip < round(share * n_clips)),
            "apart": False,
        }
        for variant, folds in right.items()
        for fold, people in enumerate(folds)
        for actor, share in enumerate(people)
        for clip in range(n_clips)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)
