"""The networks of chapter 5 in the order of a pass forward: aggregators, encoders, fusion, heads, network, `build`.

A network knows its modalities as names of encoders only, in their order (thesis section 5.2, eqs. 24 to 32, figure
5.5). Its inputs are one sequence per modality, (B, T, ...), where ... is one step: a picture, a segment of the
spectrogram, a vector. An encoder, which is a backbone shared over time and an aggregator, makes a feature (B, D) of it;
FeatureNorms, fusion and heads make logits of the features of all modalities.

`n_steps` says per modality how many of its T steps each of the B clips has; what lies beyond them is padding, which no
part of the network sees, batch statistics included. A clip with 0 steps lacks the modality: its normalised feature is
0, about where FeatureNorm puts the mean over training clips (its learned shift is small). The output maps head names to
logits (B, C): "fused", the answer, and where the network has side heads one head per modality.

The names `branches`, `trunk` and `side` are those of the weights in model files.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mien.errors import ModelError
from mien.io.prune import CHANGED, is_as_listed
from mien.io.randomness import seed_for
from mien.models.resnet import ResNet3D18, ResNet18
from mien.models.voice import VoiceCNN

UNITS = 8  # action units of the thesis (AU8)
CHANNELS = {"video": 3, "audio": 1}  # of a frame, of a segment of the spectrogram
PRIOR = 8  # recordings that the statistics of the training people count like, beside a person's own
HIDDEN = 4  # hidden units of Scoring and of UnitPerceptron per channel of the first stage: 256 at width 64 (listing)
PIXEL_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB, the statistics that published backbones expect
PIXEL_STD = (0.229, 0.224, 0.225)

Present = Mapping[str, Tensor]  # modality -> (B,) bool
Steps = Mapping[str, Tensor]  # modality -> (B,) int64
Memory = Any  # what an aggregator keeps between two calls of `run`; None: nothing yet


def normalise_pixels(frames: Tensor) -> Tensor:
    """Bring grey levels 0..255 of (..., 3, H, W) RGB frames to the mean 0 and deviation 1 of ImageNet's colours."""
    mean = torch.tensor(PIXEL_MEAN, device=frames.device).mul_(255.0).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=frames.device).mul_(255.0).view(3, 1, 1)
    return (frames - mean).div_(std)


def mask_steps(n_steps: Tensor, most: int) -> Tensor:
    """Tell which of `most` steps there are; (B,) -> (B, T) bool."""
    return torch.arange(most, device=n_steps.device) < n_steps.unsqueeze(1)


def mean_steps(states: Tensor, n_steps: Tensor | None) -> Tensor:
    """Return the mean over the steps that there are, (B, T, D) -> (B, D); of a clip without any it is 0."""
    if n_steps is None:
        return states.mean(1)
    given = mask_steps(n_steps, states.shape[1]).unsqueeze(2)
    return states.masked_fill(~given, 0.0).sum(1) / n_steps.clamp(min=1).unsqueeze(1)


# Aggregators: from the features of all steps to one (SAC in thesis section 5.2), (B, T, D) -> (B, D). `n_steps` (B,) is
# how many of the T steps each clip has, 1 to T; all where it is None.
#
# Causal ones have a method `run` that gives their output after every step, and a memory
# with which the sequence goes on: run(one part) and then run(the rest, memory) is run(the whole).


class LastStep(nn.Module):
    """The feature of the newest step, without memory; (B, T, D) -> (B, D)."""

    def forward(self, features: Tensor, n_steps: Tensor | None = None) -> Tensor:
        out, _ = self.run(features)  # padding comes after the steps
        return out[:, -1] if n_steps is None else out[torch.arange(len(out), device=out.device), n_steps - 1]

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        """Return the output after every step (B, T, D), and the memory."""
        return features, memory


