"""What a file does to every step with batch and time as one axis: TimeDistributed again."""

from __future__ import annotations

from dataclasses import replace

from converter.description import (
    Activate,
    Call,
    Combine,
    Dense,
    Dropout,
    Elementwise,
    Embedding,
    Identity,
    Layer,
    Masking,
    Recurrent,
    Regroup,
    TimeDistributed,
    Value,
)
from converter.readers.onnx.held import Seen
from converter.readers.onnx.lifting import Lift
from converter.readers.onnx.messages import Node
from converter.readers.onnx.sizes import Sizes


def unfolded(lift: Lift, node: Node, value: Value, target: Sizes) -> Seen | None:
    """A value of (batch * time, ...) as (batch, time, ...), made step by step.

    None where it is not that, or was not made of values that were (batch, time, ...).
    """
    sizes = lift.sizes[value.name]
    if len(target) != len(sizes) + 1 or target[2:] != sizes[1:]:
        return None
    if target[0] * target[1] != sizes[0]:
        return None
    front = target[:2]
    made: dict[str, Value] = {}
    if not _is_made(lift, value, front):
        return None
    whole = _unfold(lift, value, made)
    if made.get(value.name) is None and whole == value:
        return None
    own = lift.sizes[whole.name]
    return Seen(whole, tuple(range(len(own))), own)


def _producer(lift: Lift, value: Value) -> Call | None:
    return next((call for call in lift.calls.values() if value in call.outputs), None)


def _folds(lift: Lift, call: Call, front: Sizes) -> bool:
    """Whether a call makes one axis of batch and time."""
    (x,) = call.inputs
    sizes, (output,) = lift.sizes[x.name], call.outputs
    return sizes[:2] == front and lift.sizes[output.name][1:] == sizes[2:]


def _is_made(lift: Lift, value: Value, front: Sizes) -> bool:
    """Whether a value is made, each step on its own, of values of (batch, time, ...)."""
    call = _producer(lift, value)
    if call is None or any(call.masks) or not call.inputs:
        return False
    if isinstance(call.layer, Regroup):
        return _folds(lift, call, front)
    if isinstance(call.layer, Recurrent) and (call.layer.stateful or call.layer.time_major):
        return False
    return all(_is_made(lift, one, front) for one in call.inputs)


def _unfold(lift: Lift, value: Value, made: dict[str, Value]) -> Value:
    if value.name in made:
        return made[value.name]
    call = _producer(lift, value)
    if call is None:
        return value
    if isinstance(call.layer, Regroup):
        made[value.name] = call.inputs[0]
        return call.inputs[0]
    inputs = tuple(_unfold(lift, one, made) for one in call.inputs)
    results = lift.call(_each_step(lift, call.layer), *inputs)
    made.update((old.name, new.value) for old, new in zip(call.outputs, results, strict=True))
    return made[value.name]


def _each_step(lift: Lift, layer: Layer) -> Layer:
    """A layer for every step; itself where it does the same with more axes in front."""
    match layer:
        case Dense() | Embedding() | Masking() | Dropout() | Identity() | Combine():
            return layer
        case Activate() if layer.activation.axes in ((), (-1,)):
            return layer
        case Elementwise() if layer.operands.count(None) == 1:
            return layer
    inner = replace(layer, name=f"{layer.name}/{type(layer).__name__.lower()}")
    return TimeDistributed(
        name=layer.name, dtype=layer.dtype, variable_dtype=layer.variable_dtype, layer=inner
    )
