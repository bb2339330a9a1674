"""Recurrent layers: one fused LSTM, GRU or RNN node, of one direction or two.

Two directions of one cell and size are one node; others are a node each. A cell with an
activation that no node has is a Scan.

Shape letters: B batch, T time, H units, D directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from converter.description import Merge, Recurrent, Value, Weight
from converter.errors import UnsupportedError
from converter.gates import STATES, Form, bias_form, kernel_form, peephole_form
from converter.targets.onnx.activation import function_attributes, function_of
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, INT32, Graph, Order, as_it_is, time_first
from converter.targets.onnx.masking import of_bool
from converter.targets.onnx.packing import chosen, packed, packing_of, spread
from converter.targets.onnx.passes import (
    KINDS,
    RESET_AFTER,
    USUAL,
    Pass,
    functions,
    is_fused,
    passes,
)
from converter.targets.onnx.scan import cell_scan


@dataclass(frozen=True, slots=True)
class Ran:
    """What a node gives.

    Attributes:
        sequence: Its outputs, in the order of time.
        axes: Of `sequence`: "TDBH" as a node gives it.
        packed: The same with the steps that count in front, (T, D, B, H); None without a mask.
        last: The h that is returned last, (D, B, H).
        states: The states after the last step, (D, B, H) each.
    """

    sequence: ir.Value
    axes: str
    packed: ir.Value | None
    last: ir.Value
    states: tuple[ir.Value, ...]


@emit.register(Recurrent)
def _(layer: Recurrent, graph: Graph) -> None:
    """The nodes, then what the layer returns."""
    states = graph.inputs[1:]
    count = 2 if layer.merge is Merge.SEPARATE else 1
    returned, last = graph.outputs[:count], graph.outputs[count:]
    ran: list[Ran] = []
    for one in passes(layer):
        number = STATES[one.cell] * len(one.directions)
        own, states = states[:number], states[number:]
        result = _ran(layer, one, graph, own)
        ran.append(result)
        if last:
            _give_states(one, graph, result, last[:number])
            last = last[number:]
    if layer.return_sequences:
        _give_sequences(layer, graph, returned, passes(layer), ran)
    else:
        _give_last(layer, graph, returned, [one.last for one in ran])


def _ran(layer: Recurrent, one: Pass, graph: Graph, states: Sequence[Value]) -> Ran:
    """The node of a pass, and what its outputs become where there is a mask."""
    x, mask = graph.inputs[0], graph.masks[0] if graph.masks else None
    initial = _initial(layer, one, graph, states)
    if not is_fused(one.directions[0]):
        ran = _scanned(layer, one, graph, mask, initial)
    elif mask is None or _is_of_lengths(layer, mask, graph):
        lengths = graph.take(graph.lengths[mask.name]) if mask else None
        order = as_it_is(x) if layer.time_major else time_first(x)
        held = None if lengths is None else graph.cast(lengths, INT32)
        y, *ends = _node(layer, one, graph, graph.floats(x, order), held, initial)
        ran = Ran(y, "TDBH", None, ends[0], tuple(ends))
    else:
        ran = _masked(layer, one, graph, mask, initial)
    if layer.stateful and not states:
        for name, state in zip("hc", ran.states, strict=False):
            graph.keep(layer, name + one.suffix, state)
    return ran


def _is_of_lengths(layer: Recurrent, mask: Value, graph: Graph) -> bool:
    """Whether the node itself does what a mask means, by the lengths that it is made of."""
    zeros = layer.zero_output_for_mask or not layer.return_sequences
    return mask.name in graph.lengths and zeros


def _masked(
    layer: Recurrent, one: Pass, graph: Graph, mask: Value, initial: Sequence[ir.Value | None]
) -> Ran:
    """The node sees the steps that count; where none does, the states stay what they were."""
    packing = packing_of(mask, graph, layer.time_major)
    x = packed(graph.unmasked_by(mask), mask, graph, layer.time_major)
    y, *ends = _node(layer, one, graph, x, packing.lengths, initial)
    states = tuple(
        chosen(packing.some, end, before, graph)
        for end, before in zip(ends, initial or [None] * len(ends), strict=True)
    )
    first = initial[0] if initial and layer.starts_from_state else None
    backwards = [direction.go_backwards for direction in one.directions]
    zeros = layer.zero_output_for_mask
    sequence, axes = spread(packing, y, backwards, first, zeros, graph)
    last = chosen(packing.some, ends[0], first, graph)
    if zeros:
        counts = [
            graph.op("Gather", packing.ones, graph.constant([0 if back else -1]), axis=1)
            for back in backwards
        ]
        read_last = [graph.op("Unsqueeze", counts[k], graph.axes(0)) for k in range(len(counts))]
        some = read_last[0] if len(read_last) == 1 else graph.op("Concat", *read_last, axis=0)
        last = chosen(graph.cast(some, BOOL), ends[0], None, graph)
    return Ran(sequence, axes, y, last, states)


def _scanned(
    layer: Recurrent,
    one: Pass,
    graph: Graph,
    mask: Value | None,
    initial: Sequence[ir.Value | None],
) -> Ran:
    """The same, a step after the other."""
    (direction,) = one.directions
    if direction.variations:
        raise UnsupportedError(
            f"layer '{layer.name}' cannot become ONNX",
            context=f"{direction.variations[0]}, beside an activation that no node has",
            hint="--to pytorch can say it",
            code="onnx-cell",
        )
    said = {one.kind for one in functions(direction) if not function_of(one)}
    graph.scanned[layer.name] = f"no node has the activation {', '.join(sorted(said))}"
    x = graph.inputs[0]
    held = graph.floats(x, as_it_is(x) if layer.time_major else time_first(x))
    states = tuple(graph.op("Squeeze", state, graph.axes(0)) for state in initial)
    first = states[0] if states and layer.starts_from_state else None
    counts = None
    if mask is not None:
        counts = of_bool(mask, graph, (0, 1) if layer.time_major else (1, 0))
        counts = graph.op("Unsqueeze", counts, graph.axes(2))
    done = cell_scan(layer, direction, one.suffix, graph, held, states, counts, first)
    sequence, last = done.sequence, done.last
    if counts is not None and layer.zero_output_for_mask:
        sequence = chosen(counts, sequence, None, graph)
        at = graph.constant(0 if direction.go_backwards else -1)
        last = chosen(graph.op("Gather", counts, at), last, None, graph)
    front = graph.axes(0)
    return Ran(
        graph.op("Unsqueeze", sequence, graph.axes(1)),
        "TDBH",
        None,
        graph.op("Unsqueeze", last, front),
        tuple(graph.op("Unsqueeze", state, front) for state in done.states),
    )


def _node(
    layer: Recurrent,
    one: Pass,
    graph: Graph,
    x: ir.Value,
    lengths: ir.Value | None,
    initial: Sequence[ir.Value | None],
) -> tuple[ir.Value, ...]:
    """The node of a pass: every output, (T, D, B, H), and the last states, (D, B, H) each."""
    every = [function for direction in one.directions for function in functions(direction)]
    usual = all(functions(direction) == USUAL[one.cell] for direction in one.directions)
    way = "bidirectional" if len(one.directions) == 2 else None
    if one.directions[0].go_backwards:
        way = "reverse"
    return graph.ops(
        KINDS[one.cell],
        1 + STATES[one.cell],
        x,
        *_weights(layer, one, graph),
        lengths,
        *initial,
        *_peepholes(layer, one, graph, len(initial)),
        name=graph.prefix + one.suffix,
        hidden_size=one.units,
        direction=way,
        linear_before_reset=RESET_AFTER.get(one.cell),
        clip=one.directions[0].clip,
        input_forget=1 if one.directions[0].coupled else None,
        **({} if usual else function_attributes(tuple(every))),
    )


def _weights(layer: Recurrent, one: Pass, graph: Graph) -> list[ir.Value | None]:
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
        graph.stacked(layer, f"W{one.suffix}", kernels),
        graph.stacked(layer, f"R{one.suffix}", recurrent),
        graph.stacked(layer, f"B{one.suffix}", biases) if any(biases) else None,
    ]


def _peepholes(layer: Recurrent, one: Pass, graph: Graph, states: int) -> list[ir.Value | None]:
    """P behind the initial states, whether these are given or not; [] without."""
    form = peephole_form("onnx")
    given = [direction.peepholes for direction in one.directions]
    some = [(weight, form) for weight in given if weight is not None]
    if not some:
        return []
    missing: list[ir.Value | None] = [None] * (STATES[one.cell] - states)
    return [*missing, graph.stacked(layer, f"P{one.suffix}", some)]


def _initial(
    layer: Recurrent, one: Pass, graph: Graph, states: Sequence[Value]
) -> list[ir.Value | None]:
    """Initial states as a node takes them, (D, B, H) each; [] for zeros."""
    count = STATES[one.cell]
    if layer.stateful and not states:
        batch, _ = layer.state_shapes(graph.inputs[0].shape)[0]
        shape = (len(one.directions), batch, one.units)
        return [graph.kept(layer, name + one.suffix, shape) for name in "hc"[:count]]
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
    """What is returned of every step."""
    axes = ran[0].axes
    if any(result.axes != axes for result in ran):
        ran = [in_time(graph, result) for result in ran]
        axes = "TDBH"
    sequences = [
        _flipped(graph, result.sequence, axes.index("T")) if one.flipped else result.sequence
        for one, result in zip(done, ran, strict=True)
    ]
    _join(layer, graph, returned, sequences, axes)
    mask = graph.masks[0] if graph.masks else None
    whole = ran[0].packed
    if mask is not None and whole is not None and len(ran) == 1 and not done[0].flipped:
        one = whole

        def still_packed() -> ir.Value:
            if layer.merge is None:
                return graph.op("Squeeze", one, graph.axes(1))
            return joined(graph, one, "TDBH", "TB")

        if layer.merge in (None, Merge.CONCAT):
            graph.packed[returned[0].name] = {mask.name: graph.at_home(still_packed)}


def in_time(graph: Graph, ran: Ran) -> Ran:
    """With its axes in the order of a node's."""
    if ran.axes == "TDBH":
        return ran
    perm = [ran.axes.index(letter) for letter in "TDBH"]
    return replace(ran, sequence=graph.op("Transpose", ran.sequence, perm=perm), axes="TDBH")


