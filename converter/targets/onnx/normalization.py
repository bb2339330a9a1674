"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converter.description import BatchNormalization, LayerNormalization, Weight
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import FLOAT, Graph


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, graph: Graph) -> None:
    """The node, with its axis behind the batch; ones and zeros for what Keras lacks."""
    (value,) = graph.inputs
    rest = (axis for axis in range(len(value.shape)) if axis not in (0, layer.axis))
    order = (0, layer.axis, *rest) if layer.axis else tuple(range(len(value.shape)))
    (size,) = layer.moving_mean.shape

    def along(part: str, weight: Weight | None, number: float) -> ir.Value:
        if weight is None:
            return graph.added(layer, part, np.full(size, number, np.float32))
        return graph.weight(layer, part, weight)

    y = graph.op(
        "BatchNormalization",
        graph.floats(value, order),
        along("gamma", layer.gamma, 1),
        along("beta", layer.beta, 0),
        graph.weight(layer, "moving_mean", layer.moving_mean),
        graph.weight(layer, "moving_variance", layer.moving_variance),
        name=graph.prefix,
        epsilon=layer.epsilon,
    )
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
    if graph.opset >= 17 and None not in sizes:
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
        y = _by_formula(x, gamma, beta, tuple(range(first, rank)), layer.epsilon, graph)
    graph.give(graph.outputs[0], y, order)


def _by_formula(
    x: ir.Value,
    gamma: ir.Value | None,
    beta: ir.Value | None,
    axes: tuple[int, ...],
    epsilon: float,
    graph: Graph,
) -> ir.Value:
    centred = graph.op("Sub", x, graph.reduce("ReduceMean", x, *axes, keepdims=True))
    squares = graph.op("Mul", centred, centred)
    variance = graph.reduce("ReduceMean", squares, *axes, keepdims=True)
    deviation = graph.op("Sqrt", graph.op("Add", variance, graph.constant(epsilon, FLOAT)))
    y = graph.op("Div", centred, deviation)
    if gamma is not None:
        y = graph.op("Mul", y, gamma)
    return y if beta is None else graph.op("Add", y, beta)
