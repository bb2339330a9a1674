"""Dense, Embedding, activations, the dropouts and TimeDistributed."""

from __future__ import annotations

from converter.description import Activate, Dense, Dropout, Embedding, PReLU
from converter.targets.onnx.activation import activated
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, INT32, INT64, Graph


@emit.register(Dense)
def _(layer: Dense, graph: Graph) -> None:
    """Gemm of a matrix; MatMul and Add of more axes, on the last one, in whatever order."""
    (value,), (output,) = graph.inputs, graph.outputs
    rank = len(value.shape)
    order = graph.order_of(value)
    if order[-1] != rank - 1:
        order = tuple(range(rank))
    x = graph.floats(value, order)
    kernel = graph.weight(layer, "kernel", layer.kernel)
    name = graph.prefix
    if layer.bias is None:
        y = graph.op("MatMul", x, kernel, name=name)
    else:
        bias = graph.weight(layer, "bias", layer.bias)
        if rank == 2:
            y = graph.op("Gemm", x, kernel, bias, name=name)
        else:
            y = graph.op("Add", graph.op("MatMul", x, kernel, name=name), bias)
    graph.give(output, activated(layer.activation, y, graph, order), order)


@emit.register(Embedding)
def _(layer: Embedding, graph: Graph) -> None:
    """Gather; an index that is a float is cut to an integer, as Keras does."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    x = graph.take(value, order)
    index = x if x.dtype in (INT64, INT32) else graph.cast(x, INT64)
    table = graph.weight(layer, "embeddings", layer.embeddings)
    rows = graph.op("Gather", table, index, name=graph.prefix)
    graph.give(graph.outputs[0], rows, (*order, len(order)))
    if layer.mask_zero:
        graph.give(graph.outputs[1], graph.cast(x, BOOL), order)


@emit.register(Activate)
def _(layer: Activate, graph: Graph) -> None:
    """Nodes, in whatever order the axes are."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    x = graph.floats(value, order)
    graph.give(graph.outputs[0], activated(layer.activation, x, graph, order), order)


@emit.register(PReLU)
def _(layer: PReLU, graph: Graph) -> None:
    """PRelu, whose slope is of the last axes."""
    x = graph.floats(graph.inputs[0])
    slope = graph.weight(layer, "alpha", layer.alpha)
    graph.give(graph.outputs[0], graph.op("PRelu", x, slope, name=graph.prefix))


@emit.register(Dropout)
def _(_layer: Dropout, graph: Graph) -> None:
    """Nothing: the same tensor."""
    graph.pass_on(graph.inputs[0], graph.outputs[0])
