"""Where masks come from, and what is done to masks on their way."""

from __future__ import annotations

from functools import reduce

import numpy as np
import onnx_ir as ir

from converter.description import (
    AnyOf,
    EveryStep,
    JoinMasks,
    Masking,
    Unequal,
    Value,
    WithinLength,
)
from converter.dtypes import FLOATS, as_type
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, FLOAT, INT32, INT64, Graph, Order


@emit.register(Masking)
def _(layer: Masking, graph: Graph) -> None:
    """A comparison that no element of a step may pass, and zeros where all do."""
    (value,) = graph.inputs
    given, made = graph.outputs
    order = graph.order_of(value)
    if order[-1] != len(order) - 1:
        order = tuple(range(len(order)))
    x = graph.floats(value, order)
    same = _same(x, layer.mask_value, graph)
    every = graph.reduce("ReduceMin", graph.cast(same, INT32), -1)
    mask = graph.op("Less", every, graph.constant(1, INT32), dtype=BOOL)
    graph.give(made, mask, order[:-1])

    def zeroed() -> ir.Value:
        counts = graph.op("Unsqueeze", mask, graph.axes(-1))
        return graph.op("Where", counts, x, graph.constant(0, graph.real), dtype=graph.real)

    graph.give_lazily(given, {order: zeroed})
    graph.unmasked[given.name] = value, made


def _same(x: ir.Value, number: float, graph: Graph) -> ir.Value:
    """Where `x` is a number, of bool.

    In float16 by the numbers of float32 that are rounded to it: onnxruntime's CPU provider, which
    computes that in float32, leaves out a cast to float16 and back.
    """
    if graph.real == FLOAT:
        return graph.op("Equal", x, graph.constant(number, FLOAT), dtype=BOOL)
    lowest, highest = (graph.constant(end, FLOAT) for end in rounded_to(number))
    wide = graph.cast(x, FLOAT)
    above = graph.op("GreaterOrEqual", wide, lowest, dtype=BOOL)
    return graph.op("And", above, graph.op("LessOrEqual", wide, highest, dtype=BOOL))


def rounded_to(number: float) -> tuple[float, float]:
    """The smallest and the largest number of float32 that are rounded to the same of float16.

    >>> rounded_to(-1), rounded_to(1e9)
    ((-1.00048828125, -0.999755859375), (65520.0, inf))
    """
    half = float(as_type(np.array(number), "float16"))
    if np.isnan(half):
        return half, half

    def end(way: float) -> float:
        if half == way:
            return half
        with np.errstate(over="ignore"):
            beyond = float(np.nextafter(np.float16(half), np.float16(way)))
        middle = (_in_reach(half) + _in_reach(beyond)) / 2
        if float(as_type(np.array(middle), "float16")) == half:
            return middle
        return float(np.nextafter(np.float32(middle), np.float32(half)))

    return end(-np.inf), end(np.inf)


def _in_reach(half: float) -> float:
    """A number of float16, an infinity as the first power of two that is too large."""
    largest = 2.0 ** FLOATS["float16"].limit
    return min(max(half, -largest), largest)


@emit.register(Unequal)
def _(layer: Unequal, graph: Graph) -> None:
    """A comparison; with zero, a cast."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    graph.give(graph.outputs[0], unequal(graph.take(value, order), layer.number, graph), order)


def unequal(x: ir.Value, number: float, graph: Graph) -> ir.Value:
    """Where `x` is not a number, of bool."""
    if not number:
        return graph.cast(x, BOOL)
    other = graph.constant(number, x.dtype or graph.real)
    return graph.op("Not", graph.op("Equal", x, other, dtype=BOOL))


@emit.register(WithinLength)
def _(layer: WithinLength, graph: Graph) -> None:
    """Every step's number, held against the lengths; a recurrent node takes these themselves."""
    x, lengths = graph.inputs
    (mask,) = graph.outputs
    held = graph.cast(graph.take(lengths), INT64)
    graph.lengths[mask.name] = lengths

    def compared() -> ir.Value:
        sequence = graph.take(x)
        axis = 0 if layer.time_major else 1
        size = graph.op("Shape", sequence, dtype=INT64, start=axis, end=axis + 1)
        time = graph.op("Squeeze", size, graph.axes(0))
        steps = graph.op("Range", graph.constant(0), time, graph.constant(1))
        column = graph.op("Unsqueeze", held, graph.axes(1))
        return graph.op("Less", steps, column, dtype=BOOL)

    graph.give_lazily(mask, {(1, 0) if layer.time_major else (0, 1): compared})


@emit.register(AnyOf)
def _(_layer: AnyOf, graph: Graph) -> None:
    """The largest of ones and zeros."""
    (value,) = graph.inputs
    ones = graph.cast(graph.take(value), INT32)
    graph.give(graph.outputs[0], graph.cast(graph.reduce("ReduceMax", ones, -1), BOOL))


@emit.register(JoinMasks)
def _(layer: JoinMasks, graph: Graph) -> None:
    """And, or Or."""
    order = graph.common_order(graph.inputs)
    masks = [of_bool(mask, graph, order) for mask in graph.inputs]
    kind = "And" if layer.every else "Or"
    graph.give(graph.outputs[0], reduce(lambda a, b: graph.op(kind, a, b), masks), order)


def of_bool(mask: Value, graph: Graph, order: Order | None = None) -> ir.Value:
    """What holds a mask, of bool whatever it is given as."""
    return graph.cast(graph.take(mask, order), BOOL)


@emit.register(EveryStep)
def _(_layer: EveryStep, graph: Graph) -> None:
    """Ones, as many as there are steps."""
    (value,) = graph.inputs
    rank = len(value.shape)
    size = graph.op("Shape", graph.take(value), dtype=ir.DataType.INT64, end=rank - 1)
    ones = graph.op("ConstantOfShape", size, dtype=BOOL, value=ir.tensor([True]))
    graph.give(graph.outputs[0], ones)
