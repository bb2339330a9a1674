"""Convolutions, and the windows that pooling looks through, too."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from converter.description import Convolution, Padding
from converter.description.convolution import same_padding
from converter.gates import Array
from converter.judge.meaning import MEANINGS


def windows(
    x: Array,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
    fill: float = 0,
) -> Array:
    """Every window of x (B, steps of each axis, C): (B, places of each axis, C, *size), as a view.

    Args:
        x: The channels last.
        size: Of the window, for each axis.
        strides: From one place to the next.
        dilation: From one element of the window to the next.
        padding: How much is added around the steps.
        fill: What is added.
    """
    rank = len(size)
    added = [
        _added(*one, padding) for one in zip(x.shape[1:-1], size, strides, dilation, strict=True)
    ]
    if any(map(any, added)):
        x = np.pad(x, [(0, 0), *added, (0, 0)], constant_values=fill)
    covered = tuple(d * (n - 1) + 1 for n, d in zip(size, dilation, strict=True))
    every = sliding_window_view(x, covered, axis=tuple(range(1, rank + 1)))
    moved = tuple(slice(None, None, step) for step in strides)
    inside = tuple(slice(None, None, step) for step in dilation)
    return every[(slice(None), *moved, slice(None), *inside)]


def _added(steps: int, size: int, stride: int, dilation: int, padding: Padding) -> tuple[int, int]:
    """What `padding` adds before and after the steps of one axis."""
    match padding:
        case Padding.SAME:
            return same_padding(steps, size, stride, dilation)
        case Padding.CAUSAL:
            return dilation * (size - 1), 0
        case Padding.VALID:
            return 0, 0


def convolved(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
    groups: int = 1,
) -> Array:
    """The product of x (B, steps, C) and a kernel (size of each axis, C / groups, filters).

    Args:
        x: The channels last.
        kernel: Not turned round, as no framework does.
        strides: From one place to the next.
        dilation: From one element of the window to the next.
        padding: How much is added around the steps.
        groups: Channels and filters are in so many parts that do not see each other.
    """
    rank = len(strides)
    seen = windows(x, kernel.shape[:rank], strides, dilation, padding)
    places = seen.shape[: rank + 1]
    # (groups, places, what one filter sees) times (groups, what one filter sees, filters)
    seen = seen.reshape(prod(places), groups, prod(seen.shape[rank + 1 :]) // groups)
    by_group = np.moveaxis(kernel, -2, 0).reshape(seen.shape[2], groups, -1)
    product = seen.swapaxes(0, 1) @ by_group.swapaxes(0, 1)
    return product.swapaxes(0, 1).reshape(*places, kernel.shape[-1])


@MEANINGS.register(Convolution)
def _(layer: Convolution, x: Array) -> tuple[Array, ...]:
    if layer.channels_first:
        x = np.moveaxis(x, 1, -1)
    product = convolved(
        x, layer.kernel.read(), layer.strides, layer.dilation, layer.padding, layer.groups
    )
    if layer.bias is not None:
        product = product + layer.bias.read()
    if layer.channels_first:
        product = np.moveaxis(product, -1, 1)
    return (layer.activation(product),)
