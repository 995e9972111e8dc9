"""Conditions of the experiment on missing and fuzzy information, and the versions of a corpus that they take from."""

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("missing", "blended")
FUZZY_MODALITIES = ("video", "audio")


@dataclass(frozen=True)
class Condition:
    """What is wrong with which modality of what share of the clips; kind and modality are empty where nothing is."""

    kind: str = ""
    modality: str = ""
    share: float = 0.0

    @property
    def version(self) -> str:
        """Return the version of the corpus from which the share is taken."""
        return f"{self.kind}_{self.modality}" if self.kind else CLEAR

    @property
    def name(self) -> str:
        """Return a name for files."""
        return f"{self.version}-{self.share:g}"


CLEAR = "clear"
NOTHING = Condition()
VERSIONS = (CLEAR, *(Condition(kind, modality).version for kind in KINDS for modality in FUZZY_MODALITIES))


def conditions(shares: Iterable[float]) -> list[Condition]:
    """Return all conditions: the clear one first, then every kind, modality and share above zero."""
    above = [share for share in shares if share > 0]
    return [
        NOTHING,
        *(Condition(kind, modality, share) for kind in KINDS for modality in FUZZY_MODALITIES for share in above),
    ]


def made_as(version: str) -> dict[str, float]:
    """Return the shares of the section ``synthetic`` that a version is made with."""
    shares = {Condition(kind, modality).version: 0.0 for kind in KINDS for modality in FUZZY_MODALITIES}
    return shares | ({} if version == CLEAR else {version: 1.0})
