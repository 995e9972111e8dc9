"""The experiment on missing and fuzzy information: what a condition is made of, and what one repetition leaves."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien.config.fuzziness import CLEAR, NOTHING, VERSIONS, Condition, conditions
from mien.errors import ConfigError, TableError
from mien.io import tables
from mien.training import engine, noise
from mien.training.clips import ClipDataset, FrameSequence, Spectrogram
from mien.training.engine import Draws
from mien.training.noise import Versions, divide_people, read_versions
from mien.training.train import ClipTask
from training.commands import dies_in, inside, run_command
from training.tiny_corpus import FACES, PARAMS, SOUND, write_corpus

pytestmark = pytest.mark.usefixtures("scratch")
ROWS = ["N0_late", "AM", "VM"]
FUZZY = {"actors": 4, "tested": 2, "shares": [0.0, 0.5], "seeds": 1, "epochs": 2, "size_px": 128, "rate_fps": 5}
TURN = 1


def config(**changes) -> str:
    section = FUZZY | {"corpus": "ravdess", "rows": ROWS} | changes
    return json.dumps(PARAMS | {"fuzziness": section})


def train(data: Path, out: Path, **changes) -> pd.DataFrame:
    """Run the command on its second repetition; return what it leaves."""
    run_command("train_fuzzy", seed=TURN, data=data, out=out, config=config(**changes))
    return tables.read(out, tables.FUZZY)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return a folder with all versions; another seed gives other faces and voices of the same takes."""
    folder = tmp_path_factory.mktemp("versions")
    for seed, version in enumerate(VERSIONS):
        write_corpus(folder / version, name="ravdess", n_actors=4, takes=3, seed=seed)
        for stage in ("corpora", "faces", "sound"):
            (folder / stage).mkdir(exist_ok=True)
            (folder / version / stage / "ravdess").rename(folder / stage / f"ravdess-{version}")
    return folder


@pytest.fixture(scope="module")
def versions(data) -> Versions:
    return read_versions(data, "ravdess", faces=FACES, sound=SOUND)


def draws(turn: int = 0) -> Draws:
    return Draws(0, ("fuzziness", "ravdess", turn))


@pytest.fixture(scope="module")
def repetition(data, tmp_path_factory):
    """Return its rows, and condition -> variant -> what was trained."""
    folder, trained, real = tmp_path_factory.mktemp("judged"), {}, noise.train_condition

    def watched(experiment, condition, clear):
        trained[condition] = real(experiment, condition, clear)
        return trained[condition]

    with inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "train_condition", watched)
        rows = train(data, folder / "a.parquet")
    return rows, trained


def test_only_takes_with_a_face_and_a_voice_in_all_versions_count(versions):
    assert len(versions.clips) == 4 * 6 - 2  # one has no face, one is silent
    assert set(versions.clips["clip"]) == set(versions.of[CLEAR].clips["clip"]) - {"a0-0", "a0-5"}


def test_a_larger_share_affects_the_same_clips_and_more(versions):
    drawn = [versions.drawn(Condition("missing", "video", share), draws()) for share in (0.0, 0.3, 0.6, 1.0)]
    assert all(less < more for less, more in pairwise(drawn))
    assert drawn[-1] == set(versions.clips["clip"])
    blended = versions.drawn(Condition("blended", "video", 0.3), draws())
    others = [versions.drawn(Condition("missing", "audio", 0.3), draws())]
    others += [versions.drawn(Condition("missing", "video", 0.3), draws(1))]
    assert blended == drawn[1]
    assert all(other != drawn[1] for other in others)


def test_a_drawn_clip_is_taken_whole_from_its_version_and_the_others_from_the_clear_one(versions):
    condition = Condition("missing", "audio", 0.5)
    drawn = versions.drawn(condition, draws())
    mixed = versions.mixed(condition, draws(), ("video", "audio"))
    for clip in versions.clips["clip"]:
        source = versions.of[condition.version if clip in drawn else CLEAR]
        assert all(mixed.media[modality][clip] is source.media[modality][clip] for modality in ("video", "audio"))
    assert set(versions.mixed(condition, draws(), ("audio",)).media) == {"audio"}


def test_what_is_the_same_in_both_versions_does_not_count_as_changed():
    def corpus(levels):
        pixels = {clip: np.full((2, 4, 4, 3), level, np.uint8) for clip, level in levels.items()}
        films = {clip: FrameSequence(frames, np.arange(2.0), 2.0) for clip, frames in pixels.items()}
        voices = {clip: Spectrogram(torch.full((3, 4), float(level)), 2.0) for clip, level in levels.items()}
        return ClipDataset("ravdess", clips, clips, (), {"video": films, "audio": voices}, "")

    clips = pd.DataFrame({"clip": ["neutral", "sad"]})
    clear, other = corpus({"neutral": 1, "sad": 2}), corpus({"neutral": 1, "sad": 3})
    found = Versions(dict.fromkeys(VERSIONS, other) | {CLEAR: clear}, clips)
    for condition in conditions([0.0, 0.5])[1:]:
        assert found.changed(condition) == {"sad"}
    assert found.changed(NOTHING) == set()


