"""Model files with random weights and the settings they were made with; clips as the stages of training store them."""

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from mien.apps.models import Model
from mien.audio import extract as audio_extract
from mien.candide import extract as candide_extract
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig, WatchConfig
from mien.faces import extract as faces_extract
from mien.io import tables
from mien.io.files import write_json
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network

CLASSES = ("neutral", "happy", "sad", "angry")
FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FACES = FacesConfig(rate_fps=10, size_px=32, detect_px=240, detect_every=4, margin=1.2, region_s=0.5)
SOUND = SoundConfig(rate_hz=16000, silence_dbfs=-60.0, window=512, hop=64, segment=250, log=True, pool=4)
FUSION = {
    "N2": ("mrpn", ("video", "audio")),
    "VM": ("single", ("video",)),
    "AM": ("single", ("audio",)),
    "N2_units": ("mrpn", ("video", "audio", "units")),
}
FACE_BY_UNITS = {"units": ("single", ("units",))}
CANDIDE = {"landmarks": "printed", "ridge": 1e-3, "warm_start": True, "evaluations": 100, "tolerance": 1e-8}
WATCH = WatchConfig(joint="AV", video="V", audio="A", forget_s=0.6, timeline_s=5.0)
PREDICT = {"corpus": "ravdess", "joint": "N2", "video": "VM", "audio": "AM", "window_s": 1.0, "hop_s": 0.5}


def write_model(
    path: Path, variant: str, *, seed: int = 3, faces: FacesConfig = FACES, classes: tuple[str, ...] = CLASSES, **more
) -> Path:
    """Write a model file with random weights."""
    fusion, modalities = (FUSION | FACE_BY_UNITS)[variant]
    settings = ModelCard(
        kind="variant",
        corpus="ravdess",
        variant=variant,
        fold=0,
        seed=0,
        modalities=modalities,
        fusion=fusion,
        aggregator="lstm",
        trunk={},
        side_head="dense",
        augmentation="VA+AO",
        classes=classes,
        width=2,
        dropout=0.0,
        frames=4,
        sound=asdict(SOUND),
        faces=asdict(faces),
        candide=CANDIDE if "units" in modalities else {},
        **more,
    )
    checkpoint.save(path, checkpoint.network(settings, seed=seed), settings)
    return path


def model_of(network: Network, settings: ModelCard, *, faces: FacesConfig = FACES) -> Model:
    """Return a network as `load_models` returns it."""
    candide = CandideConfig(**CANDIDE) if "units" in settings.modalities else None
    return Model(Path(settings.variant), network, settings, faces, SOUND, candide)


def write_results(folder: Path, root: Path, names: list[str], *, faces: FacesConfig = FACES) -> Path:
    """Send the clips `names` below `root` through the stages, as corpus ravdess; return the folder of results."""
    row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "ravdess", "part": "01"}
    row |= {"actor": "01", "group": "01"}
    row |= {"item": -1, "label": 0, "cropped": False, "has_video": True, "has_audio": True, "apart": False}
    rows = [row | {"clip": name, "video": name, "audio": name, "sha256": name} for name in names]
    corpus = folder / "corpora" / "ravdess"
    tables.write(corpus / "clips.parquet", pd.DataFrame(rows), tables.CLIPS)
    folds = pd.DataFrame([{"fold": 0, "name": "A", "group": "01", "role": "test"}])
    tables.write(corpus / "folds.parquet", folds, tables.FOLDS)
    write_json(corpus / "corpus.json", {"classes": list(CLASSES)})
    for stage in ("faces", "sound", "candide"):
        write_json(folder / stage / "ravdess" / "manifest.json", {"parts": {"01": "0"}})
    faces_extract.build_part(folder / "faces" / "ravdess" / "01", faces_extract.Work(root, rows, faces))
    work = audio_extract.Work(root, rows, SOUND.rate_hz, SOUND.silence_dbfs)
    audio_extract.build_part(folder / "sound" / "ravdess" / "01", work)
    work = candide_extract.Work(folder / "faces" / "ravdess" / "01", rows, CandideConfig(**CANDIDE))
    candide_extract.build_part(folder / "candide" / "ravdess" / "01", work)
    return folder


def write_frames_model(path: Path, *, classes: tuple[str, ...] = FER_CLASSES, corpus: str = "fer2013") -> Path:
    """Write the model file of a row of pretrain, which looks at single grey pictures, with random weights."""
    faces = asdict(FACES) | {"size_px": 48, "margin": 1.1}
    card = ModelCard(kind="extractor", corpus=corpus, base="fer2013", variant="P1", fold=0, seed=0, classes=classes)
    card = replace(card, modalities=("video",), model="resnet18", width=2, size_px=48, faces=faces)
    checkpoint.save(path, checkpoint.network(card, seed=5), card)
    return path
