"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

import numpy as np

from converter.description import (
    CategoryEncoding,
    Discretization,
    Encoding,
    Normalization,
    Rescaling,
    Weight,
)
from converter.description.preprocessing import Constants
from converter.errors import UsageError
from converter.gates import Array
from converter.judge.meaning import MEANINGS

LEAST = 1e-7
"""Of a standard deviation: keras.config.epsilon()."""


@MEANINGS.register(Rescaling)
def _(layer: Rescaling, x: Array) -> tuple[Array, ...]:
    return (x * np.array(layer.scale) + np.array(layer.offset),)


@MEANINGS.register(Normalization)
def _(layer: Normalization, x: Array) -> tuple[Array, ...]:
    def beside(statistics: Weight | Constants) -> Array:
        known = statistics.read() if isinstance(statistics, Weight) else np.array(statistics)
        return known.reshape(layer.shape_in(x.ndim))

    mean = beside(layer.mean)
    deviation = np.maximum(np.sqrt(beside(layer.variance)), LEAST)
    return (x * deviation + mean if layer.invert else (x - mean) / deviation,)


@MEANINGS.register(CategoryEncoding)
def _(layer: CategoryEncoding, x: Array) -> tuple[Array, ...]:
    index = np.trunc(x) if x.dtype.kind == "f" else x
    outside = ~((index >= 0) & (index < layer.depth))  # so that NaN is outside, too
    if outside.any():
        raise UsageError(
            f"a number is none of the categories of layer '{layer.name}'",
            context=f"{x[outside][0]}; expected 0 to {layer.depth - 1}",
            hint="give the numbers that the model was trained with",
            code="category",
        )
    return (_encoded(index.astype(np.int64), layer.encoding, layer.depth),)


@MEANINGS.register(Discretization)
def _(layer: Discretization, x: Array) -> tuple[Array, ...]:
    boundaries = np.array(layer.boundaries)
    return (_encoded(np.digitize(x, boundaries), layer.encoding, layer.depth),)


def _encoded(index: Array, encoding: Encoding, depth: int) -> Array:
    """Whole numbers below `depth` as an encoding has them."""
    if encoding is Encoding.INT:
        return index
    if encoding is Encoding.ONE_HOT and index.shape[-1] == 1:
        index = index[..., 0]
    each = np.eye(depth)[index]
    if encoding is Encoding.MULTI_HOT:
        return np.asarray(each.max(1))
    return np.asarray(each.sum(1)) if encoding is Encoding.COUNT else each
