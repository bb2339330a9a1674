"""A model with what Keras 3 lacks said by what it has: the same meaning, in more layers.

time_major=True, which Keras 3 has not, is a transposition before and after. A Dot that normalizes
with the least norm of tf.keras is two normalizations before one that does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from converter.description import (
    Call,
    Dot,
    Merge,
    Model,
    Recurrent,
    Transpose,
    UnitNormalization,
    Value,
)

BATCH_FIRST = (1, 0, 2)

KERAS_3_LEAST = 1e-7
"""The least norm that Dot of Keras 3 divides by: keras.config.epsilon()."""


def lowered(model: Model) -> Model:
    """The model in layers of Keras 3."""
    calls = tuple(part for call in model.calls for part in _lowered(call))
    return replace(model, calls=calls)


def _lowered(call: Call) -> Iterator[Call]:
    layer = call.layer
    if isinstance(layer, Dot) and layer.normalize and layer.least != KERAS_3_LEAST:
        yield from _normalized_before(call, layer)
        return
    if not (isinstance(layer, Recurrent) and layer.time_major):
        yield call
        return
    plain = replace(layer, time_major=False)
    x, *states = call.inputs
    turned = Value(f"{call.outputs[0].name} batch first", _turned(x), x.dtype)
    yield _transposed(x, turned)
    if not layer.return_sequences:
        yield replace(call, layer=plain, inputs=(turned, *states))
        return
    count = 2 if layer.merge is Merge.SEPARATE else 1
    sequences = call.outputs[:count]
    inner = tuple(
        replace(value, name=f"{value.name} of a batch", shape=_turned(value)) for value in sequences
    )
    yield replace(
        call,
        layer=plain,
        inputs=(turned, *states),
        outputs=(*inner, *call.outputs[count:]),
    )
    for value, result in zip(inner, sequences, strict=True):
        yield _transposed(value, result, f"{result.name} time first")


def _transposed(x: Value, result: Value, name: str = "") -> Call:
    layer = Transpose(name=name or result.name, axes=BATCH_FIRST)
    return Call(layer, (x,), (result,))


def _turned(value: Value) -> tuple[int | None, ...]:
    time, batch, *rest = value.shape
    return (batch, time, *rest)


def _normalized_before(call: Call, layer: Dot) -> Iterator[Call]:
    units = []
    for k, (value, axis) in enumerate(zip(call.inputs, layer.axes, strict=True)):
        name = f"{call.outputs[0].name} unit {k}"
        unit = UnitNormalization(name=name, axes=(axis,), least=layer.least)
        units.append(Value(name, value.shape, value.dtype))
        yield Call(unit, (value,), (units[-1],))
    yield replace(call, layer=replace(layer, normalize=False), inputs=tuple(units))
