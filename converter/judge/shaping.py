"""Layers that move elements and compute nothing."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np

from converter.description import Flatten, Permute, RepeatVector, Reshape, Transpose
from converter.gates import Array
from converter.judge.meaning import MEANINGS


@MEANINGS.register(Flatten)
def _(layer: Flatten, x: Array) -> tuple[Array, ...]:
    if layer.channels_first and x.ndim > 1:
        x = np.moveaxis(x, 1, -1)
    return (x.reshape(len(x), prod(x.shape[1:])),)


@MEANINGS.register(Reshape)
def _(layer: Reshape, x: Array) -> tuple[Array, ...]:
    (shape,) = layer.output_shapes((x.shape,))  # known in full, as that of x is
    return (x.reshape(cast("tuple[int, ...]", shape)),)


@MEANINGS.register(Permute)
def _(layer: Permute, x: Array) -> tuple[Array, ...]:
    return (x.transpose(0, *layer.dims),)


@MEANINGS.register(Transpose)
def _(layer: Transpose, x: Array) -> tuple[Array, ...]:
    return (x.transpose(layer.axes),)


@MEANINGS.register(RepeatVector)
def _(layer: RepeatVector, x: Array) -> tuple[Array, ...]:
    return (np.repeat(x[:, None], layer.n, axis=1),)
