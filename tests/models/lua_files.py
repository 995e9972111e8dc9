"""A writer of .t7 files: what torch.save of Lua Torch 7 writes in binary, for tests of the reader."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = {"u1": "Byte", "i4": "Int", "i8": "Long", "f2": "Half", "f4": "Float", "f8": "Double"}


@dataclass(eq=False)
class Layer:
    """An object of a Lua class."""

    kind: str
    fields: Any
    version: bool = True  # the first releases wrote none


@dataclass(eq=False)
class View:
    """A tensor over the numbers of `storage`; several may share one. first counts from 1."""

    storage: np.ndarray | None
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 1
    kind: str = "Float"


@dataclass(eq=False)
class Storage:
    """Numbers in a row, which are no tensor."""

    numbers: np.ndarray


def dump(value: Any) -> bytes:
    """Return the bytes of a file with `value`: None, bool, number, text, dict, list, array or one of the above.

    Objects that occur twice are written once and mentioned again.
    """
    return _dump(value, {})


def text(value: str) -> bytes:
    """Return a length and a text, without a tag."""
    return struct.pack("<i", len(value.encode())) + value.encode()


def longs(*values: int) -> bytes:
    """Return numbers of 64 bits."""
    return struct.pack(f"<{len(values)}q", *values)


def sequential(*layers: Layer) -> Layer:
    """Return a network of layers, as nn has it."""
    return Layer("nn.Sequential", {"modules": list(layers), "_type": "torch.FloatTensor", "train": False})


def _dump(value: Any, known: dict[int, tuple[int, Any]]) -> bytes:
    if value is None:
        return struct.pack("<i", 0)
    if isinstance(value, bool):
        return struct.pack("<ii", 5, value)
    if isinstance(value, int | float):
        return struct.pack("<id", 1, value)
    if isinstance(value, str):
        return struct.pack("<i", 2) + text(value)
    if isinstance(value, Storage):
        return _storage(value.numbers, known)
    tag = struct.pack("<i", 3 if isinstance(value, dict | list) else 4)
    if id(value) in known:
        return tag + struct.pack("<i", known[id(value)][0])
    known[id(value)] = (len(known) + 1, value)  # kept: a freed object's id is given away again
    head = tag + struct.pack("<i", known[id(value)][0])
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value, start=1)
        parts = (_dump(key, known) + _dump(content, known) for key, content in pairs)
        return head + struct.pack("<i", len(value)) + b"".join(parts)
    if isinstance(value, Layer):
        return head + (text("V 1") if value.version else b"") + text(value.kind) + _dump(value.fields, known)
    if isinstance(value, View):
        content = longs(*value.sizes, *value.strides, value.first) + _storage(value.storage, known)
        return head + text("V 1") + text(f"torch.{value.kind}Tensor") + struct.pack("<i", len(value.sizes)) + content
    steps = [stride // value.itemsize for stride in np.ascontiguousarray(value).strides]
    content = longs(*value.shape, *steps, 1) + _storage(np.ascontiguousarray(value).ravel(), known)
    kind = KINDS[value.dtype.str[1:]]
    return head + text("V 1") + text(f"torch.{kind}Tensor") + struct.pack("<i", value.ndim) + content


def _storage(numbers: np.ndarray | None, known: dict[int, tuple[int, Any]]) -> bytes:
    if numbers is None:
        return struct.pack("<i", 0)
    if id(numbers) in known:
        return struct.pack("<ii", 4, known[id(numbers)][0])
    known[id(numbers)] = (len(known) + 1, numbers)
    kind = KINDS[numbers.dtype.str[1:]]
    head = struct.pack("<ii", 4, known[id(numbers)][0]) + text("V 1") + text(f"torch.{kind}Storage")
    return head + longs(len(numbers)) + numbers.tobytes()
