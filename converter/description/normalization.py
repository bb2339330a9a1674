"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from dataclasses import dataclass

from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.weight import Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormalization(Layer):
    """gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta, along one axis.

    Attributes:
        axis: Counted from the front, the batch is 0.
        gamma: (n,), or None without scale; beta: (n,), or None without centre.
        momentum: Keras's: the part of the old statistics that stays. PyTorch's is 1 - this.
    """

    axis: int
    gamma: Weight | None
    beta: Weight | None
    moving_mean: Weight
    moving_variance: Weight
    epsilon: float
    momentum: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        (size,) = self.moving_mean.shape
        if self.axis >= len(x) or x[self.axis] not in (None, size):
            raise ShapeMismatchError(f"shape {x}; it normalizes {size} along axis {self.axis}")
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, over some axes of each example.

    Attributes:
        axes: Counted from the front, in order; the batch is 0.
        gamma: The shape of those axes, or None without scale; beta likewise.
    """

    axes: tuple[int, ...]
    gamma: Weight | None
    beta: Weight | None
    epsilon: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        (x,) = inputs
        if max(self.axes) >= len(x):
            raise ShapeMismatchError(f"shape {x}; it normalizes axes {self.axes}")
        return inputs
