"""A model in another dtype than its source computes in: only ever on request.

What computes in half there computes in half here, unless somebody says otherwise. Weights are
widened exactly; what a narrower type cannot hold of a wider one is rounded, the ledger says so,
and a verification measures what it does to the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converter.description import (
    Call,
    Cast,
    Discretization,
    Layer,
    Model,
    TimeDistributed,
    Value,
    Weight,
)
from converter.dtypes import FLOATS, as_type, is_float, numpy_dtype, wider
from converter.errors import UsageError
from converter.gates import Array, Form

PRECISIONS = ("source", "float16", "float32", "float64")
"""As the source computes, or in one dtype throughout."""


def with_precision(model: Model, precision: str, *, half_io: bool = False) -> Model:
    """The model as it is, or with every layer in one dtype.

    Args:
        model: As it was read.
        precision: One of `PRECISIONS`.
        half_io: Inputs and outputs of a model in float16 are float16, too; without it they stay
            what they are, and are cast.

    Raises:
        UsageError: It is none of them; there is no float16 that inputs could be of.
    """
    if half_io and precision != "float16":
        raise UsageError(
            "only a model in float16 can have its inputs and outputs in it",
            context=f"--half-io with --precision {precision}",
            hint="add --precision float16, or leave --half-io out",
            code="half-io",
        )
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
    keeps = precision == "float16" and not half_io
    inputs = model.inputs if keeps else _values(model.inputs, precision)
    given = {value.name: value for value in inputs}
    calls = tuple(
        replace(
            call,
            layer=turned[call.layer.name],
            inputs=tuple(given.get(one.name, one) for one in _values(call.inputs, precision)),
            outputs=_values(call.outputs, precision),
        )
        for call in model.calls
    )
    outputs = tuple(given.get(one.name, one) for one in _values(model.outputs, precision))
    whole = replace(model, inputs=inputs, calls=calls, outputs=outputs)
    whole = _cast_back(whole, model.outputs) if keeps else whole
    return whole.map_weights(lambda _layer, _name, weight: _kept(weight, precision))


def narrows(model: Model, precision: str) -> bool:
    """Whether a model in that precision rounds what it does not in its own."""
    if precision == "source":
        return False
    dtypes = {layer.dtype for layer in model.layers} | {
        layer.variable_dtype for layer in model.layers if layer.weights
    }
    return any(wider(one, precision) != precision for one in dtypes & FLOATS.keys())


def _cast_back(model: Model, outputs: Sequence[Value]) -> Model:
    """The model with its outputs cast to what they were, under their names."""
    taken = {value.name for call in model.calls for value in (*call.inputs, *call.outputs)}
    inner: dict[str, Value] = {}
    casts: dict[str, Call] = {}
    for now, before in zip(model.outputs, outputs, strict=True):
        if now.dtype == before.dtype or now.name in inner:
            continue
        name = f"{now.name}_{now.dtype}"
        while name in taken:
            name += "_"
        taken.add(name)
        inner[now.name] = replace(now, name=name)
        cast = Cast(name=f"{name}_{before.dtype}", dtype=before.dtype)
        casts[now.name] = Call(cast, (inner[now.name],), (before,))

    def renamed(values: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(inner.get(one.name, one) for one in values)

    calls = tuple(
        replace(call, inputs=renamed(call.inputs), outputs=renamed(call.outputs))
        for call in model.calls
    )
    return replace(model, calls=(*calls, *casts.values()), outputs=tuple(outputs))


def _in(layer: Layer, dtype: str) -> Layer:
    if isinstance(layer, TimeDistributed):
        layer = replace(layer, layer=_in(layer.layer, dtype))
    if layer.dtype not in FLOATS:  # the dtype of an operation's result
        return layer
    if isinstance(layer, Discretization):  # it compares what it is given, in any dtype
        layer = replace(layer, autocast=False)
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
