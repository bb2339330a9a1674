"""A safetensors file: the length of a JSON header, the header, the bytes of the tensors.

https://huggingface.co/docs/safetensors. The header must describe every byte, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from converter.description import Stored
from converter.errors import FormatError
from converter.readers.file import File, Part
from converter.readers.strict import MAX_BYTES, named, parse, too_large
from converter.readers.torch.pickles import MAX_AXES, MAX_SIZE, dtype_of

LENGTH = 8
METADATA = "__metadata__"

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""NumPy's dtypes by the format's names."""


def is_one(file: File) -> bool:
    """Whether a file begins as one does."""
    size = int.from_bytes(file.head[:LENGTH], "little")
    return file.head[LENGTH : LENGTH + 1] == b"{" and LENGTH + size <= file.size


def read(file: File) -> dict[str, Stored]:
    """Every tensor by its name; little-endian, as the format has it.

    Raises:
        FormatError: The header is damaged, or does not fit the bytes.
    """
    what = f"the header of {file.path}"
    size = int.from_bytes(file.head[:LENGTH], "little")
    if size > MAX_BYTES:
        raise too_large(what, size)
    with file.open() as handle:
        handle.seek(LENGTH)
        header = parse(handle.read(size), what)
    content = Part(file, LENGTH + size, file.size - LENGTH - size)
    tensors: dict[str, Stored] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in _entries(header, file.path):
        shape, dtype, start, end = _entry(name, entry, file.path)
        spans.append((start, end))
        tensors[name] = _stored(name, content, start, shape, dtype)
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise _damaged(file.path, f"bytes of no tensor, or of two, at {min(start, position)}")
        position = end
    if position != content.size:
        raise _damaged(file.path, f"{content.size} bytes of tensors; its header has {position}")
    return tensors


def _entries(header: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in header.items() if isinstance(header, dict) else ():
        if name == METADATA:
            continue
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise _damaged(path, f"tensor {named(name)} without dtype, shape and data_offsets")
        yield name, entry


def _entry(
    name: str, entry: dict[str, Any], path: str
) -> tuple[tuple[int, ...], np.dtype[Any], int, int]:
    """Shape, dtype, and where it begins and ends."""
    code = entry["dtype"]
    if not isinstance(code, str) or code not in DTYPES:
        raise FormatError(
            f"tensor {named(name)} of {path} has a dtype that is not read",
            context=f"{named(str(code))}; read are {', '.join(DTYPES)}",
            hint="save it as one of them",
            code="tensor-dtype",
        )
    dtype = dtype_of(DTYPES[code])
    shape, offsets = _numbers(entry["shape"]), _numbers(entry["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2:
        raise _damaged(path, f"the shape or place of tensor {named(name)} is none")
    start, end = offsets
    if end - start != prod(shape) * dtype.itemsize:
        raise _damaged(path, f"tensor {named(name)} {shape} of {dtype} in {end - start} bytes")
    return shape, dtype, start, end


def _numbers(values: object) -> tuple[int, ...] | None:
    """A list of whole numbers from 0; None if it is none."""
    fits = (
        isinstance(values, list)
        and len(values) <= MAX_AXES
        and all(type(one) is int and 0 <= one < MAX_SIZE for one in values)
    )
    return tuple(values) if fits and isinstance(values, list) else None


def _stored(
    name: str, content: Part, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Stored:
    return Stored(name, shape, dtype, lambda: content.array(start, shape, dtype))


def _damaged(path: str, context: str) -> FormatError:
    return FormatError(
        f"{path} is a damaged safetensors file",
        context=context,
        hint="copy or download the file again; the original may be whole",
        code="safetensors",
    )
