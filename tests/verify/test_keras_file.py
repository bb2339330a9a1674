"""The verdict on a Keras file: what is wrong in it is found, and which layer it is."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

import converter
import converter.targets.keras
from converter.runtimes import keras
from converter.verify import Status, verify
from tests.targets.keras.keras_files import DATA, dialect_of, put

SOURCE = DATA / "keras215/lstm.h5"


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "is_here", lambda: False)


def written(folder: Path, suffix: str, source: Path = SOURCE) -> Path:
    model = converter.read(source)
    return put(
        converter.targets.keras.write_model(model, dialect_of(suffix)), folder / f"m{suffix}"
    )


def change_weights(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Change the HDF5 file, or the one in an archive."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    inner = path.with_suffix(".inner")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    inner.write_bytes(members["model.weights.h5"])
    with h5py.File(inner, "r+") as file:
        change(file)
    members["model.weights.h5"] = inner.read_bytes()
    pack(path, members)


def pack(path: Path, members: dict[str, bytes]) -> None:
    path.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def change_config(path: Path, change: Callable[[dict], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config["config"]["layers"][1]["config"])
    members["config.json"] = json.dumps(config).encode()
    pack(path, members)


def arrays_of(file: h5py.File) -> list[h5py.Dataset]:
    """Kernel, recurrent kernel and bias of the LSTM, in that order."""
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, one: found.append(one) if isinstance(one, h5py.Dataset) else None)
    lstm = [one for one in found if "lstm" in one.name]
    order = {"kernel": 0, "recurrent_kernel": 1, "bias": 2}
    return sorted(lstm, key=lambda one: order.get(one.name.split("/")[-1].split(":")[0], 9))


def swap_gates(file: h5py.File) -> None:
    kernel = arrays_of(file)[0]
    i, f, c, o = np.split(kernel[...], 4, axis=1)
    kernel[...] = np.concatenate([f, i, c, o], axis=1)


def lose_bias(file: h5py.File) -> None:
    arrays_of(file)[2][...] = 0


def last_bit(file: h5py.File) -> None:
    kernel = arrays_of(file)[1]
    changed = kernel[...]
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(9))
    kernel[...] = changed


SUFFIXES = (".keras", ".h5", ".weights.h5")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.usefixtures("without_keras")
def test_what_was_written_is_equal(suffix: str, tmp_path: Path) -> None:
    verdict = verify(SOURCE, written(tmp_path, suffix))
    assert verdict.status is Status.EQUAL
    assert verdict.reason == "read back, every output of every case is the same"
    assert (verdict.arrays, verdict.wrong_arrays, verdict.layer) == (len(arrays()), (), "")


def arrays() -> list[str]:
    return [name for layer in converter.read(SOURCE).layers for name in layer.weights]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("change", [swap_gates, lose_bias, last_bit])
@pytest.mark.usefixtures("without_keras")
def test_a_wrong_array_is_found(
    suffix: str, change: Callable[[h5py.File], None], tmp_path: Path
) -> None:
    path = written(tmp_path, suffix)
    change_weights(path, change)
    verdict = verify(SOURCE, path)
    assert verdict.status is Status.DIFFERS
    assert len(verdict.wrong_arrays) == 1
    assert verdict.layer == "lstm"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recurrent_activation", "hard_sigmoid"),
        ("activation", "softsign"),
        ("go_backwards", True),
    ],
)
@pytest.mark.usefixtures("without_keras")
def test_another_meaning_of_the_same_arrays_is_found(
    key: str, value: object, tmp_path: Path
) -> None:
    path = written(tmp_path, ".keras")
    change_config(path, lambda config: config.update({key: value}))
    verdict = verify(SOURCE, path)
    assert verdict.status is Status.DIFFERS
    assert verdict.wrong_arrays == ()


@pytest.mark.usefixtures("without_keras")
def test_two_biases_that_become_one_are_equal_within_rounding(tmp_path: Path) -> None:
    source = DATA / "cudnn/cudnn_lstm.h5"
    verdict = verify(source, written(tmp_path, ".keras", source))
    assert verdict.status is Status.EQUAL


def test_a_verdict_says_which_keras_answered(tmp_path: Path) -> None:
    if find_spec("keras") is None:
        pytest.skip("keras is not installed")
    verdict = verify(SOURCE, written(tmp_path, ".keras"))
    assert verdict.status is Status.EQUAL
    assert " loads it and answers as near to float64 as float32 rounding explains" in verdict.reason
    assert "; Keras 3." in verdict.reason
    assert any("Keras 3." in one.case for one in verdict.comparisons)


def test_a_file_that_keras_refuses_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = keras.Answers("Keras 9", (keras.Failure(False, "ValueError: no"),))
    monkeypatch.setattr(keras, "is_here", lambda: True)
    monkeypatch.setattr(keras, "run", lambda _jobs, python: answers)
    verdict = verify(SOURCE, written(tmp_path, ".keras"))
    assert verdict.status is Status.DIFFERS
    assert verdict.reason == "Keras 9 does not load it: ValueError: no"


def test_a_keras_that_cannot_run_it_here_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = keras.Answers("Keras 9", (keras.Failure(True, "NotImplementedError: NCHW"),))
    monkeypatch.setattr(keras, "is_here", lambda: True)
    monkeypatch.setattr(keras, "run", lambda _jobs, python: answers)
    verdict = verify(SOURCE, written(tmp_path, ".keras"))
    assert verdict.status is Status.EQUAL
    assert verdict.reason.endswith("; Keras 9 loads it and cannot run it here: "
                                   "NotImplementedError: NCHW")  # fmt: skip


def test_a_python_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "no-python"
    with pytest.raises(converter.UsageError) as caught:
        verify(SOURCE, written(tmp_path, ".keras"), keras_python=missing)
    assert str(caught.value) == (
        f"error[keras-python]: {missing} cannot be run\n"
        "  found: No such file or directory\n"
        "  help:  --keras-python is the path of a Python that has Keras"
    )


def test_a_python_without_keras_is_said(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named keras' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(converter.MissingExtraError) as caught:
        verify(SOURCE, written(tmp_path, ".keras"), keras_python=python)
    assert str(caught.value) == (
        f"error[keras-python]: Keras does not start in {python}\n"
        "  found: exit code 1: No module named keras\n"
        '  help:  pip install "ifco[keras]" there, or give another --keras-python'
    )


@pytest.mark.usefixtures("without_keras")
def test_a_file_that_keras_wrote_itself_is_verified_by_its_answers(tmp_path: Path) -> None:
    source, other = DATA / "keras3/lstm_stacked.keras", DATA / "keras3/lstm_stacked.h5"
    verdict = verify(source, other)
    assert (verdict.status, verdict.arrays) == (Status.EQUAL, 0)
    assert verdict.reason.endswith("; its arrays have other names, so that no bits were compared")
    assert verify(source, DATA / "keras3/lstm.h5").status is Status.DIFFERS


@pytest.mark.usefixtures("without_keras")
def test_a_copy_under_another_name_is_verified_by_its_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, ".keras")
    other = tmp_path / "copy.keras"
    shutil.copy(path, other)
    assert verify(SOURCE, other).status is Status.EQUAL
