"""Scan: steps that no fused node computes, one after the other.

The product of the input is computed for all steps at once, outside.

Shape letters: B batch, T time, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from converter.activations import Activation
from converter.description import Direction, Layer
from converter.gates import GATES, STATES, Cell, flat_bias_form, kernel_form
from converter.targets.onnx.activation import activated
from converter.targets.onnx.graph import INT64, Graph

States = tuple[ir.Value, ...]
"""h, and c for LSTM."""

Step = Callable[[ir.Value, States], States]
"""From the product of a step's input and the states to the next states."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a Scan gives.

    Attributes:
        sequence: Every output in the order of time, (T, B, ...).
        last: The output that was computed last.
        states: The states after that.
    """

    sequence: ir.Value
    last: ir.Value
    states: States


def scan(
    graph: Graph,
    name: str,
    step: Step,
    products: ir.Value,
    initial: States,
    mask: ir.Value | None,
    first: ir.Value | None,
    backwards: bool,
) -> Scanned:
    """The steps of one direction.

    A masked step repeats the output before it and leaves the states.

    Args:
        graph: Written into.
        name: Of the node.
        step: What is computed in each.
        products: (T, B, ...).
        initial: The states before the first step.
        mask: (T, B, ...), of bool, as it broadcasts to (T,) and a state; None without.
        first: What a masked step returns where no step before it counts; None for zeros.
        backwards: The steps are read from the last to the first.
    """
    given = list(initial)
    scanned = [products]
    if mask is not None:
        given.append(_zeros(initial[0], graph) if first is None else first)
        scanned.append(mask)

    def body(*values: ir.Value) -> list[ir.Value]:
        old = values[: len(initial)]
        if mask is None:
            new = step(values[len(initial)], old)
            return [*new, graph.op("Identity", new[0])]
        last, product, counts = values[len(initial) :]
        new = step(product, old)
        kept = [
            graph.op("Where", counts, one, other, dtype=graph.real)
            for one, other in zip((*new, new[0]), (*old, last), strict=True)
        ]
        return [*kept, graph.op("Identity", kept[-1])]

    way = int(backwards)
    results = graph.ops(
        "Scan",
        len(given) + 1,
        *given,
        *scanned,
        name=name,
        body=graph.subgraph(name, body, [*given, *scanned]),
        num_scan_inputs=len(scanned),
        scan_input_directions=[way] * len(scanned),
        scan_output_directions=[way],
    )
    states = results[: len(initial)]
    last = states[0] if mask is None else results[len(initial)]
    return Scanned(results[-1], last, states)


def _zeros(like: ir.Value, graph: Graph) -> ir.Value:
    size = graph.op("Shape", like, dtype=INT64)
    return graph.zeros(size)


def cell_scan(
    layer: Layer,
    direction: Direction,
    suffix: str,
    graph: Graph,
    x: ir.Value,
    initial: States,
    mask: ir.Value | None,
    first: ir.Value | None,
) -> Scanned:
    """One direction of a recurrent layer with a cell that no node has.

    Args:
        layer: Whose.
        direction: Of it.
        suffix: What names of it end with.
        graph: Written into.
        x: (T, B, I).
        initial: (B, H) each; () for zeros.
        mask: (T, B, 1), or None.
        first: As for `scan`.
    """
    form = kernel_form(direction.cell, "keras")
    kernel = graph.weight(layer, f"kernel{suffix}", direction.kernel, form)
    products = graph.product(x, kernel)
    added: list[ir.Value] = []
    if direction.bias is not None:
        count = direction.bias.shape[0]
        stored = flat_bias_form(direction.cell, count)
        bias = graph.weight(layer, f"bias{suffix}", direction.bias, stored)
        added = [graph.op("Gather", bias, graph.constant(k)) for k in range(count)]
        products = graph.op("Add", products, added[0])
    if not initial:
        batch = graph.op("Shape", products, dtype=INT64, start=1, end=2)
        size = graph.op("Concat", batch, graph.constant([direction.units]), axis=0)
        zeros = graph.zeros(size)
        initial = (zeros,) * STATES[direction.cell]
    step = _step(layer, direction, suffix, graph, added[1] if len(added) == 2 else None)
    name = graph.prefix + suffix
    return scan(graph, name, step, products, initial, mask, first, direction.go_backwards)


def _step(
    layer: Layer, direction: Direction, suffix: str, graph: Graph, bias: ir.Value | None
) -> Step:
    """One step of a cell; `bias` is added to the product of the state."""
    form = kernel_form(direction.cell, "keras")
    kernel = graph.weight(layer, f"recurrent_kernel{suffix}", direction.recurrent_kernel, form)
    reset_before = direction.cell is Cell.GRU_RESET_BEFORE
    if reset_before:
        sizes = graph.constant([2 * direction.units, direction.units])
        kernel, candidate = graph.ops("Split", 2, kernel, sizes, axis=1)
        if bias is not None:
            bias, candidate_bias = graph.ops("Split", 2, bias, sizes, axis=0)
    gates = len(GATES[direction.cell])
    gate, activation = direction.recurrent_activation, direction.activation

    def act(one: Activation, value: ir.Value) -> ir.Value:
        return activated(one, value, graph, (0, 1))

    def of_state(h: ir.Value, kernel: ir.Value, bias: ir.Value | None) -> ir.Value:
        product = graph.op("MatMul", h, kernel)
        return product if bias is None else graph.op("Add", product, bias)

    def lstm(product: ir.Value, states: States) -> States:
        h, c = states
        whole = graph.op("Add", product, of_state(h, kernel, bias))
        i, f, new, o = graph.split(whole, gates, 1)
        kept = graph.op("Mul", act(gate, f), c)
        c = graph.op("Add", kept, graph.op("Mul", act(gate, i), act(activation, new)))
        return graph.op("Mul", act(gate, o), act(activation, c)), c

    def gru(product: ir.Value, states: States) -> States:
        (h,) = states
        x_z, x_r, x_h = graph.split(product, gates, 1)
        if reset_before:
            h_z, h_r = graph.split(of_state(h, kernel, bias), gates - 1, 1)
        else:
            h_z, h_r, h_h = graph.split(of_state(h, kernel, bias), gates, 1)
        z = act(gate, graph.op("Add", x_z, h_z))
        r = act(gate, graph.op("Add", x_r, h_r))
        if reset_before:
            reset = of_state(
                graph.op("Mul", r, h), candidate, None if bias is None else candidate_bias
            )
        else:
            reset = graph.op("Mul", r, h_h)
        new = act(activation, graph.op("Add", x_h, reset))
        rest = graph.op("Sub", graph.constant(1, graph.real), z)
        return (graph.op("Add", graph.op("Mul", z, h), graph.op("Mul", rest, new)),)

    def rnn(product: ir.Value, states: States) -> States:
        (h,) = states
        return (act(activation, graph.op("Add", product, of_state(h, kernel, bias))),)

    return {Cell.LSTM: lstm, Cell.RNN: rnn}.get(direction.cell, gru)
