"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.description.convolution import join_channels, split_channels
from converter.description.model import Layer, Shape, ShapeMismatchError

Ends = tuple[tuple[int, int], ...]
"""For each axis, how much in front and how much behind."""


class Interpolation(Enum):
    """What stands between two elements.

    BILINEAR takes elements for the middles of squares (half-pixel centres) and goes on with the
    last one at the border: `align_corners=False` in PyTorch.
    """

    NEAREST = "nearest"
    BILINEAR = "bilinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSampling(Layer):
    """UpSampling1D, UpSampling2D, UpSampling3D.

    Attributes:
        size: How many elements one becomes, for each axis.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    size: tuple[int, ...]
    interpolation: Interpolation = Interpolation.NEAREST
    channels_first: bool = False

    @property
    def rank(self) -> int:
        """The number of axes that become longer."""
        return len(self.size)

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis is multiplied."""
        batch, steps, channels = split_channels(inputs[0], self.rank, self.channels_first)
        longer = tuple(
            None if n is None else n * size for n, size in zip(steps, self.size, strict=True)
        )
        return (join_channels(batch, longer, channels, self.channels_first),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroPadding(Layer):
    """ZeroPadding1D, ZeroPadding2D, ZeroPadding3D.

    Attributes:
        ends: How many zeros are added.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    ends: Ends
    channels_first: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis is longer by its zeros."""
        batch, steps, channels = split_channels(inputs[0], len(self.ends), self.channels_first)
        longer = tuple(
            None if n is None else n + sum(ends) for n, ends in zip(steps, self.ends, strict=True)
        )
        return (join_channels(batch, longer, channels, self.channels_first),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cropping(Layer):
    """Cropping1D, Cropping2D, Cropping3D.

    Attributes:
        ends: How many elements are left out.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    ends: Ends
    channels_first: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis is shorter by what is left out."""
        batch, steps, channels = split_channels(inputs[0], len(self.ends), self.channels_first)
        for n, ends in zip(steps, self.ends, strict=True):
            if n is not None and n <= sum(ends):
                raise ShapeMismatchError(f"{n} elements along an axis; it leaves out {sum(ends)}")
        shorter = tuple(
            None if n is None else n - sum(ends) for n, ends in zip(steps, self.ends, strict=True)
        )
        return (join_channels(batch, shorter, channels, self.channels_first),)
