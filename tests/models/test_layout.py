"""The layout of weights: gradients are right in it, one rule for every width, one module that knows it."""

import copy
import ctypes.util
import os
import subprocess
import sys

import pytest
import torch

from mien.models.layout import to_device
from mien.models.resnet import ResNet3D18, ResNet18
from mien.models.vgg import VGG16
from models import layer_gradients

CHECKER = ctypes.util.find_library("c_malloc_debug")  # glibc's, that aborts where memory beyond a buffer was written
NETWORKS = {
    "resnet18": lambda width: ResNet18(in_channels=3, width=width),
    "resnet18 grey": lambda width: ResNet18(in_channels=1, width=width),
    "resnet3d18": lambda width: ResNet3D18(in_channels=1, width=width),
    "vgg16": lambda width: VGG16(7, width=width, size_px=32),
}


@pytest.mark.parametrize("kind", layer_gradients.NETWORKS)
def test_gradients_of_every_convolution_are_right(kind):
    checked = {"LD_PRELOAD": CHECKER, "MALLOC_CHECK_": "3"} if CHECKER else {}
    run = subprocess.run(
        [sys.executable, layer_gradients.__file__, kind],
        env={**os.environ, "OMP_NUM_THREADS": "1", **checked},
        capture_output=True,
        text=True,
    )
    *_, last = run.stdout.splitlines() or ["nothing was tried"]
    how = f"the process died of signal {-run.returncode}: " if run.returncode < 0 else ""
    assert run.returncode == 0, f"{kind}: {last}: {how}{run.stderr.strip()}"
    number, what = last.split()
    assert int(number) > 10
    assert what == "convolutions"


def _layouts(network: torch.nn.Module) -> set[str]:
    """Return those that all weights of convolutions have; strides tell, also where a size is 1 and both would fit."""
    forms = {"contiguous": torch.contiguous_format}
    weights = [weight for weight in network.parameters() if weight.ndim > 2]
    if weights[0].ndim == 4:
        forms["channels-last"] = torch.channels_last
    return {
        name
        for name, form in forms.items()
        if all(w.is_contiguous(memory_format=form) for w in weights)
        and all(w.stride() == torch.empty(w.shape, memory_format=form).stride() for w in weights)
    }


@pytest.mark.parametrize(
    ("kind", "width", "layout"),
    [
        *(("resnet18", width, "channels-last") for width in (8, 16, 64)),
        *(("resnet18 grey", width, "channels-last") for width in (8, 16)),
        *(("resnet18", width, "contiguous") for width in (1, 2, 4, 12)),
        *(("resnet18 grey", width, "contiguous") for width in (2, 4)),
        *(("vgg16", width, "channels-last") for width in (1, 2, 4, 8)),
        *(("resnet3d18", width, "contiguous") for width in (4, 8)),
    ],
)
def test_weights_on_a_cpu(kind, width, layout):
    network = NETWORKS[kind](width)
    before = copy.deepcopy(network.state_dict())
    assert to_device(network, "cpu") is network
    assert _layouts(network) == {layout}
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "width", "shape"),
    [
        ("resnet18", 8, (2, 3, 64, 48)),
        ("resnet18 grey", 4, (2, 1, 64, 48)),
        ("vgg16", 2, (2, 3, 32, 32)),
        ("resnet3d18", 4, (2, 4, 1, 32, 32)),
    ],
    ids=str,
)
def test_outputs_stay(kind, width, shape):
    network = NETWORKS[kind](width).eval()
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(inputs)
        torch.testing.assert_close(to_device(network, "cpu")(inputs), before, rtol=1e-4, atol=1e-5)


def test_a_layout_is_changed_back():
    network = NETWORKS["resnet18 grey"](4)
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.to(memory_format=torch.channels_last)
    assert _layouts(network) == {"channels-last"}
    assert _layouts(to_device(network, "cpu")) == {"contiguous"}
