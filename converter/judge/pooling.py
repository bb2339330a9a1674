"""Pooling over windows, and over everything."""

from __future__ import annotations

import numpy as np

from converter.description import GlobalPooling, Pool, Pooling
from converter.gates import Array
from converter.judge.convolution import windows
from converter.judge.meaning import MEANINGS


@MEANINGS.register(Pooling)
def _(layer: Pooling, x: Array) -> tuple[Array, ...]:
    if layer.channels_first:
        x = np.moveaxis(x, 1, -1)
    window = (layer.size, layer.strides, (1,) * layer.rank, layer.padding)
    inside = tuple(range(-layer.rank, 0))
    if layer.pool is Pool.MAX:
        pooled = windows(x, *window, fill=-np.inf).max(inside)
    else:
        counts = windows(np.ones((1, *x.shape[1:-1], 1), x.dtype), *window).sum(inside)
        pooled = windows(x, *window).sum(inside) / counts
    return (np.moveaxis(pooled, -1, 1) if layer.channels_first else pooled,)


@MEANINGS.register(GlobalPooling)
def _(layer: GlobalPooling, x: Array) -> tuple[Array, ...]:
    pool = np.max if layer.pool is Pool.MAX else np.mean
    return (pool(x, axis=layer.axes, keepdims=layer.keepdims),)
