"""The floating point types of layers and values: what they round to.

NumPy has no bfloat16; ml_dtypes adds it, and is imported where an array of it is met.

>>> import numpy as np
>>> rounded(np.array([2049.0, 1e5]), "float16"), rounded(np.array([257.0]), "bfloat16")
(array([2048.,   inf]), array([256.]))
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.description import operations
from converter.gates import Array


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating point format.

    Attributes:
        digits: Of the significand, in bits, the one that is not stored included.
        least: The exponent of the smallest number above zero.
        limit: The exponent of the first power of two that is too large.
    """

    digits: int
    least: int
    limit: int

    @property
    def normal(self) -> float:
        """The smallest number with all its digits."""
        return float(np.ldexp(1.0, self.least + self.digits - 1))


FLOATS = {
    "float16": Format(11, -24, 16),
    "bfloat16": Format(8, -133, 128),
    "float32": Format(24, -149, 128),
    "float64": Format(53, -1074, 1024),
}
"""IEEE 754, and bfloat16: float32 without the last 16 bits of the significand."""

HALVES = operations.HALVES
"""Types whose rounding is a part of what a model means: nobody would call it noise."""


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of that name, bfloat16 included."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether it is one of `FLOATS`; to NumPy, bfloat16 is of no kind."""
    return dtype.name in FLOATS


def units(array: Array, name: str) -> Array:
    """The distance from each number to the next in that format, in float64."""
    form = FLOATS[name]
    _, exponents = np.frexp(np.asarray(array, np.float64))
    exponents = np.where(array == 0, form.least, exponents - form.digits)
    found: Array = np.ldexp(1.0, np.maximum(exponents, form.least))
    return found


def rounded(array: Array, name: str) -> Array:
    """Each number to the nearest of float16 or bfloat16, ties to even, in its own dtype.

    Arrays of wider types are given back as they are: their rounding is noise, which a tolerance
    explains.
    """
    if name not in HALVES or not is_float(array.dtype):
        return array
    step = units(array, name)
    nearest = np.rint(array / step) * step
    limit = np.ldexp(1.0, FLOATS[name].limit)
    return np.where(np.abs(nearest) >= limit, np.copysign(np.inf, nearest), nearest).astype(
        array.dtype
    )


def as_type(array: Array, name: str) -> Array:
    """The array in that type, each number rounded once; what is too large is an infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return rounded(array, name).astype(numpy_dtype(name))


def nearest(number: float, name: str) -> float:
    """A number as that type has it."""
    if name in HALVES:
        return float(rounded(np.array(number), name))
    return float(np.asarray(number, name))


def coarsest(names: Collection[str]) -> str:
    """The type of those that rounds most; float32 where there is none.

    >>> coarsest({"float32", "float16"}), coarsest({"float64"}), coarsest(())
    ('float16', 'float64', 'float32')
    """
    return min(names, key=lambda name: FLOATS[name].digits, default="float32")


def wider(one: str, other: str) -> str:
    """The smallest type that holds the numbers of both."""
    return operations.float_of((one, other))
