"""3D-ResNet-18: its size, what it makes of one picture, of several, and how it becomes a branch."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from mien.errors import ModelError
from mien.models import checkpoint
from mien.models.mrpn import build, load_trunk, n_parameters
from mien.models.resnet import BasicBlock3d, ResNet3D18, ResNet18
from models.test_checkpoint import SETTINGS

CLIPS = replace(SETTINGS, trunk={"video": "resnet3d18"})


def clips(n_frames: int, *, n=2, size=33, seed=0) -> torch.Tensor:
    return torch.randn(n, n_frames, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def trunk() -> ResNet3D18:
    torch.manual_seed(0)
    return ResNet3D18(in_channels=3, width=2).eval()


def test_the_parameters_of_the_thesis():
    with torch.device("meta"):
        assert n_parameters(ResNet3D18(in_channels=3)) == 33_203_904


@torch.no_grad()
def test_one_picture_is_seen_as_by_the_2d_network(trunk):
    """Before and after a single frame there is nothing, so only the middle of every kernel meets it."""
    flat = ResNet18(in_channels=3, width=2).eval()
    middles = {
        name: value[:, :, value.shape[2] // 2] if value.ndim == 5 else value
        for name, value in trunk.state_dict().items()
    }
    flat.load_state_dict(middles)
    picture = clips(1)
    torch.testing.assert_close(trunk(picture), flat(picture[:, 0]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_block_is_that_of_torchvision():
    ours = BasicBlock3d(3, 4, stride=2).eval()
    shortcut = BasicBlock3d(3, 4, stride=2).downsample
    theirs = BasicBlock(3, 4, Conv3DSimple, stride=2, downsample=shortcut).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x).shape == (2, 4, 3, 3, 4)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 2, 3, 25])
def test_clips_of_any_length_give_a_feature(trunk, n_frames):
    assert trunk(clips(n_frames)).shape == (2, trunk.dim) == (2, 16)


@torch.no_grad()
def test_the_order_of_frames_matters(trunk):
    clip = clips(5)
    assert not torch.allclose(trunk(clip), trunk(clip.flip(1)), atol=1e-3)


def test_whole_clips_leave_nothing_to_aggregate():
    model = checkpoint.network(CLIPS, seed=7)
    video = [name for name in model.state_dict() if name.startswith("branches.video.")]
    assert all(name.startswith("branches.video.trunk.") for name in video)
    usual = checkpoint.network(SETTINGS, seed=7).state_dict()
    for name, value in model.state_dict().items():  # the rest starts from the same weights
        assert name in video or torch.equal(value, usual[name]), name


def test_the_model_file_says_which_trunk_it_holds(tmp_path):
    model = checkpoint.network(CLIPS, seed=7).eval()
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, model, CLIPS)
    again, settings = checkpoint.load(path)
    assert settings == CLIPS
    inputs = {"video": clips(2), "audio": torch.ones(2, 1, 1, 33, 33)}
    with torch.no_grad():
        assert torch.equal(again(inputs)["fused"], model(inputs)["fused"])
    checkpoint.save(path, model, replace(CLIPS, trunk={}))
    with pytest.raises(ModelError, match="do not fit N2"):
        checkpoint.load(path)
    checkpoint.save(path, model, replace(CLIPS, trunk={"video": "resnet99"}))
    with pytest.raises(ModelError, match=r"cannot build.*resnet99"):
        checkpoint.load(path)


def test_weights_of_single_pictures_are_refused(tmp_path):
    sizes = {"aggregator": "lstm", "side_head": "dense", "classes": 2, "width": 2, "dropout": 0.0}
    model = build(["video"], fusion="single", trunk={"video": "resnet3d18"}, **sizes)
    path = tmp_path / "P1.safetensors"
    save_file(ResNet18(in_channels=3, width=2).state_dict(), path)
    with pytest.raises(ModelError, match=r"P1.safetensors: .*single pictures.*leave video out of its init"):
        load_trunk(model, "video", path)
    given = ResNet3D18(in_channels=3, width=2)
    save_file(given.state_dict(), path)
    load_trunk(model, "video", path)
    assert torch.equal(model.branches["video"].trunk.conv1.weight, given.conv1.weight)
