"""Convolutional LSTM: a Scan for each direction.

Shape letters: B batch, T time, S the steps of the axes in space, C channels, F filters, G gates.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from converter.description import ConvDirection, ConvLSTM, Merge, Padding, Value
from converter.gates import LAYOUTS, STATES, Cell, bias_form, convolution_form
from converter.targets.onnx.activation import activated
from converter.targets.onnx.convolution import padding_attributes, window_order
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import INT64, Graph, Order
from converter.targets.onnx.masking import of_bool
from converter.targets.onnx.packing import chosen
from converter.targets.onnx.scan import Scanned, States, Step, scan

FRAMEWORK = "cells"
"""Whose layout the weights have: PyTorch's orientation, which is that of Conv, and one bias."""


@emit.register(ConvLSTM)
def _(layer: ConvLSTM, graph: Graph) -> None:
    """A Scan for each direction, then what the layer returns."""
    graph.scanned[layer.name] = "no node has convolutions in its steps"
    states = graph.inputs[1:]
    count = STATES[Cell.LSTM]
    returned = graph.outputs[: 2 if layer.merge is Merge.SEPARATE else 1]
    last = graph.outputs[len(returned) :]
    results: list[ir.Value] = []
    for direction in layer.directions:
        part = "" if layer.backward is None else ("_forward", "_backward")[len(results)]
        own, states = states[:count], states[count:]
        done = _direction(layer, direction, part, graph, own)
        results.append(_returned(layer, direction, done, graph))
        for value, state in zip(last[:count], done.states, strict=False):
            graph.give(value, state, window_order(value, layer.channels_first))
        last = last[count:]
    if layer.return_sequences:
        order = _time_order(layer, returned[0])
    else:
        order = window_order(returned[0], layer.channels_first)
    _give(layer, graph, returned, results, order)


def _time_order(layer: ConvLSTM, value: Value) -> Order:
    """(time, batch, channels, ...)."""
    rank = len(value.shape)
    if layer.channels_first:
        return (1, 0, *range(2, rank))
    return (1, 0, rank - 1, *range(2, rank - 1))


def _direction(
    layer: ConvLSTM, direction: ConvDirection, part: str, graph: Graph, states: Sequence[Value]
) -> Scanned:
    x = graph.inputs[0]
    held = graph.floats(x, _time_order(layer, x))
    products = _products(layer, direction, part, graph, held)
    if layer.stateful and not states:
        shape = layer.state_shapes(x.shape)[0]
        moved = [shape[axis] for axis in window_order(Value("", shape), layer.channels_first)]
        initial: States = tuple(graph.kept(layer, name + part, moved) for name in "hc")
    elif states:
        initial = tuple(
            graph.floats(value, window_order(value, layer.channels_first)) for value in states
        )
    else:
        initial = (_zeros(direction, products, graph),) * STATES[Cell.LSTM]
    mask = _mask(layer, graph)
    step = _step(layer, direction, part, graph)
    name = graph.prefix + part
    done = scan(graph, name, step, products, initial, mask, None, direction.go_backwards)
    if layer.stateful and not states:
        for letter, state in zip("hc", done.states, strict=True):
            graph.keep(layer, letter + part, state)
    if mask is None or not layer.zero_output_for_mask:
        return done
    at = graph.constant(0 if direction.go_backwards else -1)
    last = chosen(graph.op("Gather", mask, at), done.last, None, graph)
    return Scanned(chosen(mask, done.sequence, None, graph), last, done.states)


def _products(
    layer: ConvLSTM, direction: ConvDirection, part: str, graph: Graph, x: ir.Value
) -> ir.Value:
    """The convolution of every step's input, (T, B, G·F, S)."""
    shape = graph.inputs[0].shape
    order = _time_order(layer, graph.inputs[0])
    sizes = [shape[axis] for axis in order][2:]
    if None in sizes:
        behind = graph.op("Shape", x, dtype=INT64, start=2)
        target = graph.op("Concat", graph.constant([-1]), behind, axis=0)
    else:
        target = graph.constant([-1, *sizes])
    form = convolution_form(Cell.LSTM, FRAMEWORK)
    bias = None
    if direction.bias is not None:
        bias = graph.weight(layer, f"bias{part}", direction.bias, bias_form(Cell.LSTM, FRAMEWORK))
    y = graph.op(
        "Conv",
        graph.op("Reshape", x, target),
        graph.weight(layer, f"kernel{part}", direction.kernel, form),
        bias,
        kernel_shape=list(direction.size),
        strides=list(direction.strides),
        dilations=list(direction.dilation),
        **padding_attributes(
            sizes[1:], direction.size, direction.strides, direction.dilation, direction.padding
        ),
    )
    front = graph.op("Shape", x, dtype=INT64, end=2)
    rest = graph.op("Shape", y, dtype=INT64, start=1)
    return graph.op("Reshape", y, graph.op("Concat", front, rest, axis=0))


