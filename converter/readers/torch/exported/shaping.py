"""Operations that give a tensor another shape, or its axes another order."""

from __future__ import annotations

from math import prod

import numpy as np

from converter.description import Concatenate, ExpandDims, Flatten, Layer, Regroup, Reshape, Squeeze
from converter.readers.torch.exported.held import (
    Held,
    Lifted,
    Merged,
    Stacked,
    computing,
    whole,
    without,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Parameter, Sizes, Step


@lifts("aten.transpose", "aten.transpose_", "aten.swapaxes", "aten.swapdims")
def _(lifting: Lifting, step: Step) -> Lifted:
    first, second = list(step.arguments.values())[1:3]
    rank = len(step.result.sizes)
    order = list(range(rank))
    order[first % rank], order[second % rank] = second % rank, first % rank
    return _ordered(lifting, step, order)


@lifts("aten.t", "aten.numpy_T", "aten.mT")
def _(lifting: Lifting, step: Step) -> Lifted:
    rank = len(step.result.sizes)
    return _ordered(lifting, step, [*range(rank - 2), *reversed(range(max(rank - 2, 0), rank))])


@lifts("aten.permute")
def _(lifting: Lifting, step: Step) -> Lifted:
    rank = len(step.result.sizes)
    return _ordered(lifting, step, [axis % rank for axis in step["dims"]])


@lifts("aten.movedim", "aten.moveaxis")
def _(lifting: Lifting, step: Step) -> Lifted:
    rank = len(step.result.sizes)
    pairs = [
        (end % rank, start % rank)
        for start, end in zip(_listed(step["source"]), _listed(step["destination"]), strict=True)
    ]
    order = [axis for axis in range(rank) if axis not in {start for _, start in pairs}]
    for end, start in sorted(pairs):
        order.insert(end, start)
    return _ordered(lifting, step, order)


def _listed(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _ordered(lifting: Lifting, step: Step, order: list[int]) -> Lifted:
    """The axes in another order, which computes nothing."""
    lifted = lifting.of(step["self"])
    if isinstance(lifted, Stacked):
        rest = [axis for axis in order if axis != lifted.axis]
        if rest == sorted(rest):
            return Stacked(lifted.parts, order.index(lifted.axis))
    if isinstance(lifted, Merged) and order[0] == 0:
        inner = lifted.inner
        rows = (0, 1, *(axis + 1 for axis in order[1:]))
        sizes = tuple(inner.sizes[axis] for axis in rows)
        held = Held(inner.value, tuple(inner.axes[axis] for axis in rows), sizes)
        return Merged(held, step.result.sizes)
    held = lifting.tensor(step["self"])
    return Held(held.value, tuple(held.axes[axis] for axis in order), step.result.sizes)


@lifts(
    "aten.view",
    "aten.reshape",
    "aten._unsafe_view",
    "aten.flatten",
    "aten.unflatten",
    "aten._reshape_copy",
    "aten.reshape_as",
    "aten.view_as",
)
def _(lifting: Lifting, step: Step) -> Lifted:
    lifted = lifting.of(step["self"])
    wanted = step.result.sizes
    if isinstance(lifted, Merged):
        inner = lifted.inner
        if wanted[:2] == inner.sizes[:2]:
            return inner if wanted == inner.sizes else _reshaped(lifting, step, inner, wanted)
        if wanted[:1] == lifted.sizes[:1]:
            sizes = (*inner.sizes[:2], *wanted[1:])
            return Merged(_reshaped(lifting, step, inner, sizes), wanted)
    if isinstance(lifted, Stacked) and lifted.axis == 1 and len(wanted) == 2:
        return _joined(lifting, step, lifted)
    held = lifting.tensor(step["self"])
    if wanted == held.sizes:
        return held
    if len(held.sizes) > 2 and wanted[1:] == held.sizes[2:] and _is_free(held.sizes[:2]):
        return Merged(held, wanted)
    return _reshaped(lifting, step, held, wanted)


def _is_free(sizes: Sizes) -> bool:
    return any(isinstance(size, str) for size in sizes)


def _joined(lifting: Lifting, step: Step, stacked: Stacked) -> Held:
    """The states of several layers or directions side by side: a concatenation."""
    values = [lifting.plain(part) for part in stacked.parts]
    if len(values) == 1:
        return whole(values[0], step.result.sizes)
    dtype = values[0].dtype
    layer = Concatenate(name=lifting.name(step), axis=-1, **computing(dtype))
    (value,) = lifting.call(layer, values, dtype)
    return whole(value, step.result.sizes)


def _reshaped(lifting: Lifting, step: Step, held: Held, wanted: Sizes) -> Held:
    """Another shape; the axes in front that stay may lie in any order."""
    rank, stay = len(held.sizes), 0
    while stay < min(rank, len(wanted)) and held.sizes[stay] == wanted[stay]:
        stay += 1
    while stay and (
        held.axes[stay:] != tuple(range(stay, rank))
        or prod_text(held.sizes[stay:]) != prod_text(wanted[stay:])
    ):
        stay -= 1
    if not stay or not _is_in_order(held.axes[stay:], stay):
        stay = 0
        held = lifting.laid(held, range(rank))
        while stay < min(rank, len(wanted)) and held.sizes[stay] == wanted[stay]:
            stay += 1
    front = [0] * stay
    for axis in range(stay):
        front[held.axes[axis]] = axis
    sizes = (*(held.sizes[axis] for axis in front), *wanted[stay:])
    dtype = held.value.dtype
    name = lifting.name(step)
    batch = stay > 0
    target = _target(step, sizes[1:] if batch else sizes)
    layer: Layer
    if not batch:
        layer = Regroup(name=name, target=target, **computing(dtype))
    elif len(target) == 1 and rank > 2:
        layer = Flatten(name=name, **computing(dtype))
    else:
        layer = Reshape(name=name, target=target, **computing(dtype))
    (value,) = lifting.call(layer, (held.value,), dtype)
    axes = (*held.axes[:stay], *range(stay, len(wanted)))
    return Held(value, axes, wanted)


def _is_in_order(axes: tuple[int, ...], start: int) -> bool:
    return axes == tuple(range(start, start + len(axes)))


def prod_text(sizes: Sizes) -> tuple[int, tuple[str, ...]]:
    """The number of elements: the product of what is known, and what is free."""
    known = prod(size for size in sizes if isinstance(size, int))
    return known, tuple(sorted(size for size in sizes if isinstance(size, str)))


def _target(step: Step, sizes: Sizes) -> tuple[int, ...]:
    """A shape with one -1 at most."""
    free = [size for size in sizes if isinstance(size, str)]
    if len(free) > 1:
        raise refusal(
            step,
            f"a shape with {len(free)} free axes, {', '.join(map(str, sizes))}; a layer says one",
            "keep batch and time as they are, and reshape what is behind them",
            "free-axes",
        )
    return tuple(-1 if isinstance(size, str) else size for size in sizes)


@lifts("aten.squeeze", "aten.squeeze_")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The axes of 1 among those that are named, or all of them."""
    lifted = lifting.of(step["self"])
    named = step.arguments.get("dim")
    if isinstance(lifted, Stacked) and named is not None and len(lifted.parts) == 1:
        rank = len(lifted.parts[0].sizes) + 1
        if [axis % rank for axis in _listed(named)] == [lifted.axis]:
            return lifted.parts[0]
    held = lifting.tensor(step["self"])
    rank = len(held.sizes)
    axes = range(rank) if named is None else [axis % rank for axis in _listed(named)]
    gone = [axis for axis in axes if held.sizes[axis] == 1]
    if not gone:
        return held
    own = tuple(sorted(held.axes[axis] for axis in gone))
    layer = Squeeze(name=lifting.name(step), axes=own, **computing(held.value.dtype))
    (value,) = lifting.call(layer, (held.value,), held.value.dtype)
    return without(held, gone, value)


@lifts("aten.unsqueeze", "aten.unsqueeze_")
def _(lifting: Lifting, step: Step) -> Lifted:
    axis = step["dim"] % len(step.result.sizes)
    lifted = lifting.of(step["self"])
    if axis == 0 and isinstance(lifted, Held):
        return Stacked((lifted,))
    if isinstance(lifted, Merged) and axis:
        value = lifting.plain(lifted.inner)
        wide = ExpandDims(name=lifting.name(step), axes=(axis + 1,), **computing(value.dtype))
        (value,) = lifting.call(wide, (value,), value.dtype)
        sizes = (*lifted.inner.sizes[:2], *step.result.sizes[1:])
        return Merged(whole(value, sizes), step.result.sizes)
    if isinstance(lifted, Parameter):
        return lifting.fixed(lifted.name.replace(".", "/"), np.expand_dims(lifted.read(), axis))
    value = lifting.plain(lifting.tensor(step["self"]))
    layer = ExpandDims(name=lifting.name(step), axes=(axis,), **computing(value.dtype))
    (value,) = lifting.call(layer, (value,), value.dtype)
    return whole(value, step.result.sizes)
