"""What a case is: which Keras layer with which arguments, and the shapes that it is called with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shapes = tuple[tuple[int, ...], ...]
"""Of every input of one call, batch first."""

KERAS_3 = ("tensorflow", "torch")
"""Keras 3.15 with either backend. Where the two differ, a case names the one that is exact."""


QUICK = ("torch",)
"""Where both are exact, but TensorFlow takes long: a loop over time is a graph there, and each
convolution in groups is compiled."""


@dataclass(frozen=True)
class Keras:
    """A Keras layer as data: `Keras("LSTM", {"units": 3})`. An argument may be a layer."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A layer and the calls of it.

    Attributes:
        name: Unique.
        layer: What is called.
        calls: The shapes of each call; the first builds the layer.
        by: Who is asked.
        indices: Inputs are integers below this; None for normal numbers.
        index_dtype: Of such inputs.
        states: How many of the inputs, at the end, are initial states.
        size: Standard deviation of the inputs.
    """

    name: str
    layer: Keras
    calls: tuple[Shapes, ...]
    by: tuple[str, ...] = KERAS_3
    indices: int | None = None
    index_dtype: str = "int32"
    states: int = 0
    size: float = 1.0


def one(*shapes: tuple[int, ...]) -> tuple[Shapes, ...]:
    """Calls with one input each."""
    return tuple((shape,) for shape in shapes)


FIRST = {"data_format": "channels_first"}
