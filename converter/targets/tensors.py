"""A safetensors file, written one array at a time.

The format is an 8-byte length, a JSON header of dtypes, shapes and offsets, and the bytes:
https://huggingface.co/docs/safetensors. `safetensors.numpy.save_file` wants every array in
memory at once; here the largest alone is.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from converter.errors import OutputError
from converter.gates import Array

DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""The format's names of NumPy's dtypes."""


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
        OutputError: A dtype that the format does not have.
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
    for name, (_, dtype) in shapes.items():
        little = np.ascontiguousarray(read(name), dtype.newbyteorder("<"))
        file.write(little.reshape(-1).view(np.uint8).data)
