"""VGG-16: the counts of the thesis, torchvision's layers, and a start from which it learns."""

import pytest
import torch
from torch.nn import functional

from mien.errors import ModelError
from mien.models.mrpn import n_parameters
from mien.models.vgg import CONTRAST, FACE_MEAN, VGG16


def pictures(count: int, *, size_px: int = 32, seed: int = 0) -> torch.Tensor:
    """Return RGB noise, grey levels 0..255."""
    return torch.rand(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(seed)) * 255.0


def normalised(levels: torch.Tensor) -> torch.Tensor:
    """Return what the layers of a fresh network see."""
    return (levels - torch.tensor(FACE_MEAN).view(3, 1, 1)) / CONTRAST


@pytest.mark.parametrize(("classes", "count"), [(2622, 145_002_878), (7, 134_289_223), (1000, 138_357_544)])
def test_parameter_counts_of_the_thesis(classes, count):
    with torch.device("meta"):
        model = VGG16(classes)
    assert n_parameters(model) == count
    assert n_parameters(model.features) == 14_714_688
    model.freeze_convolutions()
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained == count - 14_714_688
    assert classes != 7 or trained == 119_574_535


def test_names_and_shapes_are_those_of_torchvision():
    from torchvision.models import vgg16

    with torch.device("meta"):
        ours, reference = VGG16(1000).state_dict(), vgg16(init_weights=False).state_dict()
    assert [*ours][:2] == ["mean", "deviation"]
    assert {name: weight.shape for name, weight in [*ours.items()][2:]} == {k: v.shape for k, v in reference.items()}


def test_layers_are_those_of_torchvision_between_normalisation_and_dense_layers():
    from torchvision.models import vgg16

    model, reference = VGG16(3, width=64, size_px=32).features.eval(), vgg16(init_weights=False).features.eval()
    reference.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(pictures(1)), reference(pictures(1)))


def test_normalisation_comes_first_and_pads_with_the_mean_colour():
    model = VGG16(3, width=2, size_px=32).eval()
    with torch.no_grad():
        want = model.classifier(model.features(normalised(pictures(4))).flatten(1))
        torch.testing.assert_close(model(pictures(4)), want)
        blank = model.mean.expand(1, 3, 32, 32)  # to this network, nothing: only biases, which are 0
        assert torch.equal(model(blank), torch.zeros(1, 3))


@pytest.mark.parametrize(("width", "size_px"), [(2, 32), (2, 64), (4, 70)])
def test_sizes_follow_width_and_picture(width, size_px):
    model = VGG16(5, width=width, size_px=size_px)
    assert model(pictures(2, size_px=size_px)).shape == (2, 5)
    side = size_px // 32
    assert model.classifier[0].weight.shape == (64 * width, 8 * width * side * side)
    assert model.features[0].weight.shape == (width, 3, 3, 3)


def test_the_signal_keeps_its_size_and_the_classes_begin_alike():
    torch.manual_seed(0)
    model = VGG16(10, width=16, size_px=64).eval()
    with torch.no_grad():
        levels = functional.interpolate(pictures(8, size_px=4), size=64)  # patches: noise of pixels would average out
        maps = model.features(normalised(levels))
        assert 0.2 < maps.square().mean().sqrt() < 5.0
        loss = functional.cross_entropy(model(levels), torch.arange(8))
    assert abs(loss - torch.tensor(10.0).log()) < 0.1


def test_it_learns_from_scratch():
    torch.manual_seed(0)
    model = VGG16(2, width=4, size_px=32, dropout=0.5)
    label = torch.arange(32) % 2
    ramp = torch.linspace(-60, 60, 32).view(1, 1, 1, 32)  # bright on the right, or on the left
    levels = (pictures(32) / 4 + 96 + ramp * (2 * label - 1).view(-1, 1, 1, 1)).clamp(0, 255)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(25):
        loss = functional.cross_entropy(model(levels), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert (model.eval()(levels).argmax(1) == label).all()


def test_frozen_convolutions_stay_and_get_no_gradient():
    model = VGG16(3, width=2, size_px=32)
    model.freeze_convolutions()
    functional.cross_entropy(model(pictures(4)), torch.arange(4) % 3).backward()
    assert all(weight.grad is None for weight in model.features.parameters())
    assert all(weight.grad is not None for weight in model.classifier.parameters())


def test_pictures_that_the_pools_use_up_are_refused():
    with pytest.raises(ModelError, match="32 px or more, got 31"):
        VGG16(3, width=2, size_px=31)
