"""The files: HDF5, and the ZIP archive around it. The same model gives the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from converter import __version__
from converter.errors import OutputError
from converter.gates import BOTH_BIASES
from converter.targets.keras.writing import Written
from converter.targets.placement import Placement

KERAS_3 = "3.15.1"
"""The version whose archives these are."""

KERAS_2 = "2.15.0"
"""The version whose legacy `.h5` files these are; tf_keras and Keras 3 read them."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The date of every member of an archive: the first that ZIP can say."""

WEIGHTS = "model.weights.h5"
LARGEST_ATTRIBUTE = 64_000
"""Bytes; HDF5 keeps up to 64 KiB of an attribute in the header of its object."""


def write_archive(file: BinaryIO, written: Written, weights: Path) -> None:
    """A `.keras` archive, stored uncompressed as Keras stores it.

    Args:
        file: Where to.
        written: Its config.
        weights: The file that `write_weights` wrote.
    """
    metadata = {"keras_version": KERAS_3, "written_by": f"ifco {__version__}"}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, document in (("metadata.json", metadata), ("config.json", written.config)):
            archive.writestr(_member(name), _json(document))
        member = _member(WEIGHTS)
        member.file_size = weights.stat().st_size  # so that ZIP64 is used where it must be
        with archive.open(member, "w") as target, weights.open("rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)


def write_file(path: Path, written: Written, form: str) -> None:
    """A new file: "keras", "h5" or "weights.h5"."""
    if form == "h5":
        write_legacy(path, written)
    elif form == "weights.h5":
        write_weights(path, written)
    else:
        arrays = path.with_suffix(".arrays")
        write_weights(arrays, written)
        with path.open("xb") as file:
            write_archive(file, written, arrays)
        arrays.unlink()


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, LONG_AGO)
    member.external_attr = 0o600 << 16
    return member


def _json(document: dict[str, Any]) -> str:
    """Plain characters: a name may hold half of a surrogate pair."""
    return json.dumps(document)


def write_weights(path: Path, written: Written) -> None:
    """The weights of an archive of Keras 3, one array in memory at a time."""
    with _hdf5(path) as (file, disk):
        for placement in written.placements:
            _put(file, placement, disk)
        file.require_group("layers")


def write_legacy(path: Path, written: Written) -> None:
    """A whole model in HDF5, as Keras 2 wrote it."""
    with _hdf5(path) as (file, disk):
        file.attrs["keras_version"] = _text(KERAS_2)
        file.attrs["backend"] = _text("tensorflow")
        file.attrs["model_config"] = _text(_json(written.config))
        _put_groups(file.create_group("model_weights"), written, disk)


def write_legacy_weights(path: Path, written: Written, others: Sequence[Placement] = ()) -> None:
    """The weights of such a file alone, as `save_weights` of Keras 2 wrote them.

    Args:
        path: Of the new file.
        written: The layers.
        others: Arrays of no layer, which Keras does not look at.
    """
    with _hdf5(path) as (file, disk):
        _put_groups(file, written, disk)
        for placement in others:
            _put(file, placement, disk)


def _put_groups(weights: h5py.Group, written: Written, disk: Disk) -> None:
    """A group for each layer, and which are there."""
    weights.attrs["keras_version"] = _text(KERAS_2)
    weights.attrs["backend"] = _text("tensorflow")
    _list(weights, "layer_names", [group.name for group in written.groups])
    for group in written.groups:
        _list(weights.create_group(group.name), "weight_names", list(group.weights))
    for placement in written.placements:
        _put(weights, placement, disk)


def _text(text: str) -> np.bytes_:
    return np.bytes_(text.encode())


def _list(group: h5py.Group, name: str, texts: list[str]) -> None:
    """A list of texts as an attribute, or as several where HDF5 has no room: `name0`, `name1`."""
    encoded = [text.encode() for text in texts]
    width = max((len(text) for text in encoded), default=1) or 1
    count = max(1, LARGEST_ATTRIBUTE // width)
    if len(encoded) <= count:
        group.attrs[name] = np.array(encoded, f"S{width}")
        return
    for k, start in enumerate(range(0, len(encoded), count)):
        group.attrs[f"{name}{k}"] = np.array(encoded[start : start + count], f"S{width}")


def _put(group: h5py.Group, placement: Placement, disk: Disk) -> None:
    """A weight, read now, as contiguous datasets without a date; what Keras has not at the root."""
    for name, array in placement.tensors():
        home = group.file if name.startswith(BOTH_BIASES) else group
        made = home.create_dataset(name, data=np.asarray(array, order="C"), track_times=False)
        if array.dtype.name == "bfloat16":  # two bytes without a meaning, to HDF5
            made.attrs["dtype"] = "bfloat16"
        disk.check()


class Disk:
    """A file for HDF5 that never fails: HDF5 is torn apart by a disk that is full.

    The first fault is kept, what comes after it is dropped, and `check` raises it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fault: OSError | None = None
        try:
            self._file = path.open("x+b", buffering=0)
        except OSError as error:
            raise self._error(error) from error

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            OutputError: The disk has refused something.
        """
        if self._fault is not None:
            raise self._error(self._fault) from self._fault

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _error(self, fault: OSError) -> OutputError:
        return OutputError(
            f"cannot write {self._path.name}",
            context=fault.strerror or str(fault),
            hint="free some space or choose another --out; what was there before is unchanged",
            code="cannot-write",
        )

    def write(self, data: bytes) -> int:
        """All of it, or nothing any more."""
        left = memoryview(data)
        while left and self._fault is None:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._fault = error
        return len(data)

    def readinto(self, buffer: bytearray) -> int:
        """What is there; zeros behind it."""
        view = memoryview(buffer)
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def read(self, size: int) -> bytes:
        """By this, h5py knows a file; it uses `readinto`."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file does."""
        return self._file.tell()

    def truncate(self, size: int) -> int:
        """As a file does, if it can."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._fault = self._fault or error
            return size

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def _hdf5(path: Path) -> Iterator[tuple[h5py.File, Disk]]:
    """A new HDF5 file, and what it lies on."""
    disk = Disk(path)
    try:
        with h5py.File(disk, "w") as file:
            yield file, disk
        disk.check()
    finally:
        disk.close()
