"""Which Keras wrote a file, and what it meant where its config does not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.activations import SIGMOID, Activation
from converter.description import Era, Layer, Recurrent
from converter.gates import Cell
from converter.readers import read
from converter.readers.keras.era import Writer
from tests.readers.files import SMALL, SMALL_GROUPS, archive, counted, hdf5

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]

HARD = Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)


@pytest.mark.parametrize(
    ("version", "era"),
    [
        ("2.0.2", Era.KERAS_2),
        ("2.1.6", Era.KERAS_2),
        ("2.2.4", Era.KERAS_2),
        ("2.3.0", Era.KERAS_2),
        ("2.3.1", Era.KERAS_2),
        ("2.0.8-tf", Era.TF_KERAS),
        ("2.1.6-tf", Era.TF_KERAS),
        ("2.2.4-tf", Era.TF_KERAS),
        ("2.3.0-tf", Era.TF_KERAS),
        ("2.4.0", Era.TF_KERAS),
        ("2.5.0", Era.TF_KERAS),
        ("2.15.0", Era.TF_KERAS),
        ("2.21.0", Era.TF_KERAS),
        ("3.0.5", Era.KERAS_3),
        ("3.15.1", Era.KERAS_3),
        ("3.16.0.dev2026112401", Era.KERAS_3),
        ("4.0", Era.KERAS_3),
    ],
)
def test_the_version_says_the_era(version: str, era: Era) -> None:
    assert Writer.of(version, "model").era is era


@pytest.mark.parametrize("version", ["1.0.0", "1.2.2"])
def test_keras_1_is_known(version: str) -> None:
    assert Writer.of(version, "model").era is Era.KERAS_1


@pytest.mark.parametrize("version", ["", "three", "0.1.7", "3", "9" * 5000, "2.\u0663"])
def test_a_file_without_a_version_needs_an_era(version: str, file: Path, error_of: Error) -> None:
    path = hdf5(file, SMALL, SMALL_GROUPS, version=version or None)
    text = error_of(lambda: read(path))
    assert text.startswith("error[version]: model does not say which Keras wrote it\n")
    assert text.endswith("help:  give its era: converter.readers.read(path, era=Era.KERAS_3)")
    assert len(text) < 400
    assert read(path, era=Era.TF_KERAS).source.era is Era.TF_KERAS


def test_the_text_for_a_file_without_a_version(file: Path, error_of: Error) -> None:
    path = hdf5(file, SMALL, SMALL_GROUPS, version=None)
    assert error_of(lambda: read(path)) == (
        "error[version]: model does not say which Keras wrote it\n"
        "  found: version ''; expected one like '2.15.0' or '3.8.0'\n"
        "  help:  give its era: converter.readers.read(path, era=Era.KERAS_3)"
    )


def test_the_version_may_stand_with_the_weights(file: Path) -> None:
    import h5py

    with h5py.File(hdf5(file, SMALL, SMALL_GROUPS, version=None), "r+") as opened:
        opened["model_weights"].attrs["keras_version"] = b"2.3.1"
    assert read(file).source.version == "2.3.1"


def test_the_caller_may_know_better(file: Path) -> None:
    path = archive(file, SMALL, dict(zip(SMALL_NAMES, SMALL_ARRAYS, strict=True)), version="3.0.0")
    assert read(path, era=Era.TF_KERAS).source.era is Era.TF_KERAS


SMALL_NAMES = [
    *(f"layers/lstm/cell/vars/{k}" for k in range(3)),
    *(f"layers/dense/vars/{k}" for k in range(2)),
]
SMALL_ARRAYS = [array for group in SMALL_GROUPS.values() for array in group.values()]

LSTM = (counted(3, 8), counted(2, 8), counted(8))
GRU = (counted(3, 6), counted(2, 6))
BEFORE, AFTER = counted(6), counted(2, 6)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.0.8", HARD),
        ("2.2.4", HARD),
        ("2.2.4-tf", HARD),
        ("2.3.0", SIGMOID),
        ("2.3.1", SIGMOID),
        ("2.3.0-tf", SIGMOID),
        ("2.15.0", SIGMOID),
        ("3.15.1", SIGMOID),
    ],
)
def test_gates_without_a_name_have_the_activation_of_their_time(
    version: str, expected: Activation, one: One
) -> None:
    lstm = one("LSTM", *LSTM, version=version, inside="cell/", units=2)
    assert isinstance(lstm, Recurrent)
    assert lstm.forward.recurrent_activation == expected


@pytest.mark.parametrize(
    ("version", "slope"), [("2.2.4", 0.2), ("2.15.0", 0.2), ("3.0.0", 1 / 6), ("3.15.1", 1 / 6)]
)
def test_hard_sigmoid_has_the_slope_of_its_time(version: str, slope: float, one: One) -> None:
    settings = {"units": 2, "recurrent_activation": "hard_sigmoid"}
    lstm = one("LSTM", *LSTM, version=version, inside="cell/", **settings)
    assert isinstance(lstm, Recurrent)
    assert dict(lstm.forward.recurrent_activation.parameters)["alpha"] == slope


def gru(one: One, *arrays: Any, version: str, **settings: Any) -> Cell:
    """The cell of a GRU of two units."""
    read_gru = one("GRU", *arrays, version=version, inside="cell/", units=2, **settings)
    assert isinstance(read_gru, Recurrent)
    return read_gru.cell


@pytest.mark.parametrize(
    ("version", "cell"),
    [
        ("2.1.3", Cell.GRU_RESET_BEFORE),
        ("2.3.1", Cell.GRU_RESET_BEFORE),
        ("2.1.6-tf", Cell.GRU_RESET_BEFORE),
        ("2.4.0", Cell.GRU),
        ("3.0.0", Cell.GRU),
    ],
)
def test_a_gru_that_does_not_say_is_that_of_its_time(version: str, cell: Cell, one: One) -> None:
    assert gru(one, *GRU, version=version, use_bias=False) is cell


@pytest.mark.parametrize("version", ["2.1.3", "2.2.4-tf", "2.15.0", "3.0.0"])
def test_the_bias_of_a_gru_that_does_not_say_decides(version: str, one: One) -> None:
    assert gru(one, *GRU, BEFORE, version=version) is Cell.GRU_RESET_BEFORE
    assert gru(one, *GRU, AFTER, version=version) is Cell.GRU


@pytest.mark.parametrize(("says", "bias"), [(True, BEFORE), (False, AFTER)])
def test_a_gru_must_have_the_bias_that_it_says(
    says: bool, bias: Any, one: One, error_of: Error
) -> None:
    found, wanted = ((6,), (2, 6)) if says else ((2, 6), (6,))
    text = error_of(lambda: gru(one, *GRU, bias, version="3.0.0", reset_after=says))
    assert text.startswith("error[shape]: bias of layer 'it' of model has the wrong shape\n")
    assert f"found: {found}; expected {wanted}\n" in text


def test_a_bias_of_neither_kind_names_both(one: One, error_of: Error) -> None:
    text = error_of(lambda: gru(one, *GRU, counted(7), version="3.0.0"))
    assert "found: (7,); expected (2, 6) or (6,)\n" in text


def test_both_biases_of_a_gru_keep_their_rows(one: One) -> None:
    read_gru = one("GRU", *GRU, AFTER, inside="cell/", units=2, reset_after=True)
    assert isinstance(read_gru, Recurrent)
    gates = read_gru.gates
    for k, gate in enumerate("zrh"):
        assert np.array_equal(gates[gate].bias, AFTER[0, 2 * k : 2 * k + 2])
        assert np.array_equal(gates[gate].recurrent_bias, AFTER[1, 2 * k : 2 * k + 2])
