"""Convolutions over one, two or three axes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.activations import LINEAR, Activation
from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.weight import Weight


class Padding(Enum):
    """What is added around the input, in zeros.

    SAME adds so much that the output has ceil(n / stride) steps, the odd one at the end;
    CAUSAL adds dilation (kernel - 1) at the beginning.
    """

    VALID = "valid"
    SAME = "same"
    CAUSAL = "causal"


def window_steps(
    steps: int | None, size: int, stride: int, dilation: int, padding: Padding
) -> int | None:
    """How many steps a window of `size` gives; None where `steps` is free.

    Raises:
        ShapeMismatchError: The window is longer than the input.
    """
    if steps is None:
        return None
    if padding is not Padding.VALID:
        return -(-steps // stride)
    left = steps - dilation * (size - 1)
    if left < 1:
        raise ShapeMismatchError(f"{steps} steps; its window covers {dilation * (size - 1) + 1}")
    return (left - 1) // stride + 1


def same_padding(steps: int, size: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """The zeros that SAME adds before and after `steps`."""
    covered = (-(-steps // stride) - 1) * stride + dilation * (size - 1) + 1
    total = max(covered - steps, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Layer):
    """activation(x * kernel + bias): Conv1D, Conv2D, Conv3D.

    Attributes:
        kernel: (size of each axis, channels / groups, filters).
        bias: (filters,), or None.
        strides: For each axis; `dilation` likewise.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding
    groups: int = 1
    channels_first: bool = False
    activation: Activation = LINEAR

    @property
    def rank(self) -> int:
        """The number of axes that the window moves along."""
        return len(self.strides)

    @property
    def size(self) -> tuple[int, ...]:
        """Of the window, for each axis."""
        return self.kernel.shape[: self.rank]

    @property
    def channels(self) -> int:
        """Of the input."""
        return self.kernel.shape[-2] * self.groups

    @property
    def filters(self) -> int:
        """The channels of the output."""
        return self.kernel.shape[-1]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis as `window_steps` says, the channels become `filters`."""
        (x,) = inputs
        batch, steps, channels = split_channels(x, self.rank, self.channels_first)
        if channels not in (None, self.channels):
            raise ShapeMismatchError(f"{channels} channels; its kernel has {self.channels}")
        moved = tuple(
            window_steps(n, size, stride, dilation, self.padding)
            for n, size, stride, dilation in zip(
                steps, self.size, self.strides, self.dilation, strict=True
            )
        )
        return (join_channels(batch, moved, self.filters, self.channels_first),)


def split_channels(
    x: Shape, rank: int, channels_first: bool
) -> tuple[int | None, Shape, int | None]:
    """Batch, steps along the `rank` axes, channels.

    Raises:
        ShapeMismatchError: The tensor has another rank.
    """
    if len(x) != rank + 2:
        raise ShapeMismatchError(f"an input of rank {len(x)}; expected {rank + 2}")
    return (x[0], x[2:], x[1]) if channels_first else (x[0], x[1:-1], x[-1])


def join_channels(
    batch: int | None, steps: Shape, channels: int | None, channels_first: bool
) -> Shape:
    """The inverse of `split_channels`."""
    return (batch, channels, *steps) if channels_first else (batch, *steps, channels)
