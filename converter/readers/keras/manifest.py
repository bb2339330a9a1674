"""The weights of a TensorFlow.js model: a manifest of them, and shards of their bytes.

    "weightsManifest": [{"paths": ["group1-shard1of1.bin"],
                         "weights": [{"name": "lstm/kernel", "shape": [3, 8], "dtype": "float32"}]}]

The shards of a group are one after another, and so are its weights; one may lie across two shards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from converter.description import Stored
from converter.errors import FormatError, UnsupportedError
from converter.gates import Array
from converter.readers.beside import beside
from converter.readers.file import File, Memory, Part
from converter.readers.strict import named, shown

DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "bool": "?"}
QUANTIZED = {"uint8": "u1", "uint16": "<u2", "float16": "<f2"}
MAX_RANK = 32
MAX_SHARDS = 10_000


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight of the manifest, and where it lies.

    Attributes:
        name: "lstm/kernel".
        dtype: That it has in the model.
        stored: That it has in the shards.
        scale: What a stored whole number is multiplied with, before `least` is added; None where
            it is stored as it is.
        shards: Those of its group, in order.
        offset: In the shards as if they were one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    scale: float | None
    least: float
    shards: tuple[File, ...]
    offset: int

    @property
    def size(self) -> int:
        """Its bytes in the shards."""
        return prod(self.shape) * self.stored.itemsize

    def promise(self) -> Stored:
        """It, to be read when it is wanted."""
        return Stored(self.name, self.shape, self.dtype, partial(_read, self))


def tensors(manifest: object, file: File) -> tuple[list[Tensor], list[tuple[str, File]]]:
    """The weights of a manifest, and the shards by their names.

    Raises:
        FormatError: It is not as TensorFlow.js writes it, or the shards are not those that it says.
        UnsupportedError: A weight is of a kind that is not read.
    """
    found: list[Tensor] = []
    files: dict[str, File] = {}
    for group in _objects(manifest, file):
        paths = group.get("paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise malformed(file, f"paths {shown(paths)}")
        if len(files) + len(paths) > MAX_SHARDS:
            raise malformed(file, f"over {MAX_SHARDS} shards")
        for path in paths:
            if path in files:
                raise malformed(file, f"{named(path)} twice")
            files[path] = beside(file, path)
        shards = tuple(files[path] for path in paths)
        offset = 0
        for entry in _objects(group.get("weights"), file):
            tensor = _tensor(entry, shards, offset, file)
            offset += tensor.size
            found.append(tensor)
        if offset != sum(shard.size for shard in shards):
            raise FormatError(
                f"the shards of {file.path} are not as long as its manifest says",
                context=f"{sum(shard.size for shard in shards)} bytes; expected {offset}",
                hint="copy or download all files of the model again, of one version",
                code="shard-size",
            )
    if len({tensor.name for tensor in found}) < len(found):
        raise malformed(file, "two weights of one name")
    return found, list(files.items())


def _objects(value: object, file: File) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list):
        raise malformed(file, f"{shown(value)}; expected a list")
    for one in value:
        if not isinstance(one, dict):
            raise malformed(file, f"{shown(one)}; expected an object")
        yield one


def _tensor(entry: dict[str, Any], shards: tuple[File, ...], offset: int, file: File) -> Tensor:
    name, shape, kind = (entry.get(key) for key in ("name", "shape", "dtype"))
    if not isinstance(name, str) or not name:
        raise malformed(file, f"a weight called {shown(name)}")
    if not (
        isinstance(shape, list)
        and len(shape) <= MAX_RANK
        and all(type(n) is int and n >= 0 for n in shape)
    ):
        raise malformed(file, f"{named(name)} of shape {shown(shape)}")
    if not isinstance(kind, str) or kind not in DTYPES:
        raise _unknown(file, name, kind)
    dtype = np.dtype(DTYPES[kind])
    stored, scale, least = dtype, None, 0.0
    quantization = entry.get("quantization")
    if quantization is not None:
        how = quantization.get("dtype") if isinstance(quantization, dict) else None
        if not isinstance(how, str) or how not in QUANTIZED or kind != "float32":
            raise _unknown(file, name, quantization)
        stored = np.dtype(QUANTIZED[how])
        if how != "float16":
            scale, least = (_number(quantization, key, name, file) for key in ("scale", "min"))
    return Tensor(
        name=name,
        shape=tuple(shape),
        dtype=dtype.newbyteorder("="),
        stored=stored,
        scale=scale,
        least=least,
        shards=shards,
        offset=offset,
    )


def _number(quantization: dict[str, Any], key: str, name: str, file: File) -> float:
    value = quantization.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(file, f"{key} of {named(name)} is {shown(value)}; expected a number")
    return float(value)


def _read(tensor: Tensor) -> Array:
    """The weight as TensorFlow.js computes with it.

    decodeWeights in io_utils.ts: `values[i] = v * quantization.scale + quantization.min`, which
    JavaScript computes in float64 and rounds once, when it is stored in a Float32Array.
    """
    array = _raw(tensor)
    if tensor.scale is None:
        return array.astype(tensor.dtype, copy=False)
    return (array.astype(np.float64) * tensor.scale + tensor.least).astype(tensor.dtype)


def _raw(tensor: Tensor) -> Array:
    """Mapped where it lies in one shard, else put together."""
    start = tensor.offset
    pieces = bytearray()
    for shard in tensor.shards:
        if start >= shard.size:
            start -= shard.size
            continue
        content = Part(shard, 0, shard.size)
        if not pieces and start + tensor.size <= shard.size:
            return content.array(start, tensor.shape, tensor.stored)
        count = min(shard.size - start, tensor.size - len(pieces))
        pieces += content.array(start, (count,), np.dtype(np.uint8)).data
        start = 0
        if len(pieces) == tensor.size:
            break
    return Memory(bytes(pieces)).array(0, tensor.shape, tensor.stored)


def malformed(file: File, context: str) -> FormatError:
    """The error for what TensorFlow.js does not write."""
    return FormatError(
        f"the manifest of {file.path} is not as TensorFlow.js writes it",
        context=context,
        hint="the file may be damaged; convert the model again",
        code="manifest",
    )


def _unknown(file: File, name: str, kind: object) -> UnsupportedError:
    return UnsupportedError(
        f"{named(name)} in {file.path} is stored in a way that is not read",
        context=shown(kind),
        hint="convert the model again, unquantized or to float16, uint8 or uint16",
        code="stored-weights",
    )
