"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

import numpy as np

from converter.description import Cropping, Interpolation, UpSampling, ZeroPadding
from converter.gates import Array
from converter.judge.meaning import MEANINGS


def _first(channels_first: bool) -> int:
    """The first of the axes that change."""
    return 2 if channels_first else 1


@MEANINGS.register(UpSampling)
def _(layer: UpSampling, x: Array) -> tuple[Array, ...]:
    for axis, size in enumerate(layer.size, _first(layer.channels_first)):
        if layer.interpolation is Interpolation.NEAREST:
            x = np.repeat(x, size, axis)
        else:
            x = _between(x, size, axis)
    return (x,)


def _between(x: Array, size: int, axis: int) -> Array:
    """Linear between the middles of the elements, constant beyond the first and the last."""
    last = x.shape[axis] - 1
    place = np.clip((np.arange((last + 1) * size) + 0.5) / size - 0.5, 0, last)
    before = place.astype(np.int64)
    behind = np.minimum(before + 1, last)
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    part = (place - before).astype(x.dtype).reshape(shape)
    between: Array = (1 - part) * x.take(before, axis) + part * x.take(behind, axis)
    return between


@MEANINGS.register(ZeroPadding)
def _(layer: ZeroPadding, x: Array) -> tuple[Array, ...]:
    ends = [(0, 0)] * x.ndim
    first = _first(layer.channels_first)
    ends[first : first + len(layer.ends)] = layer.ends
    return (np.pad(x, ends),)


@MEANINGS.register(Cropping)
def _(layer: Cropping, x: Array) -> tuple[Array, ...]:
    first = _first(layer.channels_first)
    parts = [slice(None)] * x.ndim
    for axis, (before, behind) in enumerate(layer.ends, first):
        parts[axis] = slice(before, x.shape[axis] - behind)
    return (x[tuple(parts)],)
