"""The network of a whole voice."""

import torch

from mien.models.mrpn import build
from mien.models.voice import VoiceCNN


def test_statistics_are_over_the_course_of_every_look():
    model = VoiceCNN(in_channels=1, width=2).eval()
    assert model.dim == 36
    voices = torch.randn(3, 2, 1, 64, 48, generator=torch.Generator().manual_seed(0))
    courses = [model.layers(look).mean(2) for look in voices.unbind(1)]  # (3, 12, 3) each
    said = [torch.cat([one.mean(2), one.max(2).values, one.var(2, correction=0).sqrt()], 1) for one in courses]
    wanted = (said[0] + said[1]) / 2
    torch.testing.assert_close(model(voices), wanted)


def test_gradients_are_numbers_where_nothing_varies():
    model = VoiceCNN(in_channels=1, width=1)
    model(torch.zeros(2, 1, 1, 16, 16)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_a_clip_without_a_voice_is_the_mean_one():
    model = build(
        ["audio"],
        fusion="single",
        aggregator="lstm",
        side_head="dense",
        classes=3,
        width=1,
        dropout=0.0,
        trunk={"audio": "cnn"},
    ).eval()
    voices = torch.randn(2, 1, 1, 64, 32, generator=torch.Generator().manual_seed(0))
    both = model({"audio": voices}, {"audio": torch.tensor([1, 0])})["fused"]
    torch.testing.assert_close(both[:1], model({"audio": voices[:1]}, {"audio": torch.tensor([1])})["fused"])
    torch.testing.assert_close(both[1:], model.score(torch.zeros(1, 18)))


def test_a_dense_head_is_one_layer_on_the_standardised_feature():
    how = {"aggregator": "lstm", "side_head": "dense", "classes": 3, "width": 1, "dropout": 0.5}
    model = build(["audio"], fusion="single", head="dense", trunk={"audio": "cnn"}, **how).eval()
    voices = torch.randn(2, 1, 1, 64, 32, generator=torch.Generator().manual_seed(0))
    layer = model.score[-1]
    wanted = model.norms["audio"](model.branches["audio"](voices)) @ layer.weight.T + layer.bias
    torch.testing.assert_close(model({"audio": voices})["fused"], wanted)


def test_members_share_the_batches_alone_and_answer_by_the_mean_of_their_probabilities():
    how = {"aggregator": "lstm", "side_head": "dense", "classes": 3, "width": 1, "dropout": 0.0, "members": 2}
    model = build(["audio"], fusion="single", head="dense", trunk={"audio": "cnn"}, **how)
    voices = torch.randn(4, 1, 1, 64, 32, generator=torch.Generator().manual_seed(0))
    said = model({"audio": voices})
    assert list(said) == ["fused", "member 0", "member 1"]
    mean = torch.stack([said["member 0"], said["member 1"]]).softmax(2).mean(0)
    torch.testing.assert_close(said["fused"].softmax(1), mean)
    assert not torch.allclose(said["member 0"], said["member 1"])
    said["member 0"].sum().backward()
    first, second = model.branches["audio"].trunk.members
    assert all(weight.grad is not None for weight in first.parameters())
    assert all(not weight.grad.any() for weight in second.parameters() if weight.grad is not None)
    assert not said["fused"].requires_grad
    assert list(model.eval()({"audio": voices})) == ["fused"]
