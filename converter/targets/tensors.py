"""A safetensors file, written one array at a time.

The format is an 8-byte length, a JSON header of dtypes, shapes and offsets, and the bytes:
https://huggingface.co/docs/safetensors. `safetensors.numpy.save_file` wants every array in
memory at once; here the largest alone is.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from converter.errors import OutputError
from converter.gates import Array

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""The format's names of NumPy's dtypes."""

BLOCK = 1 << 20
"""How many bytes are put in order at once, of an array that does not lie in order."""


def write_tensors(
    file: BinaryIO,
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]],
    read: Callable[[str], Array],
) -> None:
    """Write a safetensors file.

    Args:
        file: Where to, from its current position.
        shapes: The shape and dtype of each tensor.
        read: Gives a tensor by its name, called in the order of `shapes`.

    Raises:
        OutputError: A dtype that the format does not have, or an array that is not what `shapes`
            says.
    """
    header: dict[str, dict[str, object]] = {}
    offset = 0
    for name, (shape, dtype) in shapes.items():
        code = DTYPES.get(dtype.newbyteorder("=").name)
        if code is None:
            raise OutputError(
                f"tensor '{name}' cannot be stored in a safetensors file",
                context=f"dtype {dtype}",
                hint=f"convert it to one of {', '.join(DTYPES)}",
                code="tensor-dtype",
            )
        end = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the bytes begin at a multiple of eight
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for name, (shape, dtype) in shapes.items():
        _write_array(file, name, read(name), shape, dtype)


def _write_array(
    file: BinaryIO, name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """The bytes of one array. It is nobody's when this ends, so that the next has its memory."""
    if array.shape != shape or array.dtype.newbyteorder("=") != dtype.newbyteorder("="):
        raise OutputError(
            f"tensor '{name}' is not what its source said",
            context=f"{array.dtype} {array.shape}; expected {dtype} {shape}",
            hint="convert again: the source may have changed while it was read",
            code="tensor-changed",
        )
    little = dtype.newbyteorder("<")
    for block in _blocks(array, little):
        file.write(np.ascontiguousarray(block, little).reshape(-1).view(np.uint8).data)


def _blocks(array: Array, dtype: np.dtype[Any]) -> Iterator[Array]:
    """An array that lies in order as it is, another in parts along its first axis."""
    if (array.flags.c_contiguous and array.dtype == dtype) or not array.shape:
        yield array
        return
    rows = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
