"""VGG-16: the thesis's counts, torchvision's layers, a start from which it learns; first weights from files."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from mien.errors import ModelError
from mien.io.files import sha256
from mien.models.mrpn import n_parameters, normalise_pixels
from mien.models.vgg import CONTRAST, FACE_MEAN, VGG16, load_descriptor


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


def test_normalisation_comes_first_and_pads_with_the_mean_colour():
    model = VGG16(3, width=2, size_px=32).eval()
    with torch.no_grad():
        want = model.classifier(model.features(normalised(pictures(4))).flatten(1))
        torch.testing.assert_close(model(pictures(4)), want)
        blank = model.mean.expand(1, 3, 32, 32)  # to this network, nothing: only biases, which are 0
        assert torch.equal(model(blank), torch.zeros(1, 3))


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


def test_pictures_that_the_pools_use_up_are_refused():
    with pytest.raises(ModelError, match="32 px or more, got 31"):
        VGG16(3, width=2, size_px=31)


# First weights

WIDTH, SIZE_PX = 2, 64
KINDS = (".pth", ".safetensors")


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


def red_pictures() -> torch.Tensor:
    """Return RGB noise with a red cast, grey levels 0..255."""
    noise = torch.rand(4, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(9))
    return noise * torch.tensor([255.0, 150.0, 60.0]).view(3, 1, 1)


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


def write(path, state: dict[str, torch.Tensor]):
    """Write a state dict as the kind of file that the name asks for."""
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_face_descriptor_answers_as_published(tmp_path, kind):
    """Names of vgg_face_dag.pth; it looks at RGB minus the mean."""
    source, model = network(seed=1), network()
    layers = [module for module in source.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    names = "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 conv5_1 conv5_2 conv5_3"
    state = {}
    for name, layer in zip([*names.split(), "fc6", "fc7", "fc8"], layers, strict=True):
        state |= {f"{name}.weight": layer.weight.detach(), f"{name}.bias": layer.bias.detach()}
    path = write(tmp_path / f"vgg_face_dag{kind}", state)
    assert load_descriptor(model, path) == sha256(path)
    seen = red_pictures() - torch.tensor([129.1863, 104.7624, 93.5940]).view(3, 1, 1)
    want = source.classifier(source.features(seen).flatten(1))
    assert want.std() > 1.0
    torch.testing.assert_close(model(red_pictures()), want)
    state["conv2_2.weight"] = torch.zeros(4, 3, 3, 3)
    refused(model, write(path, state), r"features.7.weight is \(4, 3, 3, 3\)")


@torch.no_grad()
@pytest.mark.parametrize("name", ["zip.pth", "old.pth", "x.safetensors"])
def test_imagenet_weights_answer_as_in_torchvision_up_to_the_border(tmp_path, name):
    reference, model = torchvision_like(), network()
    if name == "x.safetensors":
        save_file(reference.state_dict(), tmp_path / name)
    else:  # vgg16-397923af.pth is of the old kind
        torch.save(reference.state_dict(), tmp_path / name, _use_new_zipfile_serialization=name == "zip.pth")
    load_descriptor(model, tmp_path / name)
    seen = normalise_pixels(red_pictures())
    first = model.features[0]((red_pictures() - model.mean) / model.deviation)
    torch.testing.assert_close(first, reference.features[0](seen), rtol=1e-5, atol=1e-5)
    want = reference.classifier(reference.features(seen).flatten(1))
    torch.testing.assert_close(model(red_pictures()), want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("classes", [5, 7])
def test_a_network_of_ours_comes_with_its_normalisation_and_fits_other_classes(tmp_path, classes):
    source, model = network(5, seed=1), network(classes)
    source.mean.fill_(100.0)
    source.deviation.fill_(3.0)
    before = model.classifier[6].weight.clone()
    load_descriptor(model, write(tmp_path / "model.safetensors", source.state_dict()))
    kept, want = model.state_dict(), source.state_dict()
    if classes == 5:
        assert torch.equal(model(red_pictures()), source(red_pictures()))
    else:
        assert torch.equal(model.classifier[6].weight, before)
        assert all(torch.equal(kept[name], want[name]) for name in kept if not name.startswith("classifier.6"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_can_be_left_out(tmp_path, kind):
    model = network()
    before = model.classifier[6].bias.clone()
    load_descriptor(model, write(tmp_path / f"x{kind}", network(seed=1).state_dict()), last_layer=False)
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
    whole = write(path, network(seed=1).state_dict()).read_bytes()
    for size in (0, 3, 9, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(model, path, "damaged, truncated or no")


@pytest.mark.parametrize("kind", KINDS)
def test_other_sizes_are_refused_with_the_key_to_change(tmp_path, kind):
    path = write(tmp_path / f"x{kind}", network(width=3).state_dict())
    message = r"features.0.weight is \(3, 3, 3, 3\) instead of \(2, 3, 3, 3\); its width is 3, here 2: .*vgg_width"
    refused(network(), path, message)
    write(path, network(size_px=96).state_dict())
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
    refused(network(), write(tmp_path / "x.h5", network().state_dict()), r"must end in .pth, .pt or .safetensors")


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"mean": Trap()}, tmp_path / "x.pth")
    refused(network(), tmp_path / "x.pth", "no state dict of torch")
    assert not (tmp_path / "sprung").exists()
