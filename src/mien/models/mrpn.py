"""Build a network of the thesis from plain arguments.

Heads: from a vector to class scores (thesis eqs. 25, 29, 31).

Aggregators: from a sequence of features to one vector (SAC in thesis section 5.2), at its end or along the way.

An aggregator is a module (B, T, D) -> (B, D). Those that know no later step have a method `run` that gives what they
would have said after every step, and a memory with which the sequence goes on: run(one part) and then run(the rest,
memory) is run(the whole). BiLSTM and Transformer look at whole sequences and have none.


The trunk of action units: what eight numbers of a fitted mesh say about a face, without its picture.

A branch: what one modality says about a clip (thesis eq. 24).

Networks over one or several branches (thesis section 5.2, eqs. 24 to 32, figure 5.5).

A network knows its modalities as names of branches only, in their order. Its inputs are one sequence per modality,
(B, T, ...), where ... is one step: a picture, a segment, a vector. `present` says per modality which of the B clips
have it; the normalised feature of an absent one is 0 whatever its input holds: about where FeatureNorm puts the mean
over training clips (its learned shift is small). The output maps head names to logits (B, C): "fused", the answer, and
where the network has side heads one head per modality. What comes after the branches can be had alone, by `judge`:
networks that run along with a recording (`running`) ask it again and again while the branches go on.


Fusion by gates: the network decides for every clip, number by number, which modality it listens to.

The Gated Multimodal Unit of Arevalo, Solorio, Montes-y-Gomez, Gonzalez (2017), "Gated multimodal units for information
fusion", section 3.1, in the place of the concatenation of the thesis.


Fusion by attention: what one modality does at a time is looked up in the whole course of the others.

Crossmodal attention of Tsai et al. (2019), "Multimodal Transformer for unaligned multimodal language sequences", eq. 3,
with a layer and a direction per modality, between the memories and the fusion of N0. It needs no common time axis.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.errors import ModelError
from mien.io.randomness import seed_for
from mien.models.resnet import ResNet3D18, ResNet18


class FeatureNorm(nn.BatchNorm1d):
    """Statistical normalisation of a feature vector over clips; (B, D) -> (B, D)."""


class Scoring(nn.Sequential):
    """Dense, ReLU, FeatureNorm, dropout, dense (eq. 25); (B, inputs) -> (B, classes)."""

    def __init__(self, inputs: int, hidden: int, classes: int, *, dropout: float) -> None:
        super().__init__(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            FeatureNorm(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )


class ResidualPerception(nn.Module):
    """f' = f + FeatureNorm(sigmoid(Dense(f))) (eq. 29); (B, D) -> (B, D).

    activation : takes the place of the sigmoid.
    """

    def __init__(self, dim: int, *, activation: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = FeatureNorm(dim)
        self.activation = activation

    def forward(self, feature: Tensor) -> Tensor:
        return feature + self.norm(self.activation(self.dense(feature)))


Memory = Any  # what an aggregator keeps between two calls of `run`; None: nothing yet


class LSTMAggregator(nn.Module):
    """Last hidden state of a one-layer LSTM; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        states, _ = self.run(features)  # (B, T, D)
        return states[:, -1]  # (B, D)

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        """Return the hidden states (B, T, D) and the memory: hidden and cell state, each (1, B, D)."""
        return self.lstm(features, memory)


class Newest(nn.Module):
    """The feature of the newest step, without memory; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return features[:, -1]  # (B, D)

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        """Return the features (B, T, D) as they are, and no memory."""
        return features, memory


class BiLSTM(nn.Module):
    """Mean over time of an LSTM's states in both directions, D / 2 numbers each; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        states, _ = self.lstm(features)  # (B, T, D)
        return states.mean(1)  # (B, D)


