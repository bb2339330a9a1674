"""Variables that a checkpoint holds in slices, one beside another or in other shards.

The entry of the variable says where each slice lies in it (tensor_slice.proto). A slice has a key
of its own: the name of the variable and the slice, in an order-preserving code
(tensorflow/core/util/saved_tensor_slice_util.cc, core/lib/strings/ordered_code.cc).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from converter.gates import Array
from converter.readers.wire import Message, WireError, fields, messages, number

Extent = tuple[int, int]
"""Where a slice begins along an axis, and how long it is; -1 for all of it."""

Slice = tuple[Extent, ...]

BEGIN = "\0"
"""With which the key of a slice begins, and no other but that of the header."""


MAX_SLICES = 1000
"""Of one variable: each is held against each."""


def slices(entry: Message) -> Iterator[Slice]:
    """The slices of a variable, as its entry says them."""
    for one in messages(entry, 7):
        extents = []
        for axis in messages(one, 1):
            present = {which for which, _ in fields(axis)}
            start, length = number(axis, 1), number(axis, 2) if 2 in present else -1
            if start < 0 or length < -1:
                raise WireError("a slice with a negative size")
            extents.append((start, length))
        yield tuple(extents)


def key_of(name: str, part: Slice) -> str:
    """The key of a slice of the variable of that name."""
    text = name.encode("utf-8", "surrogateescape")
    escaped = text.replace(b"\xff", b"\xff\x00").replace(b"\0", b"\0\xff")
    code = BEGIN.encode() + escaped + b"\0\1" + _unsigned(len(part))
    code += b"".join(_signed(start) + _signed(length) for start, length in part)
    return code.decode("utf-8", "surrogateescape")


def shape_of(part: Slice, whole: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a slice.

    Raises:
        WireError: It is not in the variable.
    """
    if len(part) != len(whole):
        raise WireError(f"a slice of rank {len(part)} of a variable of rank {len(whole)}")
    shape = []
    for (start, length), size in zip(part, whole, strict=True):
        shape.append(size - start if length < 0 else length)
        if shape[-1] < 0 or start + shape[-1] > size:
            raise WireError(f"a slice from {start} on, of {length}, in an axis of {size}")
    return tuple(shape)


def check_cover(parts: list[Slice], whole: tuple[int, ...]) -> None:
    """Refuse slices that leave something out or are over each other.

    Raises:
        WireError: They do.
    """
    if len(parts) > MAX_SLICES:
        raise WireError(f"{len(parts)} slices; at most {MAX_SLICES} are read")
    boxes = [(part, shape_of(part, whole)) for part in parts]
    for k, (part, shape) in enumerate(boxes):
        for other, other_shape in boxes[:k]:
            if all(
                start < other_start + other_size and other_start < start + size
                for (start, _), size, (other_start, _), other_size in zip(
                    part, shape, other, other_shape, strict=True
                )
            ):
                raise WireError("slices that are over each other")
    volume = sum(_product(shape) for _, shape in boxes)
    if volume != _product(whole):
        raise WireError(f"slices of {volume} numbers for {_product(whole)}")


def put(array: Array, part: Slice, content: Array) -> None:
    """Write a slice to its place."""
    place = tuple(
        slice(start, start + size)
        for (start, _), size in zip(part, shape_of(part, array.shape), strict=True)
    )
    array[place] = content


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(np.array(shape, dtype=object)))


def _unsigned(value: int) -> bytes:
    """How many bytes, then they, the highest first."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _signed(value: int) -> bytes:
    """7 bits to a byte, the sign among them; as many ones in front as there are bytes."""
    size = (value if value >= 0 else ~value).bit_length() // 7 + 1
    ones = (1 << size) - 1 << (8 * size - size)
    return ((value & (1 << 8 * size) - 1) ^ ones).to_bytes(size, "big")