class LSTMAggregator(LastStep):
    """Last hidden state of a one-layer LSTM; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def run(self, features: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        return self.lstm(features, memory)  # the memory: hidden and cell state, each (1, B, D)


class BiLSTM(nn.Module):
    """Mean over time of an LSTM's states in both directions, D / 2 numbers each; (B, T, D) -> (B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor, n_steps: Tensor | None = None) -> Tensor:
        if n_steps is None:
            return self.lstm(features)[0].mean(1)
        packed = pack_padded_sequence(features, n_steps.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)  # (B, T, D), 0 where padded
        return states.sum(1) / n_steps.unsqueeze(1)


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
        layer = partial(nn.TransformerEncoderLayer, dim, self.HEADS, dim_feedforward=2 * dim, dropout=self.DROPOUT)
        kind = {"activation": "gelu", "norm_first": True, "batch_first": True}
        self.layers = nn.Sequential(*(layer(**kind) for _ in range(self.LAYERS)))

    def forward(self, features: Tensor, n_steps: Tensor | None = None) -> Tensor:
        if (most := features.shape[1]) > self.STEPS:
            raise ModelError(
                f"the transformer has learned positions for {self.STEPS} steps, and a clip has {most}; lower"
                " train.frames, or use another aggregator"
            )
        states = features + self.positions[:most]
        padded = None if n_steps is None else ~mask_steps(n_steps, most)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=padded)
        return mean_steps(states, n_steps)


AGGREGATORS: dict[str, Callable[[int], nn.Module]] = {  # name -> constructor from D
    "lstm": LSTMAggregator,
    "bilstm": BiLSTM,
    "transformer": Transformer,
    "none": lambda dim: LastStep(),
}


# Encoders: features of one modality of a clip (eq. 24).


class UnitPerceptron(nn.Sequential):
    """Backbone of action units: standardisation, dense, ReLU, dense; (N, 8) -> (N, dim).

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


class VectorPerceptron(nn.Module):
    """Backbone of clips that are one vector: standardisation, dense, ReLU, dropout, dense, ReLU; (B, 1, D) -> (B, dim).

    Mean and deviation are those of the training people (`standardise_by`), and travel with the weights.
    """

    FARTHEST = 6.0  # deviations; what lies farther is taken to be there

    def __init__(self, inputs: int, dim: int, *, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.layers = nn.Sequential(
            nn.Linear(inputs, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim), nn.ReLU()
        )
        self.dim = dim

    def standardise_by(self, vectors: Tensor) -> None:
        """Take mean and deviation from vectors (N, D); a number that does not vary is not divided by it."""
        deviation = vectors.std(dim=0, correction=0)
        self.mean.copy_(vectors.mean(dim=0))
        self.deviation.copy_(torch.where(deviation < 1e-6, 1.0, deviation))

    def forward(self, sequence: Tensor) -> Tensor:
        centred = (sequence.squeeze(1) - self.mean) / self.deviation
        return self.layers(centred.clamp(-self.FARTHEST, self.FARTHEST))


class ModalityEncoder(nn.Module):
    """A backbone and an aggregator; (B, T, ...) -> (B, D), where ... is one step of the modality.

    Parameters
    ----------
    trunk
        The backbone, (N, ...) -> (N, D), with the attribute `dim` = D. It looks at single steps, and at whole clips
        (B, T, ...) -> (B, D) where there is no aggregator.
    aggregator
        (B, T, D) -> (B, D), or None.
    """

    def __init__(self, trunk: nn.Module, aggregator: nn.Module | None) -> None:
        super().__init__()
        self.trunk = trunk
        self.aggregator = aggregator
        self.dim = trunk.dim

    def forward(self, sequence: Tensor, n_steps: Tensor | None = None) -> Tensor:
        if self.aggregator is None:
            return self.trunk(sequence)
        return self.aggregator(self.encode_steps(sequence, n_steps), n_steps)

    def encode_steps(self, sequence: Tensor, n_steps: Tensor | None = None) -> Tensor:
        """Return the features of single steps, (B, T, ...) -> (B, T, D); 0 where a clip has none."""
        if n_steps is None:
            return self.trunk(sequence.flatten(0, 1)).unflatten(0, sequence.shape[:2])
        given = mask_steps(n_steps, sequence.shape[1])
        encoded = self.trunk(sequence[given])
        return encoded.new_zeros(*given.shape, self.dim).masked_scatter(given.unsqueeze(2), encoded)

    def states(self, sequence: Tensor, n_steps: Tensor | None = None) -> Tensor:
        """Return the output after every step, (B, T, ...) -> (B, T, D), if its aggregator is causal."""
        return self.aggregator.run(self.encode_steps(sequence, n_steps))[0]


class ParallelBackbones(nn.Module):
    """Backbones of one kind side by side; (N, ...) -> (N, K * D): the features of the K, concatenated."""

    def __init__(self, trunks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(trunks)
        self.dim = sum(trunk.dim for trunk in trunks)

    def forward(self, steps: Tensor) -> Tensor:
        return torch.cat([trunk(steps) for trunk in self.members], dim=1)


TRUNKS = {"resnet18": ResNet18, "resnet3d18": ResNet3D18, "cnn": VoiceCNN}
OF_CLIPS = frozenset({"resnet3d18", "cnn"})  # these encode whole clips, the others single steps


# Fusion: from the features of all modalities to one.


class GatedMultimodalUnit(nn.Module):
    """Gated sum of modalities, that listens to one or the other number by number; modality -> (N, D) -> (N, D).

    The Gated Multimodal Unit of Arevalo, Solorio, Montes-y-Gomez, Gonzalez (2017), "Gated multimodal units for
    information fusion", section 3.1: h_m = tanh(W_m f_m).  Two modalities share a gate: h = z h_1 + (1 - z) h_2 with
    z = sigmoid(W_z [f_1, f_2]).  Each of more has its own: h = sum_m z_m h_m with z_m = sigmoid(W_zm [f_1, ..., f_M]).
    No layer has a bias, so an absent modality, whose feature is 0, adds nothing.
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


