"""Layers that make one tensor of several."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.description.model import Layer, Shape, ShapeMismatchError


class Combination(Enum):
    """An operation on elements. SUBTRACT takes two inputs, the others two or more."""

    ADD = "Add"
    SUBTRACT = "Subtract"
    MULTIPLY = "Multiply"
    AVERAGE = "Average"
    MAXIMUM = "Maximum"
    MINIMUM = "Minimum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Combine(Layer):
    """Add, Subtract, Multiply, Average, Maximum, Minimum.

    Inputs of lower rank get axes of length 1 behind the batch; axes of length 1 are broadcast.
    """

    combination: Combination

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The broadcast shape."""
        if len(inputs) < 2 or (self.combination is Combination.SUBTRACT and len(inputs) != 2):
            raise ShapeMismatchError(f"{len(inputs)} inputs")
        rank = max(len(x) for x in inputs)
        aligned = [(x[0], *(1,) * (rank - len(x)), *x[1:]) for x in inputs]
        return (tuple(_broadcast(sizes) for sizes in zip(*aligned, strict=True)),)


def _broadcast(sizes: tuple[int | None, ...]) -> int | None:
    known = {size for size in sizes if size is not None and size != 1}
    if len(known) > 1:
        raise ShapeMismatchError(f"axes of {sorted(known)} in one place")
    if known:
        return known.pop()
    return None if None in sizes else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenate(Layer):
    """The inputs one after another along one axis (counted from the front, or from the end)."""

    axis: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The sizes along the axis are added."""
        rank = len(inputs[0])
        if any(len(x) != rank for x in inputs) or not -rank <= self.axis < rank:
            raise ShapeMismatchError(f"ranks {[len(x) for x in inputs]} along axis {self.axis}")
        axis = self.axis % rank
        joined: list[int | None] = []
        for k, sizes in enumerate(zip(*inputs, strict=True)):
            if k == axis:
                known = [size for size in sizes if size is not None]
                joined.append(sum(known) if len(known) == len(sizes) else None)
                continue
            different = {size for size in sizes if size is not None}
            if len(different) > 1:
                raise ShapeMismatchError(f"sizes {sorted(different)} of axis {k}")
            joined.append(different.pop() if different else None)
        return (tuple(joined),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot(Layer):
    """The sum of products of two inputs over one axis of each, batch by batch.

    Attributes:
        axes: One of each input, counted from the front (the batch is 0).
        normalize: Both are divided by their L2 norm along that axis first.
        least: What the norm is taken for where it is less: 1e-7 in Keras 3, 1e-6 in tf.keras.
    """

    axes: tuple[int, int]
    normalize: bool = False
    least: float = 1e-7

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The other axes of the first, then those of the second; (B, 1) for two vectors."""
        if len(inputs) != 2:
            raise ShapeMismatchError(f"{len(inputs)} inputs; expected 2")
        a, b = inputs
        if not (0 < self.axes[0] < len(a) and 0 < self.axes[1] < len(b)):
            raise ShapeMismatchError(f"axes {self.axes} of ranks {len(a)} and {len(b)}")
        sizes = {a[self.axes[0]], b[self.axes[1]]} - {None}
        if len(sizes) > 1:
            raise ShapeMismatchError(f"axes of {a[self.axes[0]]} and {b[self.axes[1]]}")
        rest = tuple(size for k, size in enumerate(a) if k != self.axes[0]) + tuple(
            size for k, size in enumerate(b) if k not in (0, self.axes[1])
        )
        return (rest if len(rest) > 1 else (rest[0], 1),)