def _zeros(direction: ConvDirection, products: ir.Value, graph: Graph) -> ir.Value:
    """(B, F, S)."""
    batch = graph.op("Shape", products, dtype=INT64, start=1, end=2)
    steps = graph.op("Shape", products, dtype=INT64, start=3)
    filters = graph.constant([direction.filters])
    size = graph.op("Concat", batch, filters, steps, axis=0)
    return graph.zeros(size)


def _mask(layer: ConvLSTM, graph: Graph) -> ir.Value | None:
    """Where a step counts, (T, B, F, S) or 1 for what it does not say."""
    mask = graph.masks[0] if graph.masks else None
    if mask is None:
        return None
    x = graph.inputs[0]
    missing = range(len(mask.shape), len(x.shape))
    counts = of_bool(mask, graph)
    if missing:
        counts = graph.op("Unsqueeze", counts, graph.axes(*missing))
    return graph.op("Transpose", counts, perm=list(_time_order(layer, x)))


def _step(layer: ConvLSTM, direction: ConvDirection, part: str, graph: Graph) -> Step:
    """One step: an LSTM's, with a convolution of the state."""
    form = convolution_form(Cell.LSTM, FRAMEWORK)
    kernel = graph.weight(layer, f"recurrent_kernel{part}", direction.recurrent_kernel, form)
    once = (1,) * direction.rank
    free = (None,) * direction.rank
    pads = padding_attributes(free, direction.size, once, once, Padding.SAME)
    gate, activation = direction.recurrent_activation, direction.activation
    order = window_order(Value("", (None,) * (direction.rank + 2)), layer.channels_first)

    def step(product: ir.Value, states: States) -> States:
        h, c = states
        of_state = graph.op("Conv", h, kernel, kernel_shape=list(direction.size), **pads)
        whole = graph.op("Add", product, of_state)
        gates = LAYOUTS[Cell.LSTM, FRAMEWORK].gates
        by_gate = dict(zip(gates, graph.split(whole, len(gates), 1), strict=True))
        i, f, o = (activated(gate, by_gate[letter], graph, order) for letter in "ifo")
        new = activated(activation, by_gate["c"], graph, order)
        c = graph.op("Add", graph.op("Mul", f, c), graph.op("Mul", i, new))
        return graph.op("Mul", o, activated(activation, c, graph, order)), c

    return step


def _returned(layer: ConvLSTM, direction: ConvDirection, done: Scanned, graph: Graph) -> ir.Value:
    """What one direction returns."""
    if not layer.return_sequences:
        return done.last
    if direction.go_backwards == (direction is layer.backward):
        return done.sequence  # in the order of time already
    bounds = (graph.constant([k]) for k in (-1, -(2**63), 0, -1))
    return graph.op("Slice", done.sequence, *bounds)


MERGES = {Merge.SUM: "Add", Merge.MULTIPLY: "Mul", Merge.AVERAGE: "Mean"}


def _give(
    layer: ConvLSTM,
    graph: Graph,
    returned: Sequence[Value],
    results: Sequence[ir.Value],
    order: Order,
) -> None:
    if layer.merge is None or layer.merge is Merge.SEPARATE:
        for value, result in zip(returned, results, strict=True):
            graph.give(value, result, order)
    elif layer.merge is Merge.CONCAT:
        axis = order.index(len(order) - 1)
        graph.give(returned[0], graph.op("Concat", *results, axis=axis), order)
    else:
        graph.give(returned[0], graph.op(MERGES[layer.merge], *results), order)
