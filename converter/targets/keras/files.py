"""The files: HDF5, and the ZIP archive around it. The same model gives the same bytes."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from converter import __version__
from converter.errors import OutputError
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


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, LONG_AGO)
    member.external_attr = 0o600 << 16
    return member


def _json(document: dict[str, Any]) -> str:
    """Plain characters: a name may hold half of a surrogate pair."""
    return json.dumps(document)


def write_weights(path: Path, written: Written) -> None:
    """The weights of an archive of Keras 3, one array in memory at a time."""
    with _hdf5(path) as file:
        for placement in written.placements:
            _put(file, placement, placement.names[0], path)
        file.require_group("layers")


def write_legacy(path: Path, written: Written) -> None:
    """A whole model in HDF5, as Keras 2 wrote it."""
    with _hdf5(path) as file:
        file.attrs["keras_version"] = _text(KERAS_2)
        file.attrs["backend"] = _text("tensorflow")
        file.attrs["model_config"] = _text(_json(written.config))
        weights = file.create_group("model_weights")
        weights.attrs["keras_version"] = _text(KERAS_2)
        weights.attrs["backend"] = _text("tensorflow")
        _list(weights, "layer_names", [group.name for group in written.groups])
        for group in written.groups:
            _list(weights.create_group(group.name), "weight_names", list(group.weights))
        for placement in written.placements:
            _put(weights, placement, placement.names[0], path)


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


def _put(group: h5py.Group, placement: Placement, name: str, path: Path) -> None:
    """One array, read now, as a contiguous dataset without a date."""
    ((_, array),) = placement.tensors()
    with _named_faults(path):
        group.create_dataset(name, data=np.ascontiguousarray(array), track_times=False)


@contextmanager
def _hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file."""
    with _named_faults(path):
        file = h5py.File(path, "x")
    try:
        yield file
    finally:
        with _named_faults(path):
            file.close()


@contextmanager
def _named_faults(path: Path) -> Iterator[None]:
    """What HDF5 says about the disk, as an error with four parts."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"cannot write {path.name}",
            context=str(error),
            hint="free some space or choose another --out; what was there before is unchanged",
            code="cannot-write",
        ) from error