def test_everybody_is_tested_once_before_anybody_is_twice():
    people = pd.DataFrame(
        {"actor": list("abcdef") * 2, "sex": ["male", "male", "male", "female", "female", "female"] * 2}
    )
    people = people.assign(clip=[f"{actor}{k}" for k, actor in enumerate(people.actor)])
    tested = []
    for turn in range(3):
        roles = divide_people(people, tested=2, turn=turn)
        assert set(roles["test"].actor).isdisjoint(roles["training"].actor)
        assert sorted(roles["test"].sex.unique()) == ["female", "male"]
        assert len(roles["test"]) + len(roles["training"]) == len(people)
        tested += sorted(set(roles["test"].actor))
    assert sorted(tested) == list("abcdef")
    assert set(divide_people(people, tested=2, turn=3)["test"].actor) == set(tested[:2])


def test_versions_of_other_takes_are_refused(versions, monkeypatch):
    fewer = replace(versions.of[CLEAR], clips=versions.of[CLEAR].clips.iloc[1:].reset_index(drop=True))
    monkeypatch.setattr(
        noise.media,
        "read",
        lambda _, name, *__, **___: fewer if name.endswith("missing_audio") else versions.of[name.split("-")[1]],
    )
    with pytest.raises(TableError, match="missing_audio has other takes"):
        read_versions(Path("somewhere"), "ravdess", faces=None, sound=None)


def test_every_network_judges_every_test_clip_under_every_condition(repetition, versions):
    rows, _ = repetition
    roles = divide_people(versions.clips, tested=2, turn=TURN)
    cells = rows.groupby(["kind", "modality", "share", "variant"])["clip"].agg(set)
    assert len(cells) == len(conditions(FUZZY["shares"])) * len(ROWS)
    assert all(clips == set(roles["test"]["clip"]) for clips in cells)
    assert not rows.duplicated(["kind", "modality", "share", "variant", "clip"]).any()
    assert set(rows.seed) == {TURN}
    clear = rows[rows.kind == ""]
    assert not clear.affected.any()
    for (kind, modality, share), part in rows[rows.kind != ""].groupby(["kind", "modality", "share"]):
        drawn = versions.drawn(Condition(kind, modality, share), draws(TURN))
        assert set(part["clip"][part.affected]) == drawn & set(roles["test"]["clip"])


def test_a_network_of_voices_is_the_clear_one_where_faces_change(repetition):
    rows, _ = repetition

    def said(variant, kind, modality):
        part = rows[(rows.variant == variant) & (rows.kind == kind) & (rows.modality == modality)]
        return np.stack(part.sort_values("clip").logits)

    for kind in ("missing", "blended"):
        np.testing.assert_array_equal(said("AM", kind, "video"), said("AM", "", ""))
        assert np.abs(said("AM", kind, "audio") - said("AM", "", "")).max() > 0
        assert np.abs(said("VM", kind, "video") - said("VM", "", "")).max() > 0
        assert np.abs(said("N0_late", kind, "audio") - said("N0_late", "", "")).max() > 0


def test_a_killed_repetition_goes_on_to_the_same_judgements(data, repetition, tmp_path, monkeypatch):
    chosen = [NOTHING, Condition("missing", "video", 0.5)]
    begun = dies_in(monkeypatch, ClipTask, 8)  # in the second condition
    monkeypatch.setattr("mien.training.noise.conditions", lambda shares: chosen)
    with pytest.raises(SystemExit):
        train(data, tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()
    rows = train(data, tmp_path / "b.parquet")
    assert len(begun) == 1 + FUZZY["epochs"] * (3 + 2)  # every epoch once, and the one that was cut off again
    whole = repetition[0]
    whole = whole[whole.kind.isin(["", "missing"]) & (whole.modality != "audio")].reset_index(drop=True)
    assert np.array_equal(np.stack(rows.logits), np.stack(whole.logits))
    pd.testing.assert_frame_equal(rows.drop(columns="logits"), whole.drop(columns="logits"))
    assert not list(engine.ROOT.rglob("*.*"))


def test_a_kept_branch_is_that_of_the_same_condition(repetition):
    _, trained = repetition
    clear, missing = trained[NOTHING], trained[Condition("missing", "video", 0.5)]
    for modality, variant in {"audio": "AM", "video": "VM"}.items():
        kept = missing["N0_late"].model.branches[modality].state_dict()
        same = missing[variant].model.branches[modality].state_dict()
        assert all(torch.equal(kept[name], same[name]) for name in kept)
    assert missing["AM"] is clear["AM"]
    assert missing["VM"] is not clear["VM"]


def test_rows_that_cannot_be_trained_here_are_refused(data, tmp_path):
    started = PARAMS["variants"]["AM"] | {"init": {"audio": "P2"}}
    blended = PARAMS["variants"]["N2"] | {"blend": {"fused": "N0", "video": "VM", "audio": "AM"}}
    for row, message in ((started, "P2 is no file"), (blended, "nobody validates")):
        params = json.loads(config(rows=["X"])) | {"variants": {"X": row}}
        with pytest.raises(ConfigError, match=message):
            run_command("train_fuzzy", seed=0, data=data, out=tmp_path / "c.parquet", config=json.dumps(params))


def test_first_weights_nobody_starts_from_are_refused(data, tmp_path):
    row = PARAMS["variants"]["AM"] | {"init": {"audio": "P2"}}
    params = json.dumps(json.loads(config(rows=["X"])) | {"variants": {"X": row}})
    for given in ("P1=file", "P2"):
        with pytest.raises(ConfigError, match=f"--init {given}: the rows of fuzziness start from P2"):
            run_command("train_fuzzy", seed=0, data=data, out=tmp_path / "c.parquet", init=[given], config=params)
