"""Normalization over the batch, a layer, a group, or to length 1.

The first three are x s + (beta - mean s) with s = gamma / sqrt(variance + epsilon), as Keras
computes them: tf.nn.batch_normalization, layer_normalization in keras/src/ops/nn.py, and
keras/src/layers/normalization/group_normalization.py.
"""

from __future__ import annotations

import numpy as np

from converter.description import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
    Weight,
)
from converter.dtypes import HALVES, rounded
from converter.gates import Array
from converter.judge.meaning import MEANINGS


def _normalized(
    x: Array,
    mean: Array,
    variance: Array,
    layer: BatchNormalization | GroupNormalization | LayerNormalization,
    axes: tuple[int, ...],
) -> Array:
    """`x` normalized; gamma and beta lie along `axes`."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]

    def along(weight: Weight) -> Array:
        return weight.read().reshape(shape)

    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * along(layer.gamma)
    offset = -mean * scale
    if layer.beta is not None:
        offset = offset + along(layer.beta)
    return x * scale + offset


@MEANINGS.register(BatchNormalization)
def _(layer: BatchNormalization, x: Array) -> tuple[Array, ...]:
    shape = [size if axis in layer.axes else 1 for axis, size in enumerate(x.shape)]
    mean = layer.moving_mean.read().reshape(shape)
    variance = layer.moving_variance.read().reshape(shape)
    return (_normalized(x, mean, variance, layer, layer.axes),)


@MEANINGS.register(LayerNormalization)
def _(layer: LayerNormalization, x: Array) -> tuple[Array, ...]:
    mean = x.mean(layer.axes, keepdims=True)
    variance = np.square(x - mean).mean(layer.axes, keepdims=True)
    mean = mean if layer.centred else np.zeros_like(mean)
    return (_normalized(x, mean, variance, layer, layer.axes),)


@MEANINGS.register(GroupNormalization)
def _(layer: GroupNormalization, x: Array) -> tuple[Array, ...]:
    axis, shape = layer.axis, x.shape
    grouped = x.reshape(*shape[:axis], layer.groups, -1, *shape[axis + 1 :])
    inside = tuple(k for k in range(1, grouped.ndim) if k != axis)
    mean = grouped.mean(inside, keepdims=True)
    variance = np.square(grouped - mean).mean(inside, keepdims=True)
    mean, variance = (
        np.broadcast_to(each, grouped.shape).reshape(shape) for each in (mean, variance)
    )
    return (_normalized(x, mean, variance, layer, (axis,)),)


@MEANINGS.register(RMSNormalization)
def _(layer: RMSNormalization, x: Array) -> tuple[Array, ...]:
    scale = layer.scale.read()
    squares = np.square(x).mean(tuple(range(-scale.ndim, 0)), keepdims=True)
    return (x / np.sqrt(squares + layer.epsilon) * scale,)


@MEANINGS.register(UnitNormalization)
def _(layer: UnitNormalization, x: Array) -> tuple[Array, ...]:
    return (unit(x, layer.axes, layer.least, layer.dtype),)


def unit(x: Array, axes: tuple[int, ...], least: float, dtype: str) -> Array:
    """`x` divided by its L2 norm over `axes`, or by `least` where that is more.

    In half precision each step is rounded: there, squares may be zero or infinite.
    """
    if dtype in HALVES:
        squares = rounded(rounded(np.square(x), dtype).sum(axes, keepdims=True), dtype)
        inverse = rounded(1 / np.sqrt(squares), dtype)
        return np.asarray(x * np.minimum(inverse, rounded(np.array(1 / least), dtype)))
    norm = np.sqrt(np.square(x).sum(axes, keepdims=True))
    divided: Array = x / np.maximum(norm, least)
    return divided
