"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import AdaptivePooling, GlobalPooling, Pool, Pooling
from converter.errors import UnsupportedError
from converter.targets.onnx.convolution import padding_attributes, steps_of, window_order
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import Graph, Order
from converter.targets.onnx.masking import of_bool


@emit.register(Pooling)
def _(layer: Pooling, graph: Graph) -> None:
    """MaxPool or AveragePool, which counts no padding."""
    (value,) = graph.inputs
    order = window_order(value, layer.channels_first)
    steps = steps_of(value, layer.channels_first)
    once = (1,) * layer.rank
    y = graph.op(
        "MaxPool" if layer.pool is Pool.MAX else "AveragePool",
        graph.floats(value, order),
        name=graph.prefix,
        kernel_shape=list(layer.size),
        strides=list(layer.strides),
        **padding_attributes(steps, layer.size, layer.strides, once, layer.padding),
    )
    graph.give(graph.outputs[0], y, order)


@emit.register(GlobalPooling)
def _(layer: GlobalPooling, graph: Graph) -> None:
    """A mean or a maximum over axes; with a mask, of the steps that count."""
    (value,), (output,) = graph.inputs, graph.outputs
    order = graph.order_of(value)
    mask = next((one for one in graph.masks if one is not None), None)
    if mask is not None:
        order = tuple(range(len(value.shape)))
    x = graph.floats(value, order)
    axes = [order.index(axis) for axis in layer.axes]
    if mask is None:
        kind = "ReduceMax" if layer.pool is Pool.MAX else "ReduceMean"
        y = graph.reduce(kind, x, *axes, keepdims=layer.keepdims)
    else:
        behind = -1 if layer.axes == (1,) else 1
        counts = graph.op("Unsqueeze", of_bool(mask, graph), graph.axes(behind))
        kept = graph.op("Where", counts, x, graph.constant(0, graph.real), dtype=graph.real)
        total = graph.reduce("ReduceSum", kept, *axes, keepdims=layer.keepdims)
        ones = graph.cast(counts, graph.real)
        number = graph.reduce("ReduceSum", ones, *axes, keepdims=layer.keepdims)
        y = graph.op("Div", total, number)
    graph.give(output, y, order if layer.keepdims else left(order, layer.axes))


def left(order: Order, axes: tuple[int, ...]) -> Order:
    """The order of the axes that are left, by their new numbers."""
    left = [axis for axis in order if axis not in axes]
    return tuple(sorted(left).index(axis) for axis in left)


@emit.register(AdaptivePooling)
def _(layer: AdaptivePooling, graph: Graph) -> None:
    """One axis after the other, a window for each place of the output."""
    (value,) = graph.inputs
    order = window_order(value, layer.channels_first)
    y = graph.floats(value, order)
    kind = "ReduceMax" if layer.pool is Pool.MAX else "ReduceMean"
    steps = steps_of(value, layer.channels_first)
    for axis, (n, size) in enumerate(zip(steps, layer.size, strict=True), 2):
        if size == 1:
            y = graph.reduce(kind, y, axis, keepdims=True)
            continue
        if n is None:
            raise UnsupportedError(
                f"layer '{layer.name}' cannot become ONNX",
                context=f"{size} places of an axis of a free length, in a {type(layer).__name__}",
                hint="give the model's input a fixed length; --to pytorch takes any",
                code="onnx-adaptive-pooling",
            )
        places = []
        for k in range(size):
            window = ([k * n // size], [-((k + 1) * n // -size)], [axis])
            part = graph.op("Slice", y, *map(graph.constant, window))
            places.append(graph.reduce(kind, part, axis, keepdims=True))
        y = graph.op("Concat", *places, axis=axis)
    graph.give(graph.outputs[0], y, order)
