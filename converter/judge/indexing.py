"""Operations that move elements, outside any layer."""

from __future__ import annotations

from itertools import accumulate
from typing import cast

import numpy as np

from converter.description import (
    ExpandDims,
    Flip,
    Regroup,
    Repeat,
    Roll,
    Slice,
    Span,
    Split,
    Squeeze,
    Stack,
    Tile,
)
from converter.gates import Array
from converter.judge.meaning import MEANINGS


@MEANINGS.register(Slice)
def _(layer: Slice, x: Array) -> tuple[Array, ...]:
    return (x[tuple(slice(*one) if isinstance(one, Span) else one for one in layer.items)],)


@MEANINGS.register(ExpandDims)
def _(layer: ExpandDims, x: Array) -> tuple[Array, ...]:
    return (np.expand_dims(x, layer.axes),)


@MEANINGS.register(Squeeze)
def _(layer: Squeeze, x: Array) -> tuple[Array, ...]:
    return (np.squeeze(x, layer.axes),)


@MEANINGS.register(Regroup)
def _(layer: Regroup, x: Array) -> tuple[Array, ...]:
    (shape,) = layer.output_shapes((x.shape,))  # known in full, as that of x is
    return (x.reshape(cast("tuple[int, ...]", shape)),)


@MEANINGS.register(Flip)
def _(layer: Flip, x: Array) -> tuple[Array, ...]:
    return (np.flip(x, layer.axes),)


@MEANINGS.register(Roll)
def _(layer: Roll, x: Array) -> tuple[Array, ...]:
    return (np.roll(x, layer.shift, layer.axis),)


@MEANINGS.register(Repeat)
def _(layer: Repeat, x: Array) -> tuple[Array, ...]:
    return (np.repeat(x, layer.times, layer.axis),)


@MEANINGS.register(Tile)
def _(layer: Tile, x: Array) -> tuple[Array, ...]:
    return (np.tile(x, layer.times),)


@MEANINGS.register(Stack)
def _(layer: Stack, *inputs: Array) -> tuple[Array, ...]:
    return (np.stack(inputs, layer.axis),)


@MEANINGS.register(Split)
def _(layer: Split, x: Array) -> tuple[Array, ...]:
    parts = np.split(x, list(accumulate(layer.sizes))[:-1], layer.axis)
    return tuple(part.squeeze(layer.axis) if layer.squeeze else part for part in parts)
