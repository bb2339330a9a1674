"""BatchNormalization and LayerNormalization.

Both are x s + (beta - mean s) with s = gamma / sqrt(variance + epsilon), as Keras computes them:
tf.nn.batch_normalization, and keras/src/ops/nn.py for layer_normalization.
"""

from __future__ import annotations

import numpy as np

from converter.description import BatchNormalization, LayerNormalization, Weight
from converter.gates import Array
from converter.judge.meaning import MEANINGS


def _normalized(
    x: Array,
    mean: Array,
    variance: Array,
    layer: BatchNormalization | LayerNormalization,
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
    shape = [-1 if axis == layer.axis else 1 for axis in range(x.ndim)]
    mean = layer.moving_mean.read().reshape(shape)
    variance = layer.moving_variance.read().reshape(shape)
    return (_normalized(x, mean, variance, layer, (layer.axis,)),)


@MEANINGS.register(LayerNormalization)
def _(layer: LayerNormalization, x: Array) -> tuple[Array, ...]:
    mean = x.mean(layer.axes, keepdims=True)
    variance = np.square(x - mean).mean(layer.axes, keepdims=True)
    return (_normalized(x, mean, variance, layer, layer.axes),)
