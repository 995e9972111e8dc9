"""Read .t7 files: objects as Lua Torch 7 wrote them in binary, on a 64-bit little-endian machine.

Own code after the sources of torch7 (File.lua, generic/Tensor.c, generic/Storage.c). Nothing in a file is executed:
a file is numbers, texts and tables, and byte code of Lua functions is refused. An object is

nil         int32 0
number      int32 1, float64
text        int32 2, int32 length, bytes
table       int32 3, int32 index; at the first mention int32 pairs, and that many keys and values, objects again
instance    int32 4, int32 index; at the first mention version "V 1" and class (int32 length, bytes), then what its
            class writes: tensors int32 dimensions, int64 sizes, int64 strides, int64 offset in the storage (from 1)
            and the storage, an object; storages int64 numbers and these; all others one table of their fields
truth       int32 5, int32 0 or 1

The index names an object that several others share.
"""

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import ModelError

DEPTH = 100  # objects inside objects; a network has about ten
DIMENSIONS = 16  # of a tensor
TEXT = 2**16  # bytes of a class name
LEAST_PAIR = 12  # bytes of a key and a value: a truth has 8, nil 4
NUMBERS = {  # kind of tensor or storage -> its numbers
    "Byte": "<u1",
    "Char": "<i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Half": "<f2",
    "Float": "<f4",
    "Double": "<f8",
    "Cuda": "<f4",  # written as the numbers on the host
    "CudaHalf": "<f2",
    "CudaDouble": "<f8",
    "CudaLong": "<i8",
}
TENSORS = {f"torch.{kind}Tensor": np.dtype(number) for kind, number in NUMBERS.items()}
STORAGES = {f"torch.{kind}Storage": np.dtype(number) for kind, number in NUMBERS.items()}


@dataclass(eq=False)
class Instance:
    """An object of a Lua class, such as a layer of a network."""

    kind: str  # name of the class, such as nn.Linear
    fields: dict[Any, Any] = field(default_factory=dict)


