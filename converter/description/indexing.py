"""Operations that take elements out of tensors and put them elsewhere: `x[:, -1]`, `stack`.

They stand outside any layer. Axes are counted from the front and the batch is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from converter.description.model import Layer, Shape, ShapeMismatchError, axis_of
from converter.description.operations import (
    CumulativeSum,
    Einsum,
    Matmul,
    Operation,
    Reduce,
    common_dtype,
)


class Span(NamedTuple):
    """Elements of an axis: those of `start:stop:step`; a negative step is that of `::-1`."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def size(self, size: int | None) -> int | None:
        """How many there are of an axis of `size`."""
        if size is not None:
            return len(range(*slice(*self).indices(size)))
        return None


WHOLE = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Operation):
    """`x[items]`.

    Attributes:
        items: For each axis in turn an index, a span, or None for a new axis before it. What is
            left is whole.
    """

    items: tuple[int | Span | None, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The sizes of what is kept."""
        (x,) = inputs
        left = list(x)
        result: list[int | None] = []
        for item in self.items:
            if item is None:
                result.append(1)
                continue
            if not left:
                raise ShapeMismatchError(f"rank {len(x)}, and {len(self.items)} indices")
            size = left.pop(0)
            if isinstance(item, Span):
                result.append(item.size(size))
            elif size is not None and not -size <= item < size:
                raise ShapeMismatchError(f"index {item} of an axis of {size}")
        return ((*result, *left),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandDims(Operation):
    """Axes of length 1 more.

    Attributes:
        axes: Where they are in the output, in ascending order.
    """

    axes: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """With the axes."""
        sizes = list(inputs[0])
        for axis in self.axes:
            sizes.insert(axis_of(axis, len(sizes) + 1), 1)
        return (tuple(sizes),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Squeeze(Operation):
    """Axes of length 1 less.

    Attributes:
        axes: Where they are in the input, in ascending order.
    """

    axes: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Without the axes."""
        (x,) = inputs
        for axis in self.axes:
            if x[axis_of(axis, len(x))] not in (1, None):
                raise ShapeMismatchError(f"an axis of {x[axis]}; expected 1")
        return (tuple(size for k, size in enumerate(x) if k not in self.axes),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regroup(Operation):
    """Another shape of the whole tensor: where the batch stays, it is a Reshape.

    Attributes:
        target: Of all axes; one -1 for what is left.
    """

    target: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """`target`, its -1 computed where it can be."""
        (x,) = inputs
        known = [size for size in x if size is not None]
        rest = prod(size for size in self.target if size != -1)
        size = prod(known) if len(known) == len(x) else None
        if size is not None and (size % rest if -1 in self.target else size != rest):
            raise ShapeMismatchError(f"{size} elements; they do not make {self.target}")
        free = None if size is None else size // rest
        return (tuple(free if one == -1 else one for one in self.target),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(Operation):
    """The last element first, along some axes."""

    axes: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        for axis in self.axes:
            axis_of(axis, len(inputs[0]))
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll(Operation):
    """Elements moved by `shift` along an axis; those that leave it come in at its other end."""

    shift: int
    axis: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        axis_of(self.axis, len(inputs[0]))
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(Operation):
    """Each element along an axis `times` times, one behind the other."""

    times: int
    axis: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The axis is `times` as long."""
        (x,) = inputs
        times = (self.times if k == axis_of(self.axis, len(x)) else 1 for k in range(len(x)))
        return (tuple(_scaled(x, times)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile(Operation):
    """The whole tensor several times, beside itself.

    Attributes:
        times: Of each axis.
    """

    times: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis as many times as long."""
        (x,) = inputs
        if len(x) != len(self.times):
            raise ShapeMismatchError(f"rank {len(x)}; {len(self.times)} axes are repeated")
        return (tuple(_scaled(x, self.times)),)


def _scaled(shape: Shape, times: tuple[int, ...] | Iterator[int]) -> Iterator[int | None]:
    for size, factor in zip(shape, times, strict=True):
        yield None if size is None else size * factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(Operation):
    """The inputs beside each other along a new axis."""

    axis: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """With that axis."""
        if len({len(x) for x in inputs}) > 1:
            raise ShapeMismatchError(f"ranks {[len(x) for x in inputs]}")
        common: list[int | None] = []
        for sizes in zip(*inputs, strict=True):
            different = {size for size in sizes if size is not None}
            if len(different) > 1:
                raise ShapeMismatchError(f"sizes {sorted(different)} of axis {len(common)}")
            common.append(different.pop() if different else None)
        common.insert(axis_of(self.axis, len(common) + 1), len(inputs))
        return (tuple(common),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """What they have in common."""
        return common_dtype(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Operation):
    """Parts of an axis, an output each.

    Attributes:
        sizes: Of the parts.
        squeeze: Each is one element long, and the axis is left out.
    """

    axis: int
    sizes: tuple[int, ...]
    squeeze: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """That of each part."""
        (x,) = inputs
        axis = axis_of(self.axis, len(x))
        if x[axis] not in (None, sum(self.sizes)):
            raise ShapeMismatchError(f"an axis of {x[axis]} in parts of {self.sizes}")
        if self.squeeze:
            return ((*x[:axis], *x[axis + 1 :]),) * len(self.sizes)
        return tuple((*x[:axis], size, *x[axis + 1 :]) for size in self.sizes)


def moves_batch(layer: Layer, rank: int) -> bool:
    """Whether an operation does to the first axis anything but leave it where it is."""
    match layer:
        case Reduce() | Flip() | Squeeze() | ExpandDims():
            return 0 in layer.axes
        case Roll() | Repeat() | Split() | Stack() | CumulativeSum():
            return layer.axis in (0, -rank)
        case Slice():
            return bool(layer.items) and layer.items[0] != WHOLE
        case Tile():
            return layer.times[0] != 1
        case Matmul():
            return rank < 3
        case Regroup() | Einsum():
            return True
    return False
