"""The bytes of an ONNX file, written one array at a time.

A file is a ModelProto (onnx.proto): the fields around the graph, then the graph, then its stored
tensors as its last fields. Their sizes are known before they are read, so that the largest array
alone is in memory. Where a file would be over `LARGEST` bytes, which no reader of protocol buffers
takes, the arrays lie beside it, each at a multiple of `ALIGNMENT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import onnx
import onnx_ir as ir

from converter.errors import OutputError
from converter.gates import Array
from converter.targets.onnx.graph import Tensor

LARGEST = 2_000_000_000
"""Bytes of a file: a protocol buffer has less than 2 GiB."""

ALIGNMENT = 4096
"""Of an array beside a file, so that it can be mapped."""

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Numbers of fields, in ModelProto, GraphProto and TensorProto."""


def write_model(file: BinaryIO, model: ir.Model, tensors: Sequence[Tensor]) -> None:
    """Write a whole model.

    Args:
        file: Where to.
        model: Without the stored tensors.
        tensors: Those, each read when its turn comes.
    """
    heads = [_header(tensor).SerializeToString() for tensor in tensors]
    sizes = [_size(len(head), tensor.nbytes) for head, tensor in zip(heads, tensors, strict=True)]
    graph, around = _parts(model)
    file.write(around)
    total = len(graph) + sum(len(_tag(INITIALIZER, size)) + size for size in sizes)
    file.write(_tag(GRAPH, total))
    file.write(graph)
    for head, size, tensor in zip(heads, sizes, tensors, strict=True):
        file.write(_tag(INITIALIZER, size))
        file.write(head)
        file.write(_tag(RAW_DATA, tensor.nbytes))
        write_arrays(file, tensor)


def write_model_beside(
    file: BinaryIO, model: ir.Model, tensors: Sequence[Tensor], location: str
) -> None:
    """Write a model whose arrays lie in another file of the folder, as `write_data` has them."""
    graph, around = _parts(model)
    heads = []
    for tensor, offset in zip(tensors, offsets(tensors), strict=True):
        head = _header(tensor)
        head.data_location = onnx.TensorProto.EXTERNAL
        given = {"location": location, "offset": str(offset), "length": str(tensor.nbytes)}
        for key, value in given.items():
            head.external_data.add(key=key, value=value)
        heads.append(head.SerializeToString())
    total = len(graph) + sum(len(_tag(INITIALIZER, len(head))) + len(head) for head in heads)
    file.write(around)
    file.write(_tag(GRAPH, total))
    file.write(graph)
    for head in heads:
        file.write(_tag(INITIALIZER, len(head)))
        file.write(head)


def write_data(file: BinaryIO, tensors: Sequence[Tensor]) -> None:
    """Write the arrays, each at its offset."""
    for tensor, offset in zip(tensors, offsets(tensors), strict=True):
        file.write(bytes(offset - file.tell()))
        write_arrays(file, tensor)


def offsets(tensors: Sequence[Tensor]) -> Iterator[int]:
    """Where each array begins in a file of them."""
    at = 0
    for tensor in tensors:
        at += -at % ALIGNMENT
        yield at
        at += tensor.nbytes


def _parts(model: ir.Model) -> tuple[bytes, bytes]:
    """The graph, and the model without it."""
    proto = ir.to_proto(model)
    graph = proto.graph.SerializeToString(deterministic=True)
    proto.ClearField("graph")
    return graph, proto.SerializeToString(deterministic=True)


def _header(tensor: Tensor) -> onnx.TensorProto:
    """A tensor without its bytes."""
    kind = ir.DataType.from_numpy(tensor.dtype)
    return onnx.TensorProto(dims=tensor.shape, data_type=int(kind), name=tensor.name)


def _size(head: int, data: int) -> int:
    return head + len(_tag(RAW_DATA, data)) + data


def _tag(field: int, size: int) -> bytes:
    """The beginning of a field of `size` bytes."""
    return bytes([field << 3 | 2]) + _varint(size)


def _varint(number: int) -> bytes:
    some = bytearray()
    while number > 0x7F:
        some.append(number & 0x7F | 0x80)
        number >>= 7
    some.append(number)
    return bytes(some)


def write_arrays(file: BinaryIO, tensor: Tensor) -> None:
    """The bytes of a stored tensor, little-endian, one part in memory at a time.

    Raises:
        OutputError: An array is not what its source said.
    """
    shape = tensor.shape if len(tensor.parts) == 1 else tensor.shape[1:]
    for part in tensor.parts:
        if part is None:
            file.write(bytes(int(np.prod(shape, dtype=np.int64)) * tensor.dtype.itemsize))
            continue
        ((_, array),) = part.tensors()
        _check(tensor, array)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        file.write(little.reshape(-1).view(np.uint8).data)


def _check(tensor: Tensor, array: Array) -> None:
    expected = int(np.prod(tensor.shape, dtype=np.int64)) // len(tensor.parts)
    if array.size == expected and array.dtype.newbyteorder("=") == tensor.dtype:
        return
    raise OutputError(
        f"tensor '{tensor.name}' is not what its source said",
        context=f"{array.dtype} {array.shape}; expected {tensor.dtype} {tensor.shape}",
        hint="convert again: the source may have changed while it was read",
        code="tensor-changed",
    )
