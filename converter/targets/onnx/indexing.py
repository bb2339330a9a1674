"""Operations that move elements, outside any layer."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

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
from converter.description.indexing import WHOLE
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import FLOAT, FLOAT16, INT32, INT64, Graph, as_it_is, type_of
from converter.targets.onnx.pooling import left

FIRST, LAST = -(2**63), 2**63 - 1
"""Before and behind any axis."""


def sliced(x: ir.Value, spans: Sequence[tuple[int, int, int, int]], graph: Graph) -> ir.Value:
    """A Slice by start, stop, step and axis of each span."""
    starts, stops, steps, axes = zip(*spans, strict=True)
    bounds = (graph.constant(list(one)) for one in (starts, stops, axes, steps))
    return graph.op("Slice", x, *bounds)


def _bounds(span: Span, axis: int) -> tuple[int, int, int, int]:
    step = 1 if span.step is None else span.step
    ends = (0, LAST) if step > 0 else (-1, FIRST)
    start, stop = (
        end if one is None else one for one, end in zip((span.start, span.stop), ends, strict=True)
    )
    return start, stop, step, axis


@emit.register(Slice)
def _(layer: Slice, graph: Graph) -> None:
    """Slice for spans, Gather for an index, Unsqueeze for new axes."""
    (value,), (output,) = graph.inputs, graph.outputs
    new = [k for k, item in enumerate(_kept(layer)) if item is None]
    order = as_it_is(value) if new else graph.order_of(value)
    x = graph.take(value, order)
    items = dict(enumerate(item for item in layer.items if item is not None))
    spans = [
        _bounds(item, order.index(axis))
        for axis, item in items.items()
        if isinstance(item, Span) and item != WHOLE
    ]
    if spans:
        x = sliced(x, spans, graph)
    indices = {axis: item for axis, item in items.items() if not isinstance(item, Span)}
    for axis, place in sorted(
        ((order.index(axis), k) for axis, k in indices.items()), reverse=True
    ):
        x = graph.op("Gather", x, graph.constant(place), axis=axis)
    if new:
        graph.give(output, graph.op("Unsqueeze", x, graph.axes(*new)))
    else:
        graph.give(output, x, left(order, tuple(indices)))


def _kept(layer: Slice) -> list[Span | None]:
    """Those items that give an axis of the output."""
    return [item for item in layer.items if item is None or isinstance(item, Span)]


@emit.register(ExpandDims)
def _(layer: ExpandDims, graph: Graph) -> None:
    """Unsqueeze."""
    x = graph.take(graph.inputs[0])
    graph.give(graph.outputs[0], graph.op("Unsqueeze", x, graph.axes(*layer.axes)))


@emit.register(Squeeze)
def _(layer: Squeeze, graph: Graph) -> None:
    """Squeeze, of the axes where they are."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    axes = graph.axes(*(order.index(axis) for axis in layer.axes))
    y = graph.op("Squeeze", graph.take(value, order), axes)
    graph.give(graph.outputs[0], y, left(order, layer.axes))


@emit.register(Regroup)
def _(layer: Regroup, graph: Graph) -> None:
    """Reshape."""
    x = graph.take(graph.inputs[0])
    graph.give(graph.outputs[0], graph.op("Reshape", x, graph.constant(list(layer.target))))


@emit.register(Flip)
def _(layer: Flip, graph: Graph) -> None:
    """A Slice from the end."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    spans = [(-1, FIRST, -1, order.index(axis)) for axis in layer.axes]
    graph.give(graph.outputs[0], sliced(graph.take(value, order), spans, graph), order)


@emit.register(Roll)
def _(layer: Roll, graph: Graph) -> None:
    """Gather by the indices of the axis, moved round."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    x, axis = graph.take(value, order), order.index(layer.axis % len(order))
    size = value.shape[layer.axis]
    if size is not None:
        places = graph.constant([(k - layer.shift) % size for k in range(size)])
    else:
        whole = graph.op("Shape", x, dtype=INT64, start=axis, end=axis + 1)
        length = graph.op("Squeeze", whole, graph.axes(0))
        every = graph.op("Range", graph.constant(0), length, graph.constant(1))
        places = graph.op("Mod", graph.op("Sub", every, graph.constant(layer.shift)), length)
    graph.give(graph.outputs[0], graph.op("Gather", x, places, axis=axis), order)


@emit.register(Repeat)
def _(layer: Repeat, graph: Graph) -> None:
    """Resize to the nearest element before."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    axis = layer.axis % len(order)
    x = graph.take(value, order)
    scales = graph.constant([layer.times if one == axis else 1 for one in order], FLOAT)
    longer = graph.op(
        "Resize",
        x if x.dtype in (FLOAT, FLOAT16) else graph.cast(x, INT32),
        None,
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    graph.give(graph.outputs[0], graph.cast(longer, x.dtype or FLOAT), order)


@emit.register(Tile)
def _(layer: Tile, graph: Graph) -> None:
    """A node, of the axes where they are."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    times = graph.constant([layer.times[axis] for axis in order])
    graph.give(graph.outputs[0], graph.op("Tile", graph.take(value, order), times), order)


@emit.register(Stack)
def _(layer: Stack, graph: Graph) -> None:
    """Concat along a new axis."""
    wanted = type_of(layer.output_dtype(tuple(value.dtype for value in graph.inputs)))
    axis = graph.axes(layer.axis)
    parts = [
        graph.op("Unsqueeze", graph.cast(graph.take(value), wanted), axis) for value in graph.inputs
    ]
    graph.give(graph.outputs[0], graph.op("Concat", *parts, axis=layer.axis))


@emit.register(Split)
def _(layer: Split, graph: Graph) -> None:
    """A node, and a Squeeze for each part that loses its axis."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    axis = layer.axis % len(order)
    at = order.index(axis)
    sizes = graph.constant(list(layer.sizes))
    parts = graph.ops("Split", len(layer.sizes), graph.take(value, order), sizes, axis=at)
    for output, part in zip(graph.outputs, parts, strict=True):
        if layer.squeeze:
            graph.give(output, graph.op("Squeeze", part, graph.axes(at)), left(order, (axis,)))
        else:
            graph.give(output, part, order)
