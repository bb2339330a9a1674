"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

import onnx_ir as ir

from converter.description import (
    CategoryEncoding,
    Discretization,
    Encoding,
    Normalization,
    Rescaling,
    Weight,
)
from converter.description.preprocessing import Constants
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, INT64, Graph, as_it_is

LEAST = 1e-7
"""Of a standard deviation: keras.config.epsilon()."""


@emit.register(Rescaling)
def _(layer: Rescaling, graph: Graph) -> None:
    """A product and a sum."""
    (value,) = graph.inputs
    alike = len(layer.scale) == len(layer.offset) == 1
    order = graph.order_of(value) if alike else as_it_is(value)
    y = graph.floats(value, order)
    if layer.scale != (1.0,):
        y = graph.op("Mul", y, _numbers(layer.scale, graph))
    if layer.offset != (0.0,):
        y = graph.op("Add", y, _numbers(layer.offset, graph))
    graph.give(graph.outputs[0], y, order)


def _numbers(numbers: Constants, graph: Graph) -> ir.Value:
    return graph.constant(numbers[0] if len(numbers) == 1 else list(numbers), graph.real)


@emit.register(Normalization)
def _(layer: Normalization, graph: Graph) -> None:
    """The mean is taken off, and what is left divided by the deviation; or the inverse."""
    (value,) = graph.inputs
    shape = layer.shape_in(len(value.shape))

    def beside(part: str, statistics: Weight | Constants) -> ir.Value:
        if not isinstance(statistics, Weight):
            known = graph.constant(list(statistics), graph.real)
        else:
            known = graph.weight(layer, part, statistics)
        return graph.op("Reshape", known, graph.constant(list(shape)))

    if layer.count is not None:
        graph.weight(layer, "count", layer.count)
    x, mean = graph.floats(value), beside("mean", layer.mean)
    least = graph.constant(LEAST, graph.real)
    deviation = graph.op("Max", graph.op("Sqrt", beside("variance", layer.variance)), least)
    if layer.invert:
        y = graph.op("Add", graph.op("Mul", x, deviation), mean)
    else:
        y = graph.op("Div", graph.op("Sub", x, mean), deviation)
    graph.give(graph.outputs[0], y)


@emit.register(CategoryEncoding)
def _(layer: CategoryEncoding, graph: Graph) -> None:
    """OneHot, and what is made of it."""
    index = graph.cast(graph.take(graph.inputs[0]), INT64)
    _give_encoded(index, layer.encoding, layer.depth, graph)


@emit.register(Discretization)
def _(layer: Discretization, graph: Graph) -> None:
    """How many boundaries are not above, encoded."""
    x = graph.op("Unsqueeze", graph.floats(graph.inputs[0]), graph.axes(-1))
    boundaries = graph.constant(list(layer.boundaries), graph.real)
    reached = graph.op("Not", graph.op("Less", x, boundaries, dtype=BOOL))
    index = graph.reduce("ReduceSum", graph.cast(reached, INT64), -1)
    _give_encoded(index, layer.encoding, layer.depth, graph)


def _give_encoded(index: ir.Value, encoding: Encoding, depth: int, graph: Graph) -> None:
    """Whole numbers below `depth` as an encoding has them."""
    (value,), (output,) = graph.inputs, graph.outputs
    if encoding is Encoding.INT:
        graph.give(output, index)
        return
    if encoding is Encoding.ONE_HOT and value.shape[-1] == 1:
        index = graph.op("Squeeze", index, graph.axes(-1))
    values = graph.constant([0, 1], graph.real)
    each = graph.op("OneHot", index, graph.constant(depth), values, dtype=graph.real)
    if encoding is Encoding.MULTI_HOT:
        each = graph.reduce("ReduceMax", each, 1)
    elif encoding is Encoding.COUNT:
        each = graph.reduce("ReduceSum", each, 1)
    graph.give(output, each)
