"""What a network of chapter 5 is made of and what leads where, read from the built network itself, for drawings."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mien.models.mrpn import (
    UNITS,
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
    """A part of a network."""

    name: str  # of the module, or of the input or output
    title: str
    size: str  # of the vector that leaves it; both sizes of a head
    lane: str  # the modality that it sees alone; empty where several have met
    inputs: tuple[str, ...]  # names of the boxes before it


def boxes_of(model: Network) -> list[Box]:
    """Return the parts of a network from inputs to outputs, each after those that it gets something from.

    An encoder is its backbone and its aggregator; other modules of the network are one box each, and so is a
    concatenation. The outputs come last, under the names of the heads.

    Raises
    ------
    KeyError
        The network holds a module that has no name here.
    """
    boxes: list[Box] = []

    def add(name: str, lane: str, inputs: tuple[str, ...]) -> str:
        module = model.get_submodule(name)
        title, size = _KINDS[type(module)]
        boxes.append(Box(name, title, size(module), lane, inputs))
        return name

    ends, heads = {}, {}  # modality, and head, -> the last box of it
    for lane in model.branches:
        boxes.append(Box(lane, lane, GIVEN[lane], lane, ()))
        ends[lane] = add(f"branches.{lane}.aggregator", lane, (add(f"branches.{lane}.trunk", lane, (lane,)),))
    for part in ("norms", "residual"):
        for lane in getattr(model, part):
            ends[lane] = add(f"{part}.{lane}", lane, (ends[lane],))
    if len(ends) == 1:
        ((lane, end),) = ends.items()
        heads["fused"] = add("score", lane, (end,))
    else:
        boxes.append(Box("concatenation", "concatenate", "", "", tuple(ends.values())))
        heads["fused"] = add("score", "", (add("joint_norm", "", ("concatenation",)),))
        heads |= {lane: add(f"side.{lane}", lane, (ends[lane],)) for lane in model.side}
    lanes = {box.name: box.lane for box in boxes}
    return boxes + [Box(f"scores of {head}", "", "", lanes[end], (end,)) for head, end in heads.items()]