class Transformer(nn.Module):
    """Mean over time of what pre-norm encoder layers make of the sequence; (B, T, D) -> (B, D).

    Learned positions and layers of an encoder as in Dosovitskiy et al. (2021), whose features the thesis averages.
    D is a multiple of `HEADS`.
    """

    HEADS = 8
    LAYERS = 2
    STEPS = 64  # longest sequence
    DROPOUT = 0.1

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(self.STEPS, dim))
        nn.init.trunc_normal_(self.positions, std=0.02)  # as there
        sizes = {"d_model": dim, "nhead": self.HEADS, "dim_feedforward": 2 * dim, "dropout": self.DROPOUT}
        layers = [
            nn.TransformerEncoderLayer(**sizes, activation="gelu", norm_first=True, batch_first=True)
            for _ in range(self.LAYERS)
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        if (n_steps := features.shape[1]) > self.STEPS:
            raise ModelError(
                f"the transformer has learned positions for {self.STEPS} steps, and a clip has {n_steps}; lower"
                " train.frames, or use another aggregator"
            )
        return self.layers(features + self.positions[:n_steps]).mean(1)  # (B, D)


AGGREGATORS: dict[str, Callable[[int], nn.Module]] = {  # name -> constructor from D
    "lstm": LSTMAggregator,
    "bilstm": BiLSTM,
    "transformer": Transformer,
    "none": Newest,
}


UNITS = 8  # action units of the thesis (AU8)


class UnitPerceptron(nn.Sequential):
    """Standardisation, dense, ReLU, dense; action units (N, 8) -> (N, dim).

    The mean and the deviation of every unit are those of batch normalisation: it sees training people only, and its
    statistics travel with the weights, so there is no file of them.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(
            nn.BatchNorm1d(UNITS, affine=False),  # the dense layer after it scales and shifts
            nn.Linear(UNITS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )
        self.dim = dim


PIXEL_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB, the statistics that published trunks expect
PIXEL_STD = (0.229, 0.224, 0.225)


class Branch(nn.Module):
    """A trunk shared over time and an aggregator; (B, T, ...) -> (B, D), where ... is one step of the modality.

    trunk : (N, ...) -> (N, D), with the attribute `dim` = D.
    aggregator : (B, T, D) -> (B, D).
    """

    def __init__(self, trunk: nn.Module, aggregator: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.aggregator = aggregator
        self.dim = trunk.dim

    def forward(self, sequence: Tensor) -> Tensor:
        return self.aggregator(self._features(sequence))  # (B, D)

    def states(self, sequence: Tensor) -> Tensor:
        """Return what it says after every step, (B, T, ...) -> (B, T, D), if its aggregator knows no later one."""
        return self.aggregator.run(self._features(sequence))[0]

    def _features(self, sequence: Tensor) -> Tensor:
        return self.look(sequence.flatten(0, 1)).unflatten(0, sequence.shape[:2])  # (B, T, D)

    def look(self, steps: Tensor) -> Tensor:
        """Return what the trunk says about single steps, (N, ...) -> (N, D)."""
        return self.trunk(steps)


class ClipBranch(nn.Module):
    """A trunk that looks at whole clips, so that nothing is left to aggregate; (B, T, channels, H, W) -> (B, D).

    It cannot run along with a recording (`running`): every judgement needs all frames of the clip.

    trunk : (B, T, channels, H, W) -> (B, D), with the attribute `dim` = D.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.dim = trunk.dim

    def forward(self, sequence: Tensor) -> Tensor:
        return self.trunk(sequence)


def normalise_pixels(frames: Tensor) -> Tensor:
    """Bring grey levels 0..255 of (..., 3, H, W) RGB frames to the mean 0 and deviation 1 of ImageNet's colours."""
    mean = torch.tensor(PIXEL_MEAN, device=frames.device).mul_(255.0).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=frames.device).mul_(255.0).view(3, 1, 1)
    return (frames - mean).div_(std)


Present = Mapping[str, Tensor]  # modality -> (B,) bool


