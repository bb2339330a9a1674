"""The weights of an archive: exactly those that the config promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from converter.gates import Array
from converter.readers import read
from tests.readers.files import DENSE, DENSE_BIAS, SMALL, SMALL_WEIGHTS, archive, counted

Error = Callable[[Callable[[], object]], str]

ELSEWHERE = "  help:  the file may be cut off or its weights may belong to another model"


def changed(file: Path, changes: dict[str, Array | None]) -> Path:
    """The small model with other weights; None leaves one out."""
    weights = {
        path: array for path, array in (SMALL_WEIGHTS | changes).items() if array is not None
    }
    return archive(file, SMALL, weights)


def test_a_missing_weight_is_named(file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(changed(file, {"layers/dense/vars/1": None}))) == (
        "error[missing-weight]: bias of layer 'dense' of model is missing\n"
        "  found: 'layers/dense/vars/0'\n" + ELSEWHERE
    )


def test_a_missing_layer_is_named(file: Path, error_of: Error) -> None:
    changes = {f"layers/dense/vars/{k}": None for k in range(2)}
    assert error_of(lambda: read(changed(file, changes))) == (
        "error[missing-weight]: kernel of layer 'dense' of model is missing\n"
        "  found: 'layers/lstm/cell/vars/0', 'layers/lstm/cell/vars/1', 'layers/lstm/cell/vars/2'\n"
        + ELSEWHERE
    )


@pytest.mark.parametrize(
    "path", ["layers/dense/vars/2", "layers/dense_1/vars/0", "vars/0", "other/vars/0", "layers/x"]
)
def test_a_surplus_weight_is_named(path: str, file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(changed(file, {path: DENSE}))) == (
        "error[surplus-weight]: model has weights that belong to no layer\n"
        f"  found: '{path}'\n"
        "  help:  its weights may belong to another model; save the model again"
    )


def test_many_surplus_weights_are_not_all_listed(file: Path, error_of: Error) -> None:
    text = error_of(lambda: read(changed(file, {f"layers/x/vars/{k}": DENSE for k in range(20)})))
    assert text.count("layers/x") == 8
    assert ", ...\n" in text


@pytest.mark.parametrize(
    "path",
    [
        "optimizer/vars/0",
        "metrics/mean/vars/0",
        "metrics\\mean/vars/0",
        "layers/lstm/cell/seed_generator/vars/0",
    ],
)
def test_what_no_answer_depends_on_is_ignored(path: str, file: Path) -> None:
    assert len(read(changed(file, {path: DENSE})).layers) == 2


def test_a_transposed_weight_is_guessed(file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(changed(file, {"layers/dense/vars/0": DENSE.T}))) == (
        "error[shape]: kernel of layer 'dense' of model has the wrong shape\n"
        "  found: (5, 2); expected (2, 5)\n"
        "  help:  it looks transposed: Keras has units in columns"
    )


@pytest.mark.parametrize("array", [counted(10), counted(2, 5, 1), counted(1, 10), DENSE_BIAS])
def test_a_weight_of_another_shape_is_named(array: Array, file: Path, error_of: Error) -> None:
    assert error_of(lambda: read(changed(file, {"layers/dense/vars/0": array}))) == (
        "error[shape]: kernel of layer 'dense' of model has the wrong shape\n"
        f"  found: {array.shape}; expected (2, 5)\n" + ELSEWHERE
    )
