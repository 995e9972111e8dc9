"""Command `plot_detectors`: whose face is found by which of dlib's detectors, by camera (thesis 3.1.2, figure 3.4)."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mien.classical.samples import read_samples
from mien.config.schema import CrossConfig, FacesConfig, load, section
from mien.faces.detect import Box, search_faces
from mien.faces.extract import open_pictures
from mien.io import tables
from mien.io.shards import source_root
from mien.report.style import corpus_title, hide_frame, line_style, saved_figure, spread, write_numbers

log = logging.getLogger(__name__)

DETECTORS = {"hog": "HOG", "cnn": "CNN"}
N_EACH = 3  # pictures of a camera: the CNN takes half a second each


def plot_detectors(
    *, samples: Path, clips: Path, manifest: Path, out_png: Path, out_csv: Path, config: str = "params.yaml"
) -> None:
    """Search some pictures of every camera with both detectors, and draw what they find (thesis, figure 3.4).

    Parameters
    ----------
    clips
        clips.parquet of the corpus that is tested on.
    manifest
        data/CORPUS.json.
    out_csv
        A row per camera and detector: angle in degrees, 90 is frontal; pictures; in how many a face was found.
    """
    params, chosen = load(config), read_samples(samples)
    corpus, faces = section(CrossConfig, params, "cross").test, section(FacesConfig, params, "faces")
    root, _ = source_root(manifest, corpus)
    shown = choose_pictures(chosen.table, tables.read(clips, tables.CLIPS), N_EACH)
    found, first = [], {}
    for one in shown.itertuples():
        _, picture = next(iter(open_pictures(root / one.video, faces.rate_fps)))
        looks = {"hog": cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), "cnn": picture}
        boxes = {
            name: search_faces(looks[name], faces.detect_px, thorough=True, detector=name)[:1] for name in DETECTORS
        }
        found += [(one.angle, name, bool(box)) for name, box in boxes.items()]
        first.setdefault(one.angle, (picture, boxes))
    numbers = count_found(pd.DataFrame(found, columns=["angle", "detector", "found"]))
    write_numbers(out_csv, numbers)
    title = corpus_title("Figure 3.4: faces found by HOG and by CNN, by camera", chosen.info, corpus=corpus)
    with saved_figure(title, 1.9 * len(first), 3.6, out_png, square=True) as figure:
        axes = figure.subplots(1, len(first), squeeze=False)[0]
        for ax, (angle, (picture, boxes)) in zip(axes, first.items(), strict=True):
            draw_boxes(ax, picture, boxes)
            rows = numbers[numbers.angle == angle].itertuples()
            counts = "\n".join(f"{DETECTORS[row.detector]}: {row.found} of {row.pictures}" for row in rows)
            ax.set_title(f"{angle}°")
            ax.set_xlabel(counts, fontsize=8)
    log.info("%s: %d pictures of %d cameras", out_png, len(shown), len(first))


def choose_pictures(table: pd.DataFrame, clips: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return `n` tested pictures of every camera, with or without a face in the shard, spread over clips and so people.

    table, clips : rows of SAMPLES and of CLIPS, whose column `video` is joined.
    """
    tested = table[(table.role != "training") & table.gaze.isin(["", "frontal"])].sort_values(["angle", "clip"])
    tested = tested.merge(clips[["clip", "video"]], on="clip")
    return pd.concat([rows.iloc[spread(range(len(rows)), n)] for _, rows in tested.groupby("angle")])


def count_found(found: pd.DataFrame) -> pd.DataFrame:
    """Return angle, detector, pictures and found by camera, HOG first; `found`: angle, detector, found (bool)."""
    numbers = found.groupby(["angle", "detector"], sort=False).found.agg(pictures="size", found="sum")
    return numbers.reset_index()


def draw_boxes(ax: Axes, picture: np.ndarray, boxes: dict[str, list[Box]]) -> None:
    """Draw a picture (H, W, 3) and the box of each detector, if it found one."""
    ax.imshow(picture)
    hide_frame(ax)
    for number, (name, found) in enumerate(boxes.items(), start=1):
        look = line_style(number)
        for box in found:
            ax.add_patch(Rectangle((box.x, box.y), box.side, box.side, fill=False, linewidth=2.0, **look))
            y, va = (box.y - 3, "bottom") if number == 1 else (box.y + box.side + 5, "top")
            ax.text(box.x, y, DETECTORS[name], color=look["color"], va=va)