class CrossmodalAttention(nn.Module):
    """LayerNorm(x + attention(queries x, keys and values y)), mean over time; x (N, T, D), y (N, S, D) -> (N, D).

    What one modality does at a time is looked up in the whole course of the others, without a common time axis: Tsai et
    al. (2019), "Multimodal Transformer for unaligned multimodal language sequences", eq. 3, a layer per modality.
    A head has at least `HEAD` numbers and there are at most `HEADS`: 8 for D = 512, 4 for D = 64.
    """

    HEADS = 8
    HEAD = 16

    def __init__(self, dim: int) -> None:
        super().__init__()
        heads = max(n for n in (1, 2, 4, self.HEADS) if n == 1 or n * self.HEAD <= dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, own: Tensor, others: Tensor, absent: Tensor | None = None, n_steps: Tensor | None = None
    ) -> Tensor:
        """Return the feature.

        Parameters
        ----------
        absent
            (N, S) bool, what of `others` is not to be looked at, if anything.
        n_steps
            (N,) steps of `own`, T where it is None.
        """
        if absent is None:
            found, _ = self.attention(own, others, others, need_weights=False)  # (N, T, D)
        else:
            alone = absent.all(1)  # (N,): a softmax over nothing is NaN
            mask = absent & ~alone.unsqueeze(1)
            found, _ = self.attention(own, others, others, key_padding_mask=mask, need_weights=False)
            found = found.masked_fill(alone.view(-1, 1, 1), 0.0)
        return mean_steps(self.norm(own + found), n_steps)  # (N, D)


# Heads: from a feature to class scores.


class FeatureNorm(nn.BatchNorm1d):
    """Statistical normalisation of a feature vector over clips; (B, D) -> (B, D)."""


class Scoring(nn.Sequential):
    """Dense, ReLU, FeatureNorm, dropout, dense (eq. 25); (B, inputs) -> (B, classes)."""

    def __init__(self, inputs: int, hidden: int, classes: int, *, dropout: float) -> None:
        layers = nn.Linear(inputs, hidden), nn.ReLU(), FeatureNorm(hidden), nn.Dropout(dropout)
        super().__init__(*layers, nn.Linear(hidden, classes))


class ResidualPerception(nn.Module):
    """f' = f + FeatureNorm(activation(Dense(f))), where the activation of eq. 29 is the sigmoid; (B, D) -> (B, D)."""

    def __init__(self, dim: int, *, activation: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = FeatureNorm(dim)
        self.activation = activation

    def forward(self, feature: Tensor) -> Tensor:
        return feature + self.norm(self.activation(self.dense(feature)))


ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu}  # of the residual perception


# The network.

FUSIONS = ("dense", "single", "n0", "n1", "mrpn", "gated", "attention")


def apply_present(
    module: Callable[[Tensor], Tensor], rows: Tensor, present: Tensor | None, shape: tuple[int, ...]
) -> Tensor:
    """Return what `module` makes of the present ones among `rows`, (N, ...) -> (N, *shape); 0 for the absent ones."""
    if present is None or bool(present.all()):
        return module(rows)
    out = torch.zeros(len(rows), *shape, device=rows.device)
    if bool(present.any()):  # absent rows do not enter at all: 0 * NaN is NaN
        out[present] = module(rows[present]).to(out.dtype)
    return out


