"""Running networks: step by step is one pass is the batch network; nothing comes from later or from others."""

import copy

import numpy as np
import pytest
import torch

from mien.errors import ModelError
from mien.io.randomness import rng_for
from mien.models.mrpn import build
from mien.models.streaming import (
    NewestFrame,
    StreamState,
    choose_frames,
    memory_start,
    newest_steps,
    run_bounded,
    run_stream,
    tick_times,
)

JOINT = ("video", "audio")
NETWORKS = {  # name -> (modalities, fusion, aggregator)
    "frame": (("video",), "dense", "none"),
    "stream": (("video",), "dense", "lstm"),
    "single": (("audio",), "single", "lstm"),
    "n1": (JOINT, "n1", "lstm"),
    "mrpn": (JOINT, "mrpn", "lstm"),
    "mrpn of frames": (JOINT, "mrpn", "none"),
}
SHAPES = {"video": (5, 3, 32, 32), "audio": (3, 1, 32, 31)}  # steps of a recording
AT = {  # numbers of the newest steps of two recordings; the second one has no voice, the first one none at first
    "video": torch.tensor([[0, 1, 3, 4], [-1, 0, 2, 4]]),
    "audio": torch.tensor([[-1, 0, 1, 2], [-1, -1, -1, -1]]),
}


@pytest.fixture(scope="module")
def networks():
    """Return name -> network in evaluation whose batch statistics are not those of a fresh one."""
    made = {}
    for name, (modalities, fusion, aggregator) in NETWORKS.items():
        model = build(
            modalities, fusion=fusion, aggregator=aggregator, side_head="dense", classes=3, width=2, dropout=0.3
        )
        model.train()
        with torch.no_grad():
            model({modality: inputs(4, seed=1)[modality] for modality in modalities})
        made[name] = model.eval()
    return made


def inputs(n=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, *shape, generator=generator) for name, shape in SHAPES.items()}


