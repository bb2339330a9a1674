"""The masks that tensors carry, as Keras passes them from layer to layer.

Keras works them out when it builds the model; here it is done once, so that a description says
which call uses which mask, and nobody after the reader needs to know these rules. Where several
masks meet, eras differ: such a mask is refused when a layer would use it, and not before.

Sources: `compute_mask` and `supports_masking` in keras/src/layers (3.15) and tf_keras (2.21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.description import (
    Embedding,
    Era,
    Layer,
    Masking,
    Merge,
    Recurrent,
    TimeDistributed,
    Value,
)
from converter.errors import UnsupportedError
from converter.readers.keras.calls import Reference, operands

PASS = frozenset(
    {
        "Activation",
        "AlphaDropout",
        "BatchNormalization",
        "Dense",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "LayerNormalization",
        "LeakyReLU",
        "PReLU",
        "ReLU",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Layers that hand on the mask of their input, and compute the same with it."""

JOIN = frozenset({"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"})
"""Layers that make one mask of several."""

USE = frozenset({"GlobalAveragePooling1D", "Softmax"})
"""Layers that compute something else with a mask, which is not read yet."""

Origin = tuple[str, str, float] | None
"""How a mask is made: of which steps, of which tensor, unlike which number; None if otherwise."""

OPERATIONS = frozenset({"Any", "LogicalOr", "NotEqual"})
"""The operations with which Keras 3 makes masks, and writes them down beside the layers."""


INDIFFERENT = frozenset({"BatchNormalization", "TimeDistributed"})
"""Layers that are given a mask, and have no use for it at inference; what is in a TimeDistributed
is looked at."""


@dataclass(frozen=True, slots=True)
class MaskOperation:
    """An operation of Keras 3 that makes a mask.

    Attributes:
        kind: One of `OPERATIONS`.
        inputs: Its tensors.
        constants: Its other arguments.
        axis: Of Any.
    """

    kind: str
    inputs: tuple[Reference, ...]
    constants: tuple[object, ...]
    axis: object


def is_mask_operation(item: object) -> bool:
    """Whether a layer of a config is an operation that makes masks."""
    if not isinstance(item, dict) or str(item.get("class_name")) not in OPERATIONS:
        return False
    nodes = item.get("inbound_nodes")
    of_keras = str(item.get("module")).startswith("keras.src.ops")
    return of_keras and isinstance(nodes, list) and len(nodes) == 1


def mask_operation(item: Mapping[str, Any], where: str) -> MaskOperation:
    """The operation of such a layer.

    Raises:
        FormatError: It is not as Keras writes it.
    """
    inputs, constants = operands(item["inbound_nodes"][0], where)
    config = item.get("config")
    axis = config.get("axis") if isinstance(config, dict) else None
    return MaskOperation(item["class_name"], tuple(inputs), tuple(constants), axis)


@dataclass(slots=True)
class Masks:
    """Which mask each tensor carries.

    Attributes:
        era: Keras 3 gives no mask to a layer that is given its states.
        carried: By the tensor's name; a text where the mask is one that is not read, which says
            where it comes from.
        made: The masks by how they are made.
    """

    era: Era
    carried: dict[str, Value | str] = field(default_factory=dict)
    made: dict[Origin, Value] = field(default_factory=dict)

    def make(self, layer: Layer, source: Value, given: Value, mask: Value) -> None:
        """A layer made a mask of `source`, which its output `given` carries."""
        self.carried[given.name] = mask
        if isinstance(layer, Masking):
            self.made["any", source.name, layer.mask_value] = mask
        elif isinstance(layer, Embedding):
            self.made["each", source.name, 0.0] = mask

    def used(
        self,
        kind: str,
        where: str,
        layer: Layer,
        inputs: Sequence[Value],
        stated: Origin | str = "",
    ) -> Value | None:
        """The mask that a call of this layer uses.

        Args:
            kind: The layer's class.
            where: The layer and the file, for an error.
            layer: What is called.
            inputs: With what.
            stated: How the mask is made that the config states; "" if it states none.

        Raises:
            UnsupportedError: It would use one that is not read.
        """
        mask = self.carried.get(inputs[0].name)
        if self.era is Era.KERAS_3 and len(inputs) > 1 and isinstance(layer, Recurrent):
            mask = None
        elif self.era in (Era.KERAS_1, Era.KERAS_2) and len(inputs) > 1 and mask is not None:
            # There a step before the first that counts returns the initial state, not zeros.
            raise _refusal(where, "a mask and initial states, as Keras 2 before tf.keras has them")
        if stated != "" and not isinstance(layer, Recurrent) and kind not in INDIFFERENT:
            raise _refusal(where, f"{kind} with a mask")
        if stated != "" and isinstance(layer, Recurrent):
            known = None if isinstance(stated, str) else self.made.get(stated)
            if known is None or known != mask:
                raise _refusal(where, "the call states another mask than its input carries")
        inner = isinstance(layer, TimeDistributed) and kind == "TimeDistributed"
        if mask is None:
            return None
        if inner and _passes(layer):
            return None
        if not (isinstance(layer, Recurrent) or kind in USE or inner):
            return None
        if isinstance(mask, str):
            raise _refusal(where, mask)
        if not isinstance(layer, Recurrent) or layer.time_major:
            raise _refusal(where, f"{kind} with the mask of '{inputs[0].name}'")
        return mask

    def passed(
        self, kind: str, layer: Layer, inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> None:
        """Hand the masks of the inputs on to the outputs."""
        masks = [self.carried.get(value.name) for value in inputs]
        result: Value | str | None = None
        count = 1
        if isinstance(layer, Recurrent):
            count = 2 if layer.merge is Merge.SEPARATE else 1
            result = masks[0] if layer.return_sequences else None
        elif kind in PASS or (isinstance(layer, TimeDistributed) and _passes(layer)):
            result = masks[0]
        elif kind in JOIN and any(masks):
            alike = all(mask == masks[0] for mask in masks)
            along_time = kind == "Concatenate" and getattr(layer, "axis", -1) in (1, -2)
            joined = "the mask of several tensors"
            result = masks[0] if alike and not along_time else f"{kind} of {joined}"
        if result is not None:
            for value in outputs[:count]:
                self.carried[value.name] = result

    def crossed(self, inputs: Sequence[Value], what: str) -> None:
        """A model begins or ends here: a mask that crosses is not read."""
        for value in inputs:
            if value.name in self.carried:
                self.carried[value.name] = f"a mask that enters or leaves {what}"


def _passes(layer: Layer) -> bool:
    """Whether what is inside a TimeDistributed has no use for a mask."""
    inner = layer.layer if isinstance(layer, TimeDistributed) else layer
    return type(inner).__name__ in {"Activate", "BatchNormalization", "Dense", "Dropout", "PReLU"}


def _refusal(where: str, found: str) -> UnsupportedError:
    return UnsupportedError(
        f"{where} would use a mask that is not read yet",
        context=found,
        hint="save the model without the mask where all sequences have their full length",
        code="mask",
    )
