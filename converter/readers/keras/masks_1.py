"""The masks of Keras 1: few layers hand them on, and the others raise where one comes to them.

Sources: `compute_mask` and `supports_masking` in keras/engine/topology.py and keras/layers, `rnn`
in keras/backend (1.0.0 to 1.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from converter.description import Combination, Combine, Concatenate, Layer, Recurrent
from converter.readers.keras.branches import BRANCHES
from converter.readers.keras.era import Writer
from converter.readers.keras.origins import Origin, along, joined

Carried = Origin | str
"""A mask, or why it is not read."""

PASS = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "BatchNormalization",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "LeakyReLU",
        "PReLU",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "ThresholdedReLU",
        "TimeDistributed",
        "TimeDistributedDense",
    }
)
"""Layers that hand on the mask of their input. The layer in a TimeDistributed never sees one."""

RECURRENT = frozenset({"Bidirectional", "GRU", "LSTM", "SimpleRNN"})
"""Layers that skip masked steps."""


def unread(
    kind: str, layer: Layer, rank: int, masks: Sequence[Carried | None], writer: Writer
) -> str:
    """Why a call with these masks is not read; "" where it is.

    Args:
        kind: The layer's class.
        layer: What is called.
        rank: Of its first input.
        masks: Of its inputs.
        writer: Of the file.
    """
    if not any(masks) or kind in (*PASS, BRANCHES, "Masking"):
        return ""
    if kind in RECURRENT:
        kept = isinstance(layer, Recurrent) and layer.stateful and not writer.backend
        return (
            "stateful=True: before the first step that counts, TensorFlow gave the state and "
            "Theano zeros, and Keras 1 did not write down which it was"
            if kept
            else ""
        )
    if kind != "Merge":
        refused = "" if kind.startswith("Conv") else ", which Keras 1 refuses"
        return f"{kind} with a mask{refused}"
    if isinstance(layer, Combine) and layer.combination is Combination.MAXIMUM:
        return "mode 'max' with a mask, which Keras 1 refuses"
    if _along(layer, rank) is not None and not all(masks):
        return "concat along another axis than the last, of inputs with and without a mask"
    return ""


def passed(kind: str, layer: Layer, rank: int, masks: Sequence[Carried | None]) -> Carried | None:
    """What the output of a layer that is not recurrent carries."""
    if kind in PASS:
        return masks[0]
    known = [one for one in masks if isinstance(one, tuple)]
    if kind != "Merge" or not known or not isinstance(layer, Combine | Concatenate):
        return None
    axis = _along(layer, rank)
    return joined("and", known) if axis is None else along(axis, known)


def _along(layer: Layer, rank: int) -> int | None:
    """The axis of a Concatenate, if it is not the last one."""
    axis = layer.axis % rank if isinstance(layer, Concatenate) else rank - 1
    return None if axis == rank - 1 else axis
