"""The masks that attention uses, as each Keras passes them to it.

Sources: `call` and `compute_mask` in keras/src/layers/attention (3.0 to 3.15) and tf_keras (2.21),
and step 6 of `__call__` in keras/src/layers/layer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from converter.description import Era, Layer, Value
from converter.description.attention import Attention, Masked, MultiHeadAttention
from converter.readers.keras.calls import HEADS
from converter.readers.keras.era import Writer

Mask = TypeVar("Mask")


def attended(
    kind: str, writer: Writer, carried: Sequence[Mask | None], stated: Sequence[Mask | None]
) -> tuple[Mask | None, ...]:
    """The masks of query, value and, in `HEADS`, key.

    Args:
        kind: The layer's class.
        writer: Whose rules hold.
        carried: What the inputs carry.
        stated: What the call states; () where it states nothing.
    """
    if kind not in HEADS:  # what is stated goes before all that is carried, and keys have none
        return tuple((stated or carried)[:2])
    if writer.era is not Era.KERAS_3:
        return tuple(carried[:3])
    pairs = zip(stated or (None,) * 3, carried, strict=False)
    masks = [one if one is not None else other for one, other in pairs]
    if forgets(kind, writer):  # it asks the query once more
        masks[0] = carried[0]
    return tuple(masks)


def forgets(kind: str, writer: Writer) -> bool:
    """Whether the inputs have lost their masks once the layer was called."""
    return kind == "MultiHeadAttention" and writer.era is Era.KERAS_3 and writer.number >= (3, 8)


def unread(
    layer: Layer, writer: Writer, inputs: Sequence[Value], masks: Sequence[Value | None]
) -> str:
    """Why such masks are not read, in words; "" where they are."""
    given = [mask for mask in masks if mask is not None]
    rank = len(inputs[0].shape)
    if any(len(mask.shape) != rank - 1 for mask in given):
        return f"masks of shapes {[mask.shape for mask in given]} in attention of rank {rank}"
    match layer:
        case Attention() if masks[1] is not None and not layer.causal:
            if writer.era is Era.KERAS_3 and writer.number < (3, 12):
                return "the mask of a value, which Keras lays over the batch up to 3.11"
        case MultiHeadAttention() if given:
            if layer.axes != (rank - 2,) or (rank > 3 and writer.era is not Era.KERAS_3):
                return f"masks in attention over axes {list(layer.axes)}"
            old = writer.era is Era.KERAS_3 and layer.masked is Masked.LOWERED
            if old and layer.dtype == "float16":
                return f"masks in float16 of Keras {writer.version}, which adds -30000 to scores"
            if len(inputs) > 3 and len(inputs[3].shape) != rank:
                return "a mask beside an attention_mask of other axes"
    return ""
