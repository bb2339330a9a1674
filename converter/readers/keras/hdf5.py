"""HDF5 out of a stranger's hands: what is in the file itself, and plain numbers only.

Links out of the file, external storage, virtual datasets and unknown filters are refused, and a
size is held against the file before anything is allocated. Nothing is opened by a name that has
not been seen as a plain (hard) link first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np

os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no filter plugin is ever loaded; h5py reads it at import

import h5py

from converter.description import Stored
from converter.dtypes import numpy_dtype
from converter.errors import FormatError, WeightError
from converter.gates import Array
from converter.readers.file import Content
from converter.readers.keras import attributes
from converter.readers.keras.attributes import DamagedError, ElsewhereError
from converter.readers.strict import MAX_BYTES, named

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS = 200_000
MAX_LEVELS = 64

FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
"""Those that HDF5 itself has and h5py's `compression="gzip"` uses, by their numbers."""

MAX_RATIO = 1100
"""Deflate cannot make less of a chunk."""

ALWAYS_CHUNK = 16 * 2**20
"""A chunk may have that many bytes, or those of its whole dataset."""

OPAQUE = np.dtype("V2")
"""As which a number of bfloat16 is stored."""

_HINT = "save the model again with model.save"


@dataclass(frozen=True, slots=True)
class Dataset:
    """An array in the file, described and not read.

    Attributes:
        offset: Where its bytes lie in the file, one after another; None where they do not.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None


class Hdf5:
    """An HDF5 file that is open: `with Hdf5.opened(content, path) as file`.

    Args:
        path: Of the file or the archive, for the errors.
    """

    def __init__(self, root: h5py.Group, handle: BinaryIO, content: Content, path: str) -> None:
        self._root = root.id
        self._handle = handle
        self._content = content
        self._path = path

    @classmethod
    @contextmanager
    def opened(cls, content: Content, path: str) -> Iterator[Hdf5]:
        """The file, until the end of the block.

        Raises:
            FormatError: It is no HDF5, or is damaged.
        """
        with content.open() as handle:
            root = _root(handle, path)
            try:
                yield cls(root, handle, content, path)
            finally:
                root.close()

    def text(self, group: str, name: str) -> str | None:
        """An attribute that is one text; None if there is none of that name."""
        if (found := self._texts(group, name)) is None:
            return None
        if len(found) != 1:
            raise self._refused(f"{group}@{name}", f"{len(found)} texts; expected 1", "hdf5")
        return found[0]

    def names(self, group: str, name: str) -> list[str] | None:
        """An attribute that is a list of texts, also one split into `name0`, `name1`, ..."""
        if (whole := self._texts(group, name)) is not None:
            return whole
        found: list[str] = []
        part = 0
        while (more := self._texts(group, f"{name}{part}")) is not None:
            found.extend(more)
            part += 1
        return found if part else None

    def datasets(self, group: str = "", skip: frozenset[str] = frozenset()) -> list[str]:
        """The paths of all datasets under a group, from there.

        Args:
            group: Where to begin; "" is the root.
            skip: Names in `group` that are not looked into.
        """
        found: list[str] = []
        seen: set[int] = set()
        start = self._group(group)
        waiting = [] if start is None else [("", start, 0)]
        while waiting:
            prefix, parent, level = waiting.pop()
            for name, kind, address in self._children(parent, f"{group}/{prefix}".lstrip("/")):
                if not level and name in skip:
                    continue
                if kind != h5py.h5o.TYPE_GROUP:
                    found.append(prefix + name)
                    continue
                if address in seen or level > MAX_LEVELS:
                    raise self._refused(prefix + name, "a group that is in itself", "hdf5-link")
                seen.add(address)
                if len(seen) + len(found) > MAX_OBJECTS:
                    raise self._refused(prefix + name, f"over {MAX_OBJECTS} objects", "too-large")
                with self._errors(prefix + name):
                    child = h5py.h5g.open(parent, name.encode())
                waiting.append((f"{prefix}{name}/", child, level + 1))
        return sorted(found)

    def dataset(self, path: str) -> Dataset:
        """What is said about an array, held against the file. `path` is one of `datasets`.

        Raises:
            WeightError: It is not of plain numbers.
            FormatError: It cannot be stored so in this file, or not in the file at all.
        """
        with self._errors(path):
            found = h5py.h5d.open(self._root, path.encode())
            shape = found.shape
            kind = found.get_type()
            plist = found.get_create_plist()
            layout = plist.get_layout()
            stored = found.get_storage_size()
            offset = found.get_offset()
            external = plist.get_external_count()
        if layout == h5py.h5d.VIRTUAL:
            raise self._refused(path, "a virtual dataset, which is in other files", "hdf5-external")
        if external:
            raise self._refused(path, "external storage, which is in other files", "hdf5-external")
        dtype = self._dtype(path, kind, found)
        if shape is None:
            raise self._refused(path, "a dataset without a shape", "hdf5")
        size = prod(shape) * dtype.itemsize
        if layout == h5py.h5d.CHUNKED:
            self._check_chunks(path, found, size, stored)
            offset = None
        elif stored != size or plist.get_nfilters():
            self._unwritten(path, size, stored)
        elif layout == h5py.h5d.COMPACT or not size:
            offset = None
        elif offset is None or offset + size > self._content.size:
            raise FormatError(
                f"{named(path)} in {self._path} is cut off",
                context=f"{size} bytes at {offset} in a file of {self._content.size} bytes",
                hint="copy or download the file again; the original may be whole",
                code="cut-off",
            )
        return Dataset(path, shape, dtype, offset)

    def stored(self, dataset: Dataset, name: str) -> Stored:
        """An array to be read when it is wanted, each time from the file."""
        dtype = dataset.dtype.newbyteorder("=")
        if dataset.offset is None:
            read = partial(_read, self._content, self._path, dataset)
        else:
            read = partial(_map, self._content, dataset, dataset.offset)
        return Stored(name, dataset.shape, dtype, read)

    def _array(self, dataset: Dataset) -> Array:
        with self._errors(dataset.path):
            found = h5py.h5d.open(self._root, dataset.path.encode())
            array: Array = np.empty(dataset.shape, dataset.dtype)
            if array.size:
                plain = array if array.dtype.kind != "V" else array.view(OPAQUE)
                found.read(h5py.h5s.ALL, h5py.h5s.ALL, plain)
        return array

    def _group(self, path: str) -> Any:
        """The group of that path, by hard links alone; None if there is none."""
        group, walked = self._root, ""
        for name in filter(None, path.split("/")):
            raw = name.encode()
            with self._errors(path):
                if name == "." or "\0" in name or not group.links.exists(raw):
                    return None
                if self._followed(group, raw, walked)[0] != h5py.h5o.TYPE_GROUP:
                    return None
                group = h5py.h5g.open(group, raw)
            walked += f"{name}/"
        return group

    def _children(self, group: Any, path: str) -> list[tuple[str, int, int]]:
        """The names, kinds and places of what is in a group."""
        with self._errors(path):
            return [(raw.decode(), *self._followed(group, raw, path)) for raw in group]

    def _followed(self, group: Any, raw: bytes, path: str) -> tuple[int, int]:
        """The kind of an object and where it lies. A link to elsewhere is not followed."""
        link = group.links.get_info(raw).type
        if link != h5py.h5l.TYPE_HARD:
            kind = {h5py.h5l.TYPE_SOFT: "soft", h5py.h5l.TYPE_EXTERNAL: "external"}
            where = path + raw.decode()
            raise self._refused(where, f"{kind.get(link, 'unknown')} link", "hdf5-link")
        info = h5py.h5o.get_info(group, raw)
        return info.type, info.addr

    def _texts(self, group: str, name: str) -> list[str] | None:
        """The texts of an attribute; None if there is none of that name."""
        owner = self._group(group)
        if owner is None:
            return None
        with self._errors(f"{group}@{name}"):
            header = h5py.h5o.get_info(owner).addr
            try:
                return attributes.texts(self._bytes, header, name)
            except ElsewhereError:
                return self._fixed_texts(owner, name)

    def _fixed_texts(self, owner: Any, name: str) -> list[str] | None:
        """Of an object with many attributes, read by HDF5: none of variable length."""
        if not h5py.h5a.exists(owner, name.encode()):
            return None
        found = h5py.h5a.open(owner, name.encode())
        kind = found.get_type()
        size = prod(found.shape) * kind.get_size()
        if kind.get_class() != h5py.h5t.STRING or kind.is_variable_str() or size > MAX_BYTES:
            raise DamagedError("an attribute that is not of short texts, among many others")
        texts = np.empty(found.shape, kind.dtype)
        found.read(texts)
        return [text.decode() for text in texts.reshape(-1).tolist()]

    def _bytes(self, offset: int, count: int) -> bytes:
        """A part of the file."""
        if not (0 <= offset <= self._content.size and 0 <= count <= MAX_BYTES):
            raise DamagedError("a structure beyond the end of the file")
        self._handle.seek(offset)
        data = self._handle.read(count)
        if len(data) < count:
            raise DamagedError("a structure beyond the end of the file")
        return data

    def _dtype(self, path: str, kind: Any, found: Any) -> np.dtype[Any]:
        """The NumPy type, if NumPy and the file mean the same by every byte.

        HDF5 has no bfloat16: Keras stores two bytes without a meaning. Keras 3 says so beside
        them; Keras 2 does not, but there is no other such type of two bytes.
        """
        with self._errors(path):
            if kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == OPAQUE.itemsize:
                header = h5py.h5o.get_info(found).addr
                if attributes.texts(self._bytes, header, "dtype") in (None, ["bfloat16"]):
                    return numpy_dtype("bfloat16")
            number = kind.get_class() in (h5py.h5t.FLOAT, h5py.h5t.INTEGER)
            dtype = kind.dtype if number else None
            same = dtype is not None and h5py.h5t.py_create(dtype).equal(kind)
        if dtype is None or not same:
            raise WeightError(
                f"{named(path)} in {self._path} is not of plain numbers",
                context="text, references, or a number that NumPy does not have",
                hint=_HINT,
                code="dtype",
            )
        plain: np.dtype[Any] = np.dtype(dtype)
        return plain

    def _check_chunks(self, path: str, found: Any, size: int, stored: int) -> None:
        """Refuse chunks that are not there, or so small that deflate cannot have made them."""
        with self._errors(path):
            plist = found.get_create_plist()
            filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
            chunk = plist.get_chunk()
            written = found.get_num_chunks() if size else 0
        for number in filters:
            if number not in FILTERS:
                context = f"filter {number}; known: {', '.join(FILTERS.values())}"
                raise self._refused(path, context, "hdf5-filter")
        itemsize = found.dtype.itemsize
        needed = prod(-(-n // step) for n, step in zip(found.shape, chunk, strict=True))
        if written < needed or (not filters and stored < size):
            self._unwritten(path, size, stored)
        if prod(chunk) * itemsize > max(ALWAYS_CHUNK, size):
            raise self._refused(path, f"chunks of {prod(chunk) * itemsize} bytes", "too-large")
        if stored > self._content.size or size > MAX_RATIO * stored:
            self._unwritten(path, size, stored)

    def _unwritten(self, path: str, size: int, stored: int) -> None:
        raise FormatError(
            f"{named(path)} in {self._path} was not written whole",
            context=f"{stored} bytes; expected {size}",
            hint="the writing may have been interrupted; save the model again",
            code="unwritten",
        )

    def _refused(self, path: str, context: str, code: str) -> FormatError:
        return FormatError(
            f"{named(path.strip('/'))} in {self._path} is not as Keras writes it",
            context=context,
            hint=_HINT,
            code=code,
        )

    def _errors(self, path: str) -> _Errors:
        return _Errors(self._path, path)


class _Errors:
    """What is raised for a damaged file, as a `FormatError` that names the place.

    What h5py says itself differs from version to version; it is the cause of the error.
    """

    def __init__(self, file: str, path: str) -> None:
        self._file = file
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | RuntimeError | KeyError | ValueError | TypeError):
            reason = f": {error}" if isinstance(error, DamagedError) else ""
            raise FormatError(
                f"{self._file} is a damaged HDF5 file",
                context=(f"at {named(self._path)}" if self._path else "from the start") + reason,
                hint="copy or download the file again; the original may be whole",
                code="hdf5",
            ) from error


def _root(handle: BinaryIO, path: str) -> h5py.File:
    with _Errors(path, ""):
        root = h5py.File(handle, "r")
        if root.id.get_create_plist().get_sizes() != (8, 8):
            raise DamagedError("addresses that are not of 8 bytes")
        return root


def _map(content: Content, dataset: Dataset, offset: int) -> Array:
    array = content.array(offset, dataset.shape, dataset.dtype)
    return array.astype(dataset.dtype.newbyteorder("="), copy=False)


def _read(content: Content, path: str, dataset: Dataset) -> Array:
    with Hdf5.opened(content, path) as file:
        array = file._array(dataset)
    return array.astype(dataset.dtype.newbyteorder("="), copy=False)
