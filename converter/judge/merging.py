"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import prod

import numpy as np

from converter.description import Combination, Combine, Concatenate, Dot
from converter.gates import Array
from converter.judge.meaning import MEANINGS, Masks
from converter.judge.normalization import unit

OPERATIONS: Mapping[Combination, Callable[[Array, Array], Array]] = {
    Combination.ADD: np.add,
    Combination.SUBTRACT: np.subtract,
    Combination.MULTIPLY: np.multiply,
    Combination.AVERAGE: np.add,
    Combination.MAXIMUM: np.maximum,
    Combination.MINIMUM: np.minimum,
}


@MEANINGS.register(Combine)
def _(layer: Combine, *inputs: Array, masks: Masks = ()) -> tuple[Array, ...]:
    if masks:
        return (_combined_where(layer.combination, inputs, masks),)
    rank = max(x.ndim for x in inputs)
    aligned = [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
    combined = reduce(OPERATIONS[layer.combination], aligned)
    if layer.combination is Combination.AVERAGE:
        combined = combined / len(inputs)
    return (combined,)


def _combined_where(combination: Combination, inputs: Sequence[Array], masks: Masks) -> Array:
    """Multiply, Maximum or Minimum of the inputs that count, as keras/src/layers/merging has it.

    A masked step of a factor is 1; the product of steps that are all masked is 0. A masked step of
    a maximum is what the inputs before it give. What is masked in the first is the second.
    """
    counts = [None if mask is None else mask[..., np.newaxis] for mask in masks]
    if combination is Combination.MULTIPLY:
        factors = [
            x if mask is None else np.where(mask, x, 1)
            for x, mask in zip(inputs, counts, strict=True)
        ]
        product: Array = reduce(np.multiply, factors)
        known = [mask for mask in counts if mask is not None]
        if len(known) == len(counts):
            product = np.where(reduce(np.logical_or, known), product, 0)
        return product
    result, some = inputs[0], counts[0]
    for x, mask in zip(inputs[1:], counts[1:], strict=True):
        other = x if mask is None else np.where(mask, x, result)
        if some is not None:
            result = np.where(some, result, other)
        some = None if mask is None or some is None else mask | some
        result = OPERATIONS[combination](result, other)
    return result


@MEANINGS.register(Concatenate)
def _(layer: Concatenate, *inputs: Array) -> tuple[Array, ...]:
    return (np.concatenate(inputs, layer.axis),)


@MEANINGS.register(Dot)
def _(layer: Dot, a: Array, b: Array) -> tuple[Array, ...]:
    if layer.normalize:
        a, b = (
            unit(x, (axis,), layer.least, layer.dtype)
            for x, axis in zip((a, b), layer.axes, strict=True)
        )
    a, b = np.moveaxis(a, layer.axes[0], -1), np.moveaxis(b, layer.axes[1], 1)
    batch, *rest_of_a, length = a.shape
    rest_of_b = b.shape[2:]
    product = a.reshape(batch, prod(rest_of_a), length) @ b.reshape(batch, length, prod(rest_of_b))
    return (product.reshape(batch, *(*rest_of_a, *rest_of_b) or (1,)),)
