"""What all seeds of a row of ``pretrain`` share."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.core.config import AugmentConfig, ExtractorConfig, FacesConfig, PretrainConfig, SoundConfig

FOLD = 0  # the division is the corpus's own, or one that depends on the names of its clips alone
FOLD_NAME = "official"


@dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """A row of ``pretrain`` with the other sections of params.yaml that a training of it may use."""

    name: str  # of the row
    pretrain: PretrainConfig
    extractor: ExtractorConfig
    width: int  # train.width: channels of the first ResNet stage
    augment: AugmentConfig
    sound: SoundConfig
    faces: FacesConfig
    seed: int
    init: Path | None  # model file with the first weights; None: random
    manifest: Path | None = None  # data/<corpus>.json: says where the corpus keeps its list of verification pairs

    @property
    def base(self) -> str:
        """Return the corpus of the clips."""
        return self.pretrain.corpus

    @property
    def corpus(self) -> str:
        """Return the name under which its results are kept, such as voxceleb_actor."""
        return self.pretrain.name

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json: those of its modality alone."""
        names = ("sound",) if self.pretrain.modality == "audio" else ("faces", "augment")
        sections = {name: asdict(getattr(self, name)) for name in ("pretrain", "extractor", *names)}
        return sections | {"train": {"width": self.width}, "seed": self.seed}
