"""Nodes that move elements and compute nothing."""

from __future__ import annotations

from converter.description import (
    Concatenate,
    ExpandDims,
    Flatten,
    Flip,
    Layer,
    Regroup,
    RepeatVector,
    Reshape,
    Slice,
    Span,
    Squeeze,
    ZeroPadding,
)
from converter.description.indexing import WHOLE
from converter.description.model import axis_of
from converter.readers.onnx.held import Filled, Held, Known, Packed, Pieces, Seen
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node
from converter.readers.onnx.packing import with_row
from converter.readers.onnx.sizes import Size, Sizes
from converter.readers.onnx.steps import unfolded


@lifts("Identity", "Dropout")
def _(lift: Lift, node: Node) -> list[Held]:
    if len([name for name in node.outputs if name]) > 1:
        raise lift.refusal(node, "the mask of a dropout as an output")
    return [lift.given(node, 0)]


@lifts("Transpose")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    rank = len(held.sizes)
    axes = node.attributes.get("perm", tuple(range(rank))[::-1])
    if sorted(axes) != list(range(rank)):
        raise ValueError(f"axes {axes} of rank {rank}")
    if isinstance(held, Filled):
        return [Filled(held.number, held.dtype, tuple(held.sizes[axis] for axis in axes))]
    return [held.turned(axes)]


@lifts("Squeeze")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    rank = len(held.sizes)
    axes = lift.integers(node, 1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(held.sizes) if size == 1]
    return [squeezed(lift, node, held, sorted(axis_of(axis, rank) for axis in axes))]


