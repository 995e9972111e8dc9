"""Small embedded corpora, written once per session, with what their adapters find in them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from mien.config.labels import AS_VECTORS, CORPORA
from mien.config.schema import SyntheticConfig
from mien.corpora.index import index
from mien.synthetic.corpora import write_corpus

ACTORS = {"fer2013": 8, "voxceleb": 6, "ravdess": 3, "cremad": 3}  # others: 3
SMALL = SyntheticConfig(
    size_px=128, rate_fps=1, takes=1, missing_video=0.1, blended_video=0.15, missing_audio=0.1, blended_audio=0.15
)


@dataclass(frozen=True)
class Embedded:
    corpus: str
    root: Path
    clips: pd.DataFrame
    folds: pd.DataFrame
    defects: pd.DataFrame
    classes: tuple[str, ...]

    def truth(self, table: str) -> pd.DataFrame:
        return pd.read_parquet(self.root.with_name(f"{self.corpus}.truth") / f"{table}.parquet")


@pytest.fixture(scope="session")
def embed(tmp_path_factory):
    """Return a function corpus -> Embedded; each corpus is written when it is first asked for."""
    written: dict[str, Embedded] = {}
    data = tmp_path_factory.mktemp("data")

    def get(corpus: str) -> Embedded:
        if corpus not in written:
            root = data / corpus
            write_corpus(corpus, root, n_actors=ACTORS.get(corpus, 3), config=SMALL, seed=1)
            n_folds = 1 if corpus in ("fer2013", "voxceleb") else 3
            written[corpus] = Embedded(corpus, root, *index(corpus, root, n_folds=n_folds))
        return written[corpus]

    return get


@pytest.fixture(scope="session", params=[name for name in CORPORA if name not in AS_VECTORS])
def embedded(request, embed) -> Embedded:
    """Each corpus of pictures and sounds in turn."""
    return embed(request.param)