class Network(nn.Module):
    """Branches and their FeatureNorms: the part that all networks share.

    norm : constructor of a normalisation from its number of features; (N, D) -> (N, D).
    """

    def __init__(self, branches: Mapping[str, Branch], *, norm: Callable[[int], nn.Module] = FeatureNorm) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.norms = nn.ModuleDict({name: norm(branch.dim) for name, branch in branches.items()})
        self.frozen: tuple[nn.Module, ...] = ()

    def forward(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        return self.scores(self.features(inputs, present))

    def judge(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return head -> logits (N, C) of N rows of features as the branches give them, modality -> (N, D)."""
        return self.scores(self.normalise(features, present))

    def features(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return the normalised feature (B, D) of every modality; rows of absent ones are 0."""
        raw = {name: self._branch_output(name, inputs[name], (present or {}).get(name)) for name in self.branches}
        return self.normalise(raw, present)

    def normalise(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return the normalised features (N, D) of what the branches gave; rows of absent modalities are 0."""
        return {
            name: of_rows(self.norms[name], features[name], (present or {}).get(name), shape=(branch.dim,))
            for name, branch in self.branches.items()
        }

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return head -> logits (N, C) of normalised features, modality -> (N, D)."""
        raise NotImplementedError

    def freeze(self, *names: str, trunks: Collection[str] = ()) -> None:
        """Keep the branches `names` as they are in training too: neither weights nor batch statistics change.

        trunks : branches of which the trunk alone is kept; their aggregators learn.
        """
        self.frozen = (*(self.branches[name] for name in names), *(self.branches[name].trunk for name in trunks))
        for part in self.frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        """Switch between training and evaluation; frozen parts stay in evaluation."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def _branch_output(self, name: str, sequence: Tensor, present: Tensor | None) -> Tensor:
        return of_rows(self.branches[name], sequence, present, shape=(self.branches[name].dim,))


class Dense(Network):
    """One branch and one layer on its feature, nothing between them (thesis section 4.4)."""

    def __init__(self, branches: Mapping[str, Branch], *, classes: int) -> None:
        super().__init__(branches, norm=nn.Identity)
        (branch,) = branches.values()
        self.score = nn.Linear(branch.dim, classes)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        (feature,) = features.values()
        return {"fused": self.score(feature)}


class Single(Network):
    """UNI-m: one branch, FeatureNorm, Scoring."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        (branch,) = branches.values()
        self.score = Scoring(branch.dim, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        (feature,) = features.values()
        return {"fused": self.score(feature)}


class N0(Network):
    """Fusion component on the normalised features, no side heads (eqs. 26, 27)."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        joint = sum(branch.dim for branch in branches.values())
        self.joint_norm = FeatureNorm(joint)
        self.score = Scoring(joint, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        features = self.refine(features)
        joint = torch.cat(list(features.values()), dim=1)  # (N, M * D)
        return {"fused": self.score(self.joint_norm(joint)), **self.side_scores(features)}

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the features that fusion and side heads see."""
        return features

    def side_scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return logits (N, C) per modality."""
        return {}


class N1(N0):
    """N0 with a side head per modality (eq. 31), whose loss reaches the branch directly.

    side : constructor of a head from its number of inputs; (B, D) -> (B, C).
    """

    def __init__(self, branches: Mapping[str, Branch], *, side: Callable[[int], nn.Module], **sizes: float) -> None:
        super().__init__(branches, **sizes)
        self.side = nn.ModuleDict({name: side(branch.dim) for name, branch in branches.items()})

    def side_scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.side[name](feature) for name, feature in features.items()}


class N2(N1):
    """MRPN: N1 on features refined by residual perception (eqs. 29, 32).

    activation : of the residual perception; the sigmoid of eq. 29, or what takes its place.
    """

    def __init__(
        self,
        branches: Mapping[str, Branch],
        *,
        side: Callable[[int], nn.Module],
        activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        **sizes: float,
    ) -> None:
        super().__init__(branches, side=side, **sizes)
        self.residual = nn.ModuleDict(
            {name: ResidualPerception(branch.dim, activation=activation) for name, branch in branches.items()}
        )

    def refine(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.residual[name](feature) for name, feature in features.items()}


def of_rows(
    change: Callable[[Tensor], Tensor], rows: Tensor, present: Tensor | None, *, shape: tuple[int, ...]
) -> Tensor:
    """Return what `change` makes of the present ones among `rows`, (N, ...) -> (N, *shape); 0 for the absent ones."""
    if present is None or bool(present.all()):
        return change(rows)
    out = torch.zeros(len(rows), *shape, device=rows.device)
    if bool(present.any()):  # absent rows do not enter at all: 0 * NaN is NaN
        out[present] = change(rows[present]).to(out.dtype)
    return out


class GatedUnit(nn.Module):
    """Gated sum of modalities; modality -> (N, D), together -> (N, D).

    h_m = tanh(W_m f_m).  Two modalities share a gate: h = z h_1 + (1 - z) h_2 with z = sigmoid(W_z [f_1, f_2]).  Each
    of more has its own: h = sum_m z_m h_m with z_m = sigmoid(W_zm [f_1, ..., f_M]).  No layer has a bias, so an absent
    modality, whose feature is 0, adds nothing.
    """

    def __init__(self, names: list[str], dim: int) -> None:
        super().__init__()
        gated = names[:1] if len(names) == 2 else names
        self.hidden = nn.ModuleDict({name: nn.Linear(dim, dim, bias=False) for name in names})
        self.gate = nn.ModuleDict({name: nn.Linear(len(names) * dim, dim, bias=False) for name in gated})

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        joint = torch.cat([features[name] for name in self.hidden], dim=1)  # (N, M * D)
        gates = {name: gate(joint).sigmoid() for name, gate in self.gate.items()}  # (N, D) each
        if len(self.hidden) == 2:
            first, second = self.hidden
            gates[second] = 1.0 - gates[first]
        return sum(gates[name] * hidden(features[name]).tanh() for name, hidden in self.hidden.items())


class Gated(Network):
    """Branches, their FeatureNorms, a gated unit in which they meet, Scoring; no side heads."""

    def __init__(self, branches: Mapping[str, Branch], *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(branches)
        dim = next(iter(branches.values())).dim
        self.unit = GatedUnit(list(branches), dim)
        self.score = Scoring(dim, hidden, classes, dropout=dropout)

    def scores(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"fused": self.score(self.unit(features))}


class Crossing(nn.Module):
    """LayerNorm(x + attention(queries x, keys and values y)), mean over time; x (N, T, D), y (N, S, D) -> (N, D).

    A head has at least `HEAD` numbers and there are at most `HEADS`: 8 for D = 512, 4 for D = 64.
    """

    HEADS = 8
    HEAD = 16

    def __init__(self, dim: int) -> None:
        super().__init__()
        heads = max(n for n in (1, 2, 4, self.HEADS) if n == 1 or n * self.HEAD <= dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, own: Tensor, others: Tensor, absent: Tensor | None = None) -> Tensor:
        """Return the feature; absent : (N, S) bool, what of `others` is not to be looked at, if not nothing."""
        if absent is None:
            found, _ = self.attention(own, others, others, need_weights=False)  # (N, T, D)
        else:
            alone = absent.all(1)  # (N,): a softmax over nothing is NaN
            mask = absent & ~alone.unsqueeze(1)
            found, _ = self.attention(own, others, others, key_padding_mask=mask, need_weights=False)
            found = found.masked_fill(alone.view(-1, 1, 1), 0.0)
        return self.norm(own + found).mean(1)  # (N, D)


class Attention(N0):
    """N0 on features that have seen the other modalities' memories; every branch needs states of every step."""

    def __init__(self, branches: Mapping[str, Branch], **sizes: float) -> None:
        super().__init__(branches, **sizes)
        self.crossings = nn.ModuleDict({name: Crossing(branch.dim) for name, branch in branches.items()})

    def features(self, inputs: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        present = present or {}
        states = {name: self._states(name, inputs[name], present.get(name)) for name in self.branches}
        raw = {
            name: crossing(states[name], *_others(name, states, present)) for name, crossing in self.crossings.items()
        }
        return self.normalise(raw, present)

    def _states(self, name: str, sequence: Tensor, present: Tensor | None) -> Tensor:
        """Return the states (B, T, D) of a branch, 0 where the modality is absent."""
        branch = self.branches[name]
        return of_rows(branch.states, sequence, present, shape=(sequence.shape[1], branch.dim))


def _others(name: str, states: Mapping[str, Tensor], present: Present) -> tuple[Tensor, Tensor | None]:
    """Return the states of all modalities but `name`, one after the other, (B, S, D), and which are absent, (B, S)."""
    others = {other: one for other, one in states.items() if other != name}
    joined = torch.cat(list(others.values()), dim=1)
    if not present:
        return joined, None
    return joined, torch.cat(
        [~present[other].unsqueeze(1).expand(one.shape[:2]) for other, one in others.items()], dim=1
    )


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
