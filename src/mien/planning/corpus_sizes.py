"""How large the corpora are: what is published or was counted of the real ones, and what is made of the synthetic ones.

Nothing is read from a disk, so a plan can be made before anything is there.
"""

from dataclasses import dataclass

from mien.core.config import Params


@dataclass(frozen=True, kw_only=True)
class Size:
    """A corpus; `seconds` is the mean length of a clip, 0 for a picture."""

    people: int
    clips: int
    seconds: float = 0.0

    def frames(self, rate_fps: float) -> int:
        """Return the stored pictures of all clips."""
        return round(self.clips * max(1.0, self.seconds * rate_fps))


REAL = {
    "ravdess": Size(people=24, clips=1440, seconds=3.70),  # mean of the 1440 sounds
    "cremad": Size(people=91, clips=7442, seconds=2.54),  # bytes of the sounds
    "fer2013": Size(people=0, clips=35_887),
    "ckplus": Size(people=123, clips=10_708),  # frames of 593 sequences
    "rafd": Size(people=67, clips=8040),
    "jaffe": Size(people=10, clips=213),
    "voxceleb": Size(people=1251, clips=153_516, seconds=8.2),
}
MADE = {  # clips of a synthetic person where there is one take, and where there are two
    "ravdess": (30, 60),
    "cremad": (28, 82),
    "fer2013": (14, 28),
    "ckplus": (30, 30),
    "rafd": (40, 120),
    "mug": (49, 98),
    "jaffe": (21, 21),
    "voxceleb": (10, 20),
}
MADE_S = {"ravdess": 1.56, "cremad": 1.50, "voxceleb": 3.10}  # mean lengths of synthetic clips


def size_of(corpus: str, params: Params) -> Size:
    """Return the size of a corpus as the parameters ask for it.

    Of MUG as it is handed out no count is known here: it is taken to be as large as its synthetic twin.
    """
    row = params.corpora[corpus]
    if row.source != "synthetic" and corpus in REAL:
        return REAL[corpus]
    return made_size(corpus, row.actors, params.synthetic.takes)


def made_size(corpus: str, people: int, takes: int) -> Size:
    """Return the size of a synthetic corpus, but for the few clips that are planted as defects."""
    per_person = MADE[corpus][takes - 1]
    return Size(people=people, clips=people * per_person, seconds=MADE_S.get(corpus, 0.0))
