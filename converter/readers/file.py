"""A file as it was when it was opened, and the bytes that arrays are mapped from.

No handle stays open: every access opens the file, sees that it is still the same one, and closes
it. An array that is mapped keeps its own mapping.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import stat
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from converter.errors import FormatError, ReadError, UsageError
from converter.gates import Array
from converter.readers.strict import named

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HEAD = 16
"""How many bytes say what a file is."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file.

    Attributes:
        path: As it was given.
        size: In bytes.
        head: Its first bytes.
        sha256: In hexadecimal.
        identity: What changes when another file takes its place or it is written to.
    """

    path: str
    size: int
    head: bytes
    sha256: str
    identity: tuple[int, ...]

    @classmethod
    def at(cls, source: str | os.PathLike[str]) -> File:
        """The file of that path.

        Raises:
            UsageError: It is no path.
            ReadError: There is no such file, it is not a regular one, or it cannot be read.
            FormatError: It is empty.
        """
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        if not isinstance(path, str):
            raise UsageError(
                "a model is read from a path",
                context=f"an object of type {type(source).__name__}",
                hint="give a path, bytes, an open file, or a keras.Model",
                code="source-type",
            )
        handle = _opened(path)
        with handle:
            found = os.fstat(handle.fileno())
            if not found.st_size:
                raise _empty(path)
            head = handle.read(HEAD)
            handle.seek(0)
            try:
                sha256 = hashlib.file_digest(handle, "sha256").hexdigest()  # type: ignore[arg-type]
            except OSError as error:
                raise _unreadable(path, error) from error
        return cls(path, found.st_size, head, sha256, _identity(found))

    def open(self) -> BinaryIO:
        """The file, for reading.

        Raises:
            ReadError: It is gone, or is no longer the same.
        """
        handle = _opened(self.path)
        if _identity(os.fstat(handle.fileno())) != self.identity:
            handle.close()
            raise ReadError(
                f"{self.path} changed while it was read",
                context="another size, time or place than when it was opened",
                hint="read it again when nothing writes to it",
                code="changed",
            )
        return handle


@dataclass(frozen=True, slots=True)
class InMemory(File):
    """Bytes that stand for a file. Nothing lies beside them.

    Attributes:
        data: All of them.
    """

    data: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, source: bytes | BinaryIO) -> InMemory:
        """The bytes, or all that an open file gives from where it stands.

        Raises:
            UsageError: It is a file of text.
            FormatError: There are none.
        """
        data = source if isinstance(source, bytes) else source.read()
        name = getattr(source, "name", None)
        path = name if isinstance(name, str) else "the model in memory"
        if not isinstance(data, bytes):
            raise UsageError(
                f"{path} does not give bytes",
                context=f"its read() gives {type(data).__name__}",
                hint='open it as open(path, "rb")',
                code="source-type",
            )
        if not data:
            raise _empty(path)
        return cls(path, len(data), data[:HEAD], hashlib.sha256(data).hexdigest(), (), data)

    def open(self) -> BinaryIO:
        """They as a file."""
        return io.BytesIO(self.data)


def _empty(path: str) -> FormatError:
    return FormatError(
        f"{path} is empty",
        context="0 bytes",
        hint="the writing may have been interrupted; save the model again",
        code="empty",
    )


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _opened(path: str) -> BinaryIO:
    """The regular file of that path. It is never waited for, as a FIFO would be."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise ReadError(
            f"{path} is not there",
            context="no file of that name",
            hint="the path is relative to the folder in which you are; look for a typing error",
            code="not-found",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise ReadError(
            f"{path} is a folder",
            context="a folder; expected a .keras or .h5 file",
            hint="give the file itself, or a folder with a saved_model.pb or a model.json in it",
            code="folder",
        )
    raise ReadError(
        f"{path} is not a regular file",
        context="a device, a pipe or a socket",
        hint="copy what it gives into a file",
        code="not-a-file",
    )


def _unreadable(path: str, error: Exception) -> ReadError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ReadError(
        f"{named(path)} cannot be read",
        context=reason,
        hint="look at its name, its permissions and its disk",
        code="unreadable",
    )


class Content(Protocol):
    """Bytes in a file or in memory, of which arrays are parts."""

    @property
    def size(self) -> int:
        """How many there are."""

    def open(self) -> BinaryIO:
        """They as a file of their own, for reading."""

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Those at `offset` as an array that cannot be written to."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file, or all of it."""

    file: File
    start: int
    size: int

    def open(self) -> BinaryIO:
        """A file that ends where the part ends."""
        return _Window(self.file.open(), self.start, self.size)  # type: ignore[return-value]

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Mapped, unless it is empty or lies at an odd place: then a copy."""
        if not prod(shape):
            return _frozen(np.empty(shape, dtype))
        if isinstance(self.file, InMemory):
            return Memory(self.file.data).array(self.start + offset, shape, dtype)
        start = self.start + offset
        page = start % mmap.ALLOCATIONGRANULARITY
        length = prod(shape) * dtype.itemsize
        with self.file.open() as handle:
            mapped = mmap.mmap(
                handle.fileno(), page + length, access=mmap.ACCESS_READ, offset=start - page
            )
        array = np.ndarray(shape, dtype, mapped, page)
        return array if array.flags.aligned else _frozen(array.copy())


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that are in memory: what was compressed in the file."""

    data: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """They as a file."""
        return io.BytesIO(self.data)

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """A view, or a copy where it lies at an odd place."""
        array: Array = np.ndarray(shape, dtype, self.data, offset)
        return array if array.flags.aligned else _frozen(array.copy())


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


class _Window(io.RawIOBase):
    """`size` bytes of a file from `start` on."""

    def __init__(self, handle: BinaryIO, start: int, size: int) -> None:
        self._handle = handle
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(self._size - self._position, 0)]
        if not view:  # also at a place that no file has
            return 0
        self._handle.seek(self._start + self._position)
        count: int = self._handle.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return count

    def close(self) -> None:
        self._handle.close()
        super().close()
