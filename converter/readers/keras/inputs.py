"""The inputs of a model: their names, shapes and dtypes."""

from __future__ import annotations

from typing import Any

from converter.description import Shape, Value
from converter.dtypes import FLOATS
from converter.errors import FormatError, UnsupportedError
from converter.readers.keras.architecture import LayerPart, ModelPart
from converter.readers.keras.config import MAX_SIZE, MIXED, Config
from converter.readers.strict import shown

DTYPES = (
    *FLOATS,
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"),
)
_KEYS = ("batch_input_shape", "batch_shape")


def input_value(layer: LayerPart) -> Value:
    """What flows out of an InputLayer.

    Raises:
        UnsupportedError: It is sparse, ragged, or of a dtype that is not read.
    """
    config = layer.view()
    shape = _shape(config, config.value(*_KEYS))
    for key in ("sparse", "ragged", "optional"):
        config.must_be(
            key,
            False,
            None,
            code="input-kind",
            hint="use a dense input of padded sequences",
        )
    dtype = _dtype(config)
    config.done()
    return Value(layer.path, shape, dtype)


def named_input(model: ModelPart, *, keras_3: bool) -> Value:
    """The input of a Sequential model, which may have no InputLayer.

    Args:
        model: What begins with it.
        keras_3: An input that is made for a layer is of the dtype in which that computes, not of
            the one of its weights.

    Raises:
        FormatError: Nothing says its shape.
    """
    first = model.layers[0]
    if first.kind == "InputLayer":
        return input_value(first)
    name = f"{first.name}_input"
    while first.model is not None and not first.model.each_step:
        inner = first.model
        first = inner.layers[0]
        if not inner.sequential:
            first = next(
                (part for part in inner.layers if part.name == inner.inputs[0].layer), first
            )
    if first.kind == "InputLayer":
        found = input_value(first)
        return Value(name, found.shape, found.dtype)
    config = first.view()
    where = config
    if first.kind == "Bidirectional" and not any(key in config for key in _KEYS):
        where = config.child("layer")
    for key in _KEYS:
        if key in where:
            return Value(name, _shape(where, where.value(key)), _made_for(where, keras_3))
    if model.built_for is not None:
        return Value(name, _shape(config, model.built_for), _made_for(config, keras_3))
    raise FormatError(
        f"{model.where} does not say the shape of its input",
        context=f"{first.kind} without batch_input_shape, and no build_input_shape",
        hint="call the model once, or give its first layer an Input, and save it again",
        code="no-input-shape",
    )


def _shape(config: Config, value: Any) -> Shape:
    if (
        not isinstance(value, list)
        or not value
        or any(n is not None and (type(n) is not int or not 0 < n <= MAX_SIZE) for n in value)
    ):
        raise config.wrong("batch_shape", value, "a list of whole numbers and nulls")
    return tuple(value)


def _dtype(config: Config) -> str:
    # Keras 1 has `input_dtype` beside the layer's own, which it never writes.
    value = config.value("dtype", default=config.value("input_dtype", default=None))
    if value is None:
        return "float32"
    if value not in DTYPES:
        raise UnsupportedError(
            f"the input of {config.where} has a dtype that is not read",
            context=f"{shown(value)}; expected {', '.join(DTYPES)}",
            hint="use float32 or a whole number and save the model again",
            code="dtype-policy",
        )
    return str(value)


def _made_for(config: Config, keras_3: bool) -> str:
    """Of the input of a layer that comes without one."""
    value = config.value("dtype", default=None)
    if isinstance(value, dict) or str(value).startswith(MIXED):
        compute, variable = config.policy()
        return compute if keras_3 else variable
    return _dtype(config)
