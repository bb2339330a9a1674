"""HDF5: only what is in the file itself, and no size that the file cannot have."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converter.description import Dense
from converter.gates import Array
from converter.readers import read
from converter.readers.file import File, Part
from converter.readers.keras.hdf5 import Hdf5
from tests.readers.files import (
    DENSE,
    SMALL,
    SMALL_GROUPS,
    SMALL_WEIGHTS,
    archive,
    small_hdf5,
    stored,
)

Error = Callable[[Callable[[], object]], str]

AGAIN = "  help:  save the model again with model.save"
KERNEL_PATH = "model_weights/dense/dense/kernel:0"


def changed(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """The small model after a change."""
    with h5py.File(small_hdf5(path), "r+") as file:
        change(file)
    return path


def instead(path: Path, make: Callable[[h5py.Group, str], None]) -> Path:
    """The small model with something else in the place of the Dense's kernel."""

    def change(file: h5py.File) -> None:
        del file[KERNEL_PATH]
        make(file["model_weights/dense/dense"], "kernel:0")

    return changed(path, change)


def kernel_of(path: Path) -> Array:
    """What is read as the Dense's kernel."""
    dense = read(path).layer("dense")
    assert isinstance(dense, Dense)
    return dense.kernel.read()


def test_a_plugin_is_never_loaded() -> None:
    assert os.environ["HDF5_PLUGIN_PRELOAD"] == "::"


def test_a_soft_link_is_refused(file: Path, error_of: Error) -> None:
    path = instead(file, lambda group, name: group.__setitem__(name, h5py.SoftLink("/elsewhere")))
    assert error_of(lambda: read(path)) == (
        "error[hdf5-link]: 'model_weights/dense/dense/kernel:0' in model is not as Keras "
        "writes it\n  found: soft link\n" + AGAIN
    )


def test_a_soft_link_to_itself_is_refused(file: Path, error_of: Error) -> None:
    def loop(group: h5py.Group, name: str) -> None:
        group[name] = h5py.SoftLink(f"/{KERNEL_PATH}")

    assert "soft link" in error_of(lambda: read(instead(file, loop)))


def test_an_external_link_is_refused(file: Path, error_of: Error) -> None:
    other = small_hdf5(file.with_name("other"))

    def link(group: h5py.Group, name: str) -> None:
        group[name] = h5py.ExternalLink(str(other), KERNEL_PATH)

    assert error_of(lambda: read(instead(file, link))) == (
        "error[hdf5-link]: 'model_weights/dense/dense/kernel:0' in model is not as Keras "
        "writes it\n  found: external link\n" + AGAIN
    )


@pytest.mark.parametrize("place", ["model_weights", "model_weights/dense"])
def test_an_external_link_on_the_way_is_refused(place: str, file: Path, error_of: Error) -> None:
    other = small_hdf5(file.with_name("other"))

    def link(opened: h5py.File) -> None:
        del opened[place]
        opened[place] = h5py.ExternalLink(str(other), place)

    text = error_of(lambda: read(changed(file, link)))
    assert text.startswith(f"error[hdf5-link]: '{place}' in model")


def test_external_storage_is_refused_and_not_opened(file: Path, error_of: Error) -> None:
    secret = file.with_name("secret")
    secret.write_bytes(DENSE.tobytes())

    def external(group: h5py.Group, name: str) -> None:
        size = DENSE.nbytes
        group.create_dataset(name, shape=DENSE.shape, dtype="f4", external=[(str(secret), 0, size)])

    path = instead(file, external)
    secret.unlink()
    os.mkfifo(secret)  # opening it would hang
    assert error_of(lambda: read(path)) == (
        "error[hdf5-external]: 'model_weights/dense/dense/kernel:0' in model is not as Keras "
        "writes it\n  found: external storage, which is in other files\n" + AGAIN
    )


