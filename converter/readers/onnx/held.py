"""What a name of a file stands for while its nodes are read in order.

A file moves axes, makes zeros and asks for sizes around a layer. None of that becomes a layer: it
is followed here until something computes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from converter.description import Stored, Value
from converter.gates import Array
from converter.readers.onnx.sizes import Size, Sizes

SMALL = 4096
"""Elements of a constant that is kept in memory."""


@dataclass(frozen=True, slots=True)
class Known:
    """Numbers that no input changes: a stored tensor, what is computed of some, or sizes.

    Attributes:
        dtype: "int64"; the array of sizes holds objects.
    """

    stored: Stored
    dtype: str

    @classmethod
    def of(cls, array: Any, name: str = "", dtype: str = "") -> Known:
        """Numbers in memory; sizes where the array holds objects."""
        given = np.asarray(array)
        kind = dtype or ("int64" if given.dtype == object else given.dtype.name)
        return cls(Stored.of(name, given), kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.stored.shape

    @property
    def sizes(self) -> Sizes:
        """The same."""
        return self.stored.shape

    @property
    def count(self) -> int:
        """Of elements."""
        return prod(self.shape)

    @property
    def is_symbolic(self) -> bool:
        """Whether it holds sizes that are not known."""
        return self.stored.dtype == object

    def read(self) -> Array:
        """The numbers; of objects where some are sizes."""
        return self.stored.read()

    def items(self) -> list[int | Size | float]:
        """The elements, one after the other, as Python has them."""
        every: list[int | Size | float] = self.read().reshape(-1).tolist()
        return every


Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A value of the model, whose axes the file may have in another order.

    Attributes:
        order: Axis k of the file is axis `order[k]` of the value.
        sizes: Of the file's axes.
    """

    value: Value
    order: Order
    sizes: Sizes

    @property
    def dtype(self) -> str:
        """Of the value."""
        return self.value.dtype

    @property
    def is_turned(self) -> bool:
        """Whether the axes are in another order than the value's."""
        return self.order != tuple(range(len(self.order)))

    def turned(self, axes: Sequence[int]) -> Seen:
        """With its axes in another order: axis k is this one's `axes[k]`."""
        order = tuple(self.order[axis] for axis in axes)
        return replace(self, order=order, sizes=tuple(self.sizes[axis] for axis in axes))


@dataclass(frozen=True, slots=True)
class Pieces:
    """Tensors beside each other along an axis of their own, as directions are in an LSTM's outputs.

    Attributes:
        axis: Of the whole.
        parts: Each without that axis, all alike.
    """

    axis: int
    parts: tuple[Seen, ...]

    @property
    def sizes(self) -> Sizes:
        """Of the whole."""
        sizes = list(self.parts[0].sizes)
        sizes.insert(self.axis, len(self.parts))
        return tuple(sizes)

    @property
    def dtype(self) -> str:
        """Of each."""
        return self.parts[0].dtype

    def turned(self, axes: Sequence[int]) -> Pieces:
        """With the axes of the whole in another order."""
        left = [axis - (axis > self.axis) for axis in axes if axis != self.axis]
        parts = tuple(part.turned(left) for part in self.parts)
        return Pieces(list(axes).index(self.axis), parts)


@dataclass(frozen=True, slots=True)
class Filled:
    """One number everywhere, in a shape that may not be known."""

    number: float | int | bool
    dtype: str
    sizes: Sizes


Held = Known | Seen | Pieces | Filled
