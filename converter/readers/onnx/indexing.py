"""Nodes that take elements out of tensors and put them elsewhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from converter.description import Embedding, Flip, Layer, Slice, Span, Split, Stack, Weight
from converter.description.indexing import WHOLE
from converter.description.model import axis_of
from converter.readers.onnx.held import Filled, Held, Known, Pieces, Seen
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node
from converter.readers.onnx.packing import with_row
from converter.readers.onnx.shaping import joined
from converter.readers.onnx.sizes import Size

FAR = 2**31 - 2
"""A bound beyond this means the end of any axis."""


@lifts("Concat")
def _(lift: Lift, node: Node) -> list[Held]:
    every = lift.all_given(node)
    if (packed := with_row(lift, node)) is not None:
        return [packed]
    rank = len(every[0].sizes)
    axis = axis_of(node.attributes.get("axis", 1), rank)
    if all(isinstance(one, Pieces) and one.axis == axis for one in every):
        return [Pieces(axis, tuple(part for one in every for part in one.parts))]
    if all(isinstance(one, Filled) for one in every) and len({one.number for one in every}) == 1:
        sizes = list(every[0].sizes)
        sizes[axis] = sum((one.sizes[axis] for one in every), 0)
        return [Filled(every[0].number, every[0].dtype, tuple(sizes))]
    parts = tuple(lift.as_seen(one, node) for one in every)
    return [parts[0] if len(parts) == 1 else joined(lift, node, parts, axis)]


@lifts("Gather")
def _(lift: Lift, node: Node) -> list[Held]:
    held, index = lift.given(node, 0), lift.given(node, 1)
    axis = axis_of(node.attributes.get("axis", 0), len(held.sizes))
    if isinstance(held, Known) and not isinstance(index, Known):
        return [_embedded(lift, node, held, lift.as_seen(index, node), axis)]
    if not isinstance(index, Known):
        raise lift.refusal(node, "elements at places that are computed")
    places = [_place(one, held.sizes[axis], lift, node) for one in index.items()]
    if len(index.shape) == 0:
        return [lift.index(held, axis, places[0], node)]
    if len(index.shape) > 1:
        raise lift.refusal(node, f"elements at places of the shape {index.shape}")
    return [taken(lift, node, held, axis, places)]


def taken(lift: Lift, node: Node, held: Held, axis: int, places: list[int]) -> Held:
    """`x[..., places, ...]`, along an axis of the file."""
    if isinstance(held, Pieces) and held.axis == axis:
        return Pieces(axis, tuple(held.parts[k] for k in places))
    step = places[1] - places[0] if len(places) > 1 else 1
    even = all(b - a == step for a, b in pairwise(places)) and step > 0
    if even and (places[0] >= 0) == (places[-1] >= 0):
        stop = places[-1] + 1
        return sliced(lift, node, held, {axis: Span(places[0], stop or None, step)})
    seen = lift.as_seen(held, node)
    parts = [lift.index(seen, axis, k, node) for k in places]
    layer = Stack(name=lift.name(node), axis=axis)
    return lift.call(layer, *(lift.value(part) for part in parts))[0]


def _place(index: Any, size: int | Size, lift: Lift, node: Node) -> int:
    """A place on an axis as a number: from the end where it is said by the length."""
    if isinstance(index, int):
        return index
    from_end = index - size
    if isinstance(from_end, int) and from_end < 0:
        return from_end
    raise lift.refusal(node, f"the element {index} of {size}")


def _embedded(lift: Lift, node: Node, table: Known, index: Seen, axis: int) -> Held:
    if axis or len(table.shape) != 2 or table.is_symbolic or not table.dtype.startswith("float"):
        raise lift.refusal(node, f"elements of a constant of {table.shape} along axis {axis}")
    layer = Embedding(
        name=lift.name(node),
        dtype=table.dtype,
        variable_dtype=table.dtype,
        embeddings=Weight(table.shape, (table.stored,)),
    )
    (rows,) = lift.call(layer, index.value)
    return lift.ordered(rows, (*index.order, len(index.order)))


@lifts("Slice")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    starts = lift.integers(node, 1, "starts") or []
    stops = lift.integers(node, 2, "ends") or []
    axes = lift.integers(node, 3, "axes") or list(range(len(starts)))
    steps = lift.integers(node, 4, "steps") or [1] * len(starts)
    rank = len(held.sizes)
    own = [axis_of(axis, rank) for axis in axes]
    spans = {
        axis: _span(start, stop, step, held.sizes[axis], lift, node)
        for start, stop, axis, step in zip(starts, stops, own, steps, strict=True)
    }
    return [sliced(lift, node, held, spans)]


def _span(start: Any, stop: Any, step: int, size: int | Size, lift: Lift, node: Node) -> Span:
    """As a person writes it: None for an end of the axis."""
    if isinstance(stop, Size) and stop == size:
        stop = FAR + 1
    if isinstance(stop, Size):
        stop = _place(stop, size, lift, node)
    start = start if isinstance(start, int) else _place(start, size, lift, node)
    ended = isinstance(size, int) and stop >= size
    if step > 0:
        first = None if start == 0 else start
        last = None if stop > FAR or ended else stop
        return Span(first, last, None if step == 1 else step)
    first = None if start == -1 or start > FAR or start == size else start
    begun = isinstance(size, int) and stop < -size
    if isinstance(size, int) and start == size - 1:
        first = None
    return Span(first, None if stop < -FAR or begun else stop, step)


def sliced(lift: Lift, node: Node, held: Held, spans: dict[int, Span]) -> Held:
    """`x[spans]`, by the file's axes."""
    spans = {axis: span for axis, span in spans.items() if span != WHOLE}
    if not spans:
        return held
    if isinstance(held, Pieces) and spans.keys() == {held.axis}:
        return Pieces(held.axis, held.parts[slice(*spans[held.axis])])
    if isinstance(held, Pieces) and held.axis not in spans:
        inside = {axis - (axis > held.axis): span for axis, span in spans.items()}
        parts = (sliced(lift, node, part, inside) for part in held.parts)
        return Pieces(held.axis, tuple(lift.as_seen(part, node) for part in parts))
    if isinstance(held, Filled):
        sizes = list(held.sizes)
        for axis, span in spans.items():
            size = sizes[axis]
            if not isinstance(size, int):
                raise lift.refusal(node, f"a part of {held.number} in a free length")
            sizes[axis] = len(range(*slice(*span).indices(size)))
        return Filled(held.number, held.dtype, tuple(sizes))
    seen = lift.as_seen(held, node)
    own = {seen.order[axis]: span for axis, span in spans.items()}
    if all(span == Span(None, None, -1) for span in own.values()):
        layer: Layer = Flip(name=lift.name(node), axes=tuple(sorted(own)))
    else:
        items = tuple(own.get(axis, WHOLE) for axis in range(max(own) + 1))
        layer = Slice(name=lift.name(node), items=items)
    return lift.ordered(lift.call(layer, seen.value)[0], seen.order)


@lifts("Split")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    axis = axis_of(node.attributes.get("axis", 0), len(held.sizes))
    sizes = lift.integers(node, 1, "split")
    count, whole = len(node.outputs), held.sizes[axis]
    if sizes is None:
        if not isinstance(whole, int):
            raise lift.refusal(node, "a free length in equal parts")
        each = -(-whole // count)
        sizes = [min(each, whole - k * each) for k in range(count)]
    if isinstance(held, Pieces) and held.axis == axis:
        parts = iter(held.parts)
        return [Pieces(axis, tuple(next(parts) for _ in range(size))) for size in sizes]
    seen = lift.as_seen(held, node)
    layer = Split(name=lift.name(node), axis=seen.order[axis], sizes=tuple(sizes))
    return [lift.ordered(part, seen.order) for part in lift.call(layer, seen.value)]
