"""Normalization over the batch, a layer, a group, or to length 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converter.description import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
    Weight,
)
from converter.gates import reshaped
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import FLOAT, INT64, Graph


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, graph: Graph) -> None:
    """The node, with its axes behind the batch, as one; ones and zeros for what Keras lacks."""
    (value,) = graph.inputs
    rest = (axis for axis in range(len(value.shape)) if axis not in (0, *layer.axes))
    order = (0, *layer.axes, *rest) if 0 not in layer.axes else tuple(range(len(value.shape)))
    several = len(layer.axes) > 1
    size = layer.moving_mean.size
    form = reshaped(layer.moving_mean.shape, (size,))
    x = shaped = graph.floats(value, order)
    if several:
        x = graph.op("Reshape", shaped, graph.constant([0, size, -1]))

    def along(part: str, weight: Weight | None, number: float) -> ir.Value:
        if weight is None:
            return graph.added(layer, part, np.full(size, number, np.float32))
        return graph.weight(layer, part, weight, form)

    y = graph.op(
        "BatchNormalization",
        x,
        along("gamma", layer.gamma, 1),
        along("beta", layer.beta, 0),
        graph.weight(layer, "moving_mean", layer.moving_mean, form),
        graph.weight(layer, "moving_variance", layer.moving_variance, form),
        name=graph.prefix,
        epsilon=layer.epsilon,
    )
    if several:
        y = graph.op("Reshape", y, graph.op("Shape", shaped, dtype=INT64))
    graph.give(graph.outputs[0], y, order)


@emit.register(LayerNormalization)
def _(layer: LayerNormalization, graph: Graph) -> None:
    """The node of opset 17 on the last axes, which others are moved to; before it the formula."""
    (value,) = graph.inputs
    rank = len(value.shape)
    order = (*(axis for axis in range(rank) if axis not in layer.axes), *layer.axes)
    held = graph.order_of(value)
    if held[-len(layer.axes) :] == layer.axes:
        order = held
    x = graph.floats(value, order)
    first = rank - len(layer.axes)
    gamma = None if layer.gamma is None else graph.weight(layer, "gamma", layer.gamma)
    beta = None if layer.beta is None else graph.weight(layer, "beta", layer.beta)
    sizes = [value.shape[axis] for axis in layer.axes]
    if graph.opset >= 17 and None not in sizes and layer.centred:
        if gamma is None:
            gamma = graph.added(layer, "gamma", np.ones([n or 1 for n in sizes], np.float32))
        y = graph.op(
            "LayerNormalization",
            x,
            gamma,
            beta,
            name=graph.prefix,
            axis=first,
            epsilon=layer.epsilon,
        )
    else:
        y = _by_formula(x, gamma, beta, tuple(range(first, rank)), layer, graph)
    graph.give(graph.outputs[0], y, order)


def _by_formula(
    x: ir.Value,
    gamma: ir.Value | None,
    beta: ir.Value | None,
    axes: tuple[int, ...],
    layer: LayerNormalization,
    graph: Graph,
) -> ir.Value:
    centred = graph.op("Sub", x, graph.reduce("ReduceMean", x, *axes, keepdims=True))
    squares = graph.op("Mul", centred, centred)
    variance = graph.reduce("ReduceMean", squares, *axes, keepdims=True)
    deviation = graph.op(
        "Sqrt", graph.op("Add", variance, graph.constant(layer.epsilon, graph.real))
    )
    y = graph.op("Div", centred if layer.centred else x, deviation)
    if gamma is not None:
        y = graph.op("Mul", y, gamma)
    return y if beta is None else graph.op("Add", y, beta)


@emit.register(GroupNormalization)
def _(layer: GroupNormalization, graph: Graph) -> None:
    """InstanceNormalization of each group, then scale and centre of each channel."""
    (value,) = graph.inputs
    rank = len(value.shape)
    order = (0, layer.axis, *(axis for axis in range(1, rank) if axis != layer.axis))
    x = graph.floats(value, order)
    by_group = graph.op("Reshape", x, graph.constant([0, layer.groups, -1]))
    ones, zeros = (graph.constant([number] * layer.groups, graph.real) for number in (1, 0))
    alike = graph.op(
        "InstanceNormalization", by_group, ones, zeros, name=graph.prefix, epsilon=layer.epsilon
    )
    y = graph.op("Reshape", alike, graph.op("Shape", x, dtype=INT64))
    for part, weight, kind in (("gamma", layer.gamma, "Mul"), ("beta", layer.beta, "Add")):
        if weight is not None:
            numbers = graph.weight(layer, part, weight)
            shape = graph.constant([-1, *[1] * (rank - 2)])
            y = graph.op(kind, y, graph.op("Reshape", numbers, shape))
    graph.give(graph.outputs[0], y, order)


@emit.register(RMSNormalization)
def _(layer: RMSNormalization, graph: Graph) -> None:
    """Divided by the root of the mean square of the last axes, in float32, which holds that."""
    x = graph.cast(graph.floats(graph.inputs[0]), FLOAT)
    axes = range(-len(layer.scale.shape), 0)
    squares = graph.reduce("ReduceMean", graph.op("Mul", x, x), *axes, keepdims=True)
    root = graph.op("Sqrt", graph.op("Add", squares, graph.constant(layer.epsilon, FLOAT)))
    scale = graph.cast(graph.weight(layer, "scale", layer.scale), FLOAT)
    y = graph.op("Mul", graph.op("Div", x, root), scale)
    graph.give(graph.outputs[0], y)


@emit.register(UnitNormalization)
def _(layer: UnitNormalization, graph: Graph) -> None:
    """Divided by the L2 norm, in whatever order the axes are."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    axes = [order.index(axis) for axis in layer.axes]
    graph.give(graph.outputs[0], unit(graph.floats(value, order), axes, layer.least, graph), order)


def unit(x: ir.Value, axes: Sequence[int], least: float, graph: Graph) -> ir.Value:
    """`x` divided by its L2 norm along `axes`, or by `least` where that is more."""
    norm = graph.reduce("ReduceL2", x, *axes, keepdims=True)
    return graph.op("Div", x, graph.op("Max", norm, graph.constant(least, FLOAT)))
