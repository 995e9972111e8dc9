"""Build a network of the thesis from plain arguments."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.rng import seed_for
from mien.models.aggregators import AGGREGATORS
from mien.models.attention import Attention
from mien.models.branch import Branch, ClipBranch
from mien.models.fusion import N0, N1, N2, Dense, Network, Single
from mien.models.gated import Gated
from mien.models.heads import Scoring
from mien.models.resnet import ResNet18
from mien.models.resnet3d import ResNet3D18
from mien.models.units import UnitPerceptron

CHANNELS = {"video": 3, "audio": 1}  # of a frame, of a segment of the spectrogram
HIDDEN = 4  # hidden units of Scoring and of UnitPerceptron per channel of the first stage: 256 at width 64 (listing)
TRUNKS = {"resnet18": ResNet18, "resnet3d18": ResNet3D18}
OF_CLIPS = frozenset({"resnet3d18"})  # these look at whole clips, the others at single steps
WITHOUT_SIDES = {"single": Single, "n0": N0, "gated": Gated, "attention": Attention}
ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu}  # of the residual perception


def build(
    modalities: Sequence[str],
    *,
    fusion: str,
    aggregator: str,
    side_head: str,
    classes: int,
    width: int,
    dropout: float,
    trunk: Mapping[str, str] | None = None,
    residual: str = "sigmoid",
    seed: int = 0,
) -> Network:
    """Build a network with random weights.

    modalities : names in the order of the fused vector; each is one of `CHANNELS`, or units.
    fusion : dense (one layer, no dropout), n1, mrpn or key of `WITHOUT_SIDES`.   aggregator : key of `AGGREGATORS`.
    side_head : dense (eqs. 31, 32) or scoring (eq. 26).
    width : channels of the first ResNet stage; features have D = 8 * width numbers.
    trunk : modality -> key of `TRUNKS`; resnet18 where absent. A trunk of whole clips takes the place of the
        aggregator: `aggregator` is ignored in its branch.
    residual : key of `ACTIVATIONS`; of mrpn.
    seed : a branch's first weights depend on this, its modality and its kind of trunk and aggregator only, so networks
        of one fold and seed start from the same branches (thesis section 5.3).

    Raises
    ------
    KeyError : an argument is none of the names above.
    ModelError : attention is asked for over branches that have no states of every step.
    """
    if fusion == "attention" and (aggregator != "lstm" or OF_CLIPS & set((trunk or {}).values())):
        raise ModelError(
            f"fusion attention looks at what a memory says after every step: give it aggregator lstm and no trunk of"
            f" whole clips, not {aggregator} and {dict(trunk or {})}"
        )
    with torch.random.fork_rng(devices=[]):
        branches = {}
        for name in modalities:
            torch.manual_seed(seed_for(seed, "branch", name))
            kind = (trunk or {}).get(name, "resnet18")
            branches[name] = _branch(name, trunk=kind, aggregator=aggregator, width=width)
        torch.manual_seed(seed_for(seed, "heads"))
        if fusion == "dense":
            return Dense(branches, classes=classes)
        sizes = {"hidden": HIDDEN * width, "classes": classes, "dropout": dropout}
        if fusion in WITHOUT_SIDES:
            return WITHOUT_SIDES[fusion](branches, **sizes)
        side = {"dense": partial(nn.Linear, out_features=classes), "scoring": partial(Scoring, **sizes)}[side_head]
        kind = {"n1": N1, "mrpn": partial(N2, activation=ACTIVATIONS[residual])}[fusion]
        return kind(branches, side=side, **sizes)


def _branch(modality: str, *, trunk: str, aggregator: str, width: int) -> Branch | ClipBranch:
    if modality == "units":
        network = UnitPerceptron(8 * width, HIDDEN * width)
        return Branch(network, AGGREGATORS[aggregator](network.dim))
    network = TRUNKS[trunk](in_channels=CHANNELS[modality], width=width)
    return ClipBranch(network) if trunk in OF_CLIPS else Branch(network, AGGREGATORS[aggregator](network.dim))


def n_parameters(model: nn.Module) -> int:
    """Count the weights of a network; batch statistics are not weights."""
    return sum(weight.numel() for weight in model.parameters())


def load_trunk(model: Network, modality: str, path: Path) -> None:
    """Put the weights of a safetensors file into the trunk of one branch; a classifier (fc) in it is left out.

    Raises
    ------
    ModelError : the file is missing or damaged, or holds another trunk, such as one of pictures for whole clips.
    """
    try:
        state = {name: weight for name, weight in load_file(path).items() if not name.startswith("fc.")}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: first weights of {modality} cannot be read ({error}); see variants.*.init"
        ) from error
    trunk = model.branches[modality].trunk
    if state.keys() >= {"conv1.weight"} and state["conv1.weight"].ndim < trunk.conv1.weight.ndim:
        raise ModelError(
            f"{path}: a trunk that looks at single pictures cannot start this {modality} branch, which looks at whole"
            f" clips (variants.*.trunk.{modality}); leave {modality} out of its init"
        )
    if mismatch := first_mismatch(trunk.state_dict(), state):
        raise ModelError(f"{path}: not the trunk of this {modality} branch: {mismatch}; check train.width")
    trunk.load_state_dict(state)


def first_mismatch(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """Say in words where two state dicts differ first, or return an empty text."""
    for name, weight in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != weight.shape:
            return f"{name} is {tuple(found[name].shape)} instead of {tuple(weight.shape)}"
    extra = sorted(set(found) - set(wanted))
    return f"{extra[0]} is unknown" if extra else ""