def test_a_virtual_dataset_is_refused(file: Path, error_of: Error) -> None:
    def virtual(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout(DENSE.shape, "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", DENSE.shape)
        group.create_virtual_dataset(name, layout)

    assert error_of(lambda: read(instead(file, virtual))) == (
        "error[hdf5-external]: 'model_weights/dense/dense/kernel:0' in model is not as Keras "
        "writes it\n  found: a virtual dataset, which is in other files\n" + AGAIN
    )


def test_a_group_in_itself_is_refused(file: Path, error_of: Error) -> None:
    def cycle(opened: h5py.File) -> None:
        opened["model_weights/dense/again"] = opened["model_weights"]

    text = error_of(lambda: read(changed(file, cycle)))
    assert text.startswith("error[hdf5-link]: ")
    assert text.endswith("\n  found: a group that is in itself\n" + AGAIN)


def test_a_huge_dataset_is_refused_before_anything_is_allocated(
    file: Path, error_of: Error
) -> None:
    def huge(group: h5py.Group, name: str) -> None:
        group.create_dataset(
            name, shape=(50_000_000, 50_000_000), dtype="f4", chunks=(1000, 1000), compression=9
        )

    path = instead(file, huge)
    tracemalloc.start()
    text = error_of(lambda: read(path))
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert text == (
        "error[unwritten]: 'model_weights/dense/dense/kernel:0' in model was not written whole\n"
        "  found: 0 bytes; expected 10000000000000000\n"
        "  help:  the writing may have been interrupted; save the model again"
    )


def test_a_dataset_that_was_never_written_is_refused(file: Path, error_of: Error) -> None:
    path = instead(
        file, lambda group, name: group.create_dataset(name, shape=DENSE.shape, dtype="f4")
    )
    assert error_of(lambda: read(path)) == (
        "error[unwritten]: 'model_weights/dense/dense/kernel:0' in model was not written whole\n"
        "  found: 0 bytes; expected 40\n"
        "  help:  the writing may have been interrupted; save the model again"
    )


def test_a_chunk_that_was_never_written_is_refused(file: Path, error_of: Error) -> None:
    def half(group: h5py.Group, name: str) -> None:
        made = group.create_dataset(
            name, shape=DENSE.shape, dtype="f4", chunks=(1, 5), compression="gzip"
        )
        made[0] = DENSE[0]

    assert error_of(lambda: read(instead(file, half))).startswith("error[unwritten]")


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (1, 5)},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
    ],
)
def test_chunks_and_the_filters_of_hdf5_are_read(options: dict[str, Any], file: Path) -> None:
    path = instead(file, lambda group, name: group.create_dataset(name, data=DENSE, **options))
    assert np.array_equal(kernel_of(path), DENSE)


def test_an_unknown_filter_is_refused(file: Path, error_of: Error) -> None:
    path = instead(
        file, lambda group, name: group.create_dataset(name, data=DENSE, compression="lzf")
    )
    assert error_of(lambda: read(path)) == (
        "error[hdf5-filter]: 'model_weights/dense/dense/kernel:0' in model is not as Keras "
        "writes it\n  found: filter 32000; known: deflate, shuffle, fletcher32\n" + AGAIN
    )


def test_a_chunk_that_is_too_large_is_refused(file: Path, error_of: Error) -> None:
    def chunked(group: h5py.Group, name: str) -> None:
        group.create_dataset(
            name,
            data=DENSE,
            maxshape=(None, None),
            chunks=(3000, 3000),
            compression="gzip",
        )

    assert error_of(lambda: read(instead(file, chunked))) == (
        "error[too-large]: 'model_weights/dense/dense/kernel:0' in model is not as Keras writes "
        "it\n  found: chunks of 36000000 bytes\n" + AGAIN
    )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8"])
def test_every_float_is_read_in_the_order_of_this_machine(dtype: str, file: Path) -> None:
    path = instead(file, lambda group, name: group.create_dataset(name, data=DENSE.astype(dtype)))
    array = kernel_of(path)
    assert array.dtype == np.dtype(dtype).newbyteorder("=")
    assert array.dtype.isnative
    assert np.array_equal(array, DENSE)


def test_special_numbers_keep_their_bits(file: Path) -> None:
    numbers = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38, 1, 2, 3, 4], np.float32)
    path = instead(
        file, lambda group, name: group.create_dataset(name, data=numbers.reshape(DENSE.shape))
    )
    assert kernel_of(path).tobytes() == numbers.tobytes()


@pytest.mark.parametrize("array", [DENSE.astype("i4"), DENSE.astype("u1"), DENSE > 0])
def test_whole_numbers_are_no_weights(array: Array, file: Path, error_of: Error) -> None:
    path = instead(file, lambda group, name: group.create_dataset(name, data=array))
    text = error_of(lambda: read(path))
    assert text.startswith("error[dtype]: ")
    assert "kernel" in text


