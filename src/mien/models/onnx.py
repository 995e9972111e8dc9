"""Networks as ONNX graphs, which onnxruntime runs on a CPU in the place of torch.

They are made by torch's older exporter, which traces and needs onnx alone; the newer one needs onnxscript besides.
"""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.io.files import atomic_file
from mien.models.mrpn import Network

OUTPUT = "fused"


class OnnxPart(nn.Module):
    """A part of a network that onnxruntime runs on as many threads as torch would; (N, ...) -> (N, D), as the part.

    A graph is made when the first input of a shape comes.
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.dim = part, getattr(part, "dim", None)
        self._sessions: dict[torch.Size, Any] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        if (shape := inputs.shape[1:]) not in self._sessions:
            _, onnxruntime = _libraries()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            how = {"sess_options": options, "providers": ["CPUExecutionProvider"]}
            self._sessions[shape] = onnxruntime.InferenceSession(_to_graph(self.part, "inputs", shape), **how)
        return torch.from_numpy(self._sessions[shape].run([OUTPUT], {"inputs": inputs.numpy()})[0])


def use_onnx(networks: Sequence[nn.Module]) -> None:
    """Let onnxruntime run, in place, the backbones of networks of clips, and networks of single pictures as a whole.

    Aggregators, fusion and heads stay torch's: they are given what is known of a person, and how many steps there are.
    """
    _libraries()
    for network in networks:
        network.cpu()
        if isinstance(network, Network):
            for encoder in network.branches.values():
                encoder.trunk = OnnxPart(encoder.trunk)
        else:  # of single pictures
            network.network = OnnxPart(network.network)


def write_onnx(path: Path, network: nn.Module, name: str, shape: Sequence[int], facts: Mapping[str, Any]) -> None:
    """Write a network that is called with {name: (B, *shape)} as a file, whole or not at all; `facts` as its metadata.

    The graph's input is `name`, its output is `OUTPUT` (B, C).
    """
    onnx, _ = _libraries()
    graph = onnx.load_model_from_string(_to_graph(_SingleInput(network.cpu(), name), name, shape))
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in facts.items()})
    with atomic_file(path) as scratch:
        scratch.write_bytes(graph.SerializeToString())


class _SingleInput(nn.Module):
    """A network of one modality as a function of one tensor."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network({self.name: inputs})[OUTPUT]


@torch.no_grad()
def _to_graph(module: nn.Module, name: str, shape: Sequence[int]) -> bytes:
    """Return the graph of a module of one tensor (N, *shape), for any N."""
    graph, axes = io.BytesIO(), {name: {0: "batch"}, OUTPUT: {0: "batch"}}
    names = {"input_names": [name], "output_names": [OUTPUT], "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one, and which sizes it takes for constant
        torch.onnx.export(module.eval(), (torch.zeros(2, *shape),), graph, dynamo=False, **names)
    return graph.getvalue()


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed; pip install 'mien[onnx]' installs it") from error
    return onnx, onnxruntime
