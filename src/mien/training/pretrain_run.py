"""What all seeds of a row of ``pretrain`` share: the parameters that it depends on, and what it starts from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.core.config import AugmentConfig, FacesConfig, PretrainConfig, SoundConfig, section
from mien.core.errors import ConfigError, ModelError
from mien.models import checkpoint
from mien.models.extractor import Settings

FOLD = 0  # the division is the corpus's own, or one that depends on the names of its clips alone
FOLD_NAME = "official"
UNTRAINED = {"init": "", "n_parameters": 0, "n_trained": 0, "multiply_adds": 0}  # of run.json, without a network


@dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """A row of ``pretrain`` with what it depends on of the other sections of params.yaml."""

    name: str  # of the row
    pretrain: PretrainConfig
    uses: Mapping[str, Any]  # the keys that `PretrainConfig.uses` names, nested as in params.yaml
    seed: int
    width: int  # channels of the first stage
    size_px: int  # side of the picture that the network looks at; 0 for sound
    dropout: float  # of vgg16; 0 for others
    crops: int  # of an utterance in an epoch; 0 for pictures
    precision: str
    faces: FacesConfig | None  # of pictures
    augment: AugmentConfig | None  # of pictures that are changed anew in every epoch
    sound: SoundConfig | None  # of voices
    init: Path | None  # model file with the first weights; None: random, or not named
    manifest: Path | None = None  # data/<corpus>.json: says where the corpus keeps its list of verification pairs

    @classmethod
    def of(
        cls, name: str, params: Mapping[str, Any], *, init: Path | None = None, manifest: Path | None = None
    ) -> "PretrainRun":
        """Take a row and what it uses out of the parameters; the file `init` is that of the row it starts from.

        Raises
        ------
        ConfigError : a key is missing, or first weights are given and none are asked for.
        ModelError : first weights are missing.
        """
        row = section(PretrainConfig, params, "pretrain", name)
        uses = _pick(params, row.uses)
        faces = section(FacesConfig, uses, "faces") if "faces" in uses else None
        of_vgg = row.network == "vgg16"
        return cls(
            name=name,
            pretrain=row,
            uses=uses,
            seed=section(int, uses, "seed"),
            width=section(int, uses, "extractor", "vgg_width") if of_vgg else section(int, uses, "train", "width"),
            size_px=section(int, uses, "extractor", "vgg_size_px") if of_vgg else 0 if faces is None else faces.size_px,
            dropout=section(float, uses, "extractor", "vgg_dropout") if of_vgg else 0.0,
            crops=section(int, uses, "extractor", "crops") if row.modality == "audio" else 0,
            precision=section(str, uses, "extractor", "precision"),
            faces=faces,
            augment=section(AugmentConfig, uses, "augment") if "augment" in uses else None,
            sound=section(SoundConfig, uses, "sound") if "sound" in uses else None,
            init=_first_weights(name, row.init, init),
            manifest=manifest,
        )

    @property
    def base(self) -> str:
        """Return the corpus of the clips."""
        return self.pretrain.corpus

    @property
    def corpus(self) -> str:
        """Return the name under which its results are kept, such as voxceleb_actor."""
        return self.pretrain.name

    def config(self) -> dict[str, Any]:
        """Return what goes into run.json: the row, but for its place in table 4.3, and what else it uses."""
        row = asdict(self.pretrain)
        del row["thesis"]
        return {"pretrain": row, **self.uses}

    def settings(self, classes: tuple[str, ...], *, seed: int) -> Settings:
        """Return the header of the model file of a seed."""
        return Settings(
            corpus=self.corpus,
            base=self.base,
            variant=self.name,
            fold=FOLD,
            seed=seed,
            modality=self.pretrain.modality,
            network=self.pretrain.network,
            width=self.width,
            size_px=self.size_px,
            classes=classes,
            sound={} if self.sound is None else asdict(self.sound),
            faces={} if self.faces is None else asdict(self.faces),
        )

    def record(self, classes: tuple[str, ...], *, seed: int) -> dict[str, Any]:
        """Return what run.json says about every row."""
        return {
            "corpus": self.corpus,
            "base": self.base,
            "variant": self.name,
            "fold": FOLD,
            "fold_name": FOLD_NAME,
            "seed": seed,
            "classes": list(classes),
            "config": self.config(),
        }

    def no_start(self) -> str:
        """Say why there are no weights to start from; empty if there are, or if none are needed."""
        if self.pretrain.init == "none":
            return f"no file of first weights is named; write its path under pretrain.{self.name}.init"
        if self.init is not None and checkpoint.is_bare(self.init):
            return f"{self.pretrain.init}, which it starts from, was not trained"
        return ""


def _pick(params: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the parts of nested parameters that dotted keys lead to, nested as before."""
    chosen: dict[str, Any] = {}
    for key in keys:
        *parents, last = key.split(".")
        source, target = params, chosen
        for parent in parents:
            source, target = source.get(parent, {}), target.setdefault(parent, {})
        if last not in source:
            raise ConfigError(f"params.yaml: {key} is missing; a row of pretrain needs {', '.join(keys)}")
        target[last] = source[last]
    return chosen


def _first_weights(row: str, init: str, given: Path | None) -> Path | None:
    """Return the file of the first weights, or None where they are random or nobody has named one."""
    if init in ("random", "none"):
        if given is not None:
            raise ConfigError(f"--init {given}: pretrain.{row}.init is {init}; leave --init away or name a row there")
        return None
    path = Path(init) if given is None else given
    if not path.is_file():
        advice = "train that row first" if given else "give a row's model file with --init, fetch the file"
        raise ModelError(f"{path}: no such file of first weights for {row}; {advice}, or write init: random")
    return path
