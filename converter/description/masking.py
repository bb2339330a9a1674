"""Where masks come from: Masking, and what is done to masks on their way.

A mask is a value of bool, of the axes of a tensor without its last one: (batch, time) for a
sequence. True says that a step counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from converter.description.model import Layer, Shape, ShapeMismatchError, rank_at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking(Layer):
    """Steps in which every feature is `mask_value` are zeroed; a second output is the mask.

    Attributes:
        mask_value: Of steps that do not count.
    """

    mask_value: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The input's, and the mask's: without the last axis."""
        (x,) = inputs
        return x, rank_at_least(x, 2)[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unequal(Layer):
    """A mask of what is not a number: True where an element is not `number`."""

    autocast: bool = False
    number: float

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinLength(Layer):
    """The mask of sequences by their lengths: the first steps count, as many as are said.

    Inputs: x (B, T, ...), and the lengths (B,).

    Attributes:
        time_major: x is (T, B, ...), and so is the mask.
    """

    autocast: bool = False
    time_major: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The axes of batch and time."""
        x, lengths = inputs
        if len(lengths) != 1:
            raise ShapeMismatchError(f"lengths of rank {len(lengths)}; expected 1")
        return (rank_at_least(x, 2)[:2],)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf(Layer):
    """True where any element along the last axis is."""

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Without the last axis."""
        (mask,) = inputs
        return (rank_at_least(mask, 2)[:-1],)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinMasks(Layer):
    """One mask of several: True where every one of them is, or where any of them is."""

    every: bool

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The shape that they have in common."""
        rank = len(inputs[0])
        if any(len(mask) != rank for mask in inputs):
            raise ShapeMismatchError(f"masks of ranks {[len(mask) for mask in inputs]}")
        known = [{size for size in axis if size is not None} for axis in zip(*inputs, strict=True)]
        if any(len(sizes) > 1 for sizes in known):
            raise ShapeMismatchError(f"masks of shapes {list(inputs)}")
        return (tuple(sizes.pop() if sizes else None for sizes in known),)


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryStep(Layer):
    """The mask of a tensor that has none: True everywhere."""

    autocast: bool = False

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Without the last axis."""
        (x,) = inputs
        return (rank_at_least(x, 2)[:-1],)
