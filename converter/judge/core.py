"""Dense, Embedding, activations as layers, the dropouts, and TimeDistributed."""

from __future__ import annotations

import numpy as np

from converter.description import (
    Activate,
    Dense,
    Dropout,
    Embedding,
    Identity,
    PReLU,
    TimeDistributed,
)
from converter.errors import UsageError
from converter.gates import Array
from converter.judge.meaning import MEANINGS, Masks


@MEANINGS.register(Dense)
def _(layer: Dense, x: Array) -> tuple[Array, ...]:
    product = x @ layer.kernel.read()
    if layer.bias is not None:
        product = product + layer.bias.read()
    return (layer.activation(product),)


@MEANINGS.register(Embedding)
def _(layer: Embedding, x: Array) -> tuple[Array, ...]:
    index = np.trunc(x) if x.dtype.kind == "f" else x
    outside = ~((index >= 0) & (index < layer.rows))  # so that NaN is outside, too
    if outside.any():
        raise UsageError(
            f"an index is outside the table of layer '{layer.name}'",
            context=f"{x[outside][0]}; expected 0 to {layer.rows - 1}",
            hint="give the indices that the model was trained with",
            code="embedding-index",
        )
    rows = layer.embeddings.read()[index.astype(np.int64)]
    return (rows, x != 0) if layer.mask_zero else (rows,)


@MEANINGS.register(Activate)
def _(layer: Activate, x: Array) -> tuple[Array, ...]:
    return (layer.activation(x),)


@MEANINGS.register(PReLU)
def _(layer: PReLU, x: Array) -> tuple[Array, ...]:
    return (np.maximum(x, 0) + layer.alpha.read() * np.minimum(x, 0),)


@MEANINGS.register(Identity)
def _(_layer: Identity, x: Array) -> tuple[Array, ...]:
    return (x,)


@MEANINGS.register(Dropout)
def _(_layer: Dropout, x: Array) -> tuple[Array, ...]:
    return (x,)


@MEANINGS.register(TimeDistributed)
def _(layer: TimeDistributed, *inputs: Array, masks: Masks = ()) -> tuple[Array, ...]:
    batch, time = inputs[0].shape[:2]
    steps = [x.reshape(batch * time, *x.shape[2:]) for x in inputs]
    inside = [mask if mask is None else mask.reshape(-1, *mask.shape[2:]) for mask in masks]
    settings = {"masks": inside} if any(mask is not None for mask in inside) else {}
    outputs = MEANINGS[layer.layer](layer.layer, *steps, **settings)
    return tuple(output.reshape(batch, time, *output.shape[1:]) for output in outputs)
