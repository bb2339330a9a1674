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
    needed = _needed(lift, value, front)
    if needed is None:
        return None
    made: dict[str, Value] = {}
    for call in needed:
        if isinstance(call.layer, Regroup):
            made[call.outputs[0].name] = call.inputs[0]
            continue
        inputs = tuple(made[one.name] for one in call.inputs)
        results = lift.call(_each_step(call.layer), *inputs)
        made.update((old.name, new.value) for old, new in zip(call.outputs, results, strict=True))
    whole = made[value.name]
    own = lift.sizes[whole.name]
    return Seen(whole, tuple(range(len(own))), own)


def _needed(lift: Lift, value: Value, front: Sizes) -> list[Call] | None:
    """The calls that make a value, from those on that make one axis of batch and time.

    None where something else is needed, or does not do the same to each step.
    """
    wanted, calls = {value.name}, []
    for call in reversed(lift.calls.values()):
        if not any(one.name in wanted for one in call.outputs):
            continue
        calls.append(call)
        wanted -= {one.name for one in call.outputs}
        layer = call.layer
        keeps = isinstance(layer, Recurrent) and (layer.stateful or layer.time_major)
        if any(call.masks) or not call.inputs or keeps:
            return None
        if not isinstance(layer, Regroup):
            wanted |= {one.name for one in call.inputs}
        elif not _folds(lift, call, front):
            return None
    return None if wanted else calls[::-1]


def _folds(lift: Lift, call: Call, front: Sizes) -> bool:
    """Whether a call makes one axis of batch and time."""
    (x,), (output,) = call.inputs, call.outputs
    sizes = lift.sizes[x.name]
    return sizes[:2] == front and lift.sizes[output.name][1:] == sizes[2:]


def _each_step(layer: Layer) -> Layer:
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
