"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from string import ascii_lowercase

import onnx_ir as ir

from converter.description import Combination, Combine, Concatenate, Dot, Value
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, Graph, Order, as_it_is
from converter.targets.onnx.masking import of_bool
from converter.targets.onnx.normalization import unit

OPERATORS = {
    Combination.ADD: "Add",
    Combination.SUBTRACT: "Sub",
    Combination.MULTIPLY: "Mul",
}
"""Of two inputs."""

VARIADIC = {
    Combination.AVERAGE: "Mean",
    Combination.MAXIMUM: "Max",
    Combination.MINIMUM: "Min",
}
"""Of any number."""


@emit.register(Combine)
def _(layer: Combine, graph: Graph) -> None:
    """A node of all inputs, or one of every two."""
    values = graph.inputs
    (output,) = graph.outputs
    if any(graph.masks):
        inputs = [graph.floats(value) for value in values]
        counts = [
            mask if mask is None else graph.op("Unsqueeze", of_bool(mask, graph), graph.axes(-1))
            for mask in graph.masks
        ]
        graph.give(output, _combined_where(layer.combination, inputs, counts, graph))
        return
    order, inputs = _aligned(values, graph)
    if layer.combination in VARIADIC:
        graph.give(output, graph.op(VARIADIC[layer.combination], *inputs, name=graph.prefix), order)
        return
    kind = OPERATORS[layer.combination]
    graph.give(output, reduce(lambda a, b: graph.op(kind, a, b), inputs), order)


def _aligned(values: Sequence[Value], graph: Graph) -> tuple[Order, list[ir.Value]]:
    """The inputs with the same rank and their axes in one order: axes of 1 behind the batch."""
    rank = max(len(value.shape) for value in values)
    if all(len(value.shape) == rank for value in values):
        order = graph.common_order(values)
        return order, [graph.floats(value, order) for value in values]
    inputs = []
    for value in values:
        x, missing = graph.floats(value), rank - len(value.shape)
        inputs.append(
            graph.op("Unsqueeze", x, graph.axes(*range(1, missing + 1))) if missing else x
        )
    return tuple(range(rank)), inputs


def _combined_where(
    combination: Combination,
    inputs: Sequence[ir.Value],
    counts: Sequence[ir.Value | None],
    graph: Graph,
) -> ir.Value:
    """Multiply, Maximum or Minimum of the inputs that count: see the judge."""

    def where(mask: ir.Value, x: ir.Value, other: ir.Value) -> ir.Value:
        return graph.op("Where", mask, x, other, dtype=graph.real)

    if combination is Combination.MULTIPLY:
        one = graph.constant(1, graph.real)
        factors = [
            x if mask is None else where(mask, x, one)
            for x, mask in zip(inputs, counts, strict=True)
        ]
        product = reduce(lambda a, b: graph.op("Mul", a, b), factors)
        known = [mask for mask in counts if mask is not None]
        if len(known) < len(counts):
            return product
        return where(
            reduce(lambda a, b: graph.op("Or", a, b), known), product, graph.constant(0, graph.real)
        )
    result, some = inputs[0], counts[0]
    for x, mask in zip(inputs[1:], counts[1:], strict=True):
        other = x if mask is None else where(mask, x, result)
        if some is not None:
            result = where(some, result, other)
        some = None if mask is None or some is None else graph.op("Or", mask, some, dtype=BOOL)
        result = graph.op(VARIADIC[combination], result, other)
    return result


@emit.register(Concatenate)
def _(layer: Concatenate, graph: Graph) -> None:
    """A node, along the axis where it is."""
    values = graph.inputs
    order = graph.common_order(values)
    axis = order.index(layer.axis % len(order))
    inputs = [graph.take(value, order) for value in values]
    if len({x.dtype for x in inputs}) > 1:
        inputs = [graph.cast(x, graph.real) for x in inputs]
    graph.give(graph.outputs[0], graph.op("Concat", *inputs, name=graph.prefix, axis=axis), order)


@emit.register(Dot)
def _(layer: Dot, graph: Graph) -> None:
    """Einsum: one axis of each is summed, the batch is shared."""
    letters, inputs = [], []
    rest = iter(ascii_lowercase[2:])
    for value, axis in zip(graph.inputs, layer.axes, strict=True):
        order = graph.order_of(value)
        x = graph.floats(value, order)
        inputs.append(unit(x, [order.index(axis)], layer.least, graph) if layer.normalize else x)
        own = ["b" if k == 0 else "a" if k == axis else next(rest) for k in as_it_is(value)]
        letters.append((own, "".join(own[k] for k in order)))
    (first, a), (second, b) = letters
    result = [one for one in first if one != "a"] + [one for one in second if one not in "ab"]
    equation = f"{a},{b}->{''.join(result)}"
    y = graph.op("Einsum", *inputs, name=graph.prefix, equation=equation)
    if len(result) == 1:
        y = graph.op("Unsqueeze", y, graph.axes(1))
    graph.give(graph.outputs[0], y)
