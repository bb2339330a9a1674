"""A model in another dtype than its source computes in: only ever on request.

What computes in half there computes in half here, unless somebody says otherwise. Weights are
widened exactly; what float32 cannot hold of float64 is rounded, and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converter.description import (
    Attention,
    Layer,
    MaskedSoftmax,
    Model,
    MultiHeadAttention,
    Operation,
    TimeDistributed,
    Value,
    Weight,
)
from converter.dtypes import FLOATS, as_type, is_float, numpy_dtype, wider
from converter.errors import UnsupportedError, UsageError
from converter.gates import Array, Form

PRECISIONS = ("source", "float32", "float64")
"""As the source computes, or in one dtype throughout."""

ONLY_FLOAT32 = (Attention, MaskedSoftmax, MultiHeadAttention, Operation)
"""Layers that are known in float32 alone."""


def with_precision(model: Model, precision: str) -> Model:
    """The model as it is, or with every layer in one dtype.

    Args:
        model: As it was read.
        precision: One of `PRECISIONS`.

    Raises:
        UsageError: It is none of them.
        UnsupportedError: A layer computes otherwise in that dtype.
    """
    if precision not in PRECISIONS:
        raise UsageError(
            f"there is no precision '{precision}'",
            context=f"--precision {precision}",
            hint=f"one of: {', '.join(PRECISIONS)}",
            code="unknown-precision",
        )
    if precision == "source":
        return model
    turned = {layer.name: _in(layer, precision) for layer in model.layers}
    calls = tuple(
        replace(
            call,
            layer=turned[call.layer.name],
            inputs=_values(call.inputs, precision),
            outputs=_values(call.outputs, precision),
        )
        for call in model.calls
    )
    whole = replace(
        model,
        inputs=_values(model.inputs, precision),
        calls=calls,
        outputs=_values(model.outputs, precision),
    )
    return whole.map_weights(lambda _layer, _name, weight: _kept(weight, precision))


def _in(layer: Layer, dtype: str) -> Layer:
    inner = layer.layer if isinstance(layer, TimeDistributed) else layer
    if isinstance(inner, ONLY_FLOAT32) and dtype != "float32":
        raise UnsupportedError(
            f"layer '{layer.name}' is not known in {dtype}",
            context=f"{type(inner).__name__} with --precision {dtype}",
            hint="leave --precision out, or use float32",
            code="precision",
        )
    if isinstance(layer, TimeDistributed):
        layer = replace(layer, layer=_in(layer.layer, dtype))
    if layer.dtype not in FLOATS:  # the dtype of an operation's result
        return layer
    return replace(layer, dtype=dtype, variable_dtype=dtype)


def _values(values: Sequence[Value], dtype: str) -> tuple[Value, ...]:
    return tuple(replace(one, dtype=dtype) if one.dtype in FLOATS else one for one in values)


def _kept(weight: Weight, dtype: str) -> Weight:
    """The weight in that dtype; one of whole numbers as it is."""
    there = weight.dtype.newbyteorder("=")
    if not is_float(there) or there.name == dtype:
        return weight
    form, widened = weight.form, wider(there.name, dtype) == dtype

    def read(arrays: Sequence[Array]) -> Array:
        return as_type(form.read(arrays), dtype)

    def write(array: Array) -> tuple[Array, ...]:
        return form.write(array.astype(there))

    how = f"{form.how}, {there.name} {'widened' if widened else 'rounded'} to {dtype}"
    lossy = form.lossy or ("" if widened else f"rounded to {dtype}")
    return replace(weight, form=Form(how, read, write, lossy), kept=numpy_dtype(dtype))
