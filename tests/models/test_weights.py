"""First weights of VGG-16: the networks in three kinds of files answer as their publishers' would; others are refused.

Files of Lua Torch are judged by OpenCV's reader of them.
"""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mien.errors import ModelError
from mien.io.files import sha256
from mien.models.mrpn import normalise_pixels
from mien.models.vgg import FACE_MEAN, VGG16, load_descriptor
from models.lua_files import Layer, Storage, dump, sequential

WIDTH, SIZE_PX = 2, 64
KINDS = (".t7", ".pth", ".safetensors")


def network(classes: int = 5, *, seed: int = 0, width: int = WIDTH, size_px: int = SIZE_PX) -> VGG16:
    """Return a small network in evaluation mode, whose last layer and biases are as large as the others."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = VGG16(classes, width=width, size_px=size_px).eval()
        nn.init.normal_(model.classifier[-1].weight)
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(weight)
    return model


def pictures() -> torch.Tensor:
    """Return RGB noise with a red cast, grey levels 0..255."""
    noise = torch.rand(4, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(9))
    return noise * torch.tensor([255.0, 150.0, 60.0]).view(3, 1, 1)


def lua_layers(model: VGG16, *, matrices: bool = False) -> list[Layer]:
    """Return the layers of VGG_FACE.t7, smaller, with the weights of `model`, which are now of B, G, R."""
    conv = {"kW": 3, "kH": 3, "dW": 1, "dH": 1, "padW": 1, "padH": 1}
    layers = []
    for module in [*model.features, "view", *model.classifier]:
        if module == "view":
            size = Storage(np.array([-1], np.int64))
            layers.append(Layer("nn.View", {"numElements": model.classifier[0].in_features, "size": size}))
        elif isinstance(module, nn.Conv2d | nn.Linear):
            weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy()
            fields = {"weight": weight, "bias": bias, "gradBias": np.empty(0, np.float32)}
            if isinstance(module, nn.Conv2d):
                fields |= conv | {"nInputPlane": weight.shape[1], "nOutputPlane": weight.shape[0]}
                if matrices:
                    fields["weight"] = weight.reshape(len(weight), -1)
                layers.append(Layer("nn.SpatialConvolutionMM" if matrices else "nn.SpatialConvolution", fields))
            else:
                layers.append(Layer("nn.Linear", fields))
        elif isinstance(module, nn.MaxPool2d):
            pool = {"kW": 2, "kH": 2, "dW": 2, "dH": 2, "padW": 0, "padH": 0, "ceil_mode": False}
            layers.append(Layer("nn.SpatialMaxPooling", pool))
        elif isinstance(module, nn.ReLU):
            layers.append(Layer("nn.ReLU", {"threshold": 0, "val": 0, "inplace": True}))
        else:
            layers.append(Layer("nn.Dropout", {"p": 0.5, "train": False, "v2": True}))
    return layers


def torchvision_like(classes: int = 5, *, batch_norm: bool = False) -> nn.Module:
    """Return torchvision's layers under torchvision's names, smaller."""
    from torchvision.models.vgg import make_layers

    width, hidden = WIDTH, 64 * WIDTH
    stages = [[width] * 2, [2 * width] * 2, [4 * width] * 3, [8 * width] * 3, [8 * width] * 3]
    model = nn.Module()
    model.features = make_layers([layer for stage in stages for layer in [*stage, "M"]], batch_norm=batch_norm)
    dense = [nn.Linear(8 * width * (SIZE_PX // 32) ** 2, hidden), nn.ReLU(), nn.Dropout()]
    dense += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes)]
    model.classifier = nn.Sequential(*dense)
    return model.eval()


def write(path, model: VGG16):
    """Write the weights of a network as the kind of file that the name asks for."""
    if path.suffix == ".t7":
        path.write_bytes(dump(sequential(*lua_layers(model))))
    elif path.suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    return path


@torch.no_grad()
def test_the_face_descriptor_answers_as_opencv_reads_it(tmp_path):
    path = tmp_path / "VGG_FACE.t7"
    path.write_bytes(dump(sequential(*lua_layers(network(seed=1)))))
    model = network()
    assert load_descriptor(model, path) == sha256(path)
    blue_first = (pictures() - torch.tensor(FACE_MEAN).view(3, 1, 1)).flip(1)
    reader = cv2.dnn.readNetFromTorch(str(path))
    reader.setInput(blue_first.numpy())
    want = torch.from_numpy(reader.forward())
    assert want.std() > 1.0
    torch.testing.assert_close(model(pictures()), want, rtol=1e-4, atol=1e-3)


def test_the_descriptor_sees_red_where_it_had_its_third_channel(tmp_path):
    model, source = network(), network(seed=1)
    load_descriptor(model, write(tmp_path / "x.t7", source))
    assert torch.equal(model.features[0].weight, source.features[0].weight.flip(1))
    assert torch.equal(model.features[2].weight, source.features[2].weight)
    torch.testing.assert_close(model.mean.flatten(), torch.tensor([129.1863, 104.7624, 93.5940]))  # R, G, B
    assert torch.equal(model.deviation, torch.ones(3, 1, 1))


def test_convolutions_kept_as_matrices_are_the_same(tmp_path):
    tensors, matrices = network(), network()
    load_descriptor(tensors, write(tmp_path / "x.t7", network(seed=1)))
    softmax = Layer("nn.SoftMax", {})
    (tmp_path / "mm.t7").write_bytes(dump(sequential(*lua_layers(network(seed=1), matrices=True), softmax)))
    load_descriptor(matrices, tmp_path / "mm.t7")
    assert all(torch.equal(weight, matrices.state_dict()[name]) for name, weight in tensors.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("name", ["zip.pth", "old.pth", "x.safetensors"])
def test_imagenet_weights_answer_as_in_torchvision_up_to_the_border(tmp_path, name):
    reference, model = torchvision_like(), network()
    if name == "x.safetensors":
        save_file(reference.state_dict(), tmp_path / name)
    else:  # vgg16-397923af.pth is of the old kind
        torch.save(reference.state_dict(), tmp_path / name, _use_new_zipfile_serialization=name == "zip.pth")
    load_descriptor(model, tmp_path / name)
    seen = normalise_pixels(pictures())
    first = model.features[0]((pictures() - model.mean) / model.deviation)
    torch.testing.assert_close(first, reference.features[0](seen), rtol=1e-5, atol=1e-5)
    want = reference.classifier(reference.features(seen).flatten(1))
    torch.testing.assert_close(model(pictures()), want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("classes", [5, 7])
def test_a_network_of_ours_comes_with_its_normalisation_and_fits_other_classes(tmp_path, classes):
    source, model = network(5, seed=1), network(classes)
    source.mean.fill_(100.0)
    source.deviation.fill_(3.0)
    before = model.classifier[6].weight.clone()
    load_descriptor(model, write(tmp_path / "model.safetensors", source))
    kept, want = model.state_dict(), source.state_dict()
    if classes == 5:
        assert torch.equal(model(pictures()), source(pictures()))
    else:
        assert torch.equal(model.classifier[6].weight, before)
        assert all(torch.equal(kept[name], want[name]) for name in kept if not name.startswith("classifier.6"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_can_be_left_out(tmp_path, kind):
    model = network()
    before = model.classifier[6].bias.clone()
    load_descriptor(model, write(tmp_path / f"x{kind}", network(seed=1)), last_layer=False)
    assert torch.equal(model.classifier[6].bias, before)
    assert torch.equal(model.classifier[3].bias, network(seed=1).classifier[3].bias)


def refused(model: VGG16, path, message: str) -> None:
    """Check that a file is refused with a message that names it, and that the model stays as it was."""
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(ModelError, match=message) as error:
        load_descriptor(model, path)
    assert str(error.value).startswith(str(path))
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_missing_and_truncated_files_are_refused(tmp_path, kind):
    path, model = tmp_path / f"x{kind}", network()
    refused(model, path, "no such file of weights")
    whole = write(path, network(seed=1)).read_bytes()
    for size in (0, 3, 9, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(model, path, "damaged, truncated or no|is empty")


@pytest.mark.parametrize("kind", KINDS)
def test_other_sizes_are_refused_with_the_key_to_change(tmp_path, kind):
    path = write(tmp_path / f"x{kind}", network(width=3))
    message = r"features.0.weight is \(3, 3, 3, 3\) instead of \(2, 3, 3, 3\); its width is 3, here 2: .*vgg_width"
    refused(network(), path, message)
    write(path, network(size_px=96))
    refused(network(), path, r"classifier.0.weight is .*; its pictures have 96 px, here 64: .*vgg_size_px")


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    state = torchvision_like(batch_norm=True).state_dict()
    torch.save({name: weight for name, weight in state.items() if weight.is_floating_point()}, path)
    refused(network(), path, r"features.2.weight is missing; weights of configuration D of VGG without batch norm")
    torch.save(state, path)
    refused(network(), path, "features.1.num_batches_tracked is no tensor of floats")
    state = network().state_dict()
    torch.save(state | {"fc.weight": torch.zeros(2)}, path)
    refused(network(), path, "fc.weight is unknown")
    torch.save({name: weight for name, weight in state.items() if name != "classifier.6.weight"}, path)
    refused(network(), path, "classifier.6.weight is missing")
    torch.save(state | {"features.5.bias": torch.full((4,), torch.nan)}, path)
    refused(network(), path, "features.5.bias holds numbers that are not finite")
    torch.save(state | {"classifier.6.weight": torch.zeros(())}, path)
    refused(network(), path, r"classifier.6.weight is \(\) instead of \(5, 128\)")
    torch.save(state | {3: torch.zeros(2)}, path)
    refused(network(), path, "3 is no tensor of floats")
    torch.save([1, 2], path)
    refused(network(), path, "holds a list")
    refused(network(), write(tmp_path / "x.h5", network()), r"must end in .t7, .pth, .pt, .safetensors")


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"mean": Trap()}, tmp_path / "x.pth")
    refused(network(), tmp_path / "x.pth", "no state dict of torch")
    assert not (tmp_path / "sprung").exists()


def changed(layers: list[Layer], at: int, *replacement: Layer) -> Layer:
    """Return the network with other layers in the place of one."""
    return sequential(*layers[:at], *replacement, *layers[at + 1 :])


def test_other_lua_networks_are_refused(tmp_path):
    layers = lua_layers(network(seed=1))
    pool = layers[4]
    norm = Layer("nn.SpatialBatchNormalization", {"weight": np.ones(2, np.float32)})
    empty = Layer("nn.Linear", {"weight": None, "bias": None})
    path = tmp_path / "x.t7"
    for value, message in (
        ({"net": 1}, "holds no nn.Sequential"),
        (sequential(sequential(*layers)), "module 1 is nn.Sequential"),
        (changed(layers, 0, norm), "module 1 is nn.SpatialBatchNormalization"),
        (changed(layers, 2, pool), r"module 3 is nn.SpatialMaxPooling, instead of a convolution \(features.2\)"),
        (changed(layers, 4, Layer("nn.SpatialAveragePooling", {})), "module 5 is nn.SpatialAveragePooling"),
        (changed(layers, len(layers) - 1), "20 convolutions, pools and dense layers, not 21"),
        (changed(layers, len(layers) - 1, empty), "nn.Linear, has no weight of floats"),
        (changed(layers, 1, 3.0), "module 2 of its nn.Sequential is no layer"),
    ):
        path.write_bytes(dump(value))
        refused(network(), path, message)
