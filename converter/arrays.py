"""Arrays: taken as NumPy from a caller, held against the shape that they must have, hashed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from converter.errors import WeightError
from converter.gates import GATES, Array, Cell, layout


def as_array(name: str, value: Any, owner: str) -> Array:
    """A tensor, an array or a list as an array. A tensor is recognized by its `detach`.

    Args:
        name: What the array is called, for the error.
        value: The tensor, array or list.
        owner: What it belongs to, for the error.

    Raises:
        WeightError: It holds no real numbers, or its dtype is not one of NumPy's.
    """
    try:
        if hasattr(value, "detach"):
            return np.asarray(value.detach().cpu().numpy())
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise WeightError(
            f"{name} of {owner} cannot be taken as an array",
            context=str(error),
            hint="give it as floating point; tensor.float() of bfloat16 is exact",
            code="dtype",
        ) from error
    if array.dtype.kind in "OSUMmbc":
        raise WeightError(
            f"{name} of {owner} does not hold real numbers",
            context=f"dtype {array.dtype}",
            hint="give an array of floating point numbers",
            code="dtype",
        )
    return array


def units_of(name: str, matrix: Array, cell: Cell, framework: str, owner: str) -> int:
    """U, by the matrix of the state: (U, G·U), or (G·U, U) where units come first.

    Raises:
        WeightError: It is no such matrix.
    """
    gates, units_first = len(GATES[cell]), layout(cell, framework).units_first
    sides = matrix.shape if matrix.ndim == 2 else (0, 0)
    units, stacked = sides[::-1] if units_first else sides
    if units and stacked == gates * units:
        return int(units)
    both = ("U", "U") if gates == 1 else ("U", f"{gates}·U")
    expected = ", ".join(both[::-1] if units_first else both)
    raise _misshapen(name, matrix, f"({expected})", owner, bool(units) and units == gates * stacked)


def require_shape(name: str, array: Array, expected: tuple[int | None, ...], owner: str) -> None:
    """Refuse an array of another shape than `expected`, in which None is any size but 0.

    Raises:
        WeightError: The shape is another.
    """

    def matches(shape: tuple[int, ...]) -> bool:
        return len(shape) == len(expected) and all(
            size > 0 if wanted is None else size == wanted
            for size, wanted in zip(shape, expected, strict=True)
        )

    if not matches(array.shape):
        wanted = str(expected).replace("None", "F")
        raise _misshapen(name, array, wanted, owner, matches(array.shape[::-1]))


def sha256(array: Array) -> str:
    """Of the array's bytes, row by row, in its own dtype."""
    rows = np.ascontiguousarray(array).reshape(-1)
    return hashlib.sha256(rows.view(np.uint8).data).hexdigest()


def _misshapen(name: str, array: Array, expected: str, owner: str, turned: bool) -> WeightError:
    return WeightError(
        f"{name} of {owner} has the wrong shape",
        context=f"{array.shape}; expected {expected}",
        hint="it looks transposed: Keras has units in columns, PyTorch in rows"
        if turned
        else "the arrays may belong to different layers",
        code="shape",
    )
