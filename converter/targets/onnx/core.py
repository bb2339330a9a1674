"""Dense, Embedding, activations, the dropouts and TimeDistributed."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from converter.description import (
    Activate,
    Call,
    Dense,
    Dropout,
    Embedding,
    Identity,
    Layer,
    Masking,
    PReLU,
    TimeDistributed,
    Value,
)
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
        y = graph.product(x, kernel, name)
    else:
        bias = graph.weight(layer, "bias", layer.bias)
        if rank == 2:
            y = graph.op("Gemm", x, kernel, bias, name=name)
        else:
            y = graph.op("Add", graph.product(x, kernel, name), bias)
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


@emit.register(Identity)
@emit.register(Dropout)
def _(_layer: Dropout | Identity, graph: Graph) -> None:
    """Nothing: the same tensor."""
    graph.pass_on(graph.inputs[0], graph.outputs[0])


@emit.register(TimeDistributed)
def _(layer: TimeDistributed, graph: Graph) -> None:
    """The inner layer, on (batch * time, ...) where it needs that."""
    inner = replace(layer.layer, name=layer.name, trainable=layer.trainable)
    call = graph.call
    if call is None:
        return
    if _every_step(inner):
        graph.call = replace(call, layer=inner)
        emit[inner](inner, graph)
        graph.call = call
        return
    outputs = call.outputs
    inside = tuple(_folded(value, graph) for value in call.inputs)
    masks = tuple(None if mask is None else _folded(mask, graph) for mask in call.masks)
    results = tuple(
        replace(output, name=f"{output.name} steps", shape=(None, *output.shape[2:]))
        for output in outputs
    )
    for result in results:
        graph.names.setdefault(result.name, graph.name(result.name))
    graph.call = Call(inner, inside, results, masks)
    emit[inner](inner, graph)
    graph.call = call
    front = _front(call.inputs[0], graph)
    for output, result in zip(outputs, results, strict=True):
        y = graph.take(result)
        graph.give(output, graph.op("Reshape", y, _shape(front, output, y, graph)))


def _every_step(layer: Layer) -> bool:
    """Whether a layer does the same with two axes in front as with one."""
    match layer:
        case Dense() | Embedding() | Masking():
            return True
        case Activate():
            return dict(layer.activation.parameters).get("axis", -1) == -1
        case Dropout() | Identity():
            return True
    return False


def _folded(value: Value, graph: Graph) -> Value:
    """A value with batch and time as one axis."""
    inside = replace(value, name=f"{value.name} steps", shape=(None, *value.shape[2:]))
    if inside.name not in graph.held:
        graph.names.setdefault(inside.name, graph.name(inside.name))
        x = graph.take(value)
        rest = list(inside.shape[1:])
        if None not in rest:
            target = graph.constant([-1, *rest])
        else:
            behind = graph.op("Shape", x, dtype=INT64, start=2)
            target = graph.op("Concat", graph.constant([-1]), behind, axis=0)
        graph.give(inside, graph.op("Reshape", x, target))
    return inside


def _front(value: Value, graph: Graph) -> ir.Value:
    """Batch and time, as they are when the graph runs; -1 for what is left."""
    time = value.shape[1]
    if time is not None:
        return graph.constant([-1, time])
    return graph.op("Shape", graph.take(value), dtype=INT64, end=2)


def _shape(front: ir.Value, output: Value, y: ir.Value, graph: Graph) -> ir.Value:
    """The shape of an output: `front`, and then that of a step."""
    rest = output.shape[2:]
    if None in rest:
        behind = graph.op("Shape", y, dtype=INT64, start=1)
        return graph.op("Concat", front, behind, axis=0)
    if front.const_value is not None:
        return graph.constant([*front.const_value.numpy().tolist(), *rest])
    return graph.op("Concat", front, graph.constant(list(rest)), axis=0) if rest else front
