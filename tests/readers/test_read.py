"""What a file is, is decided by its bytes; what is no model is refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.description import Dense, Era, Recurrent
from converter.errors import UsageError
from converter.readers import read
from tests.readers.files import BIAS, DENSE, KERNEL, RECURRENT, SMALL, archive, small, small_hdf5

Error = Callable[[Callable[[], object]], str]


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model", "model.txt"])
@pytest.mark.parametrize("write", [small, small_hdf5])
def test_the_name_of_a_file_does_not_matter(
    name: str, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    model = read(write(tmp_path / name))
    lstm, dense = model.layers
    assert isinstance(lstm, Recurrent)
    assert isinstance(dense, Dense)
    assert np.array_equal(dense.kernel.read(), DENSE)


@pytest.mark.parametrize("write", [small, small_hdf5])
def test_each_gate_has_its_own_columns(write: Callable[[Path], Path], file: Path) -> None:
    lstm = read(write(file)).layer("lstm")
    assert isinstance(lstm, Recurrent)
    for k, gate in enumerate("ifco"):
        columns = slice(2 * k, 2 * k + 2)
        assert np.array_equal(lstm.gates[gate].kernel, KERNEL[:, columns])
        assert np.array_equal(lstm.gates[gate].recurrent_kernel, RECURRENT[:, columns])
        assert np.array_equal(lstm.gates[gate].bias, BIAS[columns])


def test_the_source_is_recorded(file: Path) -> None:
    source = read(small(file)).source
    assert source.path == str(file)
    assert source.form == "Keras archive (.keras)"
    assert source.version == "3.15.1"
    assert source.era is Era.KERAS_3
    assert source.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    source = read(small_hdf5(file)).source
    assert (source.form, source.version, source.era) == ("Keras HDF5", "2.15.0", Era.TF_KERAS)


def test_weights_have_the_names_that_they_have_in_the_file(file: Path) -> None:
    weights = read(small(file)).layer("lstm").weights
    assert weights["forward.kernel"].stored[0].name == "layers/lstm/cell/vars/0"
    weights = read(small_hdf5(file)).layer("lstm").weights
    assert weights["forward.kernel"].stored[0].name == "lstm/lstm/lstm_cell/kernel:0"


def test_a_path_may_be_a_text_or_a_path(file: Path) -> None:
    assert read(str(small(file))).name == read(file).name == "model"


@pytest.mark.parametrize("source", [3, None, object()])
def test_what_is_no_path_is_a_usage_error(source: object, error_of: Error) -> None:
    with pytest.raises(UsageError):
        read(source)  # type: ignore[arg-type]
    assert error_of(lambda: read(source)) == (  # type: ignore[arg-type]
        "error[source-type]: a model is read from a path\n"
        f"  found: an object of type {type(source).__name__}\n"
        "  help:  give a path, bytes, an open file, or a keras.Model"
    )


def test_a_missing_file_is_said_to_be_missing(file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(file)) == (
        "error[not-found]: model is not there\n"
        "  found: no file of that name\n"
        "  help:  the path is relative to the folder in which you are; look for a typing error"
    )


def test_a_folder_is_no_file(tmp_path: Path, error_of: Error) -> None:
    assert error_of(lambda: read(tmp_path)) == (
        f"error[folder]: {tmp_path} is a folder\n"
        "  found: a folder; expected a .keras or .h5 file\n"
        "  help:  give the file itself, or a folder with a saved_model.pb or a model.json in it"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_a_pipe_is_not_waited_for(file: Path, error_of: Error) -> None:
    os.mkfifo(file)
    assert error_of(lambda: read(file)) == (
        "error[not-a-file]: model is not a regular file\n"
        "  found: a device, a pipe or a socket\n"
        "  help:  copy what it gives into a file"
    )


def test_a_device_is_not_read(error_of: Error) -> None:
    assert "error[not-a-file]: /dev/zero is" in error_of(lambda: read("/dev/zero"))


def test_an_empty_file_is_said_to_be_empty(file: Path, error_of: Error) -> None:
    file.touch()
    assert error_of(lambda: read(file)) == (
        "error[empty]: model is empty\n"
        "  found: 0 bytes\n"
        "  help:  the writing may have been interrupted; save the model again"
    )


def test_a_name_that_no_file_can_have_is_unreadable(error_of: Error) -> None:
    assert error_of(lambda: read("a\0b")) == (
        "error[unreadable]: 'a\\x00b' cannot be read\n"
        "  found: embedded null byte\n"
        "  help:  look at its name, its permissions and its disk"
    )


def test_another_kind_of_file_is_no_model(file: Path, error_of: Error) -> None:
    file.write_bytes(b"GIF89a\x1b[31m and more")
    assert error_of(lambda: read(file)) == (
        "error[not-a-model]: model is not a saved model\n"
        '  found: it begins with "GIF89a\\u001b[31m and "\n'
        "  help:  give a .keras or .h5 file that model.save wrote"
    )


def test_no_handle_stays_open(file: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("no /proc on this system")
    before = len(list(descriptors.iterdir()))
    model = read(small(file))
    arrays = [w.read() for part in model.layers for w in part.weights.values() for _ in range(50)]
    assert len(arrays) == 250
    assert len(list(descriptors.iterdir())) == before


@pytest.mark.parametrize("write", [small, small_hdf5])
def test_a_weight_is_read_when_it_is_asked_for(write: Callable[[Path], Path], file: Path) -> None:
    dense = read(write(file)).layer("dense")
    assert isinstance(dense, Dense)
    data = file.read_bytes()
    place, before = data.index(DENSE.tobytes()), file.stat()
    with file.open("r+b") as handle:
        handle.seek(place)
        handle.write(np.float32(-7).tobytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert dense.kernel.read()[0, 0] == -7


@pytest.mark.parametrize("write", [small, small_hdf5])
def test_weights_are_mapped_and_cannot_be_written_to(
    write: Callable[[Path], Path], file: Path
) -> None:
    dense = read(write(file)).layer("dense")
    assert isinstance(dense, Dense)
    with pytest.raises(ValueError, match="read-only"):
        dense.kernel.read()[0, 0] = 1
    assert dense.kernel.read().flags.aligned


def test_an_array_survives_its_file(file: Path) -> None:
    dense = read(small(file)).layer("dense")
    assert isinstance(dense, Dense)
    array = dense.kernel.read()
    file.unlink()
    assert np.array_equal(array, DENSE)


def test_a_file_that_changed_is_noticed(file: Path, error_of: Error) -> None:
    dense = read(small(file)).layer("dense")
    assert isinstance(dense, Dense)
    with file.open("ab") as handle:
        handle.write(b"x")
    assert error_of(dense.kernel.read) == (
        "error[changed]: model changed while it was read\n"
        "  found: another size, time or place than when it was opened\n"
        "  help:  read it again when nothing writes to it"
    )


def test_a_file_that_was_replaced_is_noticed(file: Path, error_of: Error) -> None:
    dense = read(small(file)).layer("dense")
    assert isinstance(dense, Dense)
    shutil.copy(file, file.with_name("other"))
    file.with_name("other").replace(file)
    assert error_of(dense.kernel.read).startswith("error[changed]")


def test_a_file_that_is_gone_is_noticed(file: Path, error_of: Error) -> None:
    dense = read(small(file)).layer("dense")
    assert isinstance(dense, Dense)
    file.unlink()
    assert error_of(dense.kernel.read).startswith("error[not-found]: model is not there")


def test_layer_names_of_a_stranger_are_escaped_in_errors(file: Path, error_of: Error) -> None:
    bad = {
        "class_name": "Sequential",
        "config": {
            "layers": [{"class_name": "Dense", "config": {"name": "a\x1b[31m\n" + "b" * 500}}]
        },
    }
    text = error_of(lambda: read(archive(file, bad, {})))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    assert len(text) < 500


@pytest.mark.parametrize("make", [small, small_hdf5])
def test_bytes_and_open_files_are_read_as_their_paths_are(
    make: Callable[[Path], Path], file: Path
) -> None:
    by_path = read(make(file))
    with file.open("rb") as opened:
        by_file = read(opened)
    for model in (read(file.read_bytes()), by_file, read(io.BytesIO(file.read_bytes()))):
        assert model.source.sha256 == by_path.source.sha256
        for one, other in zip(model.layers, by_path.layers, strict=True):
            for name, weight in one.weights.items():
                assert np.array_equal(weight.read(), other.weights[name].read())
    assert by_file.source.path == str(file)
    assert read(file.read_bytes()).source.path == "the model in memory"


def test_bytes_of_nothing_and_of_something_else_are_refused(file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(b"")).startswith("error[empty]: the model in memory is empty")
    assert error_of(lambda: read(b"text")).startswith("error[not-a-model]: the model in memory is")
    assert error_of(lambda: read(io.StringIO("text"))).startswith(  # type: ignore[arg-type]
        "error[source-type]: the model in memory does not give bytes"
    )


def test_nothing_lies_beside_bytes(error_of: Error) -> None:
    manifest = [{"paths": ["README.md"], "weights": []}]
    text = json.dumps({"modelTopology": SMALL | {"keras_version": "2.15.0"},
                       "weightsManifest": manifest})  # fmt: skip
    assert error_of(lambda: read(text.encode())).startswith("error[outside]")
