"""A synthetic person to look at, and a small corpus of it."""

import numpy as np
import pandas as pd
import pytest

from mien.config.schema import FacesConfig
from mien.io import media, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import portrait

FACES = FacesConfig(rate_fps=10, size_px=48, detect_px=240, detect_every=4, margin=1.2, region_s=2.0)


def still(actor: str = "01", *, size: tuple[int, int] = (240, 320), yaw_deg: float = 0.0) -> np.ndarray:
    """Return a picture (H, W, 3) of an actor's face."""
    person = person_for(0, "tests", actor, "female")
    return portrait(
        person,
        emotion="happy",
        intensity=0.5,
        size=size,
        yaw_deg=yaw_deg,
        gaze="frontal",
        fuzziness=CLEAR,
        rng=rng_for(0, "still", actor),
    )[0]


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """Return a face on (240, 320, 3) uint8 RGB."""
    return still()


@pytest.fixture(scope="session")
def config() -> FacesConfig:
    """Return settings of section faces."""
    return FACES


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Write a corpus of clips, stills, a table of pixels and broken files; return its folder.

    Below it: root/, manifest.json and clips.parquet.
    """
    folder = tmp_path_factory.mktemp("corpus")
    root = folder / "root"
    root.mkdir()
    rows = []
    for actor in ("01", "02"):
        face = still(actor, size=(192, 256))
        shifted = [np.roll(face, (k % 3, 2 * (k % 4)), axis=(0, 1)) for k in range(8)]
        media.write_video(root / f"{actor}.avi", shifted, rate_fps=10, codecs=("mpeg4", "aac"))
        rows.append(_row(f"take-{actor}", actor, f"{actor}.avi"))
    media.write_video(
        root / "grey.avi", [np.full((192, 256, 3), 90, np.uint8)] * 4, rate_fps=10, codecs=("mpeg4", "aac")
    )
    (root / "text.mp4").write_text("not a film at all, only words\n")
    crop = still("03", size=(120, 120))[20:116, 12:108].mean(axis=2)[::2, ::2].astype(int)
    pixels = " ".join(map(str, crop.ravel()))
    (root / "fer2013.csv").write_text(f"emotion, Usage, pixels\n3,Training,{pixels}\n3,Training,1 2 3\n")
    rows.append(_row("blank", "02", "grey.avi"))
    rows.append(_row("text", "02", "text.mp4"))
    rows.append(_row("row-0", "table", "fer2013.csv", item=0, cropped=True))
    rows.append(_row("row-1", "table", "fer2013.csv", item=1, cropped=True))
    rows.append(_row("sound-only", "03", ""))
    tables.write(folder / "clips.parquet", pd.DataFrame(rows), tables.CLIPS)
    facts = {"corpus": "toy", "source": "folder", "root": str(root), "n_files": 5, "digest": "0"}
    write_json(folder / "manifest.json", facts)
    return folder


def _row(clip: str, part: str, video: str, *, item: int = -1, cropped: bool = False) -> dict:
    row = dict.fromkeys(tables.CLIPS.columns.names, "") | {"corpus": "toy", "clip": clip, "part": part}
    row |= {"group": part, "actor": part, "video": video, "item": item, "cropped": cropped, "label": 0}
    return row | {"has_video": video != "", "has_audio": False, "apart": False, "sha256": clip}
