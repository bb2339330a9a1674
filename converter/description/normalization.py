"""Normalization over the batch, a layer, a group, or to length 1."""

from __future__ import annotations

from dataclasses import dataclass

from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.weight import Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormalization(Layer):
    """gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta, along some axes.

    Attributes:
        axes: Counted from the front, in order; the batch is 0. One, but in tf.keras.
        gamma: The shape of those axes, or None without scale; beta likewise.
        momentum: Keras's: the part of the old statistics that stays. PyTorch's is 1 - this.
    """

    axes: tuple[int, ...]
    gamma: Weight | None
    beta: Weight | None
    moving_mean: Weight
    moving_variance: Weight
    epsilon: float
    momentum: float

    @property
    def casts_weights(self) -> bool:
        """No: in a narrow dtype, it computes in float32 and casts its result."""
        return False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        for axis, size in zip(self.axes, self.moving_mean.shape, strict=True):
            if axis >= len(x) or x[axis] not in (None, size):
                raise ShapeMismatchError(f"shape {x}; it normalizes {size} along axis {axis}")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, over some axes of each example.

    Attributes:
        axes: Counted from the front, in order; the batch is 0.
        gamma: The shape of those axes, or None without scale; beta likewise.
        centred: The mean is subtracted; without it, x is divided by its deviation alone, which
            Keras 3 calls rms_scaling.
    """

    axes: tuple[int, ...]
    gamma: Weight | None
    beta: Weight | None
    epsilon: float
    centred: bool = True

    @property
    def casts_weights(self) -> bool:
        """No: in a narrow dtype, it computes in float32 and casts its result."""
        return False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        if max(self.axes) >= len(x):
            raise ShapeMismatchError(f"shape {x}; it normalizes axes {self.axes}")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, over groups of the sizes of one axis.

    Mean and variance are over all elements of a group in one example, along all other axes too.

    Attributes:
        groups: So many parts of the axis, each beside the next.
        axis: Counted from the front, the batch is 0.
        gamma: (n,), or None without scale; beta: (n,), or None without centre.
    """

    groups: int
    axis: int
    gamma: Weight | None
    beta: Weight | None
    epsilon: float

    @property
    def casts_weights(self) -> bool:
        """No: in a narrow dtype, it computes in float32 and casts its result."""
        return False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        size = x[self.axis] if self.axis < len(x) else 0
        if size is not None and (not size or size % self.groups):
            raise ShapeMismatchError(f"shape {x}; axis {self.axis} is in {self.groups} groups")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class RMSNormalization(Layer):
    """scale x / sqrt(mean(x x) + epsilon), over the last axes of each example.

    Attributes:
        scale: The shape of those axes.
    """

    scale: Weight
    epsilon: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        if len(x) <= len(self.scale.shape):
            raise ShapeMismatchError(f"shape {x}; it normalizes {len(self.scale.shape)} last axes")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNormalization(Layer):
    """x divided by its L2 norm over some axes.

    Attributes:
        axes: Counted from the front, in order; the batch is 0.
        least: What the norm is taken for where it is less: 1e-12 in Keras 3, 1e-6 in tf.keras.
    """

    axes: tuple[int, ...]
    least: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        if max(self.axes) >= len(x):
            raise ShapeMismatchError(f"shape {x}; it normalizes axes {self.axes}")
        return inputs
