"""What is written as a safetensors file is what its readers read, to the bit."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from converter.errors import OutputError
from converter.gates import Array
from converter.targets.tensors import BLOCK, DTYPES, write_tensors


def written(arrays: Mapping[str, Array]) -> bytes:
    file = io.BytesIO()
    shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    write_tensors(file, shapes, arrays.__getitem__)
    return file.getvalue()


def read(data: bytes) -> dict[str, Array]:
    """As safetensors reads it; to NumPy by its bits where NumPy has no such dtype."""
    tensors = safetensors.torch.load(data)
    return {
        name: tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        if tensor.dtype == torch.bfloat16
        else tensor.numpy()
        for name, tensor in tensors.items()
    }


def same(a: Array, b: Array) -> bool:
    """To the bit: NaN, -0 and the shape included."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype.newbyteorder("=")
        and a.tobytes() == b.astype(a.dtype).tobytes()
    )


def ramp(dtype: str, *shape: int) -> Array:
    """1, 2, 3, ... (or one truth after another), so that a wrong place shows."""
    return (np.arange(int(np.prod(shape))) % 100 + 1).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_read_back(dtype: str) -> None:
    array = ramp(dtype, 3, 4)
    if dtype == "bool":
        array[1] = False
    assert same(read(written({"x": array}))["x"], array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_reads_every_dtype(dtype: str) -> None:
    array = ramp(dtype, 3, 4)
    data = written({"x": array})
    tensor = safetensors.torch.load(data)["x"]
    assert same(read(data)["x"], array)
    assert str(tensor.dtype) == f"torch.{dtype}"


def test_a_file_is_read_from_the_disk_by_both(tmp_path: Path) -> None:
    arrays = {"lstm.weight_ih_l0": ramp("float32", 8, 3), "lstm.bias_ih_l0": ramp("float32", 8)}
    path = tmp_path / "model.safetensors"
    path.write_bytes(written(arrays))
    by_numpy = safetensors.numpy.load_file(path)
    by_torch = safetensors.torch.load_file(path)
    for name, array in arrays.items():
        assert same(by_numpy[name], array)
        assert same(by_torch[name].numpy(), array)
    assert by_numpy.keys() == by_torch.keys() == arrays.keys()


@pytest.mark.parametrize("dtype", DTYPES)
def test_big_endian_arrays_keep_their_values(dtype: str) -> None:
    """A file from a machine of the other kind; NumPy's readers know one kind only."""
    array = ramp(dtype, 3, 4)
    other = array.astype(array.dtype.newbyteorder(">"))
    assert same(read(written({"x": other}))["x"], array)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0), (1, 1, 1), (2, 3, 4, 5)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_shape_is_read_back(shape: tuple[int, ...], order: str) -> None:
    array = ramp(f"{order}f4", *shape)
    assert read(written({"x": array, "next": ramp("float32", 2)}))["x"].shape == shape
    assert same(read(written({"x": array}))["x"], array)


