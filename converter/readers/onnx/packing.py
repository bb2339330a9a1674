"""Masks that were written without loops: the steps that count are moved to the front, and back.

`converter.targets.onnx.packing` writes them so. What is computed of a mask alone is kept as the
text of the nodes that compute it, and is known again where it is used: as the order of the steps,
as the lengths of the sequences that are left, as the place where each output belongs.

Shape letters: B batch, T time, H units, D directions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from converter.description import Layer, Recurrent, Slice
from converter.description.indexing import WHOLE
from converter.readers.onnx.held import (
    Counted,
    Ends,
    Filled,
    Held,
    Kept,
    Known,
    Packed,
    Pieces,
    Read,
    Seen,
)
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node

ONES = "ones"
ORDER = "Unsqueeze(TopK.1(ones,time,axis=1),2)"
LENGTHS = "Max(ReduceSum(ones,1,keepdims=0),1)"
SOME = "Unsqueeze(Greater(ReduceSum(ones,1,keepdims=0),0),1)"
COUNT = "CumSum(ones,1)"
BEFORE = "CumSum(ones,1,exclusive=1)"
FOLLOWING = f"Less({BEFORE},Unsqueeze(ReduceSum(ones,1,keepdims=0),1))"
AHEAD, BACK = COUNT, f"Where({FOLLOWING},Add({BEFORE},1),0)"
"""The row of each step's output, 0 where there is none, for the two directions."""
ZEROED = f"Mul({COUNT},ones)"
"""The same where a masked step returns zeros."""


def last_counts(backwards: bool) -> str:
    """Whether the step that is read last counts, as (1, B)."""
    return f"Unsqueeze(Gather(ones,{0 if backwards else -1},axis=1),0)"


FOLLOWED = frozenset(
    {"Add", "Cast", "Concat", "CumSum", "Gather", "Greater", "Less", "Max", "Mul", "ReduceSum"}
    | {"TopK", "Unsqueeze", "Where"}
)
"""Kinds of nodes that are followed where they are given what is computed of a mask."""

BEGIN = frozenset({"CumSum", "Gather", "ReduceSum", "TopK"})
"""Those of them that begin with the mask itself."""


TAKEN = {
    Counted: frozenset({"GRU", "GatherND", "LSTM", "RNN", "Where"}),
    Packed: frozenset(
        {"Concat", "GRU", "GatherND", "LSTM", "Pad", "RNN", "Reshape", "Squeeze", "Transpose"}
    ),
    Ends: frozenset({"Where"}),
    Kept: frozenset({"GRU", "LSTM", "RNN", "Where"}),
}
"""What is of a mask alone, and the kinds of nodes that take it."""


def check_taken(lift: Lift, node: Node) -> None:
    """Refuse a node that does something else with packed steps than is known.

    Raises:
        UnsupportedError: It does.
    """
    for held in lift.all_given(node):
        if node.kind not in TAKEN.get(type(held), (node.kind,)):
            raise lift.refusal(node, "packed steps, or what is computed of a mask")


def followed(lift: Lift, node: Node) -> list[Held] | None:
    """The results of a node that computes with a mask alone; None for any other."""
    if node.kind not in FOLLOWED:
        return None
    given = lift.all_given(node)
    counted = [_counted(lift, name, one) for name, one in zip(node.inputs, given, strict=True)]
    some = [one for one in counted if one is not None]
    if not any(isinstance(one, Counted) for one in given) and not (some and node.kind in BEGIN):
        return None
    others = [one for one, mark in zip(given, counted, strict=True) if mark is None]
    if not all(isinstance(one, Known) for one in others):
        return None
    if len({one.mask.value.name for one in some}) > 1:
        raise lift.refusal(node, "what is computed of two masks")
    if node.kind == "Cast":
        return [some[0]]
    words = [
        mark.text if mark else _word(node, k, one, some[0].mask)
        for k, (one, mark) in enumerate(zip(given, counted, strict=True))
    ]
    words += [f"{name}={value}" for name, value in sorted(node.attributes.items())]
    text = ",".join(words)
    if node.kind == "TopK":
        return [Counted(some[0].mask, f"TopK.{k}({text})") for k in range(2)]
    return [Counted(some[0].mask, f"{node.kind}({text})")]


def _counted(lift: Lift, name: str, held: object) -> Counted | None:
    """What is computed of a mask, or the mask itself in ones and zeros."""
    if isinstance(held, Counted):
        return held
    if isinstance(held, Seen) and held.value.name in lift.ones and name in lift.ordering:
        mask = lift.ones[held.value.name]
        return Counted(replace(held, value=mask.value), ONES)
    return None


def _word(node: Node, k: int, held: Known, mask: Seen) -> str:
    numbers = held.items()
    if node.kind == "TopK" and k == 1 and numbers == [mask.sizes[1]]:
        return "time"
    return ";".join(str(one) for one in numbers)


