"""The texts in the attributes of an HDF5 object, read without HDF5's own library.

The library believes what a text says about its own length, up to 4 GB of memory, and goes round
for ever in a damaged heap. So the few structures that an attribute is made of are read here, each
held against the file: object headers (version 1 and 2), attribute messages (1 to 3), data types,
data spaces, and global heaps. Section numbers are those of the HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

ATTRIBUTE, ATTRIBUTES_ELSEWHERE, CONTINUATION = 0x0C, 0x15, 0x10
SHARED = 0x02
NOWHERE = 2**64 - 1
FIXED_TEXT, VARIABLE = 3, 9

MAX_BYTES = 16 * 2**20
"""Of the texts of one attribute."""

Read = Callable[[int, int], bytes]
"""The bytes of the file from an offset on, so many; DamagedError if there are fewer."""


class Attribute(NamedTuple):
    """One attribute as it is stored.

    Attributes:
        kind: The class of its data type.
        size: Of one element, in bytes.
        elements: How many there are.
        data: All of them.
    """

    kind: int
    size: int
    elements: int
    data: bytes


class DamagedError(ValueError):
    """A structure is not what it should be; the message says which and why."""


class ElsewhereError(Exception):
    """The attributes of this object are in a place of their own, which is not read here."""


def texts(read: Read, header: int, name: str) -> list[str] | None:
    """The texts of an attribute; None if there is none of that name.

    Args:
        read: Gives the bytes of the file.
        header: Where the object's header begins.
        name: Of the attribute.

    Raises:
        DamagedError: The file is damaged, or the attribute is no text, or too long.
        UnicodeDecodeError: The text is not in UTF-8.
        ElsewhereError: It may be where many attributes are stored.
    """
    elsewhere = False
    for kind, flags, body in _messages(read, header):
        if kind == ATTRIBUTES_ELSEWHERE:
            start = 2 + (2 if _number(body, 1, 1) & 1 else 0)
            elsewhere = elsewhere or _number(body, start, 8) != NOWHERE
        elif kind == ATTRIBUTE:
            if flags & SHARED:
                raise DamagedError("an attribute that is shared between objects")
            found, attribute = _attribute(body)
            if found == name.encode():
                return [text.decode() for text in _texts(read, attribute)]
    if elsewhere:
        raise ElsewhereError
    return None


def _messages(read: Read, header: int) -> Iterator[tuple[int, int, bytes]]:
    """The messages of an object header: type, flags, body (IV.A.1)."""
    seen = {header}
    blocks: list[tuple[int, int]] = []
    if read(header, 4) == b"OHDR":
        flags = read(header, 6)[5]
        start = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        blocks.append((start + width, _number(read(start, width), 0, width)))
        step, first = (6 if flags & 4 else 4), 4
    elif read(header, 1) == b"\x01":
        blocks.append((header + 16, _number(read(header, 16), 8, 4)))
        step, first = 8, 0
    else:
        raise DamagedError("no object header where one should begin")
    while blocks:
        offset, length = blocks.pop()
        block = read(offset, length)
        place = 0
        while place + step <= length:
            if first:
                kind, size, flags = struct.unpack_from("<BHB", block, place)
            else:
                kind, size, flags = struct.unpack_from("<HHB", block, place)
            place += step
            body = block[place : place + size]
            if len(body) < size:
                break  # what is left of a block that is not filled
            place += size
            if kind == CONTINUATION:
                where, length_there = _number(body, 0, 8), _number(body, 8, 8)
                if where in seen:
                    raise DamagedError("an object header that continues in itself")
                seen.add(where)
                # In version 2 a signature is before it and a checksum behind.
                blocks.append((where + first, length_there - 2 * first))
            else:
                yield kind, flags, body


def _attribute(body: bytes) -> tuple[bytes, Attribute]:
    """The name and the content of an attribute message (IV.A.2.m)."""
    version, flags = body[:1], body[1:2]
    if version not in (b"\x01", b"\x02", b"\x03") or (version != b"\x01" and flags != b"\0"):
        raise DamagedError("an attribute of an unknown version or of a shared type")
    sizes = [_number(body, place, 2) for place in (2, 4, 6)]
    place = 9 if version == b"\x03" else 8
    parts = []
    for size in sizes:
        parts.append(body[place : place + size])
        place += -(-size // 8) * 8 if version == b"\x01" else size
    name, datatype, dataspace = parts
    kind, size = _number(datatype, 0, 1) & 0x0F, _number(datatype, 4, 4)
    if kind == VARIABLE and datatype[1] & 0x0F != 1:
        kind = -1  # a list, not a text
    return name.rstrip(b"\0"), Attribute(kind, size, _count(dataspace), body[place:])


def _count(dataspace: bytes) -> int:
    """How many elements a data space has (IV.A.2.b)."""
    version, rank = _number(dataspace, 0, 1), _number(dataspace, 1, 1)
    if version not in (1, 2) or (version == 2 and _number(dataspace, 3, 1) == 2):
        raise DamagedError("a data space of an unknown version or without elements")
    start = 8 if version == 1 else 4
    count = 1
    for axis in range(rank):
        count *= _number(dataspace, start + 8 * axis, 8)
    return count


def _texts(read: Read, attribute: Attribute) -> Iterator[bytes]:
    kind, size, count, data = attribute
    if not count:
        return
    if kind not in (FIXED_TEXT, VARIABLE) or (kind == VARIABLE and size != 16):
        raise DamagedError("an attribute that is no text")
    if not size or count * size > len(data):
        raise DamagedError("an attribute of more bytes than it has")
    heaps: dict[int, dict[int, tuple[int, int]]] = {}
    total = 0
    for k in range(count):
        item = data[k * size : (k + 1) * size]
        if kind == FIXED_TEXT:
            yield item.split(b"\0", 1)[0]
            continue
        length, heap, index = struct.unpack("<LQL", item)
        if not length:
            yield b""
            continue
        total += length
        if heap not in heaps:
            heaps[heap] = _objects(read, heap)
        start, there = heaps[heap].get(index, (0, 0))
        if length > there or total > MAX_BYTES:
            raise DamagedError(f"a text of {length} bytes, of which {there} are there")
        yield read(start, length).split(b"\0", 1)[0]


def _objects(read: Read, heap: int) -> dict[int, tuple[int, int]]:
    """Where each object of a global heap is, and its size (III.E)."""
    head = read(heap, 16)
    if head[:5] != b"GCOL\x01":
        raise DamagedError("no heap where one should begin")
    end = heap + _number(head, 8, 8)
    read(end - 1, 1)  # or it reaches beyond the file
    found = {}
    place = heap + 16
    while place + 16 <= end:
        index, size = struct.unpack("<H6xQ", read(place, 16))
        if not index:
            break  # what is free, up to the end
        if place + 16 + size > end:
            raise DamagedError("an object that is larger than its heap")
        found[index] = (place + 16, size)
        place += 16 + -(-size // 8) * 8
    return found


def _number(data: bytes, start: int, width: int) -> int:
    """A whole number, if all its bytes are there."""
    part = data[start : start + width]
    if len(part) < width:
        raise DamagedError("a structure that is cut off")
    return int.from_bytes(part, "little")
