"""Protocol buffers out of a stranger's file: the wire format alone, without generated classes.

A message is fields, each a number and a value: a whole number, or bytes, which may be a message
again. What a reader does not ask for is stepped over; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Message = memoryview


class WireError(ValueError):
    """The bytes are no message; the text says why."""


def varint(data: Message, at: int) -> tuple[int, int]:
    """A whole number of 1 to 10 bytes, and where the next thing begins."""
    value = 0
    for k in range(10):
        if at + k >= len(data):
            raise WireError("it ends within a number")
        byte = data[at + k]
        value |= (byte & 0x7F) << (7 * k)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + k + 1
    raise WireError("a number of over 10 bytes")


def fields(data: Message) -> Iterator[tuple[int, int | Message]]:
    """The fields of a message, in the order in which they stand."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: int | Message
        if kind == VARINT:
            value, at = varint(data, at)
        else:
            if kind == BYTES:
                size, at = varint(data, at)
            elif kind in (FIXED32, FIXED64):
                size = 4 if kind == FIXED32 else 8
            else:
                raise WireError(f"a value of kind {kind}")
            if size > len(data) - at:
                raise WireError(f"a value of {size} bytes where {len(data) - at} are left")
            value = data[at : at + size]
            at += size
            if kind != BYTES:
                value = int.from_bytes(value, "little")
        if not number:
            raise WireError("a field of number 0")
        yield number, value


def messages(data: Message, wanted: int) -> Iterator[Message]:
    """Each value of a field of messages, texts or bytes."""
    for number, value in fields(data):
        if number == wanted:
            if isinstance(value, int):
                raise WireError(f"a number in field {wanted}")
            yield value


def message(data: Message, wanted: int) -> Message:
    """The last value of such a field; empty where there is none."""
    found = Message(b"")
    for value in messages(data, wanted):
        found = value
    return found


def text(data: Message, wanted: int) -> str:
    """The same, as text."""
    return bytes(message(data, wanted)).decode()  # UnicodeDecodeError is a ValueError


def number(data: Message, wanted: int) -> int:
    """The last value of a field of whole numbers, signed; 0 where there is none."""
    found = 0
    for which, value in fields(data):
        if which == wanted:
            if not isinstance(value, int):
                raise WireError(f"bytes in field {wanted}")
            found = value
    return found - 2**64 if found >= 2**63 else found
