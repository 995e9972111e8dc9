"""Figures 3.1 and 4.6 to 4.8: who is shown, what AUG-A did, and the numbers of the subspaces."""

import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mien.classical.samples import FACE4
from mien.classical.subspaces import subspace_pictures
from mien.config.schema import AugmentConfig, section
from mien.errors import TableError
from mien.io.randomness import rng_for
from mien.report.figures import images
from mien.report.figures.images import (
    all_operations,
    axis_numbers,
    choose_test,
    choose_training,
    most_lopsided,
    single_operations,
)
from report import planted_faces as planted

AUGMENT = section(AugmentConfig, planted.CONFIG, "augment")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted.write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def few(monkeypatch):
    """Draw fewer panels: their number is not what is tested."""
    for name, number in (("N_PEOPLE", 2), ("N_DRAWS", 2), ("N_VERSIONS", 2), ("N_EIGENFACES", 2)):
        monkeypatch.setattr(images, name, number)


def draw(command, results, out) -> dict[str, bytes]:
    names = ["--samples", results / "samples" / planted.PAIR, "--results", results, "--out", out]
    command(images, *names, config=planted.config())
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.usefixtures("few")
def test_the_figures_are_whole_and_the_same_twice(tmp_path, world, command):
    first = draw(command, world, tmp_path / "figures")
    assert set(first) == {"3.1.png", "3.1.csv", "4.6.png", "4.7.png", "4.8.png"}
    assert draw(command, world, tmp_path / "figures") == first
    for name in ("3.1", "4.6", "4.7", "4.8"):
        assert plt.imread(tmp_path / "figures" / f"{name}.png").std() > 0.03
    rows = pd.read_csv(tmp_path / "figures" / "3.1.csv")
    assert set(rows.kind) == {"eigenface", "fisherface"}
    assert rows.variance.between(0, 1).all()


def test_missing_shards_are_named(tmp_path, world, command):
    results = tmp_path / "results"
    shutil.copytree(world, results)
    shutil.rmtree(results / "faces" / "learnt" / "p0")
    with pytest.raises(TableError, match="run the stage"):
        draw(command, results, tmp_path / "figures")


def test_training_rows_show_different_people(world):
    table = planted.samples(world)
    chosen = choose_training(table, 2)
    assert set(chosen.role) == {"training"}
    for emotion in FACE4:
        mine = chosen[chosen.label_name == emotion]
        assert mine.person.nunique() == len(mine) == 2
    shuffled = choose_training(table.sample(frac=1.0, random_state=2), 2)
    assert shuffled["clip"].tolist() == chosen["clip"].tolist()
    with pytest.raises(TableError, match="surprise"):
        choose_training(table[table.label_name != "surprise"], 2)


def test_the_tested_person_is_shown_from_every_camera(world):
    chosen = choose_test(planted.samples(world))
    assert chosen.person.nunique() == 1
    assert chosen.column.drop_duplicates().tolist() == ["45°", "90°", "180°"]
    assert set(chosen.angle[chosen["row"] < 0]) == {180}
    with pytest.raises(TableError, match=r"cross\.test"):
        choose_test(planted.samples(world).assign(role="training"))


def test_each_operation_does_what_its_name_says():
    picture = rng_for(0, "picture").integers(30, 200, (20, 20)).astype(np.uint8)
    found = {name.split()[0]: versions for name, versions in _single(picture, n_draws=12).items()}
    assert all(versions.shape == (12, 20, 20) for versions in found.values())
    (text,) = (name for name in _single(picture, n_draws=12) if name.startswith("mirror"))
    flipped = [np.array_equal(version, picture[:, ::-1]) for version in found["mirror"]]
    kept = [np.array_equal(version, picture) for version in found["mirror"]]
    assert any(flipped)
    assert any(kept)
    assert all(a or b for a, b in zip(flipped, kept, strict=True))
    assert text.endswith("here " + ", ".join(str(k + 1) for k, one in enumerate(flipped) if one))
    assert np.std(found["noise"].astype(float) - picture) == pytest.approx(AUGMENT.noise, rel=0.1)
    order = np.argsort(picture.ravel(), kind="stable")
    for version in found["contrast"]:
        assert (np.diff(version.ravel()[order].astype(int)) >= 0).all()  # grey levels keep their order


@pytest.mark.parametrize("seed", range(12))
def test_the_mirror_row_shows_both(seed):
    picture = rng_for(0, "picture").integers(30, 200, (20, 20)).astype(np.uint8)
    mirrored, *_ = single_operations(picture, AUGMENT, n_draws=2, seed=seed).values()
    assert {np.array_equal(version, picture) for version in mirrored} == {True, False}


def test_versions_depend_on_the_seed_and_the_picture_only():
    picture = rng_for(0, "picture").integers(30, 200, (20, 20)).astype(np.uint8)
    first = all_operations(picture, AUGMENT, n_draws=3, seed=0, clip="a")
    assert first.shape == (3, 20, 20)
    np.testing.assert_array_equal(first, all_operations(picture, AUGMENT, n_draws=3, seed=0, clip="a"))
    assert (first != all_operations(picture, AUGMENT, n_draws=3, seed=1, clip="a")).any()
    assert (first[0] != first[1]).any()


def test_the_most_lopsided_picture_is_found():
    flat = np.full((8, 8), 100, np.uint8)
    tilted = np.tile(np.arange(8, dtype=np.uint8) * 30, (8, 1))
    assert most_lopsided({"flat": flat, "tilted": tilted}) is tilted


def test_the_variance_of_an_axis_is_that_of_the_principal_components():
    from sklearn.decomposition import PCA

    rng = rng_for(0, "subspace")
    labels = np.repeat(np.arange(4), 10)
    pictures = (rng.integers(0, 90, (40, 6, 6)) + 40 * labels[:, None, None]).astype(np.uint8)
    axes = subspace_pictures(pictures, labels)["eigenfaces"]
    numbers = axis_numbers(pictures, labels, axes)
    expected = PCA(len(axes)).fit(pictures.reshape(40, -1) / 255.0).explained_variance_ratio_
    np.testing.assert_allclose(numbers.variance, expected, rtol=1e-6)
    assert numbers.between[0] > 0.8  # the brightness tells the classes apart
    assert (numbers.between[1:] < 0.5).all()


def _single(picture: np.ndarray, *, n_draws: int) -> dict[str, np.ndarray]:
    return single_operations(picture, AUGMENT, n_draws=n_draws, seed=0)
