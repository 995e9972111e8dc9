"""Networks with random weights that run along, and their model files."""

from dataclasses import asdict, replace
from pathlib import Path

from apps.tiny_models import CLASSES, FACES, SOUND
from mien.config.schema import WatchConfig
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network

ROWS = {"AV": (("video", "audio"), "mrpn"), "V": (("video",), "dense"), "A": (("audio",), "dense")}
WATCH = WatchConfig(joint="AV", video="V", audio="A", forget_s=0.6, timeline_s=5.0)


def streaming_network(row: str, **changes: object) -> tuple[Network, ModelCard]:
    """Return a network in evaluation, and its settings with `changes`."""
    modalities, fusion = ROWS[row]
    settings = ModelCard(
        kind="stream",
        corpus="ravdess",
        variant=row,
        fold=0,
        seed=0,
        modalities=modalities,
        fusion=fusion,
        aggregator="lstm",
        classes=CLASSES,
        width=2,
        rate_fps=4,
        hop_s=0.5,
        sound=asdict(SOUND),
        faces=asdict(FACES),
    )
    settings = replace(settings, **changes)
    return checkpoint.network(settings, seed=1).eval(), settings


def write_streaming(path: Path, row: str, **changes: object) -> Path:
    """Write a model file."""
    network, settings = streaming_network(row, **changes)
    checkpoint.save(path, network.state_dict(), settings)
    return path
