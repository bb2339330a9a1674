"""Models that are written by hand, for tests of what is made of them."""

import numpy as np

from converter.description import (
    Call,
    Direction,
    Layer,
    Model,
    Recurrent,
    Shape,
    Source,
    Value,
    Weight,
)
from converter.gates import GATES, Cell

GENERATOR = np.random.default_rng(3)


def weight(*shape: int) -> Weight:
    """Numbers of size 1."""
    return Weight.of(GENERATOR.normal(size=shape).astype(np.float32))


def lstm(name: str, inputs: int, units: int, **options) -> Recurrent:
    """An LSTM that returns its last output; options of its direction."""
    gates = len(GATES[Cell.LSTM])
    forward = Direction(
        cell=Cell.LSTM,
        kernel=weight(gates, units, inputs),
        recurrent_kernel=weight(gates, units, units),
        bias=weight(1, gates, units),
        **options,
    )
    return Recurrent(name=name, forward=forward)


def chain(shape: Shape, *layers: Layer) -> Model:
    """One layer after another."""
    value = Value("input_1", shape)
    calls = []
    for layer in layers:
        (result,) = layer.output_shapes((value.shape,))
        calls.append(Call(layer, (value,), (Value(layer.name, result),)))
        (value,) = calls[-1].outputs
    return Model(
        name="forecaster",
        inputs=(Value("input_1", shape),),
        calls=tuple(calls),
        outputs=(value,),
        source=Source(path="model.keras", sha256="9f2c41d0" + "0" * 56),
    )