@lifts("GatherND")
def _(lift: Lift, node: Node) -> list[Held]:
    held, index = lift.given(node, 0), lift.given(node, 1)
    shared = node.attributes.get("batch_dims", 0)
    if not isinstance(index, Counted):
        raise lift.refusal(node, "elements at places that are computed")
    if index.text == ORDER and shared == 1 and not isinstance(held, Packed):
        return [Packed(lift.as_seen(held, node), index.mask)]
    if isinstance(held, Packed) and held.first and held.read and isinstance(held.held, Pieces):
        return [_spread(lift, node, held, held.read, held.held, index, shared)]
    raise lift.refusal(node, "elements at places that are computed of a mask in another way")


def _spread(
    lift: Lift,
    node: Node,
    packed: Packed,
    read: Read,
    pieces: Pieces,
    index: Counted,
    shared: int,
) -> Held:
    """Outputs of packed steps where these belong."""
    rows = [BACK if backwards else AHEAD for backwards in read.backwards]
    zeroed = index.text == f"Unsqueeze({ZEROED},2)"
    each = ",".join(f"Unsqueeze({row},1)" for row in rows)
    apart = f"Unsqueeze(Concat({each},axis=1),3)" if len(rows) > 1 else f"Unsqueeze({rows[0]},2)"
    axis = 1 if len(rows) > 1 and not zeroed else 2  # (B, D, T, H), or (B, T, D, H)
    alike = packed.by == index.mask and pieces.axis == axis and shared == 3 - axis
    if not alike or not (zeroed or index.text == apart):
        raise lift.refusal(node, "the outputs of packed steps in other places")
    if not zeroed and packed.first == "state":
        _amend(lift, read, starts_from_state=True)
    if zeroed:
        _amend(lift, read, zero_output_for_mask=True)
    return pieces


def _amend(lift: Lift, read: Read, **changes: Any) -> None:
    call = lift.calls[read.call]
    layer = call.layer
    if isinstance(layer, Recurrent):
        lift.calls[read.call] = replace(call, layer=replace(layer, **changes))


def with_row(lift: Lift, node: Node) -> Packed | None:
    """A row in front of packed steps, by Pad or Concat; None for any other node."""
    packed = next((one for one in lift.all_given(node) if isinstance(one, Packed)), None)
    if packed is None:
        return None
    if packed.read is None or not isinstance(packed.held, Pieces) or packed.held.axis != 1:
        raise lift.refusal(node, "a sequence of packed steps that is no node's own")
    if node.kind == "Pad":
        pads = lift.integers(node, 1, "pads") or []
        if pads == [1, *[0] * 7] and node.attributes.get("mode", "constant") == "constant":
            return replace(packed, first="zeros")
    maker = lift.makers.get(node.inputs[0])
    if node.kind == "Concat" and node.attributes.get("axis") == 0 and maker is not None:
        own = maker.kind == "Unsqueeze" and maker.inputs[0] == packed.read.initial[0] != ""
        if own and len(node.inputs) == 2 and lift.integers(maker, 1, "axes") == [0]:
            return replace(packed, first="state")
    raise lift.refusal(node, "packed steps beside others")


def chosen(lift: Lift, node: Node) -> list[Held] | None:
    """Where, of last states; None for any other."""
    condition, ends = lift.given(node, 0), lift.given(node, 1)
    if not isinstance(ends, Ends):
        return None
    if not isinstance(condition, Counted) or condition.mask != ends.by:
        raise lift.refusal(node, "last states by something else than their mask")
    other, before = lift.given(node, 2), ends.read.initial[ends.number]
    zero = _is_zero(other)
    if condition.text == SOME and (node.inputs[2] == before or (zero and not before)):
        return [ends.pieces]
    every = [last_counts(backwards) for backwards in ends.read.backwards]
    both = f"Concat({','.join(every)},axis=0)"
    zeroed = condition.text == (both if len(every) > 1 else every[0])
    if ends.number or not zero or not (zeroed or condition.text == SOME):
        raise lift.refusal(node, "last states, and something else where no step counts")
    if zeroed:
        _amend(lift, ends.read, zero_output_for_mask=True)
    return [Pieces(0, tuple(_last(lift, node, ends.read)))]


def _last(lift: Lift, node: Node, read: Read) -> list[Seen]:
    """What each direction returns for the step that it reads last."""
    results = []
    for sequence, backwards in zip(read.sequences, read.backwards, strict=True):
        axis = sequence.order[0]  # the file has (T, B, H)
        layer: Layer = Slice(name=lift.name(node), items=(*(WHOLE,) * axis, 0 if backwards else -1))
        (result,) = lift.call(layer, sequence.value)
        results.append(lift.left(sequence, result, (axis,)))
    return results


def _is_zero(held: object) -> bool:
    match held:
        case Filled():
            return held.number == 0
        case Known():
            return not held.is_symbolic and not held.read().any()
    return False