def test_whole_numbers_are_named_with_their_layer(file: Path, error_of: Error) -> None:
    path = instead(file, lambda group, name: group.create_dataset(name, data=DENSE.astype("<i4")))
    assert error_of(lambda: read(path)) == (
        "error[dtype]: kernel of layer 'dense' of model does not hold floating point numbers\n"
        "  found: dtype int32\n" + AGAIN
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda group, name: group.create_dataset(name, data=["a"] * 10),
        lambda group, name: group.create_dataset(name, DENSE.shape, dtype=h5py.ref_dtype),
        lambda group, name: group.create_dataset(name, DENSE.shape, dtype=h5py.vlen_dtype("f4")),
        lambda group, name: group.create_dataset(name, DENSE.shape, dtype="c8"),
        lambda group, name: group.create_dataset(name, DENSE.shape, dtype="V3"),
        lambda group, name: group.create_dataset(name, DENSE.shape, dtype=[("a", "f4")]),
    ],
)
def test_what_are_no_plain_numbers_is_refused(
    make: Callable[[h5py.Group, str], None], file: Path, error_of: Error
) -> None:
    assert error_of(lambda: read(instead(file, make))) == (
        "error[dtype]: 'model_weights/dense/dense/kernel:0' in model is not of plain numbers\n"
        "  found: text, references, or a number that NumPy does not have\n" + AGAIN
    )


def test_a_group_in_the_place_of_an_array_is_a_missing_array(file: Path, error_of: Error) -> None:
    path = instead(file, lambda group, name: group.create_group(name))
    assert error_of(lambda: read(path)).startswith("error[weight-names]")


def test_an_archive_is_held_to_the_same_rules(file: Path, error_of: Error) -> None:
    buffer = file.with_name("weights")
    buffer.write_bytes(stored(SMALL_WEIGHTS))
    with h5py.File(buffer, "r+") as opened:
        del opened["layers/dense/vars/0"]
        opened["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "x")
    path = archive(file, SMALL, buffer.read_bytes())
    assert error_of(lambda: read(path)) == (
        "error[hdf5-link]: 'layers/dense/vars/0' in model is not as Keras writes it\n"
        "  found: external link\n" + AGAIN
    )


def test_an_empty_array_is_an_array(file: Path) -> None:
    with h5py.File(file, "w") as made:
        made.create_dataset("plain", shape=(0, 3), dtype="f4")
        made.create_dataset("chunked", shape=(0, 3), dtype="f4", maxshape=(None, 3))
        made["scalar"] = np.float32(3)
    found = File.at(file)
    with Hdf5.opened(Part(found, 0, found.size), str(file)) as opened:
        arrays = {
            path: opened.stored(opened.dataset(path), path).read() for path in opened.datasets()
        }
    assert arrays["plain"].shape == arrays["chunked"].shape == (0, 3)
    assert arrays["scalar"] == 3


def test_other_names_of_groups_are_only_names(file: Path) -> None:
    found = File.at(small_hdf5(file))
    with Hdf5.opened(Part(found, 0, found.size), str(file)) as opened:
        for group in (
            ".",
            "model_weights/.",
            "nothing",
            "model_weights\0",
            "model_weights/lstm/..",
        ):
            assert opened.names(group, "layer_names") is None
        assert opened.names("model_weights", "layer_names") == ["lstm", "dense"]


def test_a_file_of_something_else_is_no_model(file: Path, error_of: Error) -> None:
    with h5py.File(file, "w") as made:
        made["table"] = np.zeros(3)
    assert error_of(lambda: read(file)) == (
        "error[not-a-model]: model is an HDF5 file, but not a model of Keras\n"
        "  found: no model_config in it\n"
        "  help:  give a .keras or .h5 file that model.save wrote"
    )


@pytest.mark.parametrize("archived", [True, False])
def test_weights_alone_are_no_model(archived: bool, file: Path, error_of: Error) -> None:
    if archived:
        file.write_bytes(stored(SMALL_WEIGHTS))
    else:
        small_hdf5(file.with_name("whole"))
        with h5py.File(file.with_name("whole")) as whole, h5py.File(file, "w") as made:
            for name in whole["model_weights"]:
                whole.copy(f"model_weights/{name}", made)
            made.attrs["layer_names"] = list(SMALL_GROUPS)
    assert error_of(lambda: read(file)) == (
        "error[no-architecture]: model has weights and no architecture\n"
        "  found: no model_config in it\n"
        "  help:  --arch model.json, or another saved model of this architecture; ifco inspect "
        "says what the weights alone tell"
    )
