"""Convolutions, and the windows that pooling looks through, too."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Padding,
    SeparableConvolution,
    TransposedConvolution,
    Weight,
)
from converter.description.convolution import Windowed, same_padding
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


def transposed(x: Array, kernel: Array, layer: TransposedConvolution) -> Array:
    """Every element of x (B, steps, C) times a kernel (size of each axis, filters, C), added up."""
    steps = x.shape[1:-1]
    reach = [
        (n - 1) * stride + (size - 1) * dilation + 1
        for n, size, stride, dilation in zip(
            steps, layer.size, layer.strides, layer.dilation, strict=True
        )
    ]
    sums = np.zeros((len(x), *reach, layer.filters), x.dtype)
    for place in np.ndindex(*layer.size):
        reached = tuple(
            slice(k * dilation, k * dilation + (n - 1) * stride + 1, stride)
            for k, n, stride, dilation in zip(
                place, steps, layer.strides, layer.dilation, strict=True
            )
        )
        sums[:, *reached] += x @ kernel[place].T
    zeros = [(0, max(-behind, 0)) for _, behind in layer.ends]
    part = tuple(
        slice(front, n - max(behind, 0))
        for n, (front, behind) in zip(reach, layer.ends, strict=True)
    )
    return np.pad(sums[:, *part], [(0, 0), *zeros, (0, 0)])


def depthwise(x: Array, kernel: Array, layer: Windowed) -> Array:
    """Each channel of x (B, steps, C) with its part of a kernel (size of each axis, C, n)."""
    *size, channels, multiplier = kernel.shape
    by_channel = kernel.reshape(*size, 1, channels * multiplier)
    return convolved(x, by_channel, layer.strides, layer.dilation, layer.padding, channels)


def _finished(layer: Windowed, product: Array, bias: Weight | None) -> tuple[Array, ...]:
    """The bias, the channels where the layer has them, and the activation."""
    if bias is not None:
        product = product + bias.read()
    return (layer.activation(np.moveaxis(product, -1, 1) if layer.channels_first else product),)


def _channels_last(layer: Windowed, x: Array) -> Array:
    return np.moveaxis(x, 1, -1) if layer.channels_first else x


@MEANINGS.register(Convolution)
def _(layer: Convolution, x: Array) -> tuple[Array, ...]:
    x, kernel = _channels_last(layer, x), layer.kernel.read()
    product = convolved(x, kernel, layer.strides, layer.dilation, layer.padding, layer.groups)
    return _finished(layer, product, layer.bias)


@MEANINGS.register(DepthwiseConvolution)
def _(layer: DepthwiseConvolution, x: Array) -> tuple[Array, ...]:
    product = depthwise(_channels_last(layer, x), layer.kernel.read(), layer)
    return _finished(layer, product, layer.bias)


@MEANINGS.register(SeparableConvolution)
def _(layer: SeparableConvolution, x: Array) -> tuple[Array, ...]:
    by_channel = depthwise(_channels_last(layer, x), layer.depthwise.read(), layer)
    product = by_channel @ layer.pointwise.read().reshape(-1, layer.filters)
    return _finished(layer, product, layer.bias)


@MEANINGS.register(TransposedConvolution)
def _(layer: TransposedConvolution, x: Array) -> tuple[Array, ...]:
    product = transposed(_channels_last(layer, x), layer.kernel.read(), layer)
    return _finished(layer, product, layer.bias)
