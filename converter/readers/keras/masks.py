"""The masks that tensors carry, as Keras passes them from layer to layer.

Keras works them out when it runs the model; here it is done once, so that a description says
which call uses which mask, and nobody after the reader needs to know these rules. Masks that a
config states go before them.

Sources: `__call__`, `compute_mask` and `supports_masking` in keras/src/layers (3.0 to 3.15),
tf_keras (2.21) and keras/layers (2.2.4 and 2.3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.description import (
    AnyOf,
    Cast,
    Concatenate,
    ConvLSTM,
    Dropout,
    Embedding,
    Era,
    EveryStep,
    Flip,
    GlobalPooling,
    GroupNormalization,
    JoinMasks,
    Layer,
    Masking,
    Merge,
    ShapeMismatchError,
    TimeDistributed,
    Unequal,
    Value,
)
from converter.readers.keras import masks_1
from converter.readers.keras.attended import attended, forgets, unread
from converter.readers.keras.calls import ATTENTION, HEADS, Reference
from converter.readers.keras.era import Writer
from converter.readers.keras.masked import (
    ELEMENTWISE,
    INDIFFERENT,
    NEWLY,
    PASS,
    SEQUENCES,
    SKIP,
    inside,
    refusal,
    undescribed,
    uses_mask,
)
from converter.readers.keras.origins import (
    MaskOperation,
    Origin,
    along,
    joined,
    origin,
    unequal,
)

Carried = Origin | str
"""A mask, or why it is not read."""

Stated = tuple[Carried | None, ...]
"""The masks that a config states, for each input; () where it states none."""


@dataclass(slots=True)
class Masks:
    """Which mask each tensor carries.

    Attributes:
        writer: Whose rules hold.
        call: Calls a layer that makes a mask, and gives the mask.
        values: Every tensor by its name, as far as masks are made of it.
        carried: By the tensor's name.
        made: The masks that are values already, by how they are made.
        same: Tensors that are one object in Keras 3, which has one mask: the first one's name.
    """

    writer: Writer
    call: Callable[[Layer, Sequence[Value]], Value]
    values: dict[str, Value] = field(default_factory=dict)
    carried: dict[str, Carried] = field(default_factory=dict)
    made: dict[Origin, Value] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)

    @property
    def _keras_3(self) -> bool:
        return self.writer.era is Era.KERAS_3

    @property
    def _stays_inside(self) -> bool:
        """Whether a mask that is made in a TimeDistributed is not seen outside."""
        return self.writer.era in (Era.KERAS_1, Era.KERAS_3)

    def seen(self, values: Sequence[Value]) -> None:
        """Remember tensors."""
        self.values.update((value.name, value) for value in values)

    def stated(
        self,
        operations: Mapping[str, MaskOperation],
        reference: Reference,
        value_of: Callable[[Reference], Value],
    ) -> Carried:
        """A mask that a config states."""
        found = origin(operations, reference, value_of)
        return found or "a mask that is made by other operations than a layer's"

    def make(self, kind: str, layer: Layer, source: Value, given: Value, mask: Value) -> None:
        """A layer made a mask of `source`, which its output `given` carries."""
        inner = inside(layer)
        made: Origin = ("value", mask.name)
        if isinstance(inner, Masking):
            made = "any", unequal(source, inner.mask_value, inner.dtype)
        elif isinstance(inner, Embedding):
            made = unequal(source, 0)
        self.made[made] = mask
        if kind != "TimeDistributed" or not self._stays_inside:
            self.carried[given.name] = made

    def used(
        self, kind: str, where: str, layer: Layer, inputs: Sequence[Value], stated: Stated = ()
    ) -> tuple[Value | None, ...]:
        """The masks that a call of this layer uses, for each input; () if none.

        Args:
            kind: The layer's class.
            where: The layer and the file, for an error.
            layer: What is called.
            inputs: With what.
            stated: What the config states.

        Raises:
            UnsupportedError: It would use one that is not read.
        """
        if kind == "Merge" or self.writer.era is Era.KERAS_1:
            return self._used_in_keras_1(kind, where, layer, inputs)
        if kind in SKIP and self._keras_3 and self.writer.number >= (3, 4):
            rank = max(len(value.shape) for value in inputs)
            # An input of lower rank is given another axis, and loses its mask on the way.
            found = [self._of(value) if len(value.shape) == rank else None for value in inputs]
            masks = tuple(self.value(one, where, layer) for one in found)
            return masks if any(masks) else ()
        if kind in ATTENTION:
            return self._attended(kind, where, layer, inputs, stated)
        weighs = isinstance(inside(layer), GroupNormalization) and not self._keras_3
        if not (weighs or uses_mask(kind, layer)):
            if stated and kind not in INDIFFERENT:
                raise refusal(where, f"{kind} with a mask")
            return ()
        found_one = self.of_steps(inputs, stated)
        if kind == "Softmax" and isinstance(found_one, tuple) and found_one[0] != "value":
            raise refusal(where, f"{kind} with a mask of numbers")  # it compares them to a half
        mask = self.value(found_one, where, layer)
        if mask is None:
            return ()
        self._check(kind, where, layer, inputs[0], mask)
        return (mask, *(None for _ in inputs[1:]))

    def of_steps(self, inputs: Sequence[Value], stated: Stated) -> Carried | None:
        """The mask of the first input that a call uses."""
        if stated:
            return stated[0]
        if self._keras_3 and len(inputs) > 1:
            return None  # layer.py passes a mask on only where one argument is a tensor
        return self._of(inputs[0])

    def _used_in_keras_1(
        self, kind: str, where: str, layer: Layer, inputs: Sequence[Value]
    ) -> tuple[Value | None, ...]:
        masks = [self._of(value) for value in inputs]
        if reason := masks_1.unread(kind, layer, len(inputs[0].shape), masks, self.writer):
            raise refusal(where, reason)
        mask = self.value(masks[0], where, layer) if kind in masks_1.RECURRENT else None
        if mask is None:
            return ()
        self._check(kind, where, layer, inputs[0], mask)
        return (mask, *(None for _ in inputs[1:]))

    def _attended(
        self, kind: str, where: str, layer: Layer, inputs: Sequence[Value], stated: Stated
    ) -> tuple[Value | None, ...]:
        carried = [self._of(value) for value in inputs]
        found: Sequence[Carried | None] = attended(kind, self.writer, carried, stated)
        masks = tuple(self.value(one, where, layer) for one in found)
        if reason := unread(layer, self.writer, inputs, masks):
            raise refusal(where, reason)
        return (*masks, *(None for _ in inputs[len(masks) :])) if any(masks) else ()

    def _check(self, kind: str, where: str, layer: Layer, x: Value, mask: Value) -> None:
        """Refuse a mask that is not read with this layer."""
        if kind == "Softmax":
            if len(mask.shape) != len(x.shape):
                raise refusal(where, f"{kind} of {x.shape} with a mask of {mask.shape}")
            return
        if isinstance(inside(layer), GroupNormalization):
            raise refusal(where, f"{kind} with the mask of '{x.name}'")
        steps = 0
        while isinstance(layer, TimeDistributed):
            layer, steps = layer.layer, steps + 1
        if isinstance(layer, ConvLSTM):
            if self.writer.era is Era.KERAS_2:  # its `rnn` tiles a mask for outputs of rank 2
                raise refusal(where, "a convolutional LSTM with a mask, on which Keras 2 fails")
            inner = (x.shape[0], *x.shape[1 + steps :])
            layer.check_mask(inner, (x.shape[0], *mask.shape[1 + steps :]))
        elif len(mask.shape) != 2 + steps:
            raise ShapeMismatchError(f"a mask of shape {mask.shape} for steps of {x.shape}")

    def passed(
        self,
        kind: str,
        layer: Layer,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        stated: Stated = (),
    ) -> None:
        """Hand the masks of the inputs on to the outputs."""
        masks = [self._of(value) for value in inputs]
        if stated and self._states_what_is_passed:
            masks[: len(stated)] = list(stated)
        result: Carried | None = None
        count = 1
        if kind == "Merge" or (self.writer.era is Era.KERAS_1 and kind not in SEQUENCES):
            result = masks_1.passed(kind, layer, len(inputs[0].shape), masks)
        elif kind in HEADS:
            result = self._of(inputs[0])
        elif kind in ATTENTION:
            in_lists = not self._keras_3 or self.writer.number >= (3, 4)
            result = masks[0] if in_lists else None
        elif kind in SEQUENCES:
            count = 2 if getattr(layer, "merge", None) is Merge.SEPARATE else 1
            inner = inside(layer)
            result = masks[0] if getattr(inner, "return_sequences", False) else None
        elif kind in PASS and (self._keras_3 or kind not in NEWLY):
            result = masks[0]
        elif kind == "TimeDistributed":
            result = masks[0]
            if result is not None and not self._keras_3 and isinstance(layer, TimeDistributed):
                result = self._of_each_step(layer, result)
        elif isinstance(layer, Cast) and layer.dtype == inputs[0].dtype:
            result = masks[0]  # it gives the very tensor that it is given, with all that is on it
        elif kind in ELEMENTWISE or kind == "Concatenate":
            result = self._joined(layer, inputs, masks)
        if forgets(kind, self.writer):
            self._forget(inputs)
        if isinstance(layer, Dropout):  # it gives the tensor that it is given
            self.same[outputs[0].name] = self._first(inputs[0])
        if result is not None:
            for value in outputs[:count]:
                self.carried[value.name] = result

    def left_chain(
        self,
        kind: str,
        last: Layer,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        stated: Stated,
    ) -> None:
        """Layers that are one in Keras end: what that one hands on.

        Args:
            kind: Its class.
            last: The layer that returns.
            inputs: What it is called with.
            outputs: What it returns, without states.
            stated: What the config states.
        """
        for value in outputs:
            self.carried.pop(value.name, None)
            self.passed(kind, last, inputs, [value], stated)

    def _first(self, value: Value) -> str:
        return self.same.get(value.name, value.name)

    def _forget(self, values: Sequence[Value]) -> None:
        """Take their masks from these tensors, by whatever name they are known."""
        objects = {self._first(value) for value in values}
        for name in list(self.carried):
            if self.same.get(name, name) in objects:
                del self.carried[name]

    @property
    def _states_what_is_passed(self) -> bool:
        """Whether a mask that is given as an argument is handed on, not that of the input."""
        era, number = self.writer.era, self.writer.number
        return era is Era.TF_KERAS or (era is Era.KERAS_3 and number >= (3, 11))

    def _joined(
        self, layer: Layer, inputs: Sequence[Value], masks: Sequence[Carried | None]
    ) -> Carried | None:
        """That of Add and its like, and of Concatenate."""
        for one in masks:
            if isinstance(one, str):
                return one
        known = [one for one in masks if isinstance(one, tuple)]
        # Up to 3.3, layer.py asks a list of tensors for its mask, and lists have none.
        if not known or (self._keras_3 and self.writer.number < (3, 4)):
            return None
        if isinstance(inside(layer), Concatenate) and isinstance(layer, TimeDistributed):
            return "masks of tensors that are joined within each step"
        if isinstance(layer, Concatenate):
            rank = len(inputs[0].shape)
            if layer.axis % rank != rank - 1:
                whole = [
                    one if isinstance(one, tuple) else ("every", value.name)
                    for one, value in zip(masks, inputs, strict=True)
                ]
                return along(layer.axis % rank, whole)
            if not self._keras_3:
                return joined("and", known)
            if len(known) < len(masks):
                return "every", inputs[0].name
            return joined("or", known)
        if not self._keras_3:
            return joined("and", known)
        return joined("or", known) if len(known) == len(masks) else None

    def _of_each_step(self, layer: TimeDistributed, mask: Carried) -> Carried:
        """tf.keras and Keras 2: what the inner layer hands on, or whether any step of it counts."""
        inner = layer.layer
        drops = isinstance(inner, GlobalPooling) or not getattr(inner, "return_sequences", True)
        return self._reduced(mask) if drops and isinstance(mask, tuple) else mask

    def _reduced(self, mask: Origin) -> Origin:
        for _ in range(2, self._rank(mask)):
            mask = ("any", mask)
        return mask

    def entered(self, where: str, inputs: Sequence[Value], stated: Stated) -> None:
        """A model begins: its inputs carry what they carry outside.

        Raises:
            UnsupportedError: The config states another mask.
        """
        for value, mask in zip(inputs, stated, strict=False):
            if mask is not None and self._of(value) is None:
                self.carried[value.name] = mask
            elif mask is not None and mask != self._of(value):
                raise refusal(where, "the call states another mask than its input carries")

    def entered_class(
        self, where: str, inputs: Sequence[Value], stated: Stated, *, masks: bool
    ) -> None:
        """A layer of a registered class begins.

        Raises:
            UnsupportedError: It is given a mask, and its description says nothing of masks.
        """
        if masks:
            self.entered(where, inputs, stated)
        elif any(stated) or any(self._of(value) for value in inputs):
            raise undescribed(where)

    def left_class(self, inputs: Sequence[Value], outputs: Sequence[Value], *, masks: bool) -> None:
        """It ends: with `supports_masking`, its output carries the mask of its input."""
        given = self._of(inputs[0]) if masks else None
        alone = len(inputs) == len(outputs) == 1
        for value in outputs:
            own = self._of(value)
            if own is not None and own != given:
                self.carried[value.name] = "a mask that was made in a layer of a registered class"
            elif given is not None:
                self.carried[value.name] = given if alone else "a mask of several inputs or outputs"

    def left_steps(self, where: str, before: Sequence[Value], after: Sequence[Value]) -> None:
        """A model in a TimeDistributed ends: what its output carries outside.

        Raises:
            UnsupportedError: It goes by the fixed size of the batch, where Keras loops otherwise.
        """
        outer = self._of(before[0])
        if outer is not None and self.writer.era is Era.KERAS_1:
            raise refusal(where, "a mask of a model in a TimeDistributed")
        if outer is not None and not self._keras_3 and before[0].shape[0] is not None:
            raise refusal(where, "a mask of a model in a TimeDistributed, and a fixed batch")
        for value in after:
            inner = self.carried.pop(value.name, None)
            result = outer
            if not self._stays_inside:
                result = inner
                if inner is None and isinstance(outer, tuple):
                    result = self._reduced(outer)
            if result is not None:
                self.carried[value.name] = result

    def _rank(self, mask: Origin) -> int:
        match mask[0]:
            case "any":
                return self._rank(mask[1]) - 1
            case "turned":
                return self._rank(mask[2])
            case "or" | "and":
                return self._rank(mask[1])
            case "along":
                return self._rank(mask[2])
            case "every":
                return len(self.values[mask[1]].shape) - 1
        return len(self.values[mask[1]].shape)

    def _of(self, value: Value) -> Carried | None:
        return self.carried.get(value.name)

    def value(self, mask: Carried | None, where: str, layer: Layer) -> Value | None:
        """The mask as a value of the graph; what makes it is called now, if it is not yet.

        Args:
            mask: That is carried.
            where: The layer that uses it and the file, for an error.
            layer: That uses it.

        Raises:
            UnsupportedError: It is one that is not read.
        """
        if isinstance(mask, str):
            raise refusal(where, mask)
        return None if mask is None else self._built(mask, layer)

    def _built(self, mask: Origin, user: Layer) -> Value:
        if mask in self.made:
            return self.made[mask]
        kind, *parts = mask
        if kind == "value":
            return self.values[parts[0]]
        cast: dict[str, Any] = {}
        if kind == "unequal" and len(parts) == 3:
            cast = {"dtype": parts.pop(), "autocast": True}
        inputs = [
            self.values[part] if isinstance(part, str) else self._built(part, user)
            for part in parts
            if isinstance(part, str | tuple)
        ]
        name = f"{user.name}:mask{len(self.made)}"
        makers: Mapping[str, Callable[[], Layer]] = {
            "unequal": lambda: Unequal(name=name, number=parts[1], **cast),
            "any": lambda: AnyOf(name=name),
            "or": lambda: JoinMasks(name=name, every=False),
            "and": lambda: JoinMasks(name=name, every=True),
            "along": lambda: Concatenate(name=name, axis=parts[0]),
            "every": lambda: EveryStep(name=name),
            "turned": lambda: Flip(name=name, axes=(parts[0],)),
        }
        self.made[mask] = self.call(makers[kind](), inputs)
        return self.made[mask]