def squeezed(lift: Lift, node: Node, held: Held, axes: list[int]) -> Held:
    """Without axes of length 1."""
    if not axes:
        return held
    if isinstance(held, Packed):
        return within(held, squeezed(lift, node, held.held, axes))
    if any(isinstance(held.sizes[axis], int) and held.sizes[axis] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {held.sizes}; each must be 1")
    if isinstance(held, Filled):
        sizes = tuple(size for axis, size in enumerate(held.sizes) if axis not in axes)
        return Filled(held.number, held.dtype, sizes)
    if isinstance(held, Pieces) and held.axis in axes:
        others = [axis - (axis > held.axis) for axis in axes if axis != held.axis]
        return squeezed(lift, node, held.parts[0], others)
    if isinstance(held, Pieces):
        behind = sum(axis < held.axis for axis in axes)
        others = [axis - (axis > held.axis) for axis in axes]
        parts = (squeezed(lift, node, part, others) for part in held.parts)
        return Pieces(held.axis - behind, tuple(lift.as_seen(part, node) for part in parts))
    seen = lift.as_seen(held, node)
    gone = tuple(sorted(seen.order[axis] for axis in axes))
    if (taken := _taken(lift, node, seen, gone)) is not None:
        return taken
    layer = Squeeze(name=lift.name(node), axes=gone)
    return lift.left(seen, lift.call(layer, seen.value)[0], gone)


def _taken(lift: Lift, node: Node, seen: Seen, gone: tuple[int, ...]) -> Seen | None:
    """`x[:, -1:]` without its axis is `x[:, -1]`."""
    call = lift.producer(seen)
    if call is None or not isinstance(call.layer, Slice):
        return None
    items = list(call.layer.items)
    if any(isinstance(item, int) for item in items) or max(gone) >= len(items):
        return None
    for axis in gone:
        item = items[axis]
        start = item.start or 0 if isinstance(item, Span) else 0
        if item not in (Span(start, start + 1), Span(-1), Span(None, 1)):
            return None
        items[axis] = start
    while items[-1] == WHOLE:
        items.pop()
    layer = Slice(name=lift.name(node), items=tuple(items))
    return lift.left(seen, lift.call(layer, call.inputs[0])[0], gone)


@lifts("ReverseSequence")
def _(lift: Lift, node: Node) -> list[Held]:
    seen, lengths = lift.seen(node, 0), lift.given(node, 1)
    axis = axis_of(node.attributes.get("time_axis", 0), len(seen.order))
    every = isinstance(lengths, Filled) and lengths.number == seen.sizes[axis]
    if isinstance(lengths, Known):
        every = all(one == seen.sizes[axis] for one in lengths.items())
    if not every:
        raise lift.refusal(node, "sequences that are reversed within their lengths")
    layer = Flip(name=lift.name(node), axes=(seen.order[axis],))
    return [lift.ordered(lift.call(layer, seen.value)[0], seen.order)]


@lifts("Unsqueeze")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    axes = lift.integers(node, 1, "axes") or []
    rank = len(held.sizes) + len(axes)
    return [expanded(lift, node, held, sorted(axis_of(axis, rank) for axis in axes))]


def expanded(lift: Lift, node: Node, held: Held, axes: list[int]) -> Held:
    """With axes of length 1 more."""
    if isinstance(held, Filled):
        sizes = list(held.sizes)
        for axis in axes:
            sizes.insert(axis, 1)
        return Filled(held.number, held.dtype, tuple(sizes))
    seen = lift.as_seen(held, node)
    if len(axes) == 1:
        return Pieces(axes[0], (seen,))
    layer = ExpandDims(name=lift.name(node), axes=tuple(axes))
    return lift.call(layer, lift.value(seen))[0]


@lifts("Flatten")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    axis = axis_of(node.attributes.get("axis", 1), len(held.sizes) + 1)
    front, behind = product(held.sizes[:axis]), product(held.sizes[axis:])
    return [reshaped(lift, node, held, (front, behind))]


def within(packed: Packed, held: Held) -> Packed:
    """What packed steps have become, which are no longer as their node gave them."""
    if not isinstance(held, Seen | Pieces):
        raise TypeError("packed steps that are no tensor")
    return Packed(held, packed.by)


def product(sizes: Sizes) -> int | Size:
    """Of all of them."""
    whole: int | Size = 1
    for size in sizes:
        whole = size * whole
    return whole


@lifts("Reshape")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    target = lift.integers(node, 1, "shape") or []
    if not node.attributes.get("allowzero", 0):
        target = [held.sizes[k] if size == 0 else size for k, size in enumerate(target)]
    if -1 in target:
        rest = product(tuple(size for size in target if size != -1))
        whole = product(held.sizes)
        left = whole // rest if rest != whole else 1
        target = [left if size == -1 else size for size in target]
    return [reshaped(lift, node, held, tuple(target))]


def reshaped(lift: Lift, node: Node, held: Held, target: Sizes) -> Held:
    """The elements in their order, in another shape: as the least that says so.

    Raises:
        UnsupportedError: Two of its sizes are free, and are not those of its input.
    """
    sizes = held.sizes
    if target == sizes:
        return held
    if isinstance(held, Packed):
        return within(held, reshaped(lift, node, held.held, target))
    if isinstance(held, Filled):
        return Filled(held.number, held.dtype, target)
    if isinstance(held, Pieces):
        return _pieces_reshaped(lift, node, held, target)
    held = lift.as_seen(held, node)
    longer = [size for size in sizes if size != 1]
    if longer == [size for size in target if size != 1]:
        return _ones_moved(lift, node, held, target)
    value = lift.value(held)
    each = unfolded(lift, node, value, target)
    if each is not None:
        return each
    return lift.call(_reshape(lift, node, sizes, target), value)[0]


def _reshape(lift: Lift, node: Node, sizes: Sizes, target: Sizes) -> Layer:
    name = lift.name(node)
    if target[:1] == sizes[:1]:
        free = [k for k, size in enumerate(target[1:]) if not isinstance(size, int)]
        if len(target) == 2 and len(sizes) > 1:
            return Flatten(name=name)
        if len(free) > 1:
            raise lift.refusal(node, f"{_shown(sizes)} as {_shown(target)}: two lengths are free")
        return Reshape(name=name, target=tuple(_number(size) for size in target[1:]))
    free = [k for k, size in enumerate(target) if not isinstance(size, int)]
    if len(free) > 1:
        raise lift.refusal(node, f"{_shown(sizes)} as {_shown(target)}: two lengths are free")
    return Regroup(name=name, target=tuple(_number(size) for size in target))


def _number(size: int | Size) -> int:
    return size if isinstance(size, int) else -1


def _shown(sizes: Sizes) -> str:
    return f"({', '.join(map(str, sizes))})"


def _ones_moved(lift: Lift, node: Node, held: Seen, target: Sizes) -> Held:
    """A shape that differs by axes of length 1."""
    # Those that both have in the same place stay.
    keep = 0
    while keep < min(len(target), len(held.sizes)) and target[keep] == held.sizes[keep]:
        keep += 1
    gone = [k for k, size in enumerate(held.sizes) if size == 1 and k >= keep]
    new = [k for k, size in enumerate(target) if size == 1 and k >= keep]
    plain = lift.as_seen(squeezed(lift, node, held, gone), node)
    return expanded(lift, node, plain, new) if new else plain


def _pieces_reshaped(lift: Lift, node: Node, held: Pieces, target: Sizes) -> Held:
    """Directions that become one axis with their features, or lose their axis."""
    axis, sizes = held.axis, held.sizes
    if len(held.parts) == 1:
        return reshaped(lift, node, held.parts[0], target)
    if axis + 1 == len(sizes):
        return reshaped(lift, node, lift.as_seen(held, node), target)
    merged = (*sizes[:axis], sizes[axis] * sizes[axis + 1], *sizes[axis + 2 :])
    if target == merged or len(target) < len(sizes):
        return reshaped(lift, node, joined(lift, node, held.parts, axis), target)
    return reshaped(lift, node, lift.as_seen(held, node), target)


def joined(lift: Lift, node: Node, parts: tuple[Seen, ...], axis: int) -> Seen:
    """Tensors one after the other along an axis of the file."""
    orders = {part.order for part in parts}
    if len(orders) == 1:
        (order,) = orders
        values = [part.value for part in parts]
        layer = Concatenate(name=lift.name(node), axis=_axis(order[axis], len(order)))
        return lift.ordered(lift.call(layer, *values)[0], order)
    layer = Concatenate(name=lift.name(node), axis=_axis(axis, len(parts[0].order)))
    return lift.call(layer, *(lift.value(part) for part in parts))[0]


def _axis(axis: int, rank: int) -> int:
    """The last axis as -1, which is what people write."""
    return -1 if axis == rank - 1 else axis


@lifts("Expand")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    target = lift.integers(node, 1, "shape") or []
    rank = max(len(target), len(held.sizes))
    own = [1] * (rank - len(held.sizes)) + list(held.sizes)
    wanted = [1] * (rank - len(target)) + target
    sizes = tuple(other if size == 1 else size for size, other in zip(own, wanted, strict=True))
    if isinstance(held, Known | Filled) and (isinstance(held, Filled) or held.count == 1):
        number = held.number if isinstance(held, Filled) else held.items()[0]
        return [Filled(number, held.dtype, sizes)]
    if sizes == held.sizes:
        return [held]
    if isinstance(held, Pieces) and (repeated := _repeated(lift, node, held, sizes)) is not None:
        return [repeated]
    if isinstance(held, Known) and not held.is_symbolic:
        array = held.read()
        if (array == array.flat[0]).all():
            return [Filled(array.flat[0].item(), held.dtype, sizes)]
    raise lift.refusal(node, f"a tensor of {_shown(held.sizes)} repeated to {_shown(sizes)}")


def _repeated(lift: Lift, node: Node, held: Pieces, sizes: Sizes) -> Seen | None:
    """(B, 1, F) or (1, B, F) as (B, n, F) or (n, B, F): RepeatVector; None for anything else."""
    axis = held.axis
    times = sizes[axis]
    rest = (*sizes[:axis], 1, *sizes[axis + 1 :])
    if len(sizes) != 3 or axis == 2 or not isinstance(times, int) or rest != held.sizes:
        return None
    layer = RepeatVector(name=lift.name(node), n=times)
    (result,) = lift.call(layer, lift.value(held.parts[0]))
    return result if axis == 1 else lift.ordered(result, (1, 0, 2))


@lifts("Pad")
def _(lift: Lift, node: Node) -> list[Held]:
    packed = with_row(lift, node)
    if packed is not None:
        return [packed]
    seen = lift.seen(node, 0)
    pads = lift.integers(node, 1, "pads") or []
    value = lift.known(node, 2, "what is added")
    rank = len(seen.order)
    mode = node.attributes.get("mode", "constant")
    zeros = value is None or not value.read().any()
    if mode != "constant" or not zeros or node.attributes.get("value") or lift.given(node, 3):
        raise lift.refusal(node, f"mode={mode}, and {'zeros' if zeros else 'others'}")
    if len(pads) != 2 * rank or not all(isinstance(one, int) and one >= 0 for one in pads):
        raise lift.refusal(node, f"pads={pads}")
    own = sorted(zip(seen.order, zip(pads[:rank], pads[rank:], strict=True), strict=True))
    ends = [pair for _, pair in own]
    channels_first = any(ends[-1])
    if rank < 3 or any(ends[0]) or (channels_first and any(ends[1])):
        raise lift.refusal(node, f"pads={pads}, around what is no sequence or image")
    layer = ZeroPadding(
        name=lift.name(node),
        dtype=seen.dtype,
        ends=tuple(ends[2:] if channels_first else ends[1:-1]),
        channels_first=channels_first,
    )
    return [lift.ordered(lift.call(layer, seen.value)[0], seen.order)]
