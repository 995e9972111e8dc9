"""What a network is made of and what leads where, read from the built network itself by tracing it (torch.fx)."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from mien.models.mrpn import (
    UNITS,
    Branch,
    FeatureNorm,
    LSTMAggregator,
    Network,
    ResidualPerception,
    Scoring,
    UnitPerceptron,
)
from mien.models.resnet import ResNet18

GIVEN = {"video": "pictures", "audio": "spectrograms", "units": f"{UNITS} action units"}  # modality -> of a step
_KINDS: dict[type[nn.Module], tuple[str, Callable[[nn.Module], str]]] = {  # class -> name and size
    ResNet18: ("ResNet-18", lambda part: f"{part.dim}"),
    UnitPerceptron: ("perceptron", lambda part: f"{part.dim}"),
    LSTMAggregator: ("LSTM", lambda part: f"{part.lstm.hidden_size}"),
    FeatureNorm: ("FeatureNorm", lambda part: f"{part.num_features}"),
    ResidualPerception: ("residual\nperception", lambda part: f"{part.dense.out_features}"),
    Scoring: ("Scoring", lambda part: f"{part[0].in_features} → {part[-1].out_features}"),
    nn.Linear: ("Dense", lambda part: f"{part.in_features} → {part.out_features}"),
}


@dataclass(frozen=True)
class Box:
    """A part of a network.

    name : of the module, or of the input or output.   size : of the vector that leaves it; both sizes of a head.
    lane : the modality that it sees alone; empty where several have met.   inputs : names of the boxes before it.
    """

    name: str
    title: str
    size: str
    lane: str
    inputs: tuple[str, ...]


def boxes_of(model: Network) -> list[Box]:
    """Return the parts of a network from inputs to outputs, each after those that it gets something from.

    A branch is its trunk and its aggregator; other modules of the network are one box each, and so is a concatenation.
    The outputs come last, under the names of the heads.

    Raises
    ------
    KeyError : the network holds a module that has no name here.
    """
    graph = _Tracer().trace(_Given(model))
    boxes: dict[str, Box] = {}
    stands_for: dict[fx.Node, str] = {}  # value in the traced program -> box that it comes from
    for node in graph.nodes:
        before = tuple(stands_for[other] for other in node.all_input_nodes if other in stands_for)
        lanes = {boxes[name].lane for name in before}
        lane = lanes.pop() if len(lanes) == 1 else ""
        if node.op == "call_function" and node.target is operator.getitem:  # inputs[modality]
            name = node.args[1]
            added = [Box(name, name, GIVEN[name], name, ())]
        elif node.op == "call_module":
            name = node.target.removeprefix("model.")
            added = _of_module(name, model.get_submodule(name), lane, before)
        elif node.op == "call_function" and node.target is torch.cat:
            added = [Box("concatenation", "concatenate", "", "", before)]
        elif node.op == "output":
            added = [_output(head, boxes[stands_for[value]]) for head, value in node.args[0].items()]
        else:
            continue
        boxes |= {box.name: box for box in added}
        stands_for[node] = added[-1].name
    return list(boxes.values())


class _Given(nn.Module):
    """A network that is given all modalities of every clip."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.model(inputs)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, Network)


def _of_module(name: str, module: nn.Module, lane: str, before: tuple[str, ...]) -> list[Box]:
    if not isinstance(module, Branch):
        title, size = _KINDS[type(module)]
        return [Box(name, title, size(module), lane, before)]
    chain: list[Box] = []
    for part, child in module.named_children():
        chain += _of_module(f"{name}.{part}", child, lane, (chain[-1].name,) if chain else before)
    return chain


def _output(head: str, score: Box) -> Box:
    return Box(f"scores of {head}", "", "", score.lane, (score.name,))
