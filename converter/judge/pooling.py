"""Pooling over windows, and over everything."""

from __future__ import annotations

import numpy as np

from converter.description import AdaptivePooling, GlobalPooling, Pool, Pooling
from converter.gates import Array
from converter.judge.convolution import windows
from converter.judge.meaning import MEANINGS, Masks


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
def _(layer: GlobalPooling, x: Array, masks: Masks = ()) -> tuple[Array, ...]:
    for mask in masks:
        if mask is not None:  # an average of the steps that count, NaN if none does
            counts = np.expand_dims(mask, -1 if layer.axes == (1,) else 1)
            total = np.where(counts, x, 0).sum(layer.axes, keepdims=layer.keepdims)
            return (total / counts.sum(layer.axes, keepdims=layer.keepdims),)
    pool = np.max if layer.pool is Pool.MAX else np.mean
    return (pool(x, axis=layer.axes, keepdims=layer.keepdims),)


@MEANINGS.register(AdaptivePooling)
def _(layer: AdaptivePooling, x: Array) -> tuple[Array, ...]:
    pool = np.max if layer.pool is Pool.MAX else np.mean
    for axis, size in enumerate(layer.size, 2 if layer.channels_first else 1):
        n = x.shape[axis]
        windows = (np.arange(k * n // size, -((k + 1) * n // -size)) for k in range(size))
        x = np.stack([pool(x.take(window, axis), axis) for window in windows], axis)
    return (x,)