def ticks_of(model, given, at):
    """Follow every recording alone and step by step; return its judgements by tick, None where there is none."""
    found = []
    for row in range(2):
        along, done, judged = StreamState(model), dict.fromkeys(model.branches, 0), []
        for tick in range(at["video"].shape[1]):
            for name in model.branches:
                while done[name] <= at[name][row, tick]:
                    along.step(name, given[name][row : row + 1, done[name] : done[name] + 1])
                    done[name] += 1
            judged.append(along.predict() if along.features else None)
        found.append(judged)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_step_by_step_is_one_pass(networks, name):
    """So what comes later changes nothing earlier: a step does not know it."""
    model, given = networks[name], inputs()
    with torch.no_grad():
        passed = run_stream(model, given, AT)
    for row, judged in enumerate(ticks_of(model, given, AT)):
        for tick, scores in enumerate(judged):
            for head, score in passed.items():
                if scores is None:
                    assert score[row, tick].isnan().all()
                else:
                    torch.testing.assert_close(scores[head][0], score[row, tick], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_judgement_is_that_of_the_whole_sequence(networks, name):
    model, given = networks[name], inputs()
    along = StreamState(model, 2)
    for modality in model.branches:
        features = along.step(modality, given[modality])
        assert features.shape == (2, given[modality].shape[1], 16)
    for head, score in model(given).items():
        torch.testing.assert_close(along.predict()[head], score, rtol=0, atol=1e-5)


def test_an_absent_modality_is_absent_as_in_the_batch(networks):
    model, given = networks["mrpn"], inputs()
    along = StreamState(model, 2)
    along.step("audio", given["audio"])
    absent = {"video": torch.tensor([0, 0]), "audio": torch.tensor([given["audio"].shape[1]] * 2)}
    for head, score in model(given, absent).items():
        torch.testing.assert_close(along.predict()[head], score, rtol=0, atol=1e-5)


def test_recordings_and_copies_do_not_reach_one_another(networks):
    model, given = networks["mrpn"], inputs()
    other = {name: value.clone() for name, value in given.items()}
    for value in other.values():
        value[1] = 9.0
    along, beside = StreamState(model, 2), StreamState(model, 2)
    for name in JOINT:
        along.step(name, given[name])
        beside.step(name, other[name])
    assert torch.equal(along.predict()["fused"][0], beside.predict()["fused"][0])
    assert not torch.equal(along.predict()["fused"][1], beside.predict()["fused"][1])
    before, branch_off = along.predict()["fused"], along.copy()
    branch_off.step("video", other["video"])
    assert torch.equal(along.predict()["fused"], before)
    along.step("video", other["video"])
    assert torch.equal(along.predict()["fused"], branch_off.predict()["fused"])


def test_nothing_seen_and_heard_is_no_judgement(networks):
    with pytest.raises(ModelError, match="needs a step of some modality"):
        StreamState(networks["mrpn"]).predict()


def test_padding_enters_nothing_in_training(networks):
    """Neither scores, nor gradients, nor batch statistics notice what lies after the last step."""
    padded = {name: torch.cat([value, torch.full_like(value, torch.nan)], 1) for name, value in inputs().items()}
    padded["audio"][1] = torch.nan  # the second recording has no voice at all
    at = {name: torch.cat([numbers, torch.full((2, 1), -1)], 1) for name, numbers in AT.items()}
    models = [copy.deepcopy(networks["n1"]).train() for _ in range(2)]
    scores = []
    for model, (given, numbers) in zip(models, ((inputs(), AT), (padded, at)), strict=True):
        torch.manual_seed(0)  # of dropout
        score = run_stream(model, given, numbers)
        sum(value[~value.isnan()].square().sum() for value in score.values()).backward()
        scores.append({head: value[:, :4] for head, value in score.items()})
    for head, score in scores[0].items():
        torch.testing.assert_close(score, scores[1][head], rtol=0, atol=1e-5, equal_nan=True)
        assert score[1, 0].isnan().all()
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)
    for name, value in models[0].state_dict().items():
        torch.testing.assert_close(value, models[1].state_dict()[name], rtol=1e-5, atol=1e-5)
        assert value.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"aggregator": "bilstm"}, "video, audio"),
        ({"aggregator": "transformer"}, "video, audio"),
        ({"trunk": {"video": "resnet3d18"}}, "video"),
        ({"fusion": "attention"}, "fusion"),
    ],
    ids=str,
)
def test_networks_that_need_the_whole_recording_are_refused(changes, part):
    arguments = {"fusion": "mrpn", "aggregator": "lstm", "side_head": "dense", "classes": 3, "width": 1, "dropout": 0}
    model = build(JOINT, **arguments | changes)
    for use in (StreamState, lambda model: run_stream(model, inputs(), AT)):
        with pytest.raises(ModelError, match=f"cannot run along with a recording: {part} needs all of it"):
            use(model)


# Time axes