def _encode_present(
    encode: Callable[..., Tensor], sequence: Tensor, n_steps: Tensor | None, shape: tuple[int, ...]
) -> Tensor:
    """Return the features of clips, (B, T, ...) -> (B, *shape); 0 of those without a step."""
    if n_steps is None or bool((n_steps == sequence.shape[1]).all()):
        return encode(sequence)
    there = n_steps > 0
    return apply_present(lambda rows: encode(rows, n_steps[there]), sequence, there, shape)


class Network(nn.Module):
    """Encoders, FeatureNorms, fusion and heads.

    fusion
        dense, single: one modality; dense has one layer and no norm (thesis section 4.4), single is UNI-m.
        n0: concatenation, FeatureNorm and Scoring (eqs. 26, 27).
        n1: n0 with side heads, whose loss reaches the encoders directly (eq. 31).
        mrpn: n1 on residual perceptions of the features: N2, the multimodal residual perceptron network (eqs. 29, 32).
        gated: a `GatedMultimodalUnit` in the place of the concatenation.
        attention: n0 on what `CrossmodalAttention` makes of the encoders' states.
    also
        Numbers that it tells too, each by a Scoring of its own on the fused feature: several target functions are
        minimised together (thesis section 5.2.3).
    members
        K networks of one modality that share nothing but the batches: each K-th of the feature has a head and a loss of
        its own (heads "member 0", ... in training), and the answer is the mean of their probabilities: a deep ensemble,
        Lakshminarayanan, Pritzel, Blundell (2017).
    """

    def __init__(
        self,
        encoders: Mapping[str, ModalityEncoder],
        *,
        fusion: str,
        classes: int,
        hidden: int,
        dropout: float,
        side_head: str = "dense",
        head: str = "scoring",
        residual: str = "sigmoid",
        also: Sequence[str] = (),
        members: int = 1,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise KeyError(fusion)
        heads = {
            "dense": lambda dim: nn.Linear(dim, classes),
            "scoring": lambda dim: Scoring(dim, hidden, classes, dropout=dropout),
        }
        dims = {name: encoder.dim for name, encoder in encoders.items()}
        sided = dims if fusion in ("n1", "mrpn") else {}
        refined = dims if fusion == "mrpn" else {}
        crossed = dims if fusion == "attention" else {}
        norm = nn.Identity if fusion == "dense" else FeatureNorm
        joint = next(iter(dims.values())) if fusion == "gated" else sum(dims.values())
        # the order is that of the parameters, and of the random first weights
        self.branches = nn.ModuleDict(encoders)
        self.norms = nn.ModuleDict({name: norm(dim) for name, dim in dims.items()})
        self.unit = GatedMultimodalUnit(list(dims), joint) if fusion == "gated" else None
        self.joint_norm = nn.Identity() if fusion in ("dense", "single", "gated") else FeatureNorm(joint)
        self.n_members = members

        def make_score() -> nn.Module:
            layer = heads["dense" if "dense" in (fusion, head) else "scoring"](joint // members)
            return nn.Sequential(nn.Dropout(dropout), layer) if head == "dense" else layer

        self.score = nn.ModuleList(make_score() for _ in range(members)) if members > 1 else make_score()
        self.side = nn.ModuleDict({name: heads[side_head](dim) for name, dim in sided.items()})
        self.residual = nn.ModuleDict(
            {name: ResidualPerception(dim, activation=ACTIVATIONS[residual]) for name, dim in refined.items()}
        )
        self.crossings = nn.ModuleDict({name: CrossmodalAttention(dim) for name, dim in crossed.items()})
        self.also = nn.ModuleDict({target: Scoring(joint, hidden, 1, dropout=dropout) for target in also})
        self.frozen: tuple[nn.Module, ...] = ()

    def forward(self, inputs: Mapping[str, Tensor], n_steps: Steps | None = None) -> dict[str, Tensor]:
        return self.forward_heads(self.forward_features(inputs, n_steps), n_steps)

    def forward_features(self, inputs: Mapping[str, Tensor], n_steps: Steps | None = None) -> dict[str, Tensor]:
        """Return modality -> features of its encoder (B, D), or states (B, T, D) where the fusion is attention."""
        encoded = {}
        for name, encoder in self.branches.items():
            encode, shape = (encoder.states, inputs[name].shape[1:2]) if self.crossings else (encoder, ())
            encoded[name] = _encode_present(encode, inputs[name], (n_steps or {}).get(name), (*shape, encoder.dim))
        return encoded

    def forward_heads(self, encoded: Mapping[str, Tensor], n_steps: Steps | None = None) -> dict[str, Tensor]:
        """Return head -> logits (B, C) of the output of `forward_features`."""
        features = dict(encoded)
        for name, crossing in self.crossings.items():
            others = {other: states for other, states in encoded.items() if other != name}
            absent, own = None, None
            if n_steps:
                given = [mask_steps(n_steps[other], states.shape[1]) for other, states in others.items()]
                absent, own = ~torch.cat(given, dim=1), n_steps[name]  # (B, S), (B,)
            features[name] = crossing(encoded[name], torch.cat(list(others.values()), dim=1), absent, own)
        return self.classify_features(features, {name: numbers > 0 for name, numbers in (n_steps or {}).items()})

    def classify_features(self, features: Mapping[str, Tensor], present: Present | None = None) -> dict[str, Tensor]:
        """Return head -> logits (N, C) of N rows of features as the encoders give them, modality -> (N, D).

        Streaming networks (`streaming`) call this at every tick.
        """
        present = present or {}
        features = {
            name: apply_present(norm, features[name], present.get(name), (self.branches[name].dim,))
            for name, norm in self.norms.items()
        }
        features |= {name: perception(features[name]) for name, perception in self.residual.items()}
        joint = self.unit(features) if self.unit else torch.cat(list(features.values()), dim=1)  # (N, M * D)
        joint = self.joint_norm(joint)
        further = {target: head(joint) for target, head in self.also.items()}  # (N, 1) each
        return {
            **self._answer(joint),
            **{name: head(features[name]) for name, head in self.side.items()},
            **further,
        }

    def _answer(self, joint: Tensor) -> dict[str, Tensor]:
        if self.n_members == 1:
            return {"fused": self.score(joint)}
        logits = [head(part) for head, part in zip(self.score, joint.tensor_split(self.n_members, dim=1), strict=True)]
        fused = torch.stack(logits).log_softmax(2).logsumexp(0) - math.log(self.n_members)
        if not self.training:
            return {"fused": fused}
        return {"fused": fused.detach(), **{f"member {k}": one for k, one in enumerate(logits)}}

    def adapt_to_reference(self, name: str, features: Tensor, reference: Tensor) -> Tensor:
        """Return features of a person as if he or she were like the training people on average, for `forward_heads`.

        The FeatureNorm of the modality then standardises them by the mean and the variance of `reference` instead of
        those of training: adaptive batch normalisation, Li, Wang, Shi, Hou, Liu (2018), "Adaptive batch normalization
        for practical domain adaptation", of this layer alone, with people as domains. Those of training count like
        `PRIOR` more recordings, so that a short reference does no harm: Schneider et al. (2020), "Improving robustness
        against common corruptions by covariate shift adaptation", eq. 3.

        Parameters
        ----------
        name
            The modality.
        features
            (N, D), features of recordings of a person.
        reference
            (M, D), those of other ones, or of the same.
        """
        if len(reference) == 0:
            return features
        norm, share = self.norms[name], len(reference) / (len(reference) + PRIOR)
        variance, mean = torch.var_mean(reference, dim=0, correction=0)
        mean, variance = norm.running_mean.lerp(mean, share), norm.running_var.lerp(variance, share)
        scale = ((norm.running_var + norm.eps) / (variance + norm.eps)).sqrt()
        return norm.running_mean + (features - mean) * scale

    def freeze(self, *names: str, trunks: Collection[str] = ()) -> None:
        """Keep the encoders `names` as they are in training too: neither weights nor batch statistics change.

        Parameters
        ----------
        trunks
            Modalities of which the backbone alone is kept; their aggregators learn.
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

    def require_steps(self) -> None:
        """Refuse a network of which a part needs the whole recording.

        Raises
        ------
        ModelError
            Names these parts.
        """
        parts = [name for name, encoder in self.branches.items() if not hasattr(encoder.aggregator, "run")]
        parts += ["fusion"] if self.crossings else []
        if parts:
            raise ModelError(
                f"this network cannot run along with a recording: {', '.join(parts)} needs all of it before it can"
                " judge; take aggregator lstm or none, no trunk of whole clips, and fusion dense, single, n0, n1 or"
                " mrpn"
            )


# From plain arguments to a network.


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
    head: str = "scoring",
    also: Sequence[str] = (),
    vectors: Mapping[str, int] | None = None,
    members: int = 1,
    seed: int = 0,
) -> Network:
    """Build a network with random weights.

    Parameters
    ----------
    modalities
        Names in the order of the fused vector; each is one of `CHANNELS` or of `vectors`, or units.
    fusion
        See `Network`.
    aggregator
        Key of `AGGREGATORS`.
    side_head
        dense (eqs. 31, 32) or scoring (eq. 26); of n1 and mrpn.
    width
        Channels of the first ResNet stage; features have D = 8 * width numbers.
    trunk
        Modality -> key of `TRUNKS`; resnet18 where absent. A backbone of whole clips takes the place of the
        aggregator: `aggregator` is ignored in its encoder.
    residual
        Key of `ACTIVATIONS`; of mrpn.
    head
        Of the fused feature: scoring (eq. 26), or dense, which is dropout and one layer.
    also
        See `Network`.
    vectors
        Modality -> length of its vector, of modalities that are one vector of a clip; no aggregator then.
    members
        Networks side by side that answer together, of one modality; see `Network`.
    seed
        The first weights of an encoder depend on this, its modality and its kind of backbone and aggregator only, so
        networks of one fold and seed start from the same encoders (thesis section 5.3).

    Raises
    ------
    KeyError
        An argument is none of the names above.
    ModelError
        Attention is wanted over encoders that have no states of every step.
    """
    trunk, vectors = dict(trunk or {}), dict(vectors or {})
    if fusion == "attention" and (aggregator != "lstm" or OF_CLIPS & set(trunk.values())):
        raise ModelError(
            f"fusion attention needs a state after every step: give it aggregator lstm and no trunk of"
            f" whole clips, not {aggregator} and {trunk}"
        )
    with torch.random.fork_rng(devices=[]):
        encoders = {}
        for name in modalities:
            torch.manual_seed(seed_for(seed, "branch", name))
            kind = trunk.get(name, "resnet18")
            if name in vectors:
                backbone = VectorPerceptron(vectors[name], 8 * width, dropout=dropout)
            elif name == "units":
                backbone = UnitPerceptron(8 * width, HIDDEN * width)
            else:
                trunks = [TRUNKS[kind](in_channels=CHANNELS[name], width=width) for _ in range(members)]
                backbone = ParallelBackbones(trunks) if members > 1 else trunks[0]
            is_whole = name in vectors or kind in OF_CLIPS
            memory = None if is_whole else AGGREGATORS[aggregator](backbone.dim)
            encoders[name] = ModalityEncoder(backbone, memory)
        torch.manual_seed(seed_for(seed, "heads"))
        return Network(
            encoders,
            fusion=fusion,
            classes=classes,
            hidden=HIDDEN * width,
            dropout=dropout,
            side_head=side_head,
            head=head,
            residual=residual,
            also=also,
            members=members,
        )


def n_parameters(model: nn.Module) -> int:
    """Count the weights of a network; batch statistics are not weights."""
    return sum(weight.numel() for weight in model.parameters())


# First weights.


def load_backbone(backbone: nn.Module, path: Path, *, of: str, where: str) -> None:
    """Put the weights of a safetensors file with torchvision's names into a ResNet; its `fc`, if any, stays.

    Parameters
    ----------
    of, where
        For messages: what the backbone belongs to, and the key of params.yaml that names the file.

    Raises
    ------
    ModelError
        The file is missing or damaged, or holds another backbone.
    """
    if not is_as_listed(Path(path)):
        raise ModelError(f"{path}: first weights of the {of}: {CHANGED}")
    try:
        state = {name: weight for name, weight in load_file(path).items() if not name.startswith("fc.")}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: first weights of the {of} cannot be read ({error}); see {where}") from error
    wanted = {name: weight for name, weight in backbone.state_dict().items() if not name.startswith("fc.")}
    first = "conv1.weight"
    if first in state and first in wanted and state[first].ndim < wanted[first].ndim:
        raise ModelError(
            f"{path}: a trunk that looks at single pictures cannot start this {of}, which looks at whole clips (trunk:"
            f" resnet3d18); leave it out of {where}"
        )
    if mismatch := first_mismatch(wanted, state):
        raise ModelError(f"{path}: not the trunk of this {of}: {mismatch}; check train.width")
    backbone.load_state_dict(state, strict=False)


def first_mismatch(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Say in words where two state dicts differ first, or return an empty text."""
    for name, weight in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != weight.shape:
            return f"{name} is {tuple(found[name].shape)} instead of {tuple(weight.shape)}"
    extra = sorted(set(found) - set(wanted))
    return f"{extra[0]} is unknown" if extra else ""
