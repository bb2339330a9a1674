"""Pooling over windows, and over everything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.description.convolution import (
    Padding,
    join_channels,
    split_channels,
    window_steps,
)
from converter.description.model import Layer, Shape


class Pool(Enum):
    """What becomes of a window. AVERAGE counts no padding."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(Layer):
    """MaxPooling and AveragePooling over one, two or three axes.

    Attributes:
        size: Of the window, for each axis; `strides` likewise.
        padding: VALID or SAME.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    pool: Pool
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    channels_first: bool = False

    @property
    def rank(self) -> int:
        """The number of axes that the window moves along."""
        return len(self.size)

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis as `window_steps` says."""
        batch, steps, channels = split_channels(inputs[0], self.rank, self.channels_first)
        moved = tuple(
            window_steps(n, size, stride, 1, self.padding)
            for n, size, stride in zip(steps, self.size, self.strides, strict=True)
        )
        return (join_channels(batch, moved, channels, self.channels_first),)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalPooling(Layer):
    """GlobalMaxPooling and GlobalAveragePooling over one, two or three axes.

    Attributes:
        rank: How many axes are pooled.
        keepdims: They stay, with length 1.
    """

    pool: Pool
    rank: int
    keepdims: bool = False
    channels_first: bool = False

    @property
    def axes(self) -> tuple[int, ...]:
        """Those that are pooled."""
        first = 2 if self.channels_first else 1
        return tuple(range(first, first + self.rank))

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The pooled axes go, or become 1."""
        batch, steps, channels = split_channels(inputs[0], self.rank, self.channels_first)
        if not self.keepdims:
            return ((batch, channels),)
        return (join_channels(batch, (1,) * len(steps), channels, self.channels_first),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptivePooling(Layer):
    """AdaptiveMaxPooling and AdaptiveAveragePooling over one, two or three axes.

    Of n elements, place k of m sees those from floor(k n / m) to ceil((k + 1) n / m).

    Attributes:
        size: Of the output, for each axis.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    pool: Pool
    size: tuple[int, ...]
    channels_first: bool = False

    @property
    def rank(self) -> int:
        """The number of axes that are pooled."""
        return len(self.size)

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The pooled axes have the given size."""
        batch, _, channels = split_channels(inputs[0], self.rank, self.channels_first)
        return (join_channels(batch, self.size, channels, self.channels_first),)
