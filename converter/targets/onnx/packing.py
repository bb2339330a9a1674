"""Masks without loops: the steps that count are moved to the front, and what comes of them back.

A masked step carries the state and repeats the output, so a fused node that sees the steps that
count alone, one after the other, gives the same states. A stable sort by the mask says which steps
those are; running counts of them say where each output belongs.

Shape letters: B batch, T time, H units, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converter.description import Value
from converter.targets.onnx.graph import BOOL, INT32, INT64, Graph


@dataclass(frozen=True, slots=True)
class Packing:
    """A mask as recurrent nodes use it.

    Attributes:
        ones: (B, T) of int32: 1 where a step counts.
        order: (B, T, 1) of int64: the steps, those that count first.
        number: (B,) of int32: how many count.
        lengths: The same, at least 1, which is what every runtime takes.
        some: (B, 1) of bool: whether any counts.
    """

    ones: ir.Value
    order: ir.Value
    number: ir.Value
    lengths: ir.Value
    some: ir.Value


def packing_of(mask: Value, graph: Graph, time_major: bool) -> Packing:
    """The packing by a mask, (B, T) or (T, B); the same nodes for all that use it."""
    if mask.name not in graph.packings:
        held = graph.take(mask, (1, 0) if time_major else (0, 1))
        ones = graph.cast(held, INT32)
        size = graph.op("Shape", ones, dtype=INT64, start=1)
        _, order = graph.ops("TopK", 2, ones, size, axis=1, dtypes=(INT32, INT64))
        number = graph.reduce("ReduceSum", ones, 1)
        zero, one = (graph.constant(k, INT32) for k in (0, 1))
        graph.packings[mask.name] = Packing(
            ones,
            graph.op("Unsqueeze", order, graph.axes(2)),
            number,
            graph.op("Max", number, one),
            graph.op("Unsqueeze", graph.op("Greater", number, zero, dtype=BOOL), graph.axes(1)),
        )
    return graph.packings[mask.name]


def packed(x: Value, mask: Value, graph: Graph, time_major: bool) -> ir.Value:
    """A sequence with the steps that count in front, (T, B, ...)."""
    ways = graph.packed.setdefault(x.name, {})
    if mask.name not in ways:
        order = packing_of(mask, graph, time_major).order
        held = graph.floats(x, (1, 0, 2) if time_major else (0, 1, 2))
        front = graph.op("GatherND", held, order, batch_dims=1)
        ways[mask.name] = graph.op("Transpose", front, perm=[1, 0, 2])
    made = ways[mask.name]
    if not isinstance(made, ir.Value):
        made = ways[mask.name] = made()
    return made


def chosen(some: ir.Value, x: ir.Value, other: ir.Value | None, graph: Graph) -> ir.Value:
    """`x` where `some`, elsewhere `other`; zeros where that is None."""
    rest = graph.constant(0, graph.real) if other is None else other
    return graph.op("Where", some, x, rest, dtype=graph.real)


def spread(
    packing: Packing,
    sequence: ir.Value,
    backwards: Sequence[bool],
    first: ir.Value | None,
    zeros: bool,
    graph: Graph,
) -> tuple[ir.Value, str]:
    """The outputs of packed steps where these belong, and the order of their axes.

    Args:
        packing: By which they were packed.
        sequence: (T, D, B, H).
        backwards: For each direction, whether it reads from the end.
        first: What a masked step returns where no step before it counts, (D, B, H); None for zeros.
        zeros: A masked step returns zeros instead of what the step before it returned.
        graph: Written into.
    """
    if first is None:  # row 0, before those of the steps
        rows = graph.op("Pad", sequence, graph.constant([1, 0, 0, 0, 0, 0, 0, 0]))
    else:
        rows = graph.op("Concat", graph.op("Unsqueeze", first, graph.axes(0)), sequence, axis=0)
    if zeros:
        count = graph.op("CumSum", packing.ones, graph.constant(1))
        index = graph.op("Mul", count, packing.ones)
        return _gathered(rows, index, graph), "BTDH"
    each = [_row(packing, back, graph) for back in backwards]
    if len(each) == 1:
        return _gathered(rows, each[0], graph), "BTDH"
    axis = graph.axes(1)
    both = graph.op("Concat", *(graph.op("Unsqueeze", one, axis) for one in each), axis=1)
    index = graph.op("Unsqueeze", graph.cast(both, INT64), graph.axes(3))
    by_row = graph.op("Transpose", rows, perm=[2, 1, 0, 3])
    return graph.op("GatherND", by_row, index, batch_dims=2), "BDTH"


def _gathered(rows: ir.Value, index: ir.Value, graph: Graph) -> ir.Value:
    """Rows of (T + 1, D, B, H) by an index (B, T): (B, T, D, H)."""
    by_batch = graph.op("Transpose", rows, perm=[2, 0, 1, 3])
    last = graph.op("Unsqueeze", graph.cast(index, INT64), graph.axes(2))
    return graph.op("GatherND", by_batch, last, batch_dims=1)


def _row(packing: Packing, backwards: bool, graph: Graph) -> ir.Value:
    """For each step the row of what it returns, 0 where no step read before it counts."""
    along = graph.constant(1)
    if not backwards:
        return graph.op("CumSum", packing.ones, along)
    before = graph.op("CumSum", packing.ones, along, exclusive=1)
    number = graph.op("Unsqueeze", packing.number, graph.axes(1))
    following = graph.op("Less", before, number, dtype=BOOL)
    row = graph.op("Add", before, graph.constant(1, INT32))
    return graph.op("Where", following, row, graph.constant(0, INT32), dtype=INT32)
