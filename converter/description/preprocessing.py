"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.description.model import Layer, Shape, ShapeMismatchError, rank_at_least
from converter.description.weight import Weight

Constants = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescaling(Layer):
    """x scale + offset.

    Attributes:
        scale: One number, or one for each element of the last axis; offset likewise.
    """

    scale: Constants
    offset: Constants = (0.0,)

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        for numbers in (self.scale, self.offset):
            if len(numbers) > 1 and rank_at_least(x, 1)[-1] not in (None, len(numbers)):
                raise ShapeMismatchError(f"shape {x}; it has {len(numbers)} numbers")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization(Layer):
    """(x - mean) / max(sqrt(variance), 1e-7), of statistics that were found beforehand.

    Attributes:
        axes: Along which the statistics lie, counted from the front, in order; () for one of each.
        sizes: Of these axes: the shape of the statistics.
        mean: A weight, or numbers of the config; variance likewise.
        count: From how many examples they were found; no answer depends on it. None for numbers.
        invert: The inverse is computed.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    mean: Weight | Constants
    variance: Weight | Constants
    count: Weight | None = None
    invert: bool = False

    @property
    def numbers(self) -> tuple[Constants, Constants] | None:
        """Mean and variance where the config has them."""
        if isinstance(self.mean, Weight) or isinstance(self.variance, Weight):
            return None
        return self.mean, self.variance

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        for axis, size in zip(self.axes, self.sizes, strict=True):
            if axis >= len(x) or x[axis] not in (None, size):
                raise ShapeMismatchError(f"shape {x}; it has {size} numbers along axis {axis}")
        return inputs

    def shape_in(self, rank: int) -> tuple[int, ...]:
        """The shape of the statistics beside a tensor of that rank."""
        sizes = dict(zip(self.axes, self.sizes, strict=True))
        return tuple(sizes.get(axis, 1) for axis in range(rank))


class Encoding(Enum):
    """What becomes of whole numbers.

    INT leaves them. ONE_HOT gives each an axis of zeros and a one; an axis of length 1 goes for it.
    MULTI_HOT says of each number whether an example has it, COUNT how often.
    """

    INT = "int"
    ONE_HOT = "one_hot"
    MULTI_HOT = "multi_hot"
    COUNT = "count"

    def shape(self, x: Shape, depth: int) -> Shape:
        """Of the encoded numbers, which are below `depth`.

        Raises:
            ShapeMismatchError: Keras encodes no numbers of this shape, or it depends on a length.
        """
        if self is Encoding.INT:
            return x
        if len(x) < 2 or (self is not Encoding.ONE_HOT and len(x) != 2):
            raise ShapeMismatchError(f"shape {x}; {self.value} encodes (batch, numbers)")
        if self is not Encoding.ONE_HOT:
            return x[0], depth
        if x[-1] is None:
            raise ShapeMismatchError(f"shape {x}; a last axis of 1 goes, so its size must be known")
        return (*(x[:-1] if x[-1] == 1 else x), depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryEncoding(Layer):
    """Whole numbers, encoded.

    Attributes:
        depth: They are below it.
        encoding: Not INT.
    """

    depth: int
    encoding: Encoding

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """As the encoding says."""
        return (self.encoding.shape(inputs[0], self.depth),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discretization(Layer):
    """How many boundaries are at or below each number, encoded.

    Attributes:
        boundaries: In order, rounded to float32, in which Keras compares.
        encoding: Of the numbers, which are below `depth`.
    """

    boundaries: Constants
    encoding: Encoding = Encoding.INT

    @property
    def depth(self) -> int:
        """How many bins there are."""
        return len(self.boundaries) + 1

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """As the encoding says."""
        return (self.encoding.shape(inputs[0], self.depth),)
