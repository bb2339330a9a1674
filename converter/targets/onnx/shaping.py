"""Layers that move elements and compute nothing."""

from __future__ import annotations

import onnx_ir as ir

from converter.description import Flatten, Permute, RepeatVector, Reshape, Transpose, Value
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import Graph, Order, as_it_is


@emit.register(Flatten)
def _(layer: Flatten, graph: Graph) -> None:
    """All axes but the batch become one, in the order of the model's axes."""
    (value,), (output,) = graph.inputs, graph.outputs
    rank = len(value.shape)
    if rank == 2:
        graph.pass_on(value, output)
        return
    order = (0, *range(2, rank), 1) if layer.channels_first else as_it_is(value)
    x = graph.take(value, order)
    if rank == 1:
        graph.give(output, graph.op("Unsqueeze", x, graph.axes(1)))
    else:
        graph.give(output, graph.op("Flatten", x, name=graph.prefix))


@emit.register(Reshape)
def _(layer: Reshape, graph: Graph) -> None:
    """The batch stays; a size that is known is written out."""
    (value,), (output,) = graph.inputs, graph.outputs
    sizes = output.shape[1:]
    target = layer.target if None in sizes else sizes
    front = 0 if None in sizes else -1  # as many as there are, or as many as are left
    x = graph.take(value)
    graph.give(output, graph.op("Reshape", x, graph.constant([front, *target]), name=graph.prefix))


@emit.register(Permute)
def _(layer: Permute, graph: Graph) -> None:
    """Nothing: the same tensor, its axes known by other numbers."""
    _reordered(graph.inputs[0], graph.outputs[0], (0, *layer.dims), graph)


@emit.register(Transpose)
def _(layer: Transpose, graph: Graph) -> None:
    """Nothing, likewise."""
    _reordered(graph.inputs[0], graph.outputs[0], layer.axes, graph)


def _reordered(value: Value, output: Value, axes: Order, graph: Graph) -> None:
    """Output axis k is input axis `axes[k]`."""
    order = graph.order_of(value)
    x = graph.take(value, order)
    graph.give(output, x, tuple(axes.index(axis) for axis in order))


@emit.register(RepeatVector)
def _(layer: RepeatVector, graph: Graph) -> None:
    """The same for every step, in whichever order is wanted."""
    (value,), (output,) = graph.inputs, graph.outputs
    x = graph.take(value)

    def repeated(axis: int) -> ir.Value:
        sizes = [1, 1, 1]
        sizes[axis] = layer.n
        return graph.op("Expand", graph.op("Unsqueeze", x, graph.axes(axis)), graph.constant(sizes))

    graph.give_lazily(output, {(0, 1, 2): lambda: repeated(1), (1, 0, 2): lambda: repeated(0)})
