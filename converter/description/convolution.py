"""Convolutions over one, two or three axes: plain, depthwise, separable and transposed."""

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
class Windowed(Layer):
    """What a window that moves along the axes makes of its input.

    Attributes:
        strides: For each axis; `dilation` likewise.
        channels_first: The input is (B, C, ...) rather than (B, ..., C).
    """

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding
    channels_first: bool = False
    activation: Activation = LINEAR

    @property
    def rank(self) -> int:
        """The number of axes that the window moves along."""
        return len(self.strides)

    def _steps(self, steps: Shape, size: tuple[int, ...]) -> Shape:
        """How many places the window has along each axis."""
        return tuple(
            window_steps(n, length, stride, dilation, self.padding)
            for n, length, stride, dilation in zip(
                steps, size, self.strides, self.dilation, strict=True
            )
        )

    def _moved(self, x: Shape, size: tuple[int, ...], channels: int, filters: int) -> Shape:
        """The shape of the output for an input that must have `channels`."""
        batch, steps, found = split_channels(x, self.rank, self.channels_first)
        if found not in (None, channels):
            raise ShapeMismatchError(f"{found} channels; its kernel has {channels}")
        return join_channels(batch, self._steps(steps, size), filters, self.channels_first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Windowed):
    """activation(x * kernel + bias): Conv1D, Conv2D, Conv3D.

    Attributes:
        kernel: (size of each axis, channels / groups, filters).
        bias: (filters,), or None.
    """

    kernel: Weight
    bias: Weight | None
    groups: int = 1

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
        return (self._moved(x, self.size, self.channels, self.filters),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConvolution(Windowed):
    """Each channel convolved by itself: DepthwiseConv1D and DepthwiseConv2D.

    Attributes:
        kernel: (size of each axis, channels, multiplier). Channel c gives the output's channels
            c * multiplier and on.
        bias: (channels * multiplier,), or None.
    """

    kernel: Weight
    bias: Weight | None

    @property
    def size(self) -> tuple[int, ...]:
        """Of the window, for each axis."""
        return self.kernel.shape[: self.rank]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis as `window_steps` says, the channels are multiplied."""
        (x,) = inputs
        channels, multiplier = self.kernel.shape[-2:]
        return (self._moved(x, self.size, channels, channels * multiplier),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparableConvolution(Windowed):
    """A depthwise convolution, then one over the channels alone, the bias and the activation.

    Attributes:
        depthwise: (size of each axis, channels, multiplier), as of `DepthwiseConvolution`.
        pointwise: (1 for each axis, channels * multiplier, filters).
        bias: (filters,), or None.
    """

    depthwise: Weight
    pointwise: Weight
    bias: Weight | None

    @property
    def size(self) -> tuple[int, ...]:
        """Of the window, for each axis."""
        return self.depthwise.shape[: self.rank]

    @property
    def filters(self) -> int:
        """The channels of the output."""
        return self.pointwise.shape[-1]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis as `window_steps` says, the channels become `filters`."""
        (x,) = inputs
        return (self._moved(x, self.size, self.depthwise.shape[-2], self.filters),)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedConvolution(Windowed):
    """The transpose of a convolution: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose.

    Element i of an axis is added, times the kernel, to the elements from i * stride on. Of these
    the output is a part: it begins behind what the convolution would have padded in front, and
    goes on with zeros where it is longer.

    Attributes:
        kernel: (size of each axis, filters, channels).
        bias: (filters,), or None.
        output_padding: For each axis, how much longer the output is than it must be; None where
            it is n * stride with SAME, or as long as every product reaches with VALID.
    """

    kernel: Weight
    bias: Weight | None
    output_padding: tuple[int, ...] | None = None

    @property
    def size(self) -> tuple[int, ...]:
        """Of the window, for each axis."""
        return self.kernel.shape[: self.rank]

    @property
    def filters(self) -> int:
        """The channels of the output."""
        return self.kernel.shape[-2]

    @property
    def ends(self) -> tuple[tuple[int, int], ...]:
        """For each axis, how many sums are left out in front, and behind.

        A negative number behind is one of zeros. As TensorFlow pads the convolution of which this
        is the gradient: `compute_conv_transpose_padding_args_for_jax` in Keras's backend_utils.py.
        """
        added = self.output_padding or (None,) * self.rank
        return tuple(
            _ends((size - 1) * dilation + 1, stride, self.padding, more)
            for size, stride, dilation, more in zip(
                self.size, self.strides, self.dilation, added, strict=True
            )
        )

    def _steps(self, steps: Shape, size: tuple[int, ...]) -> Shape:
        covered = [(n - 1) * d + 1 for n, d in zip(size, self.dilation, strict=True)]
        return tuple(
            None if n is None else (n - 1) * stride + reach - front - behind
            for n, stride, reach, (front, behind) in zip(
                steps, self.strides, covered, self.ends, strict=True
            )
        )

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Each axis times its stride, about; the channels become `filters`."""
        (x,) = inputs
        return (self._moved(x, self.size, self.kernel.shape[-1], self.filters),)


def _ends(reach: int, stride: int, padding: Padding, more: int | None) -> tuple[int, int]:
    """What one axis leaves out of its (n - 1) * stride + reach sums, in front and behind."""
    if padding is Padding.VALID:
        return 0, -(max(stride - reach, 0) if more is None else more)
    total = reach - (stride if more is None else reach % 2 + more)
    front = max(total, 0) // 2
    return front, total - front


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
