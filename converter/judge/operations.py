"""Operations that compute, outside any layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converter.description import (
    Cast,
    Constant,
    CumulativeSum,
    Einsum,
    Elementwise,
    Function,
    Matmul,
    OneHot,
    Reduce,
    Reduction,
)
from converter.dtypes import FLOATS, numpy_dtype
from converter.gates import Array
from converter.judge.meaning import MEANINGS

FUNCTIONS: Mapping[Function, Callable[..., Array]] = {
    Function.ADD: np.add,
    Function.SUBTRACT: np.subtract,
    Function.MULTIPLY: np.multiply,
    Function.DIVIDE: np.true_divide,
    Function.FLOOR_DIVIDE: np.floor_divide,
    Function.MOD: np.mod,
    Function.POWER: np.power,
    Function.MAXIMUM: np.maximum,
    Function.MINIMUM: np.minimum,
    Function.EQUAL: np.equal,
    Function.NOT_EQUAL: np.not_equal,
    Function.GREATER: np.greater,
    Function.GREATER_EQUAL: np.greater_equal,
    Function.LESS: np.less,
    Function.LESS_EQUAL: np.less_equal,
    Function.LOGICAL_AND: np.logical_and,
    Function.LOGICAL_OR: np.logical_or,
    Function.LOGICAL_XOR: np.logical_xor,
    Function.LOGICAL_NOT: np.logical_not,
    Function.WHERE: np.where,
    Function.NEGATIVE: np.negative,
    Function.ABSOLUTE: np.abs,
    Function.SIGN: np.sign,
    Function.SQUARE: np.square,
    Function.SQRT: np.sqrt,
    Function.RSQRT: lambda x: 1 / np.sqrt(x),
    Function.RECIPROCAL: lambda x: 1 / x,
    Function.EXP: np.exp,
    Function.EXPM1: np.expm1,
    Function.LOG: np.log,
    Function.LOG1P: np.log1p,
    Function.SIN: np.sin,
    Function.COS: np.cos,
    Function.FLOOR: np.floor,
    Function.CEIL: np.ceil,
    Function.ROUND: np.round,
    Function.CLIP: np.clip,
    Function.ZEROS_LIKE: np.zeros_like,
    Function.ONES_LIKE: np.ones_like,
}


@MEANINGS.register(Elementwise)
def _(layer: Elementwise, *inputs: Array) -> tuple[Array, ...]:
    tensors = iter(inputs)
    operands = [next(tensors) if one is None else one for one in layer.operands]
    return (np.asarray(FUNCTIONS[layer.function](*operands)),)


def _logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """From the largest element on, which overflows nowhere."""
    top = x.max(axis, keepdims=True)
    result: Array = top + np.log(np.exp(x - top).sum(axis, keepdims=True))
    return result if keepdims else result.squeeze(axis)


REDUCTIONS: Mapping[Reduction, Callable[..., Array]] = {
    Reduction.MEAN: np.mean,
    Reduction.SUM: np.sum,
    Reduction.MAX: np.max,
    Reduction.MIN: np.min,
    Reduction.PROD: np.prod,
    Reduction.STD: np.std,
    Reduction.VARIANCE: np.var,
    Reduction.LOGSUMEXP: _logsumexp,
    Reduction.ANY: np.any,
    Reduction.ALL: np.all,
    Reduction.ARGMAX: lambda x, axis, keepdims: np.argmax(x, axis[0], keepdims=keepdims),
    Reduction.ARGMIN: lambda x, axis, keepdims: np.argmin(x, axis[0], keepdims=keepdims),
}


@MEANINGS.register(Reduce)
def _(layer: Reduce, x: Array) -> tuple[Array, ...]:
    found = np.asarray(REDUCTIONS[layer.reduction](x, axis=layer.axes, keepdims=layer.keepdims))
    return (found.astype(layer.output_dtype((str(x.dtype),))) if _is_whole(found) else found,)


def _is_whole(array: Array) -> bool:
    return array.dtype.kind in "iu"


@MEANINGS.register(CumulativeSum)
def _(layer: CumulativeSum, x: Array) -> tuple[Array, ...]:
    return (np.cumsum(x, layer.axis, dtype=x.dtype),)


@MEANINGS.register(Matmul)
def _(layer: Matmul, a: Array, b: Array) -> tuple[Array, ...]:
    a, b = (
        x.swapaxes(-1, -2) if turned else x
        for x, turned in zip((a, b), layer.transposed, strict=True)
    )
    return (a @ b,)


@MEANINGS.register(Einsum)
def _(layer: Einsum, *inputs: Array) -> tuple[Array, ...]:
    return (np.einsum(layer.equation, *inputs),)


@MEANINGS.register(Cast)
def _(layer: Cast, x: Array) -> tuple[Array, ...]:
    # What is to be a float is put into the judge's own dtype behind this, and rounded as it is.
    return (x.astype(np.float64 if layer.dtype in FLOATS else layer.dtype),)


@MEANINGS.register(OneHot)
def _(layer: OneHot, x: Array) -> tuple[Array, ...]:
    return ((x[..., np.newaxis] == np.arange(layer.classes)).astype(np.float64),)


@MEANINGS.register(Constant)
def _(layer: Constant) -> tuple[Array, ...]:
    return (np.array(layer.elements, numpy_dtype(layer.dtype)).reshape(layer.shape),)
