"""Figures 4.16 and 4.17 and the curves: which clips are shown, what stands under a column, the same bytes twice."""

import numpy as np
import pandas as pd
import pytest

import planted
from mien.evaluation.streams import Trace
from mien.report.figures.streams import (
    choose_flipping,
    columns_of,
    plot_streams,
    read_pictures,
    step_between,
)
from report import planted_streams
from report.planted_streams import FLICKERING

CLASSES = planted.CLASSES


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return the root of a corpus of two with faces, and the face shards."""
    root = tmp_path_factory.mktemp("world")
    planted.write_corpus(root, n_actors=2)
    faces, _ = planted.write_shards(root, n_actors=2, size=16)
    return root, faces


def draw(world, out, said) -> dict[str, bytes]:
    root, faces = world
    folder = root / "results" / "corpora" / "ravdess"
    runs = planted_streams.write_runs(out.parent, said, n_folds=1)
    given = {"clips": folder / "clips.parquet", "corpus_info": folder / "corpus.json", "faces": faces}
    plot_streams(runs=runs, **given, out=out, config=planted_streams.config())
    return {path.name: path.read_bytes() for path in out.iterdir()}


def trace(clip: str, said, *, label=0, fold=0, step_s=0.1, start=0) -> Trace:
    times = step_s * (start + np.arange(len(said)))
    return Trace("V", fold, 0, clip, "01", label, times, np.array(said))


def test_figures_are_whole_and_the_numbers_are_the_planted_ones(tmp_path, world, monkeypatch):
    planted_streams.draw_small(monkeypatch)
    first = draw(world, tmp_path / "figures", {"V_frame": FLICKERING})
    kinds = {f"{name}.{kind}" for name in ("4.16", "4.17", "anytime") for kind in ("svg", "png")}
    assert set(first) == kinds | {"anytime.csv"}
    assert first["4.16.png"] != first["4.17.png"]
    rows = pd.read_csv(tmp_path / "figures" / "anytime.csv")
    frame = rows[rows.network == "V_frame"].set_index("at_s").accuracy
    assert frame.to_dict() == {0.0: 1, 0.1: 0, 0.2: 1}
    assert set(draw(world, tmp_path / "steady" / "figures", {})) == set(first)  # labels that never change


def test_the_first_clip_of_an_emotion_in_which_the_label_changes_is_shown():
    steady, first, second = (trace(clip, said) for clip, said in (("a", [0, 0]), ("b", [0, 1]), ("c", [1, 0])))
    sad, later = trace("a", [0, 2], label=2), trace("a", [0, 1], fold=1)
    never = trace("a", [1, 1], label=1)
    chosen = choose_flipping([second, later, never, sad, first, steady], CLASSES)
    assert chosen == [first, sad]


def test_a_column_shows_the_newest_judgement_since_the_one_before():
    assert columns_of(trace("a", [0] * 5), step_s=0.1) == {k: k for k in range(5)}
    assert columns_of(trace("a", [0] * 7), step_s=0.3) == {0: 0, 1: 3, 2: 6}
    seen_late = trace("a", [0, 0], start=2)
    assert columns_of(seen_late, step_s=0.1) == {2: 0, 3: 1}
    lost = Trace("V", 0, 0, "a", "01", 0, np.array([0.0, 0.4]), np.array([0, 1]))
    assert columns_of(lost, step_s=0.1) == {0: 0, 4: 1}


@pytest.mark.parametrize(("n_steps", "step_s"), [(9, 0.2), (12, 0.2), (13, 0.4), (60, 1.0)])
def test_the_longest_strip_fits(n_steps, step_s):
    traces = [trace("a", [0] * n_steps, step_s=0.2), trace("b", [0], step_s=0.2)]
    assert step_between(traces, rate_fps=5) == pytest.approx(step_s)
    assert len(columns_of(traces[0], step_s=step_s)) <= 12


def test_frames_are_those_that_were_judged(world):
    _, faces = world
    clip, label = planted.clip_names(2)[-1]
    pictures = read_pictures(trace(clip, [0, 1, 0], label=label), faces / "actor02", step_s=0.1)
    assert sorted(pictures) == [0, 1, 2]
    assert pictures[0][..., 0].mean() == pytest.approx(60 * label + 30, abs=6)  # the planted tint
    assert (pictures[0] != pictures[1]).any()
