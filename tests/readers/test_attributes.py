"""The attributes of an HDF5 file: in every form that h5py writes, and in no other."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter.readers import read
from tests.readers.files import (
    BIAS,
    DENSE,
    KERNEL,
    RECURRENT,
    SMALL,
    SMALL_GROUPS,
    small_hdf5,
)
from tests.readers.test_hdf5 import AGAIN, Error, changed, kernel_of


@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "latest"])
def test_every_version_of_the_format_is_read(version: str, file: Path) -> None:
    small_hdf5(file.with_name("old"))
    with h5py.File(file.with_name("old")) as old, h5py.File(file, "w", libver=version) as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        old.copy("model_weights", new)
    assert np.array_equal(kernel_of(file), DENSE)


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("text", ["fixed", "variable", "bytes"])
def test_attributes_of_every_kind_are_read(text: str, version: str, file: Path) -> None:
    document = json.dumps(SMALL)
    fixed = np.bytes_(document)
    value = {"fixed": fixed, "variable": document, "bytes": document.encode()}[text]
    names = {
        "fixed": np.array([b"lstm", b"dense"]),
        "variable": ["lstm", "dense"],
        "bytes": [b"lstm", b"dense"],
    }[text]
    with h5py.File(file, "w", libver=version) as new:
        new.attrs["model_config"] = value
        new.attrs["keras_version"] = np.bytes_("2.15.0")
        top = new.create_group("model_weights")
        top.attrs["layer_names"] = names
        for name, weights in SMALL_GROUPS.items():
            group = top.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in weights.items():
                group[weight] = array
    assert np.array_equal(kernel_of(file), DENSE)


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_split_attributes_are_put_together(parts: int, version: str, file: Path) -> None:
    names = [name.encode() for name in SMALL_GROUPS["lstm"]]
    small_hdf5(file.with_name("old"))
    with h5py.File(file.with_name("old")) as old, h5py.File(file, "w", libver=version) as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        old.copy("model_weights", new)
        group = new["model_weights/lstm"]
        del group.attrs["weight_names"]
        for k, part in enumerate(np.array_split(np.array(names), parts)):
            group.attrs[f"weight_names{k}"] = part
    assert read(file).parameters == KERNEL.size + RECURRENT.size + BIAS.size + DENSE.size + 5


def test_more_attributes_than_a_header_holds_are_read(file: Path) -> None:
    names = [name.encode() for name in SMALL_GROUPS["lstm"]]
    small_hdf5(file.with_name("old"))
    with h5py.File(file.with_name("old")) as old, h5py.File(file, "w", libver="latest") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        old.copy("model_weights", new)
        group = new["model_weights/lstm"]
        del group.attrs["weight_names"]
        for k, part in enumerate(np.array_split(np.array(names), 20)):
            group.attrs[f"weight_names{k}"] = part
    assert len(read(file).layers) == 2


def test_long_texts_among_many_attributes_are_refused(file: Path, error_of: Error) -> None:
    small_hdf5(file.with_name("old"))
    with h5py.File(file.with_name("old")) as old, h5py.File(file, "w", libver="latest") as new:
        for k in range(20):
            new.attrs[f"more{k}"] = 1
        new.attrs["model_config"] = json.dumps(SMALL)
        old.copy("model_weights", new)
    assert error_of(lambda: read(file)) == (
        "error[hdf5]: model is a damaged HDF5 file\n"
        "  found: at '@model_config': an attribute that is not of short texts, among many others\n"
        "  help:  copy or download the file again; the original may be whole"
    )


@pytest.mark.parametrize("value", [3, [1.5], np.zeros((2, 2)), h5py.Empty("f4")])
def test_an_attribute_that_is_no_text_is_refused(
    value: object, file: Path, error_of: Error
) -> None:
    def change(opened: h5py.File) -> None:
        opened.attrs["model_config"] = value

    text = error_of(lambda: read(changed(file, change)))
    assert text.startswith("error[hdf5]: model is a damaged HDF5 file\n  found: at '@model_config'")


def test_several_texts_are_not_one(file: Path, error_of: Error) -> None:
    def change(opened: h5py.File) -> None:
        opened.attrs["keras_version"] = ["2.15.0", "3.0.0"]

    assert error_of(lambda: read(changed(file, change))) == (
        "error[hdf5]: '@keras_version' in model is not as Keras writes it\n"
        "  found: 2 texts; expected 1\n" + AGAIN
    )


def test_a_text_that_lies_about_its_length_takes_no_memory(file: Path, error_of: Error) -> None:
    document = json.dumps(SMALL).encode()
    data = bytearray(small_hdf5(file).read_bytes())
    length = len(document).to_bytes(4, "little")
    place = data.index(b"model_config")
    place = data.index(length, place)
    data[place : place + 4] = (2**32 - 1).to_bytes(4, "little")
    file.write_bytes(data)
    tracemalloc.start()
    text = error_of(lambda: read(file))
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert "at '@model_config': a text of 4294967295 bytes, of which " in text


def test_a_heap_that_goes_round_is_refused(file: Path, error_of: Error) -> None:
    data = bytearray(small_hdf5(file).read_bytes())
    place = data.index(b"GCOL")
    data[place + 16 : place + 32] = bytes(16)  # an object of no size: HDF5 itself never ends
    file.write_bytes(data)
    assert error_of(lambda: read(file)).startswith("error[hdf5]: model is a damaged HDF5 file")