def _join(
    layer: Recurrent,
    graph: Graph,
    returned: Sequence[Value],
    sequences: Sequence[ir.Value],
    axes: str,
) -> None:
    """The directions of every step as the layer gives them."""
    first = returned[0]
    orders: dict[str, Order] = {"BT": as_it_is(first), "TB": time_first(first)}
    if layer.time_major:
        orders = {"TB": as_it_is(first), "BT": time_first(first)}
    where = axes.index("D")
    present = orders[axes.replace("D", "")[:2]]
    if layer.merge is Merge.SEPARATE or layer.merge is None:
        each = len(returned) // len(sequences)
        ways = [way for x in sequences for way in apart(graph, x, each, where)]
        for value, way in zip(returned, ways, strict=True):
            graph.give_lazily(value, {present: way})
        return
    if layer.merge is Merge.CONCAT and len(sequences) == 2:
        both = [way() for x in sequences for way in apart(graph, x, 1, where)]
        graph.give(first, graph.op("Concat", *both, axis=-1), present)
        return
    whole = sequences[0] if len(sequences) == 1 else graph.op("Concat", *sequences, axis=where)
    if layer.merge is not Merge.CONCAT:
        graph.give(first, graph.reduce(REDUCTIONS[layer.merge], whole, where), present)
        return
    graph.give_lazily(
        first,
        {
            order: lambda wanted=wanted: joined(graph, whole, axes, wanted)  # type: ignore[misc]
            for wanted, order in orders.items()
        },
    )


def joined(graph: Graph, x: ir.Value, axes: str, wanted: str) -> ir.Value:
    """Both directions on the last axis, behind "BT" or "TB"."""
    perm = [axes.index(letter) for letter in f"{wanted}DH"]
    moved = x if perm == [0, 1, 2, 3] else graph.op("Transpose", x, perm=perm)
    return graph.op("Reshape", moved, graph.constant([0, 0, -1]))


def _flipped(graph: Graph, sequence: ir.Value, axis: int) -> ir.Value:
    """The steps from the last to the first."""
    bounds = (graph.constant([k]) for k in (-1, -(2**63), axis, -1))
    return graph.op("Slice", sequence, *bounds)