def test_the_newest_new_frame_is_looked_at():
    time_s = np.arange(30) / 25
    frames, at_s = choose_frames(time_s, 1.2, rate_fps=25)  # at the stored rate every frame is a step
    np.testing.assert_array_equal(frames, np.arange(30))
    np.testing.assert_allclose(at_s, time_s)
    frames, at_s = choose_frames(np.arange(10) / 10, 1.0, rate_fps=5)
    np.testing.assert_array_equal(frames, [0, 2, 4, 6, 8, 9])  # frame 9, at 0.9 s, is the newest one when 1.0 s is over
    np.testing.assert_allclose(at_s, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    frames, at_s = choose_frames(np.array([0.0, 0.1, 0.5, 0.6, 0.7]), 1.0, rate_fps=5)  # a lost face is no step
    np.testing.assert_array_equal(frames, [0, 1, 3, 4])
    np.testing.assert_allclose(at_s, [0.0, 0.2, 0.6, 0.8])
    assert all(len(found) == 0 for found in choose_frames(np.array([]), 1.0, rate_fps=5))


@pytest.mark.parametrize("rate_fps", [1, 3, 5, 25])
def test_looks_keep_to_the_grid_and_never_see_the_future(rate_fps):
    time_s = np.sort(rng_for(0, "looks").uniform(0, 4, 60))
    frames, at_s = choose_frames(time_s, 4.0, rate_fps=rate_fps)
    assert (np.diff(frames) > 0).all()
    np.testing.assert_allclose(at_s * rate_fps, np.rint(at_s * rate_fps))
    delay_s = at_s - time_s[frames]
    assert (delay_s > -1e-5).all()
    assert (delay_s < 1 / rate_fps).all()
    for upto in (1, 20, 59):  # what comes later changes no look that is over
        early, early_s = choose_frames(time_s[:upto], 4.0, rate_fps=rate_fps)
        over = early_s < time_s[upto] - 1e-5
        np.testing.assert_array_equal(early[over], frames[: over.sum()])


@pytest.mark.parametrize("rate_fps", [3, 5, 25])
def test_looks_are_the_same_while_a_film_runs(rate_fps):
    time_s = np.unique(np.round(rng_for(0, "running", rate_fps).uniform(0, 4, 80), 2))  # some are exactly due
    newest, given = NewestFrame(rate_fps), []
    for k, at_s in enumerate(time_s):
        for look in (newest.put(at_s, k), newest.due(at_s)):
            if look is not None:
                assert look[0] < at_s + 1e-5  # not before its time
                given.append(look)
    if (look := newest.due(5.0)) is not None:
        given.append(look)
    frames, at_s = choose_frames(time_s, 5.0, rate_fps=rate_fps)
    np.testing.assert_allclose([look[0] for look in given], at_s)
    np.testing.assert_array_equal([look[1] for look in given], frames)


def test_ticks_go_to_the_end():
    np.testing.assert_allclose(tick_times(2.0, hop_s=0.5), [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(tick_times(1.99, hop_s=0.5), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(tick_times(0.3, hop_s=0.5), [0.3])
    assert len(tick_times(3 * 0.1, hop_s=0.1)) == 3


def test_a_tick_sees_steps_by_then():
    np.testing.assert_array_equal(
        newest_steps(np.array([0.2, 0.5, 1.0]), np.array([0.1, 0.5, 0.9, 1.5])), [-1, 1, 1, 2]
    )
    np.testing.assert_array_equal(newest_steps(np.array([]), np.array([0.5])), [-1])


def test_a_bounded_memory_is_the_endless_one_at_first_and_then_forgets(networks):
    encoder = networks["stream"].branches["video"]
    features = torch.randn(40, encoder.dim, generator=torch.Generator().manual_seed(2))
    step_s = 0.2 * np.arange(40)
    with torch.no_grad():
        endless, _ = encoder.aggregator.run(features[None])
    bounded = run_bounded(encoder, features, step_s, window_s=1.5)
    torch.testing.assert_close(bounded[step_s < 3.0 - 1e-6], endless[0, step_s < 3.0 - 1e-6], rtol=0, atol=1e-6)
    assert (bounded[step_s > 3.1] - endless[0, step_s > 3.1]).abs().max() > 1e-4
    other = features.clone()
    other[step_s < 4.5 - 1e-6] += 1.0  # memories are started at 4.5 s, and answer from 6 s on
    changed = run_bounded(encoder, other, step_s, window_s=1.5)
    torch.testing.assert_close(changed[step_s > 6.0 - 1e-6], bounded[step_s > 6.0 - 1e-6], rtol=0, atol=0)
    assert (changed[step_s < 5.9] - bounded[step_s < 5.9]).abs().max() > 1e-4
    np.testing.assert_allclose(memory_start(np.array([0.0, 1.6, 2.9, 3.0, 4.6]), window_s=1.5), [0, 0, 0, 1.5, 3.0])
