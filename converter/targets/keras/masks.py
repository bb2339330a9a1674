"""The masks that tensors carry in Keras 3, which passes them on by itself.

A description says which call uses which mask. Keras works it out again when it runs the model, so
it is worked out here too: the rules are those of keras/src/layers in 3.15. A recurrent layer's mask
is stated in the file, as Keras 3 itself does, which also holds where Keras would give the layer
another one. Where a file cannot state it and Keras would use another, the layer is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from converter.description import (
    Activate,
    AnyOf,
    Attention,
    BatchNormalization,
    Call,
    Cast,
    Combination,
    Combine,
    Concatenate,
    ConvLSTM,
    Dense,
    Dropout,
    Embedding,
    EveryStep,
    Flip,
    GlobalPooling,
    GroupNormalization,
    Identity,
    JoinMasks,
    Layer,
    LayerNormalization,
    MaskedSoftmax,
    Masking,
    Merge,
    Model,
    MultiHeadAttention,
    Normalization,
    Pool,
    PReLU,
    Recurrent,
    Rescaling,
    TimeDistributed,
    Unequal,
    UnitNormalization,
)
from converter.errors import UnsupportedError
from converter.targets.keras.attended import stated_to_attention

HELPERS = (AnyOf, EveryStep, JoinMasks, Unequal)
"""What makes masks of masks: Keras does it without layers."""

PASS = (
    Activate,
    BatchNormalization,
    Dense,
    Dropout,
    GroupNormalization,
    Identity,
    LayerNormalization,
    Normalization,
    PReLU,
    Rescaling,
    TimeDistributed,
    UnitNormalization,
)
"""Layers that hand on the mask of their input."""

SKIP = (Combination.MAXIMUM, Combination.MINIMUM, Combination.MULTIPLY)
"""Combinations that leave masked steps out."""

Mask = tuple[object, ...] | None
"""How a mask is made: ("unequal", x, 0.0), ("any", mask), ...; None where every step counts."""


@dataclass(slots=True)
class Masks:
    """What a model means by masks, and what Keras would make of it.

    Attributes:
        made: How each mask of the model is made, by its name. These values are no tensors of Keras.
        carried: What Keras passes on with each tensor, by its name.
        stated: The masks that the file can state, by the first output of the call that uses them.
        needed: Those of them without which Keras would use another.
        given: The masks that the file states to attention and a softmax, likewise, by the argument.
        alike: The calls of attention, by the first output, to which Keras 2 passes the same masks.
        bare: The first outputs of combinations that Keras would leave masked steps out of, and the
            model does not.
        same: Tensors that are one object in Keras, by name: the first one's name.
        implied: Kinds of masks that Keras makes by itself, with operations that it names itself.
    """

    made: dict[str, Mask] = field(default_factory=dict)
    carried: dict[str, Mask] = field(default_factory=dict)
    stated: dict[str, Mask] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    given: dict[str, dict[str, tuple[Mask, ...]]] = field(default_factory=dict)
    alike: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    same: dict[str, str] = field(default_factory=dict)
    implied: set[object] = field(default_factory=set)

    def makes_mask(self, call: Call) -> bool:
        """Whether a call makes a mask of masks, which is not a layer in Keras."""
        return isinstance(call.layer, HELPERS) or (
            isinstance(call.layer, Concatenate | Flip)
            and all(value.name in self.made for value in call.inputs)
        )

    def _follow(self, call: Call) -> None:
        layer = call.layer
        if self.makes_mask(call):
            self.made[call.outputs[0].name] = self._joined(call)
            return
        inner = inside(layer)
        given = [self.carried.get(value.name) for value in call.inputs]
        self._check(call, given)
        x, output = call.inputs[0].name, call.outputs[0].name
        if output in self.stated:  # which Keras hands on, rather than that of the input
            given[0] = self.stated[output]
        mask = None if output in self.bare else _passed(call, given)
        if isinstance(inner, Masking):
            cast = () if inner.dtype == call.inputs[0].dtype else (inner.dtype,)
            mask = "any", ("unequal", x, inner.mask_value, *cast)
        elif isinstance(inner, Embedding) and inner.mask_zero:
            mask = "unequal", x, 0.0
        if isinstance(inner, Masking) or (isinstance(inner, Embedding) and inner.mask_zero):
            self.made[call.outputs[1].name] = mask
            if isinstance(layer, TimeDistributed):
                mask = None  # it stays inside
        count = 2 if getattr(layer, "merge", None) is Merge.SEPARATE else 1
        for value in call.outputs[:count]:
            self.carried[value.name] = mask
        if isinstance(layer, Dropout):  # it gives the tensor that it is given
            self.same[output] = self.same.get(x, x)
        if isinstance(layer, MultiHeadAttention) and layer.key_heads == layer.heads:
            self._forget(call)

    def _forget(self, call: Call) -> None:
        """MultiHeadAttention takes the masks from its inputs."""
        taken = {self.same.get(value.name, value.name) for value in call.inputs[:3]}
        for name in self.carried:
            if self.same.get(name, name) in taken:
                self.carried[name] = None

    def _joined(self, call: Call) -> Mask:
        layer, first = call.layer, call.inputs[0].name
        inner = [self.made.get(value.name, ("tensor", value.name)) for value in call.inputs]
        match layer:
            case Unequal():
                cast = (layer.dtype,) if layer.autocast else ()
                return "unequal", first, layer.number, *cast
            case AnyOf():
                return "any", inner[0]
            case EveryStep():
                return "every", first
            case JoinMasks():
                return _several("and" if layer.every else "or", inner)
            case Concatenate():
                return "along", layer.axis % len(call.inputs[0].shape), *inner
            case Flip():
                return "turned", layer.axes[0], inner[0]
        return None

    def _check(self, call: Call, given: Sequence[Mask]) -> None:
        """State the mask of a call where Keras would take another one, or refuse."""
        layer = call.layer
        means = [
            None if one is None else self.made.get(one.name, ("tensor", one.name))
            for one in call.masks
        ]
        means += [None] * (len(call.inputs) - len(means))
        keras: list[Mask] = [None] * len(call.inputs)
        if isinstance(layer, Combine) and layer.combination in SKIP:
            rank = max(len(value.shape) for value in call.inputs)
            keras = [
                one if len(value.shape) == rank else None
                for one, value in zip(given, call.inputs, strict=True)
            ]
        elif uses_mask(layer) and len(call.inputs) == 1:
            keras[0] = given[0]
        means, keras = ([_plain(mask) for mask in masks] for masks in (means, keras))
        output = call.outputs[0].name
        if isinstance(layer, Attention | MaskedSoftmax | MultiHeadAttention):
            carried = [_plain(mask) for mask in given]
            self.given[output] = stated_to_attention(call, means, carried, can_state)
            if not self.given[output]:
                self.implied.update(mask[0] for mask in means if mask is not None)
                if all(mask is None or mask[0] in ("any", "unequal") for mask in means):
                    self.alike.add(output)
            elif any(self.given[output].values()):
                self.needed.add(output)
            return
        if isinstance(layer, BatchNormalization | TimeDistributed) and any(map(_is_partly, given)):
            # Keras gives it the mask all the same, made by operations that change the order in
            # which it counts layers, and so where it looks for their weights.
            found = "a mask of what is joined from tensors with and without masks"
            raise mask_refusal(layer, found)
        differ = means != keras
        takes = isinstance(layer, ConvLSTM | Recurrent) or (
            differ and isinstance(layer, GlobalPooling) and uses_mask(layer)
        )
        if takes and means[0] is not None and can_state(means[0]):
            self.stated[output] = means[0]
            if differ:
                self.needed.add(output)
            return
        if not differ:
            self.implied.update(mask[0] for mask in means if mask is not None)
            return
        ranks = {len(value.shape) for value in call.inputs}
        if isinstance(layer, Combine) and not any(means) and len(ranks) == 1:
            self.bare.add(output)
            return
        there, here = ("a mask" if any(masks) else "no mask" for masks in (means, keras))
        found = f"{there} in the model, {here} in Keras"
        if any(means) and any(keras):
            found = "another mask in the model than Keras would pass to it"
        raise mask_refusal(layer, found)


def masks_of(model: Model) -> Masks:
    """The masks of a model.

    Raises:
        UnsupportedError: Keras would give a layer another mask than the model does.
    """
    masks = Masks()
    for call in model.calls:
        if call.inputs:  # all but a constant
            masks._follow(call)
    return masks


def _plain(mask: Mask) -> Mask:
    """The same for every mask in which every step counts, of whatever tensor it was made."""
    return ("every",) if mask is not None and mask[0] == "every" else mask


def can_state(mask: Mask) -> bool:
    """Whether operations can make a mask in a file."""
    match mask:
        case ("tensor", _) | ("unequal", _, _) | ("unequal", _, _, _):
            return True
        case ("any", tuple(inner)) | ("turned", _, tuple(inner)):
            return can_state(inner)
        case ("or" | "and", tuple(one), tuple(other)):
            return can_state(one) and can_state(other)
    return False


def mask_refusal(layer: Layer, found: str) -> UnsupportedError:
    """The error for a mask that Keras would not use as the model does."""
    return UnsupportedError(
        f"layer '{layer.name}' would be given another mask in Keras",
        context=found,
        hint="--to pytorch and --to onnx can say it",
        code="mask",
    )


def inside(layer: Layer) -> Layer:
    """The layer that is applied to each step."""
    while isinstance(layer, TimeDistributed):
        layer = layer.layer
    return layer


def uses_mask(layer: Layer) -> bool:
    """Whether a layer computes something else where its input carries a mask."""
    inner = inside(layer)
    if isinstance(inner, GlobalPooling):
        return inner.pool is Pool.AVERAGE and inner.rank == 1
    return isinstance(inner, ConvLSTM | Recurrent)


def _is_partly(mask: Mask) -> bool:
    """Whether it is of tensors that are joined, some of which have no mask."""
    if mask is None or mask[0] == "every":
        return mask is not None
    inner = mask[2:] if mask[0] == "along" else ()
    return any(isinstance(one, tuple) and one[0] == "every" for one in inner)


def _passed(call: Call, given: Sequence[Mask]) -> Mask:
    """What Keras gives to the outputs."""
    layer = call.layer
    known = [mask for mask in given if mask is not None]
    match layer:
        case Attention() | MultiHeadAttention():
            return given[0]
        case Recurrent() | ConvLSTM():
            return given[0] if layer.return_sequences else None
        case Combine() if known:
            return _several("or", known) if len(known) == len(given) else None
        case Concatenate() if known:
            rank = len(call.inputs[0].shape)
            if layer.axis % rank != rank - 1:
                whole = [
                    mask or ("every", value.name)
                    for mask, value in zip(given, call.inputs, strict=True)
                ]
                return "along", layer.axis % rank, *whole
            return (
                _several("or", known)
                if len(known) == len(given)
                else ("every", call.inputs[0].name)
            )
        case Cast() if layer.dtype == call.inputs[0].dtype:
            return given[0]  # Keras gives the very tensor that it is given
        case _ if isinstance(layer, PASS):
            return given[0]
    return None


def _several(word: str, masks: Sequence[Mask]) -> Mask:
    """One mask of several; each that is there twice counts once."""
    different = list(dict.fromkeys(masks))
    return different[0] if len(different) == 1 else (word, *different)
