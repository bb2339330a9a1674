"""Dense, Embedding, activations as layers, the dropouts, and TimeDistributed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.activations import LINEAR, Activation
from converter.description.model import (
    Layer,
    Shape,
    ShapeMismatchError,
    axis_of,
    rank_at_least,
)
from converter.description.weight import Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(Layer):
    """activation(x kernel + bias), on the last axis.

    Attributes:
        kernel: (inputs, units).
        bias: (units,), or None.
    """

    kernel: Weight
    bias: Weight | None
    activation: Activation = LINEAR

    @property
    def inputs(self) -> int:
        """The size of the last axis of the input."""
        return self.kernel.shape[0]

    @property
    def units(self) -> int:
        """The size of the last axis of the output."""
        return self.kernel.shape[1]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The last axis becomes `units`."""
        (x,) = inputs
        if rank_at_least(x, 2)[-1] not in (None, self.inputs):
            raise ShapeMismatchError(f"a last axis of {x[-1]}; its kernel has {self.inputs}")
        return ((*x[:-1], self.units),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Layer):
    """What its input is: Identity, and what does something in training alone."""

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(Layer):
    """Rows of a table, by index; an index is truncated to an integer.

    Attributes:
        embeddings: (rows, units).
        mask_zero: A second output says which indices are not 0.
    """

    autocast: bool = False
    embeddings: Weight
    mask_zero: bool = False

    @property
    def rows(self) -> int:
        """How many indices there are."""
        return self.embeddings.shape[0]

    @property
    def units(self) -> int:
        """The size of a row."""
        return self.embeddings.shape[1]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """A last axis of `units` is added; then the mask."""
        rows: Shape = (*inputs[0], self.units)
        return (rows, inputs[0]) if self.mask_zero else (rows,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate(Layer):
    """An activation as a layer of its own: Activation, ReLU, LeakyReLU, ELU, Softmax."""

    activation: Activation

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged, but that glu halves its axis."""
        if self.activation.kind != "glu":
            return inputs
        (x,) = inputs
        axis = axis_of(self.activation.axes[0], len(x))
        size = x[axis]
        if size is not None and size % 2:
            raise ShapeMismatchError(f"{size} elements along axis {axis}; glu halves them")
        return ((*x[:axis], None if size is None else size // 2, *x[axis + 1 :]),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PReLU(Layer):
    """max(x, 0) + alpha min(x, 0).

    Attributes:
        alpha: The shape of the input without its batch, with 1 for the axes that share it.
    """

    alpha: Weight

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs


class Noise(Enum):
    """What a dropout layer does in training."""

    DROPOUT = "Dropout"
    SPATIAL = "SpatialDropout"
    ALPHA = "AlphaDropout"
    GAUSSIAN_DROPOUT = "GaussianDropout"
    GAUSSIAN_NOISE = "GaussianNoise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout(Layer):
    """Dropout and its relatives: nothing at inference.

    Attributes:
        rate: The fraction dropped; the standard deviation of GAUSSIAN_NOISE.
        noise_shape: The shape of the random mask with the batch first, None where it is the
            input's; () where all of it is the input's. SPATIAL says its own.
        channels_first: The channels of SPATIAL are axis 1.
    """

    noise: Noise
    rate: float
    noise_shape: tuple[int | None, ...] = ()
    channels_first: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeDistributed(Layer):
    """A layer applied to every step: (B, T, ...) is taken as (B·T, ...).

    Attributes:
        layer: Its name is the wrapper's and its own: "wrapper/inner".
    """

    layer: Layer

    @property
    def casts_weights(self) -> bool:
        """As the inner layer does."""
        return self.layer.casts_weights

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The inner layer's, with batch and time in front."""
        x = rank_at_least(inputs[0], 3)
        inside = tuple((None, *rank_at_least(one, 3)[2:]) for one in inputs)
        return tuple((x[0], x[1], *shape[1:]) for shape in self.layer.output_shapes(inside))
