"""Attention: which steps of a value each step of a query takes, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from converter.activations import LINEAR, Activation
from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.weight import Weight


class Masked(Enum):
    """What a softmax does with masked scores.

    The three differ in a row that is masked whole alone: elsewhere such scores weigh nothing.

    LOWERED: 1e9 less (65504 in float16), rounded as the layer computes: of scores below 32 in
        float32 nothing is left in it but their mean.
    EQUAL: all alike, and so the mean.
    ZERO: nothing, zeros.
    """

    LOWERED = "lowered"
    EQUAL = "equal"
    ZERO = "zero"


class Scoring(Enum):
    """How a query q and a key k are compared.

    DOT: scale (q · k), CONCAT: factor sum(tanh(scale (q + k))), ADDITIVE: sum(scale tanh(q + k)).
    """

    DOT = "dot"
    CONCAT = "concat"
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Layer):
    """softmax(score(query, key)) value: Attention and AdditiveAttention.

    Inputs are query (B, T, I), value (B, S, O) and, if it is not the value, key (B, S, I). The
    mask of the query makes steps of the output zeros, that of the value masks scores.

    Attributes:
        scale: (), or (I,) for ADDITIVE, or None.
        factor: () for CONCAT, else None.
        dropout: Of the weights, in training.
        causal: A step of the query sees no later step of the value.
        return_scores: A second output is the weights, (B, T, S).
    """

    scoring: Scoring
    scale: Weight | None
    factor: Weight | None
    dropout: float
    causal: bool
    return_scores: bool

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """(B, T, O), and (B, T, S)."""
        if len(inputs) not in (2, 3) or any(len(x) != 3 for x in inputs):
            raise ShapeMismatchError(f"inputs of shapes {list(inputs)}; expected 2 or 3 of rank 3")
        query, value, key = inputs[0], inputs[1], inputs[-1]
        same(query[-1], key[-1], "features of query and key")
        same(value[1], key[1], "steps of value and key")
        output = (*query[:-1], value[-1])
        return (output, (*query[:-1], value[1])) if self.return_scores else (output,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """x kernel + bias.

    Attributes:
        kernel: (I, N, D) into N heads of D features; (N, D, ...) out of them.
        bias: Of the axes that the kernel gives, or None.
    """

    HAS_WEIGHTS: ClassVar[bool] = True

    kernel: Weight
    bias: Weight | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiHeadAttention(Layer):
    """Scaled dot-product attention in several heads: MultiHeadAttention, GroupQueryAttention.

    Inputs are query (B, T, I), value (B, S, ...), key (B, S, ...), and perhaps what is allowed:
    (B, T, S), bool, or a number where LOWERED adds (number - 1) 1e9. Each may have more axes
    behind the batch; then those in `axes` are T and S, and each other one is an axis of the batch.
    The masks of query, value and key mask scores.

    Attributes:
        query: Into N heads.
        key: Into N heads or a divisor of N; each is used by as many heads of the query as it takes.
        value: As many as the key.
        output: Out of N heads.
        axes: Of the inputs, counted from the front.
        dropout: Of the weights, in training.
        causal: A step of the query sees no later step of the value.
        masked: What becomes of masked scores.
        return_scores: A second output is the weights, (B, N, T, S).
        scale_is_float32: 1 / sqrt(D), by which scores are multiplied, is rounded to float32,
            whatever the layer computes in, as Keras 3 does.
    """

    query: Projection
    key: Projection
    value: Projection
    output: Projection
    axes: tuple[int, ...]
    dropout: float
    causal: bool
    masked: Masked
    return_scores: bool
    scale_is_float32: bool = True

    @property
    def heads(self) -> int:
        """N."""
        return self.query.kernel.shape[1]

    @property
    def key_heads(self) -> int:
        """Of key and value."""
        return self.key.kernel.shape[1]

    @property
    def key_dim(self) -> int:
        """The features of a head of query and key."""
        return self.query.kernel.shape[2]

    @property
    def value_dim(self) -> int:
        """The features of a head of the value."""
        return self.value.kernel.shape[2]

    @property
    def features(self) -> tuple[int, ...]:
        """Of the output."""
        return self.output.kernel.shape[2:]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The query's with other features, and the weights'."""
        if len(inputs) not in (3, 4) or len({len(x) for x in inputs[:3]}) > 1:
            raise ShapeMismatchError(f"inputs of shapes {list(inputs)}")
        query, value, key = inputs[:3]
        for x, part in ((query, self.query), (value, self.value), (key, self.key)):
            same(x[-1], part.kernel.shape[0], "features and rows of the kernel")
        for axis in range(1, len(query) - 1):
            same(value[axis], key[axis], "steps of value and key")
            if axis not in self.axes:
                same(query[axis], value[axis], f"axis {axis} of query and value")
        output = (*query[:-1], *self.features)
        if not self.return_scores:
            return (output,)
        around = (query[axis] for axis in range(len(query) - 1) if axis not in self.axes)
        steps = (x[axis] for x in (query, value) for axis in self.axes)
        return output, (*around, self.heads, *steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedSoftmax(Layer):
    """A softmax of what a mask, of the same shape or with axes of 1, leaves."""

    softmax: Activation
    masked: Masked

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias).

    Attributes:
        equation: "abc,cd->abd".
        bias: Of the trailing axes of the output, with 1 where it is shared, or None.
        sizes: Of the output without its batch; None where it is the input's.
    """

    equation: str
    kernel: Weight
    bias: Weight | None
    sizes: tuple[int | None, ...]
    activation: Activation = LINEAR

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """That of the letters behind the arrow."""
        (x,) = inputs
        before, after = self.equation.split("->")
        letters, _ = before.split(",")
        if len(letters) != len(x):
            raise ShapeMismatchError(f"an input of rank {len(x)} for {self.equation}")
        size = dict(zip(letters, x, strict=True))
        return (
            tuple(
                size.get(letter, n) for letter, n in zip(after, (x[0], *self.sizes), strict=True)
            ),
        )


def same(one: int | None, other: int | None, what: str) -> None:
    """Refuse two sizes that differ.

    Raises:
        ShapeMismatchError: They are known and not the same.
    """
    if None not in (one, other) and one != other:
        raise ShapeMismatchError(f"{what}: {one} and {other}")
