"""Attention, a softmax with a mask, and EinsumDense.

Shape letters: B batch, T and S steps of query and value, I features, N heads, D features of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from converter.description import Value
from converter.description.attention import (
    Attention,
    EinsumDense,
    Masked,
    MaskedSoftmax,
    MultiHeadAttention,
    Projection,
    Scoring,
)
from converter.gates import flattened
from converter.targets.onnx.activation import activated
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, INT64, Graph, as_it_is
from converter.targets.onnx.masking import of_bool

LOWERED, LOWEST = -1e9, -2e38
"""What is added to a masked score, and what takes its place: see the judge."""


@emit.register(Attention)
def _(layer: Attention, graph: Graph) -> None:
    """Products, a softmax, and a product."""
    query, value = (graph.floats(one) for one in graph.inputs[:2])
    key = graph.floats(graph.inputs[-1] if len(graph.inputs) == 3 else graph.inputs[1])
    of_query, of_value = graph.masks[:2] if graph.masks else (None, None)
    scores = _scores(layer, query, key, graph)
    allowed: list[ir.Value] = []
    if of_value is not None:
        allowed.append(graph.op("Unsqueeze", of_bool(of_value, graph), graph.axes(1)))
    if layer.causal:
        allowed.append(_causal(graph.inputs[0], graph.inputs[1], graph))
    weights = _softmax(scores, _all(allowed, graph), Masked.LOWERED, graph)
    y = graph.op("MatMul", weights, value)
    if of_query is not None:
        counts = graph.op("Unsqueeze", of_bool(of_query, graph), graph.axes(-1))
        y = graph.op("Where", counts, y, graph.constant(0, graph.real), dtype=graph.real)
    for output, result in zip(graph.outputs, (y, weights), strict=False):
        graph.give(output, result)


def _scores(layer: Attention, query: ir.Value, key: ir.Value, graph: Graph) -> ir.Value:
    """(B, T, S)."""
    scale = None if layer.scale is None else graph.weight(layer, "scale", layer.scale)
    if layer.scoring is Scoring.DOT:
        products = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 1]))
        return products if scale is None else graph.op("Mul", products, scale)
    both = graph.op(
        "Add",
        graph.op("Unsqueeze", query, graph.axes(2)),
        graph.op("Unsqueeze", key, graph.axes(1)),
    )
    if layer.scoring is Scoring.CONCAT and scale is not None:
        both = graph.op("Mul", both, scale)
    terms = graph.op("Tanh", both)
    if layer.scoring is Scoring.ADDITIVE and scale is not None:
        terms = graph.op("Mul", terms, scale)
    total = graph.reduce("ReduceSum", terms, -1)
    if layer.factor is None:
        return total
    return graph.op("Mul", total, graph.weight(layer, "factor", layer.factor))


@emit.register(MultiHeadAttention)
def _(layer: MultiHeadAttention, graph: Graph) -> None:
    """Projections into heads, attention in each, and the projection out of them."""
    query, value, key = graph.inputs[:3]
    around = [axis for axis in range(len(query.shape) - 1) if axis not in layer.axes]
    front = len(around)
    q = _heads(layer, query, "query", layer.query, graph)
    k = _heads(layer, key, "key", layer.key, graph)
    v = _heads(layer, value, "value", layer.value, graph)
    turned = graph.op("Transpose", k, perm=[*range(front + 1), front + 2, front + 1])
    scale = graph.constant(layer.key_dim**-0.5, graph.real)
    scores = graph.op("MatMul", graph.op("Mul", q, scale), turned)
    allowed = _allowed(layer, graph)
    weights = _softmax(scores, allowed, layer.masked, graph)
    context = graph.op("MatMul", weights, v)
    moved = graph.op("Transpose", context, perm=[*range(front), front + 1, front, front + 2])
    joined = graph.op("Reshape", moved, graph.constant([0] * (front + 1) + [-1]))
    y = _projected(layer, joined, "output", layer.output, 2, graph)
    order = (*around, *layer.axes)
    rank = len(query.shape)
    rest = range(rank - 1, rank - 1 + len(layer.features))
    if len(layer.axes) > 1 or len(layer.features) > 1:
        steps = graph.op("Shape", graph.take(query, (*order, rank - 1)), dtype=INT64, end=rank - 1)
        size = graph.op("Concat", steps, graph.constant(list(layer.features)), axis=0)
        y = graph.op("Reshape", y, size)
    graph.give(graph.outputs[0], y, (*order, *rest))
    if layer.return_scores:
        graph.give(graph.outputs[1], _apart(layer, weights, front, graph))


def _apart(layer: MultiHeadAttention, weights: ir.Value, front: int, graph: Graph) -> ir.Value:
    """The weights with each axis of the steps by itself."""
    if len(layer.axes) == 1:
        return weights
    sizes = [graph.op("Shape", weights, dtype=INT64, end=front + 1)]
    for value in graph.inputs[:2]:
        whole = graph.op("Shape", graph.take(value), dtype=INT64)
        sizes.append(graph.op("Gather", whole, graph.constant(list(layer.axes))))
    return graph.op("Reshape", weights, graph.op("Concat", *sizes, axis=0))


def _heads(
    layer: MultiHeadAttention, value: Value, part: str, projection: Projection, graph: Graph
) -> ir.Value:
    """(B, ..., N, T, D); fewer heads are each there several times."""
    rank = len(value.shape)
    around = [axis for axis in range(rank - 1) if axis not in layer.axes]
    front = len(around)
    x = graph.floats(value, (*around, *layer.axes, rank - 1))
    if len(layer.axes) > 1:
        target = graph.constant([0] * front + [-1, projection.kernel.shape[0]])
        x = graph.op("Reshape", x, target)
    y = _projected(layer, x, part, projection, 1, graph)
    heads, features = projection.kernel.shape[1:]
    apart = graph.op("Reshape", y, graph.constant([0] * (front + 1) + [heads, features]))
    turned = graph.op("Transpose", apart, perm=[*range(front), front + 1, front, front + 2])
    if heads == layer.heads:
        return turned
    each = [head for head in range(heads) for _ in range(layer.heads // heads)]
    return graph.op("Gather", turned, graph.constant(each), axis=front)


def _projected(
    layer: MultiHeadAttention,
    x: ir.Value,
    part: str,
    projection: Projection,
    summed: int,
    graph: Graph,
) -> ir.Value:
    """`x` times a kernel whose first `summed` axes are one, and whose others are one."""
    form = flattened(projection.kernel.shape, summed)
    y = graph.op("MatMul", x, graph.weight(layer, f"{part}_kernel", projection.kernel, form))
    if projection.bias is None:
        return y
    flat = flattened(projection.bias.shape, 0)
    return graph.op("Add", y, graph.weight(layer, f"{part}_bias", projection.bias, flat))


def _allowed(layer: MultiHeadAttention, graph: Graph) -> ir.Value | None:
    """Which scores count, as it broadcasts to (B, ..., N, T, S); None if all do."""
    inputs = graph.inputs
    masks = graph.masks[:3] if graph.masks else (None, None, None)
    parts: list[ir.Value] = []
    ranks: list[int] = []
    for mask, axis in zip(masks, (-1, -2, -2), strict=True):
        if mask is not None:
            parts.append(graph.op("Unsqueeze", of_bool(mask, graph), graph.axes(axis)))
            ranks.append(len(mask.shape) + 1)
    if layer.causal:
        parts.append(_causal(inputs[0], inputs[1], graph))
        ranks.append(3)
    if len(inputs) == 4:
        as_given = layer.masked is Masked.LOWERED and not parts
        given = graph.take(inputs[3])
        parts.append(given if as_given else graph.cast(given, BOOL))
        ranks.append(len(inputs[3].shape))
    allowed = _all(parts, graph)
    if allowed is None:
        return None
    missing = len(inputs[0].shape) + 1 - max(ranks)
    axes = range(max(ranks) - 2, max(ranks) - 2 + missing)
    return graph.op("Unsqueeze", allowed, graph.axes(*axes)) if missing else allowed


def _all(parts: Sequence[ir.Value], graph: Graph) -> ir.Value | None:
    """Where every one of them is True."""
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = graph.op("And", whole, part)
    return whole


def _causal(query: Value, value: Value, graph: Graph) -> ir.Value:
    """(1, T, S): no step of the query sees a later one of the value."""

    def numbers(one: Value, axis: int) -> ir.Value:
        size = graph.op("Shape", graph.take(one), dtype=INT64, start=1, end=2)
        limit = graph.op("Squeeze", size, graph.axes(0))
        count = graph.op("Range", graph.constant(0), limit, graph.constant(1))
        return graph.op("Unsqueeze", count, graph.axes(0, axis))

    return graph.op("GreaterOrEqual", numbers(query, 2), numbers(value, 1), dtype=BOOL)


def _masked(scores: ir.Value, allowed: ir.Value, masked: Masked, graph: Graph) -> ir.Value:
    """The scores of which a softmax is taken; of numbers LOWERED makes more than two cases."""
    if masked is not Masked.LOWERED:
        lowest = graph.constant(LOWEST, graph.real)
        return graph.op("Where", graph.cast(allowed, BOOL), scores, lowest, dtype=graph.real)
    if allowed.dtype == BOOL:
        lower = graph.op("Add", scores, graph.constant(LOWERED, graph.real))
        return graph.op("Where", allowed, scores, lower, dtype=graph.real)
    less = graph.op("Sub", graph.constant(1, graph.real), graph.cast(allowed, graph.real))
    return graph.op("Add", scores, graph.op("Mul", less, graph.constant(LOWERED, graph.real)))


def _softmax(scores: ir.Value, allowed: ir.Value | None, masked: Masked, graph: Graph) -> ir.Value:
    """Over the last axis."""
    if allowed is None:
        return graph.op("Softmax", scores, axis=-1)
    weights = graph.op("Softmax", _masked(scores, allowed, masked, graph), axis=-1)
    if masked is not Masked.ZERO:
        return weights
    zero = graph.constant(0, graph.real)
    return graph.op("Where", graph.cast(allowed, BOOL), weights, zero, dtype=graph.real)


@emit.register(MaskedSoftmax)
def _(layer: MaskedSoftmax, graph: Graph) -> None:
    """A softmax of what the mask leaves."""
    (value,) = graph.inputs
    order = as_it_is(value)
    x = graph.floats(value)
    mask = graph.masks[0] if graph.masks else None
    if mask is not None:
        allowed = of_bool(mask, graph)
        y = activated(layer.softmax, _masked(x, allowed, layer.masked, graph), graph, order)
        if layer.masked is Masked.ZERO:
            y = graph.op("Where", allowed, y, graph.constant(0, graph.real), dtype=graph.real)
    else:
        y = activated(layer.softmax, x, graph, order)
    graph.give(graph.outputs[0], y)


@emit.register(EinsumDense)
def _(layer: EinsumDense, graph: Graph) -> None:
    """Einsum, the bias and the activation."""
    (value,), (output,) = graph.inputs, graph.outputs
    kernel = graph.weight(layer, "kernel", layer.kernel)
    x = graph.floats(value)
    y = graph.op("Einsum", x, kernel, name=graph.prefix, equation=layer.equation)
    if layer.bias is not None:
        y = graph.op("Add", y, graph.weight(layer, "bias", layer.bias))
    graph.give(output, activated(layer.activation, y, graph, as_it_is(output)))
