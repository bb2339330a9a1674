"""The members of a ZIP archive out of a stranger's hands.

Only what a writer of models writes is accepted: known names, each once, plain or deflated, not
overlapping, nothing before or behind the archive. Members are read by their exact names; nothing
is ever extracted to a path.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from converter.errors import ConverterError, FormatError
from converter.readers.file import Content, File, Memory, Part
from converter.readers.strict import named

MAGIC = b"PK\x03\x04"
MAX_DIRECTORY = 2**20
"""Bytes of the list of members: some ten thousand of them."""

ALWAYS_UNPACKED = 64 * 2**20
MAX_RATIO = 30
"""A compressed member that declares over 64 MiB may be 30 times its packed size: weights hardly
become smaller at all."""

CHUNK = 2**20

_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes such archives, for errors.

    Attributes:
        name: "Keras".
        save: How to let it write the file again.
    """

    name: str
    save: str


KERAS = Writer("Keras", "save the model again with model.save")


def everything(_name: str) -> bool:
    """Every member is wanted."""
    return True


def names(file: File) -> list[str]:
    """The names of the members, in order; none where it is no archive that can be read."""
    try:
        with file.open() as handle:
            _directory(file, handle, KERAS)
            with zipfile.ZipFile(handle) as archive:
                return archive.namelist()
    except (FormatError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def members(
    file: File,
    known: Collection[str],
    *,
    packed: bool = True,
    wanted: Callable[[str], bool] = everything,
    writer: Writer = KERAS,
) -> dict[str, Content]:
    """Every member of the archive that is wanted by its name, its checksum verified.

    Args:
        file: It begins with `MAGIC`.
        known: The names that may be there; `*.npy` are all that end so.
        packed: Whether members that are wanted may be compressed.
        wanted: Whether a member of that name is read; no other is unpacked.
        writer: Who should have written it.

    Raises:
        FormatError: The archive is damaged, or is not what a writer of models writes.
    """
    with file.open() as handle:
        directory = _directory(file, handle, writer)
        try:
            with zipfile.ZipFile(handle) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise _damaged(file, str(error)) from error
        parts: dict[str, tuple[zipfile.ZipInfo, Part]] = {}
        for info in infos:
            _check(file, info, known, packed or not wanted(info.filename), writer)
            if info.filename in parts:
                raise _refused(file, info, "two members of that name", "duplicate-member", writer)
            parts[info.filename] = (info, _part(file, handle, info))
        _check_order(file, [part for _, part in parts.values()], directory)
    return {
        name: _verified(file, info, part) for name, (info, part) in parts.items() if wanted(name)
    }


def _directory(file: File, handle: BinaryIO, writer: Writer) -> int:
    """Where the list of members begins, if it may be read at all: its size is looked at first."""
    handle.seek(max(file.size - _END.size, 0))
    last = handle.read(_END.size)
    if len(last) < _END.size or last[:4] != b"PK\x05\x06" or last[-2:] != b"\0\0":
        raise _damaged(file, "its end is not the end of an archive")
    _, *_, size, offset, _ = _END.unpack(last)
    if size == 0xFFFFFFFF:
        raise _damaged(file, "a list of members of over 4 GB")
    if size > MAX_DIRECTORY:
        raise FormatError(
            f"{file.path} is an archive with too many members",
            context=f"a list of members of {size} bytes; at most {MAX_DIRECTORY} are read",
            hint=writer.save,
            code="too-many-members",
        )
    # Over 4 GB, the place stands in another record, which zipfile reads.
    return int(offset) if offset != 0xFFFFFFFF else file.size - size


def _check(
    file: File, info: zipfile.ZipInfo, known: Collection[str], packed: bool, writer: Writer
) -> None:
    """Refuse a member that no writer of models writes."""
    ends = tuple(name[1:] for name in known if name.startswith("*"))
    is_known = info.filename in known or info.filename.endswith(ends)
    if info.orig_filename != info.filename or not is_known:
        raise FormatError(
            f"{file.path} has the member {named(info.orig_filename)}",
            context=f"expected {', '.join(known)} and nothing else",
            hint=writer.save,
            code="unknown-member",
        )
    if info.flag_bits & 0x1:
        raise _refused(file, info, "it is encrypted", "encrypted", writer)
    methods = {zipfile.ZIP_STORED: "stored"} | ({zipfile.ZIP_DEFLATED: "deflate"} if packed else {})
    if info.compress_type not in methods:
        expected = " and ".join(methods.values())
        method = f"compression method {info.compress_type}; {expected} are read"
        raise _refused(file, info, method, "compression", writer)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused(file, info, f"file type {kind:#o}, as of a link", "member-type", writer)
    if info.file_size > max(ALWAYS_UNPACKED, MAX_RATIO * info.compress_size):
        sizes = f"{info.file_size} bytes, packed into {info.compress_size}"
        raise _refused(file, info, sizes, "unpacked-size", writer)


def _part(file: File, handle: BinaryIO, info: zipfile.ZipInfo) -> Part:
    """Where the bytes of a member lie, as its own header says it."""
    if not 0 <= info.header_offset < file.size:
        raise _damaged(file, f"{named(info.filename)} is said to be at {info.header_offset}")
    handle.seek(info.header_offset)
    header = handle.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(MAGIC):
        raise _damaged(file, f"no header where {named(info.filename)} should begin")
    fields = _LOCAL.unpack(header)
    flags, method, name_length, extra_length = fields[2], fields[3], fields[-2], fields[-1]
    name = handle.read(name_length)
    if name != info.filename.encode() or method != info.compress_type or flags & 0x1:
        raise _damaged(file, f"two headers of {named(info.filename)} that differ")
    start = info.header_offset + _LOCAL.size + name_length + extra_length
    return Part(file, start, info.compress_size)


def _check_order(file: File, parts: list[Part], directory: int) -> None:
    """Refuse members that overlap, or reach into the list of members."""
    ordered = sorted(parts, key=lambda part: part.start)
    ends = [part.start for part in ordered[1:]] + [directory]
    for part, end in zip(ordered, ends, strict=False):
        if part.start + part.size > end:
            raise _damaged(file, "members that overlap")


def _verified(file: File, info: zipfile.ZipInfo, part: Part) -> Content:
    """The bytes of a member: in place where they are stored plainly, else unpacked."""
    checksum, size, unpacked = 0, 0, bytearray()
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    try:
        for chunk in _chunks(part, packed, info.file_size):
            checksum = zlib.crc32(chunk, checksum)
            size += len(chunk)
            if packed:
                unpacked += chunk
    except (zlib.error, OSError) as error:
        raise _damaged(file, f"{named(info.filename)}: {error}") from error
    if size != info.file_size or checksum != info.CRC:
        raise FormatError(
            f"{named(info.filename)} in {file.path} is damaged",
            context=f"{size} bytes with the checksum {checksum:08x}; "
            f"expected {info.file_size} bytes with {info.CRC:08x}",
            hint="copy or download the file again; the original may be whole",
            code="checksum",
        )
    return Memory(bytes(unpacked)) if packed else part


def _chunks(part: Part, packed: bool, size: int) -> Iterator[bytes]:
    """The bytes of a member piece by piece, unpacked; hardly more than `size` in all."""
    with part.open() as handle:
        if not packed:
            while chunk := handle.read(CHUNK):
                yield chunk
            return
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        given = 0
        while given <= size and not inflate.eof:
            chunk = inflate.unconsumed_tail or handle.read(CHUNK)
            piece = inflate.decompress(chunk, CHUNK)
            if not chunk and not piece:
                return
            given += len(piece)
            yield piece


def _damaged(file: File, context: str) -> FormatError:
    return FormatError(
        f"{file.path} is a damaged ZIP archive",
        context=context,
        hint="copy or download the file again; the original may be whole",
        code="zip",
    )


def _refused(
    file: File, info: zipfile.ZipInfo, context: str, code: str, writer: Writer
) -> ConverterError:
    return FormatError(
        f"the member {named(info.filename)} of {file.path} is not as {writer.name} writes it",
        context=context,
        hint=writer.save,
        code=code,
    )
