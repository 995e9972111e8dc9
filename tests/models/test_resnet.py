"""The backbones: torchvision's ResNet-18 without its classifier, and its form for clips."""

import pytest
import torch

from mien.models.mrpn import n_parameters
from mien.models.resnet import BasicBlock, ResNet3D18, ResNet12, ResNet18


def test_outputs_equal_torchvision_with_its_weights():
    from torchvision.models import resnet18

    reference = resnet18().eval()
    reference.fc = torch.nn.Identity()
    trunk = ResNet18(in_channels=3).eval()
    assert list(trunk.state_dict()) == list(reference.state_dict())
    trunk.load_state_dict(reference.state_dict())
    pictures = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(trunk(pictures), reference(pictures), rtol=1e-4, atol=1e-5)


def clips(n_frames: int, *, n=2, size=33, seed=0) -> torch.Tensor:
    return torch.randn(n, n_frames, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def trunk() -> ResNet3D18:
    torch.manual_seed(0)
    return ResNet3D18(in_channels=3, width=2).eval()


def test_parameter_counts_of_the_thesis():
    with torch.device("meta"):
        counts = [n_parameters(ResNet18(in_channels=channels)) for channels in (3, 1)]
        assert [*counts, n_parameters(ResNet3D18(in_channels=3))] == [11_176_512, 11_170_240, 33_203_904]


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
def test_a_block_of_clips_is_that_of_torchvision():
    from torchvision.models.video import resnet

    ours = BasicBlock(3, 4, stride=2, dimensions=3).eval()
    shortcut = BasicBlock(3, 4, stride=2, dimensions=3).downsample
    theirs = resnet.BasicBlock(3, 4, resnet.Conv3DSimple, stride=2, downsample=shortcut).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x).shape == (2, 4, 3, 3, 4)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 2, 3, 25])
def test_clips_of_any_length_give_a_feature(trunk, n_frames):
    assert trunk(clips(n_frames)).shape == (2, trunk.dim) == (2, 16)


@torch.no_grad()
def test_a_small_network_minds_neither_side_nor_light():
    torch.manual_seed(0)
    network = ResNet12(7, width=8, dropout=0.5).eval()
    faces = 40 * torch.randn(3, 1, 44, 44, generator=torch.Generator().manual_seed(1)) + 120
    logits = network(faces)
    torch.testing.assert_close(network(faces.flip(-1)), logits)
    torch.testing.assert_close(network(0.5 * faces + 60), logits, rtol=0.2, atol=0.1)  # FLAT is small beside 20 levels
    assert network(torch.full((1, 1, 24, 32), 80.0)).isfinite().all()
    network.train()
    assert not torch.equal(network(faces), network(faces))  # dropout


def test_the_small_network_has_twelve_layers_and_its_published_shortcuts():
    network = ResNet12(7, width=32)
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert sum(m.weight.ndim == 2 or m.kernel_size == (3, 3) for m in layers) == 12
    stages = 32 * 9 + 2 * 32 * 32 * 9 + (32 * 64 + 3 * 64 * 64) * 9 + (64 * 128 + 3 * 128 * 128) * 9
    shortcuts = 32 * 64 + 64 * 128
    norms = 2 * (3 * 32 + 5 * 64 + 5 * 128)
    assert n_parameters(network) == stages + shortcuts + norms + 128 * 7 + 7
