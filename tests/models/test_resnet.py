"""The trunk is torchvision's ResNet-18 without its classifier."""

import pytest
import torch

from mien.models.resnet import ResNet18


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


@pytest.mark.parametrize(("channels", "count"), [(3, 11_176_512), (1, 11_170_240)])
def test_parameter_counts_of_the_thesis(channels, count):
    assert sum(p.numel() for p in ResNet18(in_channels=channels).parameters()) == count


def test_feature_size_follows_width():
    trunk = ResNet18(in_channels=1, width=4)
    assert trunk(torch.zeros(3, 1, 64, 62)).shape == (3, trunk.dim) == (3, 32)
