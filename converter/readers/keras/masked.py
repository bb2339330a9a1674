"""Which layers make masks, which use them, and which hand them on, in Keras 2 and 3."""

from __future__ import annotations

from converter.description import (
    ConvLSTM,
    Embedding,
    GlobalPooling,
    Layer,
    Masking,
    Pool,
    Recurrent,
    TimeDistributed,
    Value,
)
from converter.errors import UnsupportedError

PASS = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "AlphaDropout",
        "BatchNormalization",
        "Dense",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "Identity",
        "LayerNormalization",
        "LeakyReLU",
        "Normalization",
        "PReLU",
        "ReLU",
        "Rescaling",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "ThresholdedReLU",
        "UnitNormalization",
    }
)
"""Layers that hand on the mask of their input, and compute the same with it, but for Softmax."""

NEWLY = frozenset({"Identity", "Normalization", "Rescaling"})
"""Those of them that did not in tf.keras."""

ELEMENTWISE = frozenset({"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"})
"""Layers that make one mask of several, besides Concatenate."""

JOINING = frozenset({*ELEMENTWISE, "Concatenate", "Dot"})
"""Layers that make one tensor of several, and may do so within each step."""

SKIP = frozenset({"Maximum", "Minimum", "Multiply"})
"""Those of them that leave masked steps out, in Keras 3.4 and later."""

SEQUENCES = frozenset(
    {
        "Bidirectional",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "GRU",
        "LSTM",
        "RNN",
        "SimpleRNN",
    }
)
"""Layers that skip masked steps."""

INDIFFERENT = frozenset({"BatchNormalization", "TimeDistributed"})
"""Layers that take a mask as an argument, and may have no use for it at inference."""


def inside(layer: Layer) -> Layer:
    """The layer that is applied to each step."""
    while isinstance(layer, TimeDistributed):
        layer = layer.layer
    return layer


def makes_mask(layer: Layer) -> bool:
    """Whether a second output is a mask."""
    layer = inside(layer)
    return isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero)


def uses_mask(kind: str, layer: Layer) -> bool:
    """Whether a layer computes something else where its input has a mask."""
    if kind == "TimeDistributed":
        inner = inside(layer)
        if isinstance(inner, GlobalPooling):
            return inner.pool is Pool.AVERAGE and inner.rank == 1
        return isinstance(inner, ConvLSTM | Recurrent)
    return kind in SEQUENCES or kind in ("GlobalAveragePooling1D", "GlobalAvgPool1D", "Softmax")


def check_unrolled(where: str, config: object, layer: Layer, mask: Value) -> None:
    """Refuse a loop that Keras unrolls and masks wrongly, where that is not read.

    It repeats a mask of places along the axes that it has already.
    """
    layer = inside(layer) if isinstance(layer, TimeDistributed) else layer
    if not _unrolled(config):
        return
    if isinstance(layer, ConvLSTM) and len(mask.shape) > 2:
        raise refusal(where, "unroll=True, and a mask of places, on which Keras fails")
    if isinstance(layer, ConvLSTM | Recurrent) and _zeroes_backwards(layer):
        raise refusal(where, "unroll=True, read from the end: Keras zeroes other steps")


def zeroes_turned(config: object, layer: Recurrent) -> bool:
    """Whether Keras zeroes the masked steps of a loop as if it had not read it from its end.

    Its `rnn` turns the mask of an unrolled loop for the states, and not for the zeros.
    """
    return _zeroes_backwards(layer) and _unrolled(config)


def _zeroes_backwards(layer: ConvLSTM | Recurrent) -> bool:
    """Whether masked steps of what is read from its end become zeros."""
    backwards = any(direction.go_backwards for direction in layer.directions)
    return backwards and layer.zero_output_for_mask and layer.return_sequences


def _unrolled(config: object) -> bool:
    """Whether the config of a layer, or of one in it, says so."""
    own = config if isinstance(config, dict) else {}
    inner = (own.get(key) for key in ("layer", "backward_layer"))
    return own.get("unroll") is True or any(
        _unrolled(one.get("config")) for one in inner if isinstance(one, dict)
    )


def refusal(where: str, found: str) -> UnsupportedError:
    """The error for a mask that is not read."""
    return UnsupportedError(
        f"{where} would use a mask that is not read yet",
        context=found,
        hint="save the model without the mask where all sequences have their full length",
        code="mask",
    )


def undescribed(where: str) -> UnsupportedError:
    """The error for a layer of a registered class whose description says nothing of masks."""
    return UnsupportedError(
        f"{where} is given a mask, of which its description says nothing",
        context="an input whose steps do not all count",
        hint="converter.register(..., masks=True), if the class sets supports_masking",
        code="mask",
    )