def read(path: Path) -> Any:
    """Read the object in a file.

    nil, numbers, texts, truths and tables come as None, float, str, bool and dict (whose keys 1.0, 2.0, ... are found
    under 1, 2, ... too); tensors and storages as arrays; all else as `Instance`. What is shared in the file is the same
    object here, so tables may contain themselves. Arrays are read-only views of the file, which is not copied, and
    need not be aligned or contiguous; a tensor without numbers comes as shape (0,).

    Raises
    ------
    ModelError : the file is missing, ends too early, or is no binary .t7 file; byte and expectation are named.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ModelError(f"{path}: is empty, not a .t7 file; fetch it again")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such .t7 file; check the name") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    reader = _Reader(path, content)
    result = reader.object()
    if reader.at != len(content):
        raise reader.fault(reader.at, "the end of the file", f"{len(content) - reader.at} bytes more")
    return result


class _Reader:
    """A place in a file; methods read what is there and go on behind it."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path = path
        self.content = content
        self.at = 0
        self.depth = 0
        self.shared: dict[int, Any] = {}  # index -> object

    def fault(self, at: int, wanted: str, found: str) -> ModelError:
        """Return the error that says what is wrong at a byte of the file."""
        return ModelError(
            f"{self.path}: damaged, truncated or no binary .t7 file: at byte {at} {wanted} was expected,"
            f" found {found}; fetch it again"
        )

    def object(self) -> Any:
        start, tag = self.at, self.number("<i", "the tag of an object")
        match tag:
            case 0:
                return None
            case 1:
                return self.number("<d", "a number")
            case 2:
                return self.text(len(self.content))
            case 3:
                return self.sharable(start, self.table)
            case 4:
                return self.sharable(start, self.instance)
            case 5:
                return self.truth()
            case 6 | 7 | 8:
                raise self.fault(start, "data", "a Lua function, which is never read")
        raise self.fault(start, "the tag of an object (0 to 5)", str(tag))

    def sharable(self, start: int, content: Callable[[int], Any]) -> Any:
        index = self.number("<i", "the index of an object")
        if index in self.shared:
            return self.shared[index]
        self.depth += 1
        if self.depth > DEPTH:
            raise self.fault(start, f"at most {DEPTH} objects inside one another", "one more")
        result = content(index)
        self.depth -= 1
        return result

    def table(self, index: int) -> dict[Any, Any]:
        self.shared[index] = result = {}  # before its content, which may mention it
        start, pairs = self.at, self.number("<i", "the size of a table")
        if not 0 <= pairs <= (len(self.content) - self.at) / LEAST_PAIR:
            raise self.fault(start, "the size of a table that fits into the file", str(pairs))
        for _ in range(pairs):
            start, key = self.at, self.object()
            if not isinstance(key, bool | float | str) or key != key:
                raise self.fault(start, "a number, text or truth as key of a table", _kind(key))
            result[key] = self.object()
        return result

    def instance(self, index: int) -> Any:
        start, version = self.at, self.text(TEXT)
        kind = self.text(TEXT) if version.startswith("V ") else version  # the first files had no version
        if kind in STORAGES:
            self.shared[index] = self.storage(STORAGES[kind])
        elif kind in TENSORS:
            self.shared[index] = self.tensor(TENSORS[kind])
        else:
            self.shared[index] = result = Instance(kind)
            fields = self.object()
            if not isinstance(fields, dict):
                raise self.fault(start, f"the table of the fields of {kind!r}", _kind(fields))
            result.fields = fields
        return self.shared[index]

    def storage(self, dtype: np.dtype) -> np.ndarray:
        start, size = self.at, self.number("<q", "the size of a storage")
        left = len(self.content) - self.at
        if not 0 <= size <= left // dtype.itemsize:
            raise self.fault(start, f"a storage of at most {left // dtype.itemsize} numbers", str(size))
        result = np.frombuffer(self.content, dtype, count=size, offset=self.at) if size else np.empty(0, dtype)
        self.at += size * dtype.itemsize
        return result

    def tensor(self, dtype: np.dtype) -> np.ndarray:
        start, dimensions = self.at, self.number("<i", "the dimensions of a tensor")
        if not 0 <= dimensions <= DIMENSIONS:
            raise self.fault(start, f"0 to {DIMENSIONS} dimensions of a tensor", str(dimensions))
        sizes = [self.number("<q", "the size of a dimension") for _ in range(dimensions)]
        strides = [self.number("<q", "the stride of a dimension") for _ in range(dimensions)]
        first = self.number("<q", "the place of a tensor in its storage") - 1
        storage = self.object()
        if storage is None:
            storage = np.empty(0, dtype)
        if not isinstance(storage, np.ndarray) or storage.dtype != dtype or storage.ndim != 1:
            raise self.fault(start, f"a tensor with a storage of {dtype}", _kind(storage))
        found = f"sizes {sizes}, strides {strides}, first {first}"
        if min([*sizes, *strides], default=0) < 0:
            raise self.fault(start, "a tensor with sizes and strides that are not negative", found)
        if math.prod(sizes) == 0 or not sizes:
            return np.empty(0, dtype)
        strides = [stride if size > 1 else 0 for size, stride in zip(sizes, strides, strict=True)]  # of no meaning
        last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if first < 0 or last >= len(storage):
            raise self.fault(start, f"a tensor inside its storage of {len(storage)} numbers", found)
        if math.prod(sizes) > len(self.content):  # a stride of 0 makes much of little
            raise self.fault(start, f"a tensor of at most {len(self.content)} numbers", found)
        steps = [stride * dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(storage[first:], sizes, steps, writeable=False)

    def truth(self) -> bool:
        start, value = self.at, self.number("<i", "a truth")
        if value not in (0, 1):
            raise self.fault(start, "0 or 1 as a truth", str(value))
        return bool(value)

    def text(self, longest: int) -> str:
        start, length = self.at, self.number("<i", "the length of a text")
        left = len(self.content) - self.at
        if not 0 <= length <= min(left, longest):
            raise self.fault(start, f"the length of a text of at most {min(left, longest)} bytes", str(length))
        self.at += length
        return self.content[self.at - length : self.at].decode("utf-8", "backslashreplace")

    def number(self, form: str, what: str) -> Any:
        size = struct.calcsize(form)
        if self.at + size > len(self.content):
            raise self.fault(self.at, what, "the end of the file")
        self.at += size
        return struct.unpack_from(form, self.content, self.at - size)[0]


def _kind(value: Any) -> str:
    return repr(value) if isinstance(value, bool | float | str | None) else f"a {type(value).__name__}"
