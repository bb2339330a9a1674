"""Which dtypes an operation may be given: those for which all Kerases and frameworks agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isinf

from converter.description import Elementwise, Era, Function, Operation, Reduce, Reduction
from converter.description.operations import FLOAT, OF_WHOLE, TESTS, float_of
from converter.dtypes import FLOATS, HALVES, nearest
from converter.readers.keras.era import Writer
from converter.readers.keras.nodes import refusal

OF_BOOL = frozenset(
    {
        Function.EQUAL,
        Function.NOT_EQUAL,
        Function.LOGICAL_AND,
        Function.LOGICAL_OR,
        Function.LOGICAL_XOR,
        Function.LOGICAL_NOT,
        Function.WHERE,
    }
)
"""Functions of what is true or false."""

REDUCED_WHOLE = frozenset(
    {
        Reduction.SUM,
        Reduction.MAX,
        Reduction.MIN,
        Reduction.PROD,
        Reduction.ARGMAX,
        Reduction.ARGMIN,
    }
)
"""Reductions of whole numbers."""

REDUCED_BOOL = frozenset({Reduction.ANY, Reduction.ALL})
"""Reductions of what is true or false."""

ROUND_UP = frozenset({Function.DIVIDE})
"""Functions that give float32 for whole numbers in Keras 3, and float64 in TensorFlow."""


def in_dtype(layer: Operation, dtypes: Sequence[str], where: str) -> Operation:
    """An operation whose numbers are those of half precision, if its tensors are.

    Raises:
        UnsupportedError: One of them is too large.
    """
    if not isinstance(layer, Elementwise):
        return layer
    floats = tuple(one for one in dtypes if one in FLOATS)
    dtype = float_of(floats)
    operands = tuple(
        one if one is None or isinstance(one, bool) else _rounded(one, dtype)
        for one in layer.operands
    )
    if any(isinstance(one, float) and isinf(one) for one in operands):
        raise refusal(where, f"{layer.operands} beside {', '.join(dtypes)}: too large a number")
    return replace(layer, operands=operands)


def _rounded(number: float, dtype: str) -> float:
    """A whole number where it is one, in half precision too; other types have them as written."""
    rounded = nearest(number, dtype) if dtype in HALVES else number
    return number if rounded == number else rounded


def check_dtypes(layer: Operation, dtypes: tuple[str, ...], where: str, writer: Writer) -> None:
    """Refuse dtypes for which an operation means one thing here and another there.

    Args:
        layer: What is called.
        dtypes: Of its inputs.
        where: It and the file, for the error.
        writer: Keras 3 gives float32 where TensorFlow gives something else.

    Raises:
        UnsupportedError: It is one of those.
    """
    kinds = {"float" if one in FLOATS else "bool" if one == "bool" else "whole" for one in dtypes}
    other = [one for one in dtypes if one in FLOATS and one != FLOAT]
    if other and "whole" in kinds:  # what is no number of half precision is rounded first
        raise refusal(where, f"inputs of {', '.join(dtypes)}: cast them to float32 before")
    keras_3 = writer.era is Era.KERAS_3
    allowed = kinds
    match layer:
        case Elementwise(function=function):
            if function is Function.WHERE and layer.operands[0] is None:
                kinds = kinds if "bool" not in dtypes[1:] else kinds | {"a choice of bool"}
                kinds = kinds - {"bool"} if dtypes[0] == "bool" else kinds | {"a number as a test"}
            allowed = {"float"}
            if function in OF_WHOLE or function in TESTS or (function in ROUND_UP and keras_3):
                allowed.add("whole")
            if function in OF_BOOL:
                allowed.add("bool")
            fractions = "float" in kinds or any(type(one) is float for one in layer.operands)
            half = keras_3 and not HALVES.isdisjoint(dtypes)
            if half and function is Function.MOD and layer.operands[1] is not None:
                raise refusal(where, "x % number of half precision, which Keras gives in float32")
            if function is Function.FLOOR_DIVIDE and fractions:
                raise refusal(where, "x // y of fractions, which not all round alike: floor(x / y)")
        case Reduce(reduction=reduction):
            allowed = {"bool"} if reduction in REDUCED_BOOL else {"float"}
            if reduction in REDUCED_WHOLE or (reduction is Reduction.MEAN and keras_3):
                allowed.add("whole")
    whole = {one for one in dtypes if one not in FLOATS and one != "bool"}
    if kinds - allowed or len(whole) > 1:
        raise refusal(where, f"inputs of {', '.join(dtypes)}: cast them to float32 before")
