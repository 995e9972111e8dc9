"""The sections of params.yaml that say what is asked of trained networks: overview, intensity, embeddings, trust.

Section ``fuzziness``, an experiment with networks of its own, is here too.
"""

from dataclasses import dataclass
from typing import Literal

from mien.core.errors import ConfigError
from mien.core.names import ACTED, require


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """One row of table 5.4."""

    corpora: tuple[Literal[ACTED], ...]
    thesis: str  # key of the thesis's table 5.4, or empty
    against: str  # the variant that it is held against, or empty


@dataclass(frozen=True, kw_only=True)
class OverviewConfig:
    """Section ``overview``: table 5.4, every option of the networks, a column per corpus."""

    folds: dict[Literal[ACTED], int]  # the first so many of the corpus's folds
    rows: dict[str, OverviewRow]  # variant -> row

    def __post_init__(self) -> None:
        require(all(n >= 1 for n in self.folds.values()), "overview", "folds >= 1", self.folds)
        named = {corpus for row in self.rows.values() for corpus in row.corpora}
        require(set(self.folds) <= named, "overview", "a row for every corpus under folds", sorted(self.folds))
        for name, row in self.rows.items():
            if missing := [corpus for corpus in row.corpora if corpus not in self.folds]:
                raise ConfigError(f"params.yaml: overview.rows.{name}: {missing[0]} is not under overview.folds")


@dataclass(frozen=True, kw_only=True)
class IntensityConfig:
    """Section ``intensity``: variants that say how strongly an emotion is acted."""

    corpus: Literal[ACTED]
    folds: int  # the first so many of the corpus's folds
    rows: tuple[str, ...]  # variants with the target intensity

    def __post_init__(self) -> None:
        require(self.folds >= 1 and len(self.rows) >= 1, "intensity", "folds >= 1, a row or more", self)


@dataclass(frozen=True, kw_only=True)
class EmbeddingsConfig:
    """Section ``embeddings``: figure 5.1, features of networks in two dimensions (t-SNE)."""

    corpus: Literal[ACTED]
    folds: tuple[int, ...]  # a row of the figure each
    rows: dict[Literal["video", "audio", "joint"], str]  # feature -> variant, a column each
    perplexity: float

    def __post_init__(self) -> None:
        ok = min(self.folds, default=-1) >= 0 and len(self.rows) >= 1 and self.perplexity > 1
        require(ok, "embeddings", "folds counted from 0, a row or more, perplexity > 1", self)


@dataclass(frozen=True, kw_only=True)
class FuzzinessConfig:
    """Section ``fuzziness``: networks for synthetic people whose faces or voices say less and less."""

    corpus: Literal[ACTED]  # whose twin it is
    actors: int  # people, besides those of the corpus
    tested: int  # of them are tested on, the others are trained on
    shares: tuple[float, ...]  # of clips whose modality is missing, or fuzzy
    seeds: int  # trainings of every network
    epochs: int  # all of them, without a choice
    size_px: int  # height of a frame of their films
    rate_fps: int  # of their films
    rows: tuple[str, ...]  # variants

    def __post_init__(self) -> None:
        ok = self.actors - self.tested >= 2 and self.tested >= 1 and min(self.seeds, self.epochs, self.rate_fps) >= 1
        ok &= self.actors >= max(4, self.seeds * self.tested) and len(self.rows) >= 1
        ok &= list(self.shares) == sorted({*self.shares, 0.0}) and 0 < max(self.shares) <= 1
        need = "actors >= 4 and >= seeds * tested, tested and epochs >= 1, a row, ascending shares from 0.0 up to 1.0"
        require(ok, "fuzziness", need, self)


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Section ``trust``: how far trained networks can be trusted, and what disturbs them."""

    corpora: tuple[Literal[ACTED], ...]
    rows: tuple[str, ...]  # variants of the corpora's tables
    bins: int  # of the reliability diagram
    noise_db: tuple[float, ...]  # signal-to-noise ratios of the voice
    picture_noise: tuple[float, ...]  # standard deviations, grey levels
    blur_px: tuple[float, ...]  # standard deviations of a Gaussian, at the size of the stored region
    light: tuple[float, ...]  # factors of the brightness

    def __post_init__(self) -> None:
        ok = self.bins >= 2 and all(value > 0 for value in (*self.picture_noise, *self.blur_px))
        ok &= all(0 < value < 1 for value in self.light)
        ok &= min(len(self.rows), len(self.corpora)) >= 1
        require(
            ok,
            "trust",
            "a row and a corpus or more, bins >= 2, picture_noise, blur_px > 0, light between 0 and 1",
            self,
        )
