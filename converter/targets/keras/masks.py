"""The masks that tensors carry in Keras, which passes them on by itself.

A description says which call uses which mask; a Keras file cannot say it, since Keras works it out
again: `compute_mask` and `supports_masking` in keras/src/layers (3.15; tf_keras is the same here).
So it is worked out here too, and a call that would be given another mask is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from converter.description import (
    Activate,
    AnyOf,
    BatchNormalization,
    Call,
    Combine,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    EveryStep,
    GlobalPooling,
    JoinMasks,
    LayerNormalization,
    Masking,
    Merge,
    Model,
    Pool,
    PReLU,
    Recurrent,
    TimeDistributed,
    Unequal,
    Value,
)
from converter.errors import UnsupportedError

HELPERS = (AnyOf, EveryStep, JoinMasks, Unequal)
"""What makes masks of masks: Keras does it without layers."""

PASS = (
    Activate,
    BatchNormalization,
    Dense,
    Dropout,
    LayerNormalization,
    PReLU,
    TimeDistributed,
)
"""Layers that hand on the mask of their input."""

Mask = tuple[object, ...] | None
"""How a mask is made; None where every step counts."""


def check_masks(model: Model) -> None:
    """Refuse a model in which Keras would give a layer another mask than the model does.

    Raises:
        UnsupportedError: There is such a layer.
    """
    made: dict[str, Mask] = {}
    carried: dict[str, Mask] = {}
    for call in model.calls:
        layer = call.layer
        if isinstance(layer, HELPERS):
            made[call.outputs[0].name] = _helped(call, made)
            continue
        given = [carried.get(value.name) for value in call.inputs]
        if isinstance(layer, Masking):
            mask: Mask = ("any", ("unequal", call.inputs[0].name, layer.mask_value))
            made[call.outputs[1].name] = mask
        elif isinstance(layer, Embedding):
            mask = ("unequal", call.inputs[0].name, 0.0) if layer.mask_zero else None
            if layer.mask_zero:
                made[call.outputs[1].name] = mask
        else:
            mask = _passed(call, given)
            _check(call, given, made)
        for value in _returned(call):
            carried[value.name] = mask


def _returned(call: Call) -> tuple[Value, ...]:
    """The outputs that carry a mask: neither masks nor states."""
    two = isinstance(call.layer, Recurrent) and call.layer.merge is Merge.SEPARATE
    return call.outputs[: 2 if two else 1]


def _helped(call: Call, made: Mapping[str, Mask]) -> Mask:
    layer = call.layer
    inner = [made.get(value.name) for value in call.inputs]
    match layer:
        case Unequal():
            return ("unequal", call.inputs[0].name, layer.number)
        case AnyOf():
            return ("any", inner[0])
        case EveryStep():
            return None
        case JoinMasks() if all(mask == inner[0] for mask in inner):
            return inner[0]
        case JoinMasks():
            return ("every" if layer.every else "some", *inner)
    return None


def _passed(call: Call, given: list[Mask]) -> Mask:
    """What Keras gives to the outputs."""
    layer = call.layer
    match layer:
        case Recurrent():
            return given[0] if layer.return_sequences else None
        case Combine() | Concatenate() if any(given):
            along_time = isinstance(layer, Concatenate) and layer.axis in (1, -2)
            alike = all(mask == given[0] for mask in given) and not along_time
            return given[0] if alike else ("joined", *given)
        case _ if isinstance(layer, PASS):
            return given[0]
    return None


def _check(call: Call, given: list[Mask], made: Mapping[str, Mask]) -> None:
    """Refuse a call that uses a mask, or would, if it is not the same one."""
    layer = call.layer
    means = None if call.mask is None else made.get(call.mask.name, ("unknown",))
    keras = given[0]
    if isinstance(layer, Recurrent) and len(call.inputs) > 1:
        keras = None  # a layer that is given its states is given no mask
    uses = isinstance(layer, Recurrent) or (
        isinstance(layer, GlobalPooling) and layer.pool is Pool.AVERAGE and layer.rank == 1
    )
    if means != keras and (uses or means is not None):
        there, here = ("a mask" if mask else "no mask" for mask in (means, keras))
        found = f"{there} in the model, {here} in Keras"
        if means and keras:
            found = "another mask in the model than Keras would pass to it"
        raise UnsupportedError(
            f"layer '{layer.name}' would be given another mask in Keras",
            context=found,
            hint="--to pytorch and --to onnx can say it",
            code="mask",
        )
