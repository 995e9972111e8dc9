"""The conditions under which a trained network is asked again: as it was, disturbed, or without a modality."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from mien.core.config import TrustConfig

CLEAN = "clean"


@dataclass(frozen=True)
class Condition:
    """One condition: what is done to which modality, and how much of it."""

    name: str
    modality: str = ""  # that is disturbed or taken away
    kind: Literal["clean", "missing", "noise", "telephone", "blur", "light"] = "clean"
    amount: float = 0.0  # dB, grey levels, px, or factor of the brightness

    def concerns(self, modalities: Collection[str]) -> bool:
        """Say whether a network of these modalities can tell: nothing is left of it where its only one is missing."""
        if self.kind == "missing":
            return self.modality in modalities and len(modalities) > 1
        return not self.modality or self.modality in modalities


def conditions(config: TrustConfig) -> list[Condition]:
    """Return all conditions, in the order of a page."""
    return [
        Condition(CLEAN),
        *(Condition(f"without {modality}", modality, "missing") for modality in ("video", "audio")),
        *(Condition(f"voice, noise at {db:g} dB", "audio", "noise", db) for db in config.noise_db),
        Condition("voice by telephone", "audio", "telephone"),
        *(Condition(f"picture, noise of {sd:g}", "video", "noise", sd) for sd in config.picture_noise),
        *(Condition(f"picture, blur of {px:g} px", "video", "blur", px) for px in config.blur_px),
        *(Condition(f"picture, light x {factor:g}", "video", "light", factor) for factor in config.light),
    ]
