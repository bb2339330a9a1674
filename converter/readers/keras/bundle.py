"""A TensorFlow checkpoint: `NAME.index`, and its arrays in `NAME.data-00000-of-00001`, ...

The index is a table: the key "" has the header, each other key an entry that says where in which
shard an array lies (tensorflow/core/protobuf/tensor_bundle.proto). One of them, a text, is the
graph of the objects that the arrays belong to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from converter.description import Stored
from converter.errors import FormatError, UnsupportedError
from converter.gates import Array
from converter.readers import table
from converter.readers.beside import beside, is_beside
from converter.readers.crc32c import crc32c, masked
from converter.readers.file import File, Part
from converter.readers.keras.slices import Slice, check_cover, key_of, put, shape_of, slices
from converter.readers.strict import MAX_BYTES, named, too_large
from converter.readers.wire import Message, WireError, message, messages, number, varint

INDEX = ".index"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
MAX_SHARDS = 10_000
MAX_RANK = 32
STRING, BFLOAT16 = 7, 14
DTYPES = {
    1: "f4",
    2: "f8",
    3: "i4",
    4: "u1",
    5: "i2",
    6: "i1",
    9: "i8",
    10: "?",
    BFLOAT16: "u2",
    17: "u2",
    19: "f2",
    22: "u4",
    23: "u8",
}
"""The numbers of tensorflow/core/framework/types.proto, and what NumPy calls them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an array lies: tensor_bundle.proto, BundleEntryProto.

    Attributes:
        slices: Where each part of it lies in the array, if it has entries for its parts.
    """

    key: str
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checkpoint whose index has been held against its shards.

    Attributes:
        index: The file `NAME.index`.
        shards: The files of data, in order.
        entries: By their keys.
        order: "<" or ">", of the bytes of a number.
    """

    index: File
    shards: tuple[File, ...]
    entries: dict[str, Entry]
    order: Literal["<", ">"]

    @classmethod
    def at(cls, index: File) -> Bundle:
        """The checkpoint of that index.

        Raises:
            FormatError: The index is damaged, or an entry does not fit into its shard.
            ReadError: A shard is missing.
            UnsupportedError: It holds what is not read.
        """
        if index.size > MAX_BYTES:
            raise too_large(index.path, index.size)
        with index.open() as handle:
            found = table.read(handle.read(), index.path)
        try:
            header = memoryview(found.pop(b"", b""))
            count = number(header, 1)
            if not 1 <= count <= MAX_SHARDS:
                _refuse(index, f"{count} shards")
            entries = {}
            for raw, value in found.items():
                key = raw.decode("utf-8", "surrogateescape")
                entries[key] = _entry(key, memoryview(value))
            order: Literal["<", ">"] = ">" if number(header, 2) else "<"
        except ValueError as error:
            raise _damaged(index, str(error)) from error
        shards = tuple(_shard(index, k, count) for k in range(count))
        _check_places(index, shards, entries)
        return cls(index, shards, entries, order)

    def dtype(self, key: str) -> np.dtype[Any]:
        """The dtype of an array; bfloat16 is widened to float32, exactly.

        Raises:
            UnsupportedError: NumPy has none.
        """
        entry = self.entries[key]
        if entry.kind not in DTYPES:
            raise UnsupportedError(
                f"{named(key)} in {self.index.path} is not of plain numbers",
                context=f"type {entry.kind} of TensorFlow",
                hint="save the model again with plain float32 weights",
                code="dtype",
            )
        return np.dtype(np.float32 if entry.kind == BFLOAT16 else DTYPES[entry.kind])

    def stored(self, key: str, name: str) -> Stored:
        """An array to be read when it is wanted; then its checksum is compared."""
        entry = self.entries[key]
        dtype = self.dtype(key)
        if not entry.slices:
            self._check_size(entry)
            return Stored(name, entry.shape, dtype, partial(self._read, entry))
        parts: list[tuple[Slice, Entry]] = []
        try:
            check_cover(list(entry.slices), entry.shape)
            for part in entry.slices:
                found = self.entries.get(key_of(key, part))
                if found is None or found.slices or found.kind != entry.kind:
                    _refuse(self.index, f"{named(key)} lacks a slice")
                if found.shape != shape_of(part, entry.shape):
                    _refuse(self.index, f"a slice of {named(key)} of shape {found.shape}")
                self._check_size(found)
                parts.append((part, found))
        except WireError as error:
            raise _damaged(self.index, str(error)) from error
        whole = partial(self._read_slices, entry.shape, dtype, tuple(parts))
        return Stored(name, entry.shape, dtype, whole)

    def _check_size(self, entry: Entry) -> None:
        if prod(entry.shape) * np.dtype(DTYPES[entry.kind]).itemsize != entry.size:
            key = named(entry.key)
            _refuse(self.index, f"{entry.size} bytes for {key} of shape {entry.shape}")

    def _read_slices(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: tuple[tuple[Slice, Entry], ...],
    ) -> Array:
        array: Array = np.empty(shape, dtype)
        for part, entry in parts:
            put(array, part, self._read(entry))
        return array

    def _read(self, entry: Entry) -> Array:
        shard = self.shards[entry.shard]
        stored = np.dtype(DTYPES[entry.kind]).newbyteorder(self.order)
        content = Part(shard, 0, shard.size)
        if entry.size:
            raw = content.array(entry.offset, (entry.size,), np.dtype(np.uint8))
            if masked(crc32c(raw.data)) != entry.checksum:
                raise _bad_checksum(shard, entry.key)
        array = content.array(entry.offset, entry.shape, stored)
        if entry.kind == BFLOAT16:
            return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return array.astype(stored.newbyteorder("="), copy=False)

    def text(self, key: str) -> bytes:
        """An entry that is one text: its length, the checksum of that, and the text."""
        entry = self.entries[key]
        if entry.kind != STRING or entry.shape:
            _refuse(self.index, f"{named(key)} is no text")
        if entry.size > 4 * MAX_BYTES:
            raise too_large(f"{named(key)} of {self.index.path}", entry.size)
        shard = self.shards[entry.shard]
        with shard.open() as handle:
            handle.seek(entry.offset)
            data = memoryview(handle.read(entry.size))
        try:
            size, at = varint(data, 0)
        except ValueError as error:
            raise _damaged(self.index, str(error)) from error
        length = size.to_bytes(4 if size < 2**32 else 8, "little")
        checked = masked(crc32c(length)).to_bytes(4, "little")
        if size != len(data) - at - 4 or checked != data[at : at + 4]:
            raise _bad_checksum(shard, key)
        content = bytes(data[at + 4 :])
        if masked(crc32c(content, crc32c(length + checked))) != entry.checksum:
            raise _bad_checksum(shard, key)
        return content


