"""Models made by hand, with numbers of which each says where it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.activations import Activation
from converter.description import (
    Call,
    Dense,
    Direction,
    Era,
    Layer,
    Merge,
    Model,
    Recurrent,
    Source,
    Value,
    Weight,
)
from converter.gates import GATES, Cell

SOURCE = Source(
    path="models/question.keras",
    form="Keras archive (.keras)",
    sha256="9f2c41d0" * 8,
    version="3.15.1",
    era=Era.KERAS_3,
)
HARD_SIGMOID_2 = Activation.of("hard_sigmoid", alpha=0.2)


def weight(*shape: int, start: float = 0.0) -> Weight:
    """Hundredths, counted up: no two alike."""
    numbers = (start + np.arange(np.prod(shape)) / 100).astype(np.float32)
    return Weight.of(numbers.reshape(shape))


def direction(
    cell: Cell, features: int, units: int, *, biases: int | None = None, **settings: Any
) -> Direction:
    """A direction with as many biases as Keras gives the cell, or as many as said."""
    gates = len(GATES[cell])
    count = (2 if cell is Cell.GRU else 1) if biases is None else biases
    return Direction(
        cell=cell,
        kernel=weight(gates, units, features),
        recurrent_kernel=weight(gates, units, units, start=1),
        bias=weight(count, gates, units, start=2) if count else None,
        **settings,
    )


def recurrent(
    cell: Cell = Cell.LSTM,
    features: int = 2,
    units: int = 1,
    *,
    name: str = "lstm",
    biases: int | None = None,
    both: bool = False,
    layer: dict[str, Any] | None = None,
    **settings: Any,
) -> Recurrent:
    """A layer of one direction, or of two that are alike; `layer` are its own settings."""
    forward = direction(cell, features, units, biases=biases, **settings)
    if not both:
        return Recurrent(name=name, forward=forward, **(layer or {}))
    backward = direction(cell, features, units, biases=biases, go_backwards=True, **settings)
    return Recurrent(
        name=name, forward=forward, backward=backward, merge=Merge.CONCAT, **(layer or {})
    )


def dense(inputs: int, units: int, *, name: str = "head", **settings: Any) -> Dense:
    return Dense(name=name, kernel=weight(inputs, units), bias=weight(units), **settings)


def chain(x: Value, *layers: Layer, name: str = "question", source: Source = SOURCE) -> Model:
    """A model in which each layer takes the first output of the one before."""
    calls: list[Call] = []
    value = x
    for layer in layers:
        shapes = layer.output_shapes((value.shape,))
        outputs = tuple(
            Value(layer.name + (f":{index}" if index else ""), shape)
            for index, shape in enumerate(shapes)
        )
        calls.append(Call(layer, (value,), outputs))
        value = outputs[0]
    return Model(name=name, inputs=(x,), calls=tuple(calls), outputs=(value,), source=source)


def question(features: int = 2) -> Model:
    """The LSTM of the question: one unit, one step."""
    return chain(Value("x", (None, 1, features)), recurrent(features=features))
