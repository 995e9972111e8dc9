"""Figures 4.9 to 4.13: whose pictures are shown, which losses are the highest, and the copies that training sees."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from mien.config import schema
from mien.errors import TableError
from mien.evaluation.runs import read_run
from mien.io.randomness import rng_for
from mien.report.figures import fer2013
from mien.report.figures.fer2013 import (
    choose_emotions,
    choose_hardest,
    choose_people,
    class_sizes,
    hardest,
    read_gallery,
)
from mien.training.images import read_face_images
from report.figures import planted_pictures as planted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    results = tmp_path_factory.mktemp("world")
    clips = planted.write_fer2013(results)
    planted.write_people(results, "ckplus")
    planted.write_run(results, "FER_3", clips=clips)
    return results


@pytest.fixture(scope="module")
def gallery(world):
    return read_gallery(world, "fer2013")


@pytest.fixture(scope="module")
def run(world):
    return read_run(world / "training" / "fer2013" / "FER_3" / "fold0-seed0" / "run.json")


def test_the_figures_are_whole_and_say_what_they_show(tmp_path, world, run, monkeypatch):
    monkeypatch.setattr(fer2013, "N_PAIRS", 1)  # fewer panels: their number is not what is tested
    monkeypatch.setattr(fer2013, "N_COLUMNS", 2)
    monkeypatch.setattr(fer2013, "N_HARDEST", {"training": 1, "validation": 1})
    given = {"results": world, "people": "ckplus", "beside": ["ckplus"]}
    fer2013.plot_fer2013(runs=[run.folder / "run.json"], **given, out=tmp_path)
    figures = ("4.9", "4.10", "4.11", "4.12", "4.13")
    kinds = {"svg": figures, "png": figures, "csv": figures[2:]}
    assert {p.name for p in tmp_path.iterdir()} == {f"{name}.{kind}" for kind in kinds for name in kinds[kind]}
    for name in figures:
        assert plt.imread(tmp_path / f"{name}.png").std() > 0.03
    shown = pd.read_csv(tmp_path / "4.11.csv", dtype={"clip": str})
    assert set(shown["clip"][shown.doubt.notna()]) == {*planted.CONTRADICTION, planted.BLANK}
    copied = pd.read_csv(tmp_path / "4.13.csv")
    assert set(copied.label) == {"angry", "neutral"}
    assert copied.turn_deg.abs().max() <= 25
    assert copied.scale.between(0.9, 1.1).all()


def test_copies_are_the_very_ones_of_training(world, gallery, run, repository):
    faces = schema.section(schema.FacesConfig, schema.load(str(repository / "params.yaml")), "faces")
    rng = rng_for(0, "pretrain", "fer2013", 0, "copies")
    data = read_face_images(world, "fer2013", target="label", faces=faces, size_px=planted.VGG_PX).balanced(rng)
    numbers = np.arange(len(data.copies))
    theirs, labels = data.batch(len(data.inputs) + numbers, torch.device("cpu"))
    found = fer2013.balanced(run, gallery)
    ours, before = fer2013.pixels(found, gallery, numbers)
    np.testing.assert_array_equal(ours, theirs[:, 0].round().byte().numpy())
    np.testing.assert_array_equal(found.clips.label.to_numpy()[found.copies.source], labels.numpy())
    assert ours.shape == before.shape == (13, planted.VGG_PX, planted.VGG_PX)
    assert (ours != before).any()


def test_sizes_account_for_every_picture_and_training_is_balanced(gallery, run):
    sizes = class_sizes(gallery, fer2013.balanced(run, gallery))
    for usage, role in planted.USAGES.items():
        mine = sizes[sizes.role == role]
        assert (mine.pictures + mine["apart"]).tolist() == list(planted.SIZES[usage])
    assert sizes["apart"].sum() == 1
    training = sizes[sizes.role == "training"]
    assert (training.pictures + training.copies).min() >= 0.95 * training.pictures.max()


def test_pictures_that_changed_since_training_are_refused(tmp_path, gallery):
    run = read_run(planted.write_run(tmp_path, "old", n_copies=12))
    with pytest.raises(TableError, match="train old again"):
        fer2013.balanced(run, gallery)


def test_losses_are_cross_entropies_and_wrong_labels_come_first(gallery, run):
    found = hardest(run, gallery)
    assert set(found.role) == {"training", "validation"}  # no test chooses what is shown
    rows = run.predictions()
    rows = rows[(rows.selection == "honest") & rows.role.isin(["training", "validation"])].set_index("clip")
    logits = torch.from_numpy(np.stack(rows.logits.loc[found["clip"]]))
    labels = torch.tensor(rows.label.loc[found["clip"]].to_numpy())
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    training = found[found.role == "training"]
    assert training.loss.is_monotonic_decreasing
    assert set(training["clip"][:3]) == {*planted.CONTRADICTION, planted.BLANK}
    doubt = dict(zip(found["clip"], found.doubt, strict=True))
    assert [doubt[clip] for clip in (*planted.CONTRADICTION, planted.BLANK)] == ["also happy", "also angry", "blank"]
    blocks = choose_hardest(found, n={"training": 1, "validation": 2}, n_doubtful=8)
    assert [len(rows) for rows in blocks.values()] == [1, 2, 2]
    assert not set(blocks["training"]["clip"]) & set(blocks["doubtful"]["clip"])


def test_losses_of_other_pictures_are_refused(tmp_path, gallery, world):
    clips = planted.write_fer2013(tmp_path)
    clips[0]["label"] = 1
    with pytest.raises(TableError, match="labels of fer2013 have changed"):
        hardest(read_run(planted.write_run(tmp_path, "a", clips=clips)), gallery)
    clips[0]["clip"] = "99999"
    with pytest.raises(TableError, match="99999"):
        hardest(read_run(planted.write_run(tmp_path, "b", clips=clips)), gallery)


def test_the_judge_is_chosen_by_validation_alone(tmp_path):
    paths = [planted.write_run(tmp_path, f"row{k}", loss=loss) for k, loss in enumerate((2.0, 0.5, 1.0))]
    paths.append(planted.write_run(tmp_path, "none", reason="no weights"))
    runs = [read_run(path) for path in paths]
    assert fer2013.best_run(runs).variant == "row1"
    assert fer2013.best_run(runs[3:]).variant == "none"


def test_different_people_show_an_emotion_and_defects_stay_away(world, gallery):
    others = read_gallery(world, "ckplus")
    chosen = choose_emotions(others, planted.CLASSES, n=2)
    actors = others.clips.set_index("clip").actor
    assert {emotion: actors[clips].nunique() for emotion, clips in chosen.items()} == dict.fromkeys(planted.CLASSES, 2)
    mine = [clip for clips in choose_emotions(gallery, planted.CLASSES, n=50).values() for clip in clips]
    assert len(set(mine)) == len(mine)
    assert not set(mine) & {*planted.CONTRADICTION, planted.BLANK, planted.APART}
    pixels = gallery.grey(["00030", "00002"])  # of two parts, in the order asked for
    np.testing.assert_array_equal(pixels, [planted.picture("fer2013", clip) for clip in ("00030", "00002")])
    people = choose_people(others, n_people=2, n_pictures=2)
    assert {name: len(clips) for name, clips in people.items()} == {"p0": 2, "p2": 2}


@pytest.mark.parametrize("faceless", ["ckplus", "fer2013"])
def test_a_corpus_without_faces_is_not_shown(tmp_path, world, run, monkeypatch, faceless):
    """As RAVDESS of which somebody has the sound alone."""

    def read(results, name):
        found = read_gallery(results, name)
        return replace(found, clips=found.clips[: 0 if name == faceless else None])

    monkeypatch.setattr(fer2013, "read_gallery", read)
    given = {"runs": [run.folder / "run.json"], "results": world, "people": "ckplus", "beside": ["ckplus"]}
    if faceless == "fer2013":
        with pytest.raises(TableError, match="no clip of fer2013 has a face"):
            fer2013.plot_fer2013(**given, out=tmp_path)
    else:
        fer2013.plot_fer2013(**given, out=tmp_path)
        assert len(list(tmp_path.iterdir())) == 13


def test_people_without_names_have_no_row(gallery):
    assert choose_people(gallery, n_people=2, n_pictures=2) == {}