def _entry(key: str, data: Message) -> Entry:
    entry = Entry(
        key=key,
        kind=number(data, 1),
        shape=tuple(_sizes(message(data, 2))),
        shard=number(data, 3),
        offset=number(data, 4),
        size=number(data, 5),
        checksum=number(data, 6),
        slices=tuple(slices(data)),
    )
    if min(entry.shard, entry.offset, entry.size, *entry.shape) < 0 or len(entry.shape) > MAX_RANK:
        raise WireError(f"{named(key)} has a negative size, or too many axes")
    return entry


def _sizes(shape: Message) -> Iterator[int]:
    """The sizes of a TensorShapeProto."""
    for axis in messages(shape, 2):
        yield number(axis, 1)


def _shard(index: File, k: int, count: int) -> File:
    name = Path(index.path).name.removesuffix(INDEX)
    name = f"{name}.data-{k:05d}-of-{count:05d}"
    if not is_beside(index, name):
        raise FormatError(
            f"{index.path} has no data beside it",
            context=f"no {named(name)}",
            hint="copy all files of the checkpoint, and leave them their names",
            code="missing-shard",
        )
    return beside(index, name)


def _check_places(index: File, shards: tuple[File, ...], entries: dict[str, Entry]) -> None:
    """Refuse entries beyond the end of their shard, or over each other."""
    ends = [0] * len(shards)
    for entry in sorted(entries.values(), key=lambda one: (one.shard, one.offset, one.size)):
        if entry.shard >= len(shards):
            _refuse(index, f"{named(entry.key)} in shard {entry.shard} of {len(shards)}")
        shard = shards[entry.shard]
        if entry.offset + entry.size > shard.size:
            raise FormatError(
                f"{named(entry.key)} in {shard.path} is cut off",
                context=f"{entry.size} bytes at {entry.offset} in a file of {shard.size} bytes",
                hint="copy or download the file again; the original may be whole",
                code="cut-off",
            )
        if entry.slices:
            continue  # it has no bytes of its own
        if entry.size and entry.offset < ends[entry.shard]:
            _refuse(index, f"{named(entry.key)} overlaps what is before it in {shard.path}")
        ends[entry.shard] = max(ends[entry.shard], entry.offset + entry.size)


def _refuse(index: File, context: str) -> NoReturn:
    raise _damaged(index, context)


def _damaged(index: File, context: str) -> FormatError:
    return FormatError(
        f"{index.path} is not an index that TensorFlow wrote, or is damaged",
        context=context,
        hint="copy or download it again; the original may be whole",
        code="checkpoint",
    )


def _bad_checksum(shard: File, key: str) -> FormatError:
    return FormatError(
        f"{named(key)} in {shard.path} is damaged",
        context="its checksum is another one",
        hint="copy or download the file again; the original may be whole",
        code="checksum",
    )
