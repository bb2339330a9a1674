"""Attention, a softmax with a mask, and EinsumDense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converter.activations import Activation
from converter.description.attention import (
    Attention,
    EinsumDense,
    Masked,
    MaskedSoftmax,
    MultiHeadAttention,
    Projection,
    Scoring,
)
from converter.dtypes import as_type, nearest, rounded
from converter.gates import Array
from converter.judge.meaning import MEANINGS, Masks

SOFTMAX = Activation.of("softmax")

LOWERED = {"float16": -65504.0}
"""What Keras adds to a masked score in a dtype, if not -1e9. The sum is rounded to that dtype: in
a wider one more of the score would be left of it."""

LOWEST = {"float16": -3e4}
"""In the place of a masked score, if not -2e38: nothing of it is left beside any other."""


@MEANINGS.register(Attention)
def _(layer: Attention, *inputs: Array, masks: Masks = ()) -> tuple[Array, ...]:
    query, value, key = inputs[0], inputs[1], inputs[-1] if len(inputs) == 3 else inputs[1]
    of_query, of_value = (masks[0], masks[1]) if masks else (None, None)
    scores = _scores(layer, query, key)
    allowed = None if of_value is None else of_value[:, np.newaxis]
    if layer.causal:
        allowed = _both(allowed, _causal(query, value))
    weights = _softmax(rounded(scores, layer.dtype), allowed, Masked.LOWERED, layer.dtype)
    output = weights @ value
    if of_query is not None:
        output = np.where(of_query[..., np.newaxis], output, 0)
    return (output, weights) if layer.return_scores else (output,)


def _scores(layer: Attention, query: Array, key: Array) -> Array:
    """(B, T, S)."""
    scale = 1 if layer.scale is None else layer.scale.read()
    if layer.scoring is Scoring.DOT:
        scores: Array = query @ np.swapaxes(key, 1, 2) * scale
        return scores
    both = query[:, :, np.newaxis] + key[:, np.newaxis]
    if layer.scoring is Scoring.ADDITIVE:
        return np.asarray((scale * np.tanh(both)).sum(-1))
    factor = 1 if layer.factor is None else layer.factor.read()
    return np.asarray(factor * np.tanh(scale * both).sum(-1))


@MEANINGS.register(MultiHeadAttention)
def _(layer: MultiHeadAttention, *inputs: Array, masks: Masks = ()) -> tuple[Array, ...]:
    query, value, key = (_steps_last(x, layer.axes) for x in inputs[:3])
    allowed = _allowed(layer, inputs, masks)
    q, k, v = (
        rounded(_projected(x, part, layer.heads), layer.dtype)
        for x, part in ((query, layer.query), (key, layer.key), (value, layer.value))
    )
    scale = layer.key_dim**-0.5
    if layer.scale_is_float32:
        scale = float(np.float32(scale))
    scores = rounded(q @ np.swapaxes(k, -1, -2) * scale, layer.dtype)
    weights = _softmax(scores, allowed, layer.masked, layer.dtype)
    context = rounded(np.moveaxis(weights @ v, -3, -2), layer.dtype)
    output = np.tensordot(context, layer.output.kernel.read(), 2)
    if layer.output.bias is not None:
        output = output + layer.output.bias.read()
    output = _steps_back(output, layer.axes, inputs[0])
    if not layer.return_scores:
        return (output,)
    steps = [x.shape[axis] for x in inputs[:2] for axis in layer.axes]
    return output, weights.reshape(*weights.shape[:-2], *steps)


def _allowed(layer: MultiHeadAttention, inputs: Sequence[Array], masks: Masks) -> Array | None:
    """Which scores count, (B, ..., N, T, S) or broadcast to it; None if all do."""
    of_query, of_value, of_key = masks[:3] if masks else (None, None, None)
    allowed = None
    if of_query is not None:
        allowed = of_query[..., np.newaxis]
    for mask in (of_value, of_key):
        if mask is not None:
            allowed = _both(allowed, mask[..., np.newaxis, :])
    if layer.causal:
        allowed = _both(allowed, _causal(inputs[0], inputs[1]))
    if len(inputs) == 4:
        given = inputs[3] if layer.masked is Masked.LOWERED and allowed is None else inputs[3] != 0
        allowed = _both(allowed, given)
    if allowed is None:
        return None
    missing = tuple(range(-2 - (inputs[0].ndim + 1 - allowed.ndim), -2))
    return np.expand_dims(allowed, missing)


def _both(one: Array | None, other: Array) -> Array:
    return other if one is None else one & other


def _causal(query: Array, value: Array) -> Array:
    """(1, T, S)."""
    return np.tri(query.shape[1], value.shape[1], dtype=bool)[np.newaxis]


def _masked(scores: Array, allowed: Array, masked: Masked, dtype: str) -> Array:
    """The scores of which a softmax is taken.

    Args:
        scores: Of any shape.
        allowed: Bool, or numbers of which LOWERED makes more than two cases.
        masked: What becomes of the others.
        dtype: In which the layer computes.
    """
    if masked is not Masked.LOWERED:
        low = LOWEST.get(dtype, -2e38) if masked is Masked.ZERO else -2e38
        return np.where(allowed, scores, low)
    part = 1 - as_type(allowed, dtype).astype(np.float64)
    less = as_type(part * nearest(LOWERED.get(dtype, -1e9), dtype), dtype).astype(np.float64)
    lower: Array = as_type(as_type(scores, dtype) + less, dtype).astype(scores.dtype)
    return np.where(allowed == 1, scores, lower)


def _softmax(scores: Array, allowed: Array | None, masked: Masked, dtype: str) -> Array:
    """Over the last axis."""
    if allowed is not None:
        scores = _masked(scores, allowed, masked, dtype)
    weights = rounded(SOFTMAX(scores), dtype)
    if allowed is not None and masked is Masked.ZERO:
        weights = np.where(allowed, weights, 0)
    return weights


def _projected(x: Array, part: Projection, heads: int) -> Array:
    """(B, ..., N, T, D) of (B, ..., T, I); fewer heads are each there several times."""
    product = np.tensordot(x, part.kernel.read(), 1)
    if part.bias is not None:
        product = product + part.bias.read()
    product = np.repeat(product, heads // product.shape[-2], -2)
    return np.swapaxes(product, -2, -3)


def _around(rank: int, axes: Sequence[int]) -> list[int]:
    """The axes of an input that are neither steps nor features."""
    return [axis for axis in range(rank - 1) if axis not in axes]


def _steps_last(x: Array, axes: Sequence[int]) -> Array:
    """(B, ..., T, I): those of the steps behind the others, and one axis."""
    around = _around(x.ndim, axes)
    turned = x.transpose(*around, *axes, x.ndim - 1)
    return turned.reshape(*turned.shape[: len(around)], -1, x.shape[-1])


def _steps_back(output: Array, axes: Sequence[int], query: Array) -> Array:
    """The inverse for an output, which may have more axes of features."""
    order = [*_around(query.ndim, axes), *axes]
    features = output.shape[query.ndim - len(axes) :]
    apart = output.reshape(*(query.shape[axis] for axis in order), *features)
    places = [order.index(axis) for axis in range(query.ndim - 1)]
    return apart.transpose(*places, *range(query.ndim - 1, apart.ndim))


@MEANINGS.register(MaskedSoftmax)
def _(layer: MaskedSoftmax, x: Array, masks: Masks = ()) -> tuple[Array, ...]:
    mask = masks[0] if masks else None
    if mask is None:
        return (layer.softmax(x),)
    found = layer.softmax(_masked(x, mask, layer.masked, layer.dtype))
    return (np.where(mask, found, 0) if layer.masked is Masked.ZERO else found,)


@MEANINGS.register(EinsumDense)
def _(layer: EinsumDense, x: Array) -> tuple[Array, ...]:
    product: Array = np.einsum(layer.equation, x, layer.kernel.read())
    if layer.bias is not None:
        product = product + layer.bias.read()
    return (layer.activation(product),)
