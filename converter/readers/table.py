"""A table of LevelDB, which is what the index of a TensorFlow checkpoint is.

    block ... block  metaindex  index  footer        (leveldb/doc/table_format.md)

A block holds keys and values, each key by how much of the one before it shares, then the offsets
of keys that share nothing. Behind each block stand its compression and its checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers.crc32c import crc32c, masked
from converter.readers.strict import MAX_BYTES, named, too_large
from converter.readers.wire import Message, WireError, varint

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER = 48
TRAILER = 5
PLAIN, SNAPPY = 0, 1

MAX_KEY = 4096
MAX_KEYS = 32 * 2**20
"""Bytes of all keys: one of 4096 bytes takes three in the file if it shares the others."""


def read(data: bytes, path: str) -> dict[bytes, bytes]:
    """Every key of a table with its value.

    Args:
        data: The whole file.
        path: Of it, for the errors.

    Raises:
        FormatError: It is no table, or damaged.
        UnsupportedError: It is compressed.
    """
    if len(data) > MAX_BYTES:
        raise too_large(path, len(data))
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise _damaged(path, "no table's end: it may be cut off")
    whole = memoryview(data)
    found: dict[bytes, bytes] = {}
    last: bytes | None = None
    size = 0
    try:
        footer = whole[-FOOTER:]
        _, at = _handle(footer, 0)
        index, _ = _handle(footer, at)
        for _, place in _entries(_block(whole, index, path)):
            for key, value in _entries(_block(whole, _handle(place, 0)[0], path)):
                if last is not None and key <= last:
                    raise _damaged(path, f"{named(key.decode('latin-1'))} behind a later key")
                size += len(key)
                if size > MAX_KEYS:
                    raise _damaged(path, f"keys of over {MAX_KEYS} bytes")
                found[key] = bytes(value)
                last = key
    except WireError as error:
        raise _damaged(path, str(error)) from error
    return found


Handle = tuple[int, int]
"""Where a block begins, and how long it is without its trailer."""


def _handle(data: Message, at: int) -> tuple[Handle, int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(whole: Message, handle: Handle, path: str) -> Message:
    offset, size = handle
    if offset + size + TRAILER > len(whole) - FOOTER:
        raise WireError(f"a block of {size} bytes at {offset}, which is beyond its end")
    stored = int.from_bytes(whole[offset + size + 1 : offset + size + TRAILER], "little")
    if stored != masked(crc32c(whole[offset : offset + size + 1])):
        raise WireError(f"the block at {offset} does not have its checksum")
    kind = whole[offset + size]
    if kind == SNAPPY:
        raise UnsupportedError(
            f"{path} is compressed with Snappy, which is not read",
            context=f"the block at {offset}",
            hint="TensorFlow itself writes it uncompressed; save the model again with it",
            code="compressed-index",
        )
    if kind != PLAIN:
        raise WireError(f"a block of compression {kind}")
    return whole[offset : offset + size]


def _entries(block: Message) -> Iterator[tuple[bytes, Message]]:
    """The keys and values of a block."""
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (count + 1)
    if len(block) < 4 or end < 0:
        raise WireError("a block without its restarts")
    data = block[:end]
    at = 0
    key = b""
    while at < end:
        shared, at = varint(data, at)
        more, at = varint(data, at)
        size, at = varint(data, at)
        if shared > len(key) or shared + more > MAX_KEY or more + size > end - at:
            raise WireError("a key that cannot be")
        key = key[:shared] + bytes(data[at : at + more])
        at += more
        yield key, data[at : at + size]
        at += size


def _damaged(path: str, context: str) -> ConverterError:
    return FormatError(
        f"{path} is not an index that TensorFlow wrote, or is damaged",
        context=context,
        hint="copy or download it again; the original may be whole",
        code="checkpoint",
    )
