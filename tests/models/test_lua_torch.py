"""Files of Lua Torch are read back whole, and damaged or hostile ones are refused at the byte where they go wrong."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ModelError
from mien.models import vgg
from models.lua_files import Layer, Storage, View, dump, longs, sequential, text

FLOATS = np.arange(12, dtype=np.float32)


def table(*pairs: tuple[object, object]) -> bytes:
    """Return the bytes of a table of such pairs."""
    return struct.pack("<iii", 3, 1, len(pairs)) + b"".join(dump(part) for pair in pairs for part in pair)


def tensor(sizes: tuple[int, ...], strides: tuple[int, ...], *, first: int = 1, numbers: int = 12) -> bytes:
    """Return the bytes of a tensor that claims all this."""
    return dump(View(np.zeros(numbers, np.float32), sizes, strides, first))


@pytest.fixture
def load(tmp_path):
    """Return a function that reads an object from its bytes."""

    def read(content: bytes):
        (tmp_path / "x.t7").write_bytes(content)
        return vgg.read(tmp_path / "x.t7")

    return read


@pytest.mark.parametrize("value", [None, True, False, 0.0, -1.5, 1e300, "", "words", "Grüße", {}, {"a": {"b": 2.0}}])
def test_simple_objects_come_back(load, value):
    got = load(dump(value))
    assert got == value
    assert type(got) is type(value)


def test_elements_of_a_list_are_found_under_their_number(load):
    got = load(dump({"x": [5.0, [True, "b"]], 2.5: None}))
    assert got == {"x": {1: 5.0, 2: {1: True, 2: "b"}}, 2.5: None}


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f2", "f4", "f8"])
def test_tensors_of_all_kinds(load, dtype):
    want = np.arange(24).reshape(2, 3, 4).astype(dtype)
    got = load(dump({"pad": "x", "t": want}))["t"]  # at an odd byte
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    assert not got.flags.writeable


def test_a_tensor_is_a_view_of_its_storage(load):
    views = [View(FLOATS, (3, 2), (1, 3), 4), View(FLOATS, (2, 2), (0, 1), 11), View(FLOATS, (12,), (1,))]
    got = load(dump([*views, Storage(FLOATS)]))
    np.testing.assert_array_equal(got[1], [[3, 6], [4, 7], [5, 8]])
    np.testing.assert_array_equal(got[2], [[10, 11], [10, 11]])
    np.testing.assert_array_equal(got[4], FLOATS)
    assert np.shares_memory(got[1], got[3])


def test_tensors_without_numbers_have_no_axes_to_speak_of(load):
    got = load(dump([View(None, (), ()), View(None, (0,), (1,)), View(FLOATS, (2, 0), (1, 1)), np.empty(0, "f4")]))
    assert [part.shape for part in got.values()] == 4 * [(0,)]


def test_the_stride_along_one_number_has_no_meaning(load):
    got = load(tensor((1, 12), (2**62, 1)))
    assert got.shape == (1, 12)


def test_shared_objects_stay_shared_even_with_themselves(load):
    names, layer = {"a": 1.0}, Layer("nn.View", {})
    layer.fields = {"first": names, "second": names, "self": layer}
    got = load(dump({"layer": layer, "again": layer}))
    assert got["layer"] is got["again"] is got["layer"].fields["self"]
    assert got["layer"].fields["first"] is got["layer"].fields["second"]


def test_layers_come_with_their_class_and_fields(load):
    old = Layer("nn.Linear", {"weight": FLOATS.reshape(3, 4), "bias": FLOATS[:3]}, version=False)
    network = load(dump(sequential(Layer("nn.SpatialConvolution", {"kW": 3.0}), old)))
    assert network.kind == "nn.Sequential"
    first, second = network.fields["modules"].values()
    assert (first.kind, first.fields, second.kind) == ("nn.SpatialConvolution", {"kW": 3.0}, "nn.Linear")
    np.testing.assert_array_equal(second.fields["weight"], FLOATS.reshape(3, 4))


def test_a_file_cut_anywhere_is_refused(load):
    whole = dump(sequential(Layer("nn.Linear", {"weight": FLOATS.reshape(3, 4), "train": True, "name": "fc"})))
    for size in range(len(whole)):
        with pytest.raises(ModelError, match=r"x\.t7: (is empty|damaged, truncated.*at byte \d+ .* was expected)"):
            load(whole[:size])
    with pytest.raises(ModelError, match="the end of the file was expected, found 1 bytes more"):
        load(whole + b"\0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<ii", 9, 0), r"byte 0 the tag of an object \(0 to 5\) was expected, found 9"),
        (struct.pack("<iii", 8, 1, 0), "found a Lua function, which is never read"),
        (struct.pack("<ii", 5, 2), "byte 4 0 or 1 as a truth was expected, found 2"),
        (struct.pack("<iii", 3, 1, -1), "byte 8 the size of a table that fits into the file was expected, found -1"),
        (
            struct.pack("<iii", 3, 1, 2**31 - 1),
            "a table that fits into the file was expected, found 2147483647",
        ),
        (struct.pack("<ii", 2, 2**31 - 1), "a text of at most 0 bytes was expected, found 2147483647"),
        (struct.pack("<ii", 2, -4), "length of a text of at most 0 bytes was expected, found -4"),
        (table((None, 1.0)), "as key of a table was expected, found None"),
        (table((float("nan"), 1.0)), "as key of a table was expected, found nan"),
        (table(({}, 1.0)), "as key of a table was expected, found a dict"),
        (dump(Layer("nn.View", 3.0)), "the table of the fields of 'nn.View' was expected, found 3.0"),
        (tensor((13,), (1,)), "a tensor inside its storage of 12 numbers was expected, found sizes .13."),
        (tensor((6, 2), (2, 2)), "inside its storage of 12 numbers"),
        (tensor((12,), (1,), first=2), "inside its storage of 12 numbers"),
        (tensor((2,), (1,), first=0), "inside its storage of 12 numbers"),
        (tensor((2,), (-1,), first=3), "that are not negative"),
        (tensor((-1,), (1,)), "that are not negative"),
        (tensor((2**40, 2**40), (0, 0)), r"a tensor of at most \d+ numbers"),
        (tensor((2**62, 2**62), (2**62, 2**62)), "inside its storage"),
        (tensor(17 * (1,), 17 * (1,)), "0 to 16 dimensions of a tensor was expected, found 17"),
        (dump(View(np.zeros(4), (2,), (1,))), "a storage of float32 was expected, found a ndarray"),
        (dump(View(None, (2,), (1,))), "inside its storage of 0 numbers"),
        (struct.pack("<ii", 4, 1) + text("V 1") + text("torch.FloatStorage") + longs(2**61), "at most 0 numbers"),
        (struct.pack("<ii", 4, 1) + text("V 1") + text("torch.FloatStorage") + longs(-1), "at most 0 numbers"),
        (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "the tag of an object"),  # a file in the ASCII format
    ],
)
def test_hostile_files_are_refused(load, content, message):
    with pytest.raises(ModelError, match=message):
        load(content)


def test_nesting_has_an_end(load):
    assert load(_nested(vgg.DEPTH))
    with pytest.raises(ModelError, match="at most 100 objects inside one another"):
        load(_nested(vgg.DEPTH + 1))
    with pytest.raises(ModelError, match="at most 100 objects inside one another"):
        load(b"".join(struct.pack("<iiiid", 3, index, 1, 1, 1.0) for index in range(100_000)))


def _nested(depth: int) -> bytes:
    value = "x"
    for _ in range(depth):
        value = [value]
    return dump(value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"none.t7: no such .t7 file"):
        vgg.read(tmp_path / "none.t7")
    with pytest.raises(ModelError, match="cannot be read"):
        vgg.read(tmp_path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_of_bytes_does_more_than_a_model_error(tmp_path_factory, data):
    content = bytearray(dump(sequential(Layer("nn.Linear", {"weight": FLOATS.reshape(3, 4), "b": [1.0, True, "x"]}))))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = byte
    path = tmp_path_factory.getbasetemp() / "changed.t7"
    path.write_bytes(content)
    try:
        vgg.read(path)
    except ModelError as error:
        assert "changed.t7" in str(error)  # noqa: PT017 (most changes of numbers go unnoticed)
