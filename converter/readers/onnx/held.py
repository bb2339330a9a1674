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
        again: It is computed whenever it is read.
    """

    stored: Stored
    dtype: str
    again: bool = False

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

    number: float | int | bool | Size
    dtype: str
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class Counted:
    """What is computed of a mask alone, as the text of its nodes. See `packing`.

    Attributes:
        mask: (B, T).
    """

    mask: Seen
    text: str

    @property
    def sizes(self) -> Sizes:
        """Nobody asks for them."""
        raise TypeError("what is computed of a mask has sizes of its own")


@dataclass(frozen=True, slots=True)
class Read:
    """A recurrent node that reads the steps that count alone.

    Attributes:
        call: Of its layer, by the first output.
        sequences: What it returns, the steps where they belong.
        backwards: Of each direction, whether it reads from the end.
        initial: The names in the file of its initial states; "" for zeros.
    """

    call: str
    sequences: tuple[Seen, ...]
    backwards: tuple[bool, ...]
    initial: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A sequence whose steps that count are in front; held as if they were where they belong.

    Attributes:
        by: The mask.
        read: What gave it, if a recurrent node did.
        first: What a row in front of the steps holds: "zeros", or "state"; "" where there is none.
    """

    held: Seen | Pieces
    by: Seen
    read: Read | None = None
    first: str = ""

    @property
    def sizes(self) -> Sizes:
        """Of what is held, without a row in front."""
        return self.held.sizes

    @property
    def dtype(self) -> str:
        """Of what is held."""
        return self.held.dtype

    def turned(self, axes: Sequence[int]) -> Packed:
        """With its axes in another order."""
        return replace(self, held=self.held.turned(axes))


@dataclass(frozen=True, slots=True)
class Ends:
    """Last states of a recurrent node, which mean something where any step counts.

    Attributes:
        number: Of the state: 0 for h.
    """

    pieces: Pieces
    by: Seen
    read: Read
    number: int

    @property
    def sizes(self) -> Sizes:
        """(D, B, H)."""
        return self.pieces.sizes


@dataclass(frozen=True, slots=True)
class Kept:
    """States that a layer keeps from one call to the next, which the file has as an input.

    Attributes:
        name: Of the input.
    """

    name: str
    sizes: Sizes


Held = Known | Seen | Pieces | Filled | Counted | Packed | Ends | Kept