VIEWS: dict[str, Callable[[Array], Array]] = {
    "transposed": lambda x: x.T,
    "axes moved": lambda x: x.transpose(1, 2, 0),
    "every second": lambda x: x[::2, :, ::3],
    "backwards": lambda x: x[::-1, ::-1],
    "a part": lambda x: x[1:3, 2:, 1:2],
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
    "Fortran's": np.asfortranarray,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_array_that_does_not_lie_in_order_is_read_back(view: str, order: str) -> None:
    array = VIEWS[view](ramp(f"{order}f8", 4, 5, 6))
    assert same(read(written({"x": array}))["x"], array)


@pytest.mark.parametrize("shape", [(3, BLOCK), (BLOCK, 3), (BLOCK // 4 + 1,)])
def test_an_array_of_several_blocks_is_read_back(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(-100, 100, shape, np.int8).T
    assert same(read(written({"x": array}))["x"], array)
    other = array.astype(">i2")
    assert same(read(written({"x": other}))["x"], other)


ODD = {
    "float16": (0x7E00, 0x7E01, 0xFE00, 0x7D00, 0x7C00, 0xFC00, 0x8000, 0x0000, 0x0001, 0x83FF),
    "float32": (
        *(0x7FC00000, 0x7FC00001, 0xFFC00000, 0x7FA00000, 0x7F800000),
        *(0xFF800000, 0x80000000, 0x00000000, 0x00000001, 0x807FFFFF),
    ),
    "float64": (
        *(0x7FF8 << 48, 0x7FF8 << 48 | 1, 0xFFF8 << 48, 0x7FF4 << 48, 0x7FF0 << 48),
        *(0xFFF0 << 48, 1 << 63, 0, 1, (0x800F << 48) | 0xFFFF),
    ),
}
"""NaN quiet, with a payload, negative and signalling, infinities, zeros, denormals; as bits."""


@pytest.mark.parametrize("dtype", ODD)
def test_odd_numbers_are_kept_to_the_bit(dtype: str) -> None:
    bits = np.array(ODD[dtype], f"u{np.dtype(dtype).itemsize}")
    loaded = read(written({"x": bits.view(dtype), "y": bits.view(dtype).reshape(2, 5).T}))
    assert loaded["x"].view(bits.dtype).tolist() == bits.tolist()
    assert loaded["y"].T.reshape(-1).view(bits.dtype).tolist() == bits.tolist()
    swapped = bits.astype(bits.dtype.newbyteorder(">")).view(np.dtype(dtype).newbyteorder(">"))
    assert read(written({"x": swapped}))["x"].view(bits.dtype).tolist() == bits.tolist()


@pytest.mark.parametrize(
    "name",
    ["a.b.c", ".", "", "couche d'entrée", "層/一", "😀", 'quote " and \\', "line\nbreak", "\x00"],
)
def test_any_name_is_read_back(name: str) -> None:
    arrays = {name: ramp("float32", 2), "other": ramp("float32", 3)}
    data = written(arrays)
    assert read(data).keys() == arrays.keys()
    assert safetensors.torch.load(data).keys() == arrays.keys()


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter("__metadata__".__ne__),
        hnp.arrays(
            st.sampled_from([one for one in DTYPES if one != "bfloat16"]),  # NumPy has none
            hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
        ),
        max_size=5,
    )
)
def test_any_arrays_are_read_back_as_safetensors_itself_would_give_them(
    arrays: dict[str, Array],
) -> None:
    ours, theirs = read(written(arrays)), read(safetensors.numpy.save(arrays))
    assert ours.keys() == theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert same(ours[name], array)
        assert same(ours[name], theirs[name])


def test_the_order_is_that_of_the_caller() -> None:
    """safetensors's own writer sorts; here what is written first is read first."""
    asked: list[str] = []
    arrays = {"b": ramp("int8", 3), "a": ramp("float64", 2), "c": ramp("int16", 0)}

    def give(name: str) -> Array:
        asked.append(name)
        return arrays[name]

    file = io.BytesIO()
    write_tensors(file, {name: (a.shape, a.dtype) for name, a in arrays.items()}, give)
    assert asked == ["b", "a", "c"]
    data = file.getvalue()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert list(header) == asked
    assert [header[name]["data_offsets"] for name in asked] == [[0, 3], [3, 19], [19, 19]]
    assert data[8 + length :] == b"".join(arrays[name].tobytes() for name in asked)


def test_the_bytes_begin_at_a_multiple_of_eight() -> None:
    for size in range(1, 20):
        (length,) = struct.unpack("<Q", written({"x" * size: ramp("float32", 1)})[:8])
        assert length % 8 == 0


def test_it_is_written_from_where_the_file_stands() -> None:
    file = io.BytesIO(b"before")
    file.seek(6)
    write_tensors(file, {"x": ((2,), np.dtype("float32"))}, lambda _: ramp("float32", 2))
    assert file.getvalue()[:6] == b"before"
    assert same(read(file.getvalue()[6:])["x"], ramp("float32", 2))


def test_no_tensors_are_a_file_too() -> None:
    assert read(written({})) == {}


@pytest.mark.parametrize("dtype", ["complex64", "uint16", "uint64", "datetime64[s]", "S3", "O"])
def test_a_dtype_that_the_format_lacks_is_refused_by_name(dtype: str) -> None:
    file = io.BytesIO()
    array = np.zeros(2, dtype)
    with pytest.raises(OutputError) as refused:
        write_tensors(file, {"lstm.weight": (array.shape, array.dtype)}, lambda _: array)
    assert str(refused.value) == (
        "error[tensor-dtype]: tensor 'lstm.weight' cannot be stored in a safetensors file\n"
        f"  found: dtype {array.dtype}\n"
        "  help:  convert it to one of float64, float32, float16, bfloat16, int64, int32, int16, "
        "int8, uint8, bool"
    )
    assert file.getvalue() == b""


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 3), np.float64), "float64 (2, 3)"),
        (np.zeros((3, 2), np.float32), "float32 (3, 2)"),
        (np.zeros(6, np.float32), "float32 (6,)"),
        (np.zeros((2, 3), np.int32), "int32 (2, 3)"),
    ],
)
def test_an_array_that_is_not_what_was_said_is_refused_and_never_narrowed(
    array: Array, found: str
) -> None:
    with pytest.raises(OutputError) as refused:
        write_tensors(io.BytesIO(), {"w": ((2, 3), np.dtype("float32"))}, lambda _: array)
    assert str(refused.value) == (
        "error[tensor-changed]: tensor 'w' is not what its source said\n"
        f"  found: {found}; expected float32 (2, 3)\n"
        "  help:  convert again: the source may have changed while it was read"
    )


class Nowhere(io.RawIOBase):
    """A file that counts and keeps nothing."""

    size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def as_it_is(array: Array) -> Array:
    return array


@pytest.mark.parametrize("view", [as_it_is, np.transpose])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_memory_is_that_of_one_tensor(view: Callable[[Array], Array], order: str) -> None:
    """Twenty of 8 MB; the block in which one is put in order comes on top."""
    size = 8_000_000
    shape, dtype = (1000, 1000), np.dtype(f"{order}f8")
    file = Nowhere()
    tracemalloc.start()
    write_tensors(
        file,  # type: ignore[arg-type]
        {f"tensor {k}": (shape, dtype) for k in range(20)},
        lambda _: view(np.zeros(shape, dtype)),
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.size > 20 * size
    assert size <= peak < 1.25 * size


def test_torch_itself_is_not_needed_to_write() -> None:
    """The bytes that torch reads are the ones that its own writer gives."""
    arrays = {"a": ramp("float32", 2, 3)}
    ours = safetensors.torch.load(written(arrays))
    theirs = safetensors.torch.load(safetensors.torch.save({"a": torch.from_numpy(arrays["a"])}))
    assert torch.equal(ours["a"], theirs["a"])
