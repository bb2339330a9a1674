"""Layers that move elements and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from converter.description.model import Layer, Shape, ShapeMismatchError


def _size(shape: Shape) -> int | None:
    """The number of elements of one example, None if an axis is free."""
    known = [size for size in shape[1:] if size is not None]
    return prod(known) if len(known) == len(shape) - 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Layer):
    """(B, ...) to (B, n).

    Attributes:
        channels_first: Axis 1 is moved to the end before.
    """

    channels_first: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """All axes but the batch become one."""
        (x,) = inputs
        return ((x[0], _size(x)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Layer):
    """Another shape of each example.

    Attributes:
        target: Without the batch; one -1 for what is left.
    """

    target: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """`target`, its -1 computed where it can be."""
        (x,) = inputs
        size, rest = _size(x), prod(n for n in self.target if n != -1)
        if -1 not in self.target:
            if size not in (None, rest):
                raise ShapeMismatchError(f"{size} elements; {self.target} has {rest}")
            return ((x[0], *self.target),)
        if size is not None and (rest == 0 or size % rest):
            raise ShapeMismatchError(f"{size} elements; they do not make {self.target}")
        free = None if size is None else size // rest
        return ((x[0], *(free if n == -1 else n for n in self.target)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permute(Layer):
    """Axes in another order.

    Attributes:
        dims: Output axis k + 1 is input axis `dims[k]`; the batch, 0, stays.
    """

    dims: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The sizes in their new order."""
        (x,) = inputs
        if sorted(self.dims) != list(range(1, len(x))):
            raise ShapeMismatchError(f"rank {len(x)}; its dims are {self.dims}")
        return ((x[0], *(x[axis] for axis in self.dims)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(Layer):
    """Axes in another order, the batch among them.

    Attributes:
        axes: Output axis k is input axis `axes[k]`.
    """

    axes: tuple[int, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The sizes in their new order."""
        (x,) = inputs
        if sorted(self.axes) != list(range(len(x))):
            raise ShapeMismatchError(f"rank {len(x)}; its axes are {self.axes}")
        return (tuple(x[axis] for axis in self.axes),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatVector(Layer):
    """(B, F) to (B, n, F)."""

    n: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """`n` steps of the same."""
        (x,) = inputs
        if len(x) != 2:
            raise ShapeMismatchError(f"an input of rank {len(x)}; expected (batch, features)")
        return ((x[0], self.n, x[1]),)
