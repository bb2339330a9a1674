"""Operations that take elements out of tensors and put them elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from converter.description import (
    Concatenate,
    Flip,
    Repeat,
    Slice,
    Span,
    Split,
    Stack,
    Value,
)
from converter.description.indexing import WHOLE
from converter.readers.torch.exported.held import (
    Held,
    Lifted,
    Stacked,
    Unread,
    computing,
    whole,
    without,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Ref, Size, Step


@lifts("getitem")
def _(lifting: Lifting, step: Step) -> Lifted:
    """One of several results."""
    several = lifting.of(step["x"])
    assert isinstance(several, tuple)
    index = step["index"]
    result: Lifted = several[index] if index < len(several) else Unread()
    return result


@lifts("aten.select")
def _(lifting: Lifting, step: Step) -> Lifted:
    """`x[:, -1]`."""
    lifted = lifting.of(step["self"])
    axis, index = step["dim"] % (len(step.result.sizes) + 1), step["index"]
    if not isinstance(index, int):
        raise refusal(
            step, f"the element {index} of an axis", "count it from the front or the end: x[:, -1]"
        )
    if isinstance(lifted, Stacked) and axis == lifted.axis:
        return lifted.parts[index]
    return lifting.selected(lifting.name(step), lifting.tensor(step["self"]), axis, index)


@lifts("aten.slice")
def _(lifting: Lifting, step: Step) -> Lifted:
    """`x[:, 1:]`."""
    lifted = lifting.of(step["self"])
    axis = step["dim"] % len(step.result.sizes)
    if isinstance(lifted, Stacked) and axis == lifted.axis:
        return Stacked(lifted.parts[step["start"] : step["end"] : step["step"]], lifted.axis)
    held = lifting.tensor(step["self"])
    size = held.sizes[axis]
    span = Span(
        _end(step, step["start"] or None, size), _end(step, step["end"], size), step["step"]
    )
    if span.step == 1:
        span = span._replace(step=None)
    if span == WHOLE or (isinstance(size, int) and span.size(size) == size and not span.step):
        return held
    own = held.axes[axis]
    items = (*(WHOLE,) * own, span)
    layer = Slice(name=lifting.name(step), items=items, **computing(held.value.dtype))
    (value,) = lifting.call(layer, (held.value,), held.value.dtype)
    return Held(value, held.axes, step.result.sizes)


def _end(step: Step, end: Size | None, size: Size) -> int | None:
    """Where a slice begins or ends, counted from the front or the end; None for all there is."""
    if end is None or end == size or (isinstance(end, int) and end >= sys.maxsize):
        return None
    if isinstance(end, int):
        return end
    if isinstance(size, str) and end.startswith(f"{size} - ") and end[len(size) + 3 :].isdigit():
        return -int(end[len(size) + 3 :])
    raise refusal(
        step,
        f"a slice that ends at {end} of {size}",
        "count it from the front or the end: x[:, :-1]",
    )


@lifts("aten.cat", "aten.concat", "aten.concatenate")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Side by side along an axis."""
    refs: Sequence[Ref] = step["tensors"]
    lifted = [lifting.of(ref) for ref in refs]
    axis = step["dim"] % len(step.result.sizes)
    if all(isinstance(one, Stacked) and one.axis == axis for one in lifted):
        return Stacked(tuple(part for one in lifted for part in one.parts), axis)  # type: ignore[union-attr]
    values, axes = _alike(lifting, [lifting.tensor(ref) for ref in refs])
    own = axes[axis]
    dtype = step.result.dtype
    layer = Concatenate(
        name=lifting.name(step), axis=-1 if own == len(axes) - 1 else own, **computing(dtype)
    )
    (value,) = lifting.call(layer, values, dtype)
    return Held(value, axes, step.result.sizes)


def _alike(lifting: Lifting, given: Sequence[Held]) -> tuple[list[Value], tuple[int, ...]]:
    """Tensors of one rank with their axes in one order: the first one's."""
    axes = given[0].axes
    order = [axes.index(axis) for axis in range(len(axes))]
    return [lifting.arranged(one, order) for one in given], axes


@lifts("aten.stack")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Beside each other along a new axis."""
    given = [lifting.tensor(ref) for ref in step["tensors"]]
    axis = step["dim"] % len(step.result.sizes)
    if axis == 0:
        return Stacked(tuple(given))
    values = [lifting.plain(one) for one in given]
    dtype = step.result.dtype
    (value,) = lifting.call(
        Stack(name=lifting.name(step), axis=axis, **computing(dtype)), values, dtype
    )
    return whole(value, step.result.sizes)


@lifts("aten.unbind", "aten.chunk", "aten.split", "aten.split_with_sizes", "aten.tensor_split")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Parts of an axis."""
    lifted = lifting.of(step["self"])
    gone = step.operation == "aten.unbind"
    axis = step["dim"] % (len(step.result.sizes) + gone)
    if isinstance(lifted, Stacked) and axis == lifted.axis and gone:
        return lifted.parts
    held = lifting.tensor(step["self"])
    sizes = tuple(1 if gone else one.sizes[axis] for one in step.results)
    if not all(isinstance(size, int) for size in sizes):
        raise refusal(step, f"parts of sizes {', '.join(map(str, sizes))}", "split a fixed axis")
    layer = Split(
        name=lifting.name(step),
        axis=held.axes[axis],
        sizes=sizes,
        squeeze=gone,
        **computing(held.value.dtype),
    )
    values = lifting.call(layer, (held.value,), held.value.dtype)
    if gone:
        return tuple(without(held, (axis,), value) for value in values)
    return tuple(
        Held(value, held.axes, one.sizes) for value, one in zip(values, step.results, strict=True)
    )


@lifts("aten.flip")
def _(lifting: Lifting, step: Step) -> Lifted:
    held = lifting.tensor(step["self"])
    own = tuple(sorted(held.axes[axis % len(held.axes)] for axis in step["dims"]))
    layer = Flip(name=lifting.name(step), axes=own, **computing(held.value.dtype))
    (value,) = lifting.call(layer, (held.value,), held.value.dtype)
    return Held(value, held.axes, held.sizes)


@lifts("aten.repeat", "aten.expand", "aten.repeat_interleave", "aten.tile")
def _(lifting: Lifting, step: Step) -> Lifted:
    """A tensor several times beside itself, along fixed axes."""
    lifted = lifting.of(step["self"])
    wanted = step.result.sizes
    held = lifting.tensor(step["self"])
    if held.sizes == wanted:
        return lifted
    stretched = [
        axis for axis, (old, new) in enumerate(zip(held.sizes, wanted, strict=False)) if old != new
    ]
    times = wanted[stretched[0]] if len(held.sizes) == len(wanted) else None
    one = len(stretched) == 1 and held.sizes[stretched[0]] == 1 and isinstance(times, int)
    if not one:
        raise refusal(
            step,
            f"a tensor of {', '.join(map(str, held.sizes))} made one of "
            f"{', '.join(map(str, wanted))}",
            "repeat a fixed number of times along one axis, or let an operation broadcast it",
            "repeat",
        )
    assert isinstance(times, int)
    dtype = held.value.dtype
    layer = Repeat(
        name=lifting.name(step), times=times, axis=held.axes[stretched[0]], **computing(dtype)
    )
    (value,) = lifting.call(layer, (held.value,), dtype)
    return Held(value, held.axes, wanted)
