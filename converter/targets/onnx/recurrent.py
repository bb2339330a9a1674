"""Recurrent layers: one fused LSTM, GRU or RNN node, of one direction or two.

Two directions of one cell and size are one node; others are a node each. A cell with an
activation that no node has is a Scan.

Shape letters: B batch, T time, H units, D directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converter.activations import SIGMOID, TANH, Activation
from converter.description import Direction, Merge, Recurrent, Value, Weight
from converter.gates import STATES, Cell, Form, bias_form, kernel_form
from converter.targets.onnx.activation import function_attributes
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import Graph, Order, as_it_is, time_first

KINDS = {Cell.LSTM: "LSTM", Cell.GRU: "GRU", Cell.GRU_RESET_BEFORE: "GRU", Cell.RNN: "RNN"}

USUAL = {
    Cell.LSTM: (SIGMOID, TANH, TANH),
    Cell.GRU: (SIGMOID, TANH),
    Cell.GRU_RESET_BEFORE: (SIGMOID, TANH),
    Cell.RNN: (TANH,),
}
"""The functions of a node that says none."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One node: a direction, or two alike.

    Attributes:
        flipped: Its sequence is returned from its end.
        part: Names one of two nodes of a layer.
    """

    directions: tuple[Direction, ...]
    flipped: bool = False
    part: str = ""

    @property
    def cell(self) -> Cell:
        """Of all its directions."""
        return self.directions[0].cell

    @property
    def units(self) -> int:
        """H, of all its directions."""
        return self.directions[0].units


@dataclass(frozen=True, slots=True)
class Ran:
    """What a node gives.

    Attributes:
        sequence: (T, D, B, H).
        last: The h that is returned last, (D, B, H).
        states: The states after the last step, (D, B, H) each.
    """

    sequence: ir.Value
    last: ir.Value
    states: tuple[ir.Value, ...]


def passes(layer: Recurrent) -> list[Pass]:
    """The nodes of a layer."""
    forward, backward = layer.forward, layer.backward
    if backward is None:
        return [Pass((forward,), forward.go_backwards)]
    alike = (forward.cell, forward.units) == (backward.cell, backward.units)
    if alike and backward.go_backwards and not forward.go_backwards:
        return [Pass((forward, backward))]
    return [
        Pass((forward,), forward.go_backwards, "forward"),
        Pass((backward,), not backward.go_backwards, "backward"),
    ]


def functions(direction: Direction) -> tuple[Activation, ...]:
    """The activations of a direction in the order of its node."""
    gate, activation = direction.recurrent_activation, direction.activation
    return {Cell.LSTM: (gate, activation, activation), Cell.RNN: (activation,)}.get(
        direction.cell, (gate, activation)
    )


@emit.register(Recurrent)
def _(layer: Recurrent, graph: Graph) -> None:
    """The nodes, then what the layer returns."""
    x, *states = graph.inputs
    count = 2 if layer.merge is Merge.SEPARATE else 1
    returned, last = graph.outputs[:count], graph.outputs[count:]
    order = as_it_is(x) if layer.time_major else time_first(x)
    ran: list[Ran] = []
    for one in passes(layer):
        number = STATES[one.cell] * len(one.directions)
        own, states = states[:number], states[number:]
        result = _node(layer, one, graph, graph.floats(x, order), own)
        ran.append(result)
        if last:
            _give_states(one, graph, result, last[:number])
            last = last[number:]
    if layer.return_sequences:
        _give_sequences(layer, graph, returned, passes(layer), ran)
    else:
        _give_last(layer, graph, returned, [one.last for one in ran])


def _node(layer: Recurrent, one: Pass, graph: Graph, x: ir.Value, states: Sequence[Value]) -> Ran:
    """The node of a pass."""
    suffix = f"_{one.part}" if one.part else ""
    count = STATES[one.cell]
    initial = _initial(graph, states, count)
    every = [function for direction in one.directions for function in functions(direction)]
    usual = all(functions(direction) == USUAL[one.cell] for direction in one.directions)
    first = one.directions[0]
    y, *ends = graph.ops(
        KINDS[one.cell],
        1 + count,
        x,
        *_weights(layer, one, graph, suffix),
        None,
        *initial,
        name=graph.prefix + suffix,
        hidden_size=one.units,
        direction="bidirectional"
        if len(one.directions) == 2
        else "reverse"
        if first.go_backwards
        else None,
        linear_before_reset=1 if one.cell is Cell.GRU else None,
        **({} if usual else function_attributes(tuple(every))),
    )
    return Ran(y, ends[0], tuple(ends))


def _weights(layer: Recurrent, one: Pass, graph: Graph, suffix: str) -> list[ir.Value | None]:
    """W, R and B, one direction after the other."""
    form = kernel_form(one.cell, "onnx")
    kernels = [(direction.kernel, form) for direction in one.directions]
    recurrent = [(direction.recurrent_kernel, form) for direction in one.directions]
    biases: list[tuple[Weight, Form] | None] = [
        None
        if direction.bias is None
        else (direction.bias, bias_form(one.cell, "onnx", direction.bias.shape[0]))
        for direction in one.directions
    ]
    return [
        graph.stacked(layer, f"W{suffix}", kernels),
        graph.stacked(layer, f"R{suffix}", recurrent),
        graph.stacked(layer, f"B{suffix}", biases) if any(biases) else None,
    ]


def _initial(graph: Graph, states: Sequence[Value], count: int) -> list[ir.Value | None]:
    """Initial states as a node takes them, (D, B, H) each."""
    given: list[ir.Value | None] = []
    for k in range(count if states else 0):
        own = states[k::count]
        whole = graph.whole.get(tuple(value.name for value in own))
        if whole is None:
            each = [graph.op("Unsqueeze", graph.floats(value), graph.axes(0)) for value in own]
            whole = each[0] if len(each) == 1 else graph.op("Concat", *each, axis=0)
        given.append(whole)
    return given


def _give_states(one: Pass, graph: Graph, ran: Ran, last: Sequence[Value]) -> None:
    """The last states, of each direction in turn."""
    count = len(ran.states)
    for k, state in enumerate(ran.states):
        own = last[k::count]
        graph.whole[tuple(value.name for value in own)] = state
        for value, x in zip(own, apart(graph, state, len(one.directions), 0), strict=True):
            graph.give_lazily(value, {as_it_is(value): x})


def apart(graph: Graph, x: ir.Value, count: int, axis: int) -> list[Callable[[], ir.Value]]:
    """What makes each direction of `x` alone, from its axis of directions."""
    if count == 1:
        return [lambda: graph.op("Squeeze", x, graph.axes(axis))]
    return [
        lambda k=k: graph.op("Gather", x, graph.constant(k), axis=axis)  # type: ignore[misc]
        for k in range(count)
    ]


REDUCTIONS = {
    Merge.SUM: "ReduceSum",
    Merge.MULTIPLY: "ReduceProd",
    Merge.AVERAGE: "ReduceMean",
}


def _give_last(
    layer: Recurrent, graph: Graph, returned: Sequence[Value], lasts: Sequence[ir.Value]
) -> None:
    """What is returned of the last step, (D, B, H) of each node."""
    if layer.merge is Merge.SEPARATE or layer.merge is None:
        ways = [way for x in lasts for way in apart(graph, x, len(returned) // len(lasts), 0)]
        for value, way in zip(returned, ways, strict=True):
            graph.give_lazily(value, {as_it_is(value): way})
        return
    (output,) = returned
    if layer.merge is Merge.CONCAT:
        if len(lasts) == 1:
            moved = graph.op("Transpose", lasts[0], perm=[1, 0, 2])
            graph.give(output, graph.op("Reshape", moved, graph.constant([0, -1])))
            return
        each = [way() for x in lasts for way in apart(graph, x, 1, 0)]
        graph.give(output, graph.op("Concat", *each, axis=-1))
        return
    both = lasts[0] if len(lasts) == 1 else graph.op("Concat", *lasts, axis=0)
    graph.give(output, graph.reduce(REDUCTIONS[layer.merge], both, 0))


def _give_sequences(
    layer: Recurrent,
    graph: Graph,
    returned: Sequence[Value],
    done: Sequence[Pass],
    ran: Sequence[Ran],
) -> None:
    """What is returned of every step, (T, D, B, H) of each node."""
    sequences = [
        _flipped(graph, result.sequence) if one.flipped else result.sequence
        for one, result in zip(done, ran, strict=True)
    ]
    first = returned[0]
    time: Order = as_it_is(first) if layer.time_major else time_first(first)
    batch: Order = time_first(first) if layer.time_major else as_it_is(first)
    if layer.merge is Merge.SEPARATE or layer.merge is None:
        ways = [
            way for x in sequences for way in apart(graph, x, len(returned) // len(sequences), 1)
        ]
        for value, way in zip(returned, ways, strict=True):
            graph.give_lazily(value, {time: way})
        return
    if layer.merge is Merge.CONCAT and len(sequences) == 2:
        each = [way() for x in sequences for way in apart(graph, x, 1, 1)]
        graph.give(first, graph.op("Concat", *each, axis=-1), time)
        return
    both = sequences[0] if len(sequences) == 1 else graph.op("Concat", *sequences, axis=1)
    if layer.merge is not Merge.CONCAT:
        graph.give(first, graph.reduce(REDUCTIONS[layer.merge], both, 1), time)
        return

    def joined(*axes: int) -> ir.Value:
        moved = graph.op("Transpose", both, perm=axes)
        return graph.op("Reshape", moved, graph.constant([0, 0, -1]))

    graph.give_lazily(first, {batch: lambda: joined(2, 0, 1, 3), time: lambda: joined(0, 2, 1, 3)})


def _flipped(graph: Graph, sequence: ir.Value) -> ir.Value:
    """The steps from the last to the first."""
    bounds = [graph.constant([-1]), graph.constant([-(2**63)]), graph.axes(0), graph.constant([-1])]
    return graph.op("Slice", sequence, *bounds)
