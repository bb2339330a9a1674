"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

import math

import numpy as np

from converter.description import (
    CategoryEncoding,
    Discretization,
    Encoding,
    Layer,
    Normalization,
    Rescaling,
    Shape,
    Weight,
)
from converter.description.model import axis_of
from converter.description.preprocessing import Constants
from converter.dtypes import HALVES, as_type
from converter.errors import UnsupportedError
from converter.gates import Array
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.weights import Weights

_WHOLE = ("int32", "int64")


@reads("Rescaling")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    scale, offset = _numbers(config, "scale"), _numbers(config, "offset", 0.0)
    if scale.ndim > 1 or offset.ndim > 1:
        raise config.wrong("scale", scale.tolist(), "a number, or one for each of the last axis")
    base = config.base()
    return Rescaling(
        **base, scale=_flat(_cast(scale, base["dtype"])), offset=_flat(_cast(offset, base["dtype"]))
    )


@reads("Normalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    x = inputs[0]
    given = config.value("axis", default=-1)
    if isinstance(given, list):
        chosen = config.integers("axis", least=-32, most=32)
    else:
        chosen = () if given is None else (config.integer("axis", least=-32, most=32, default=-1),)
    axes = tuple(sorted(axis_of(axis, len(x)) for axis in chosen))
    sizes = tuple(known_size(config, x, axis) for axis in axes)
    base = {**config.base(), "axes": axes, "sizes": sizes}
    invert = config.boolean("invert", default=False)
    if all(config.value(key, default=None) is None for key in ("mean", "variance")):
        return Normalization(
            **base,
            mean=Weight(sizes, (weights.take("mean", sizes),)),
            variance=Weight(sizes, (weights.take("variance", sizes),)),
            count=Weight((), (weights.take("count", (), counts=True),)),
            invert=invert,
        )
    by_float32 = writer.keras_3
    mean, variance = (
        _spread(config, key, sizes, base["dtype"], by_float32=by_float32)
        for key in ("mean", "variance")
    )
    return Normalization(**base, mean=mean, variance=variance, invert=invert)


def _cast(numbers: Array, dtype: str, *, by_float32: bool = True) -> Array:
    """Constants as a layer of that dtype has them; those of float32 as they are written.

    Args:
        numbers: As they are written.
        dtype: In which the layer computes.
        by_float32: Keras makes tensors of float32 of them first.
    """
    if dtype == "float32":
        return numbers
    return as_type(as_type(numbers, "float32") if by_float32 else numbers, dtype)


def _spread(
    config: Config, key: str, sizes: tuple[int, ...], dtype: str, *, by_float32: bool
) -> Constants:
    """The numbers of a key for each place of a shape, as a layer of that dtype has them."""
    numbers = _cast(_numbers(config, key), dtype, by_float32=by_float32)
    try:
        return _flat(np.broadcast_to(numbers, sizes))
    except ValueError as error:
        raise config.wrong(key, list(numbers.shape), f"numbers that fit {sizes}") from error


@reads("CategoryEncoding")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    encoding = _encoding(config, "multi_hot")
    base = config.base(*_WHOLE)
    if writer.keras_3:  # a mixed policy does not make it give another dtype
        base["dtype"] = base["variable_dtype"]
    _check_counted(config, base["dtype"], encoding, writer)
    return CategoryEncoding(
        **base | {"autocast": False},
        depth=config.integer("num_tokens", "max_tokens", most=MAX_UNITS),
        encoding=encoding,
    )


@reads("Discretization")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    base = config.base(*_WHOLE)
    for key in ("num_bins", "epsilon"):  # of how the boundaries were found
        config.value(key, default=None)
    if config.value("bin_boundaries", "bins", default=None) is None:
        raise UnsupportedError(
            f"{config.where} keeps a summary of data, from which its boundaries are computed",
            context="bin_boundaries=null",
            hint="give layer.bin_boundaries to a new Discretization and save that",
            code="preprocessing-layer",
        )
    boundaries = _numbers(config, "bin_boundaries", None, "bins")
    if boundaries.ndim != 1 or (np.diff(boundaries) < 0).any():
        raise config.wrong("bin_boundaries", boundaries.tolist(), "numbers in order")
    encoding = _encoding(config, "int", "int")
    _check_counted(config, base["dtype"], encoding, writer)
    if writer.keras_3 and base["dtype"] != "float32":
        base["autocast"] = False  # it compares in float32
    boundaries = boundaries.astype(np.float32)
    return Discretization(**base, boundaries=_flat(boundaries), encoding=encoding)


def _check_counted(config: Config, dtype: str, encoding: Encoding, writer: Writer) -> None:
    """Refuse what a model could not have computed: the bincount of TensorFlow is of wider types.

    Raises:
        UnsupportedError: It counts in half precision.
    """
    plain = writer.keras_3 and encoding in (Encoding.INT, Encoding.ONE_HOT)
    if dtype in HALVES and not plain:
        raise UnsupportedError(
            f"{config.where} counts in {dtype}, which TensorFlow does not",
            context=f"output_mode={encoding.value}",
            hint="set its dtype policy to float32 and save the model again",
            code="dtype-policy",
        )


def _encoding(config: Config, default: str, *others: str) -> Encoding:
    config.must_be(
        "sparse", False, code="sparse", hint="save the model with sparse=False in this layer"
    )
    known = {one.value: one for one in Encoding if one is not Encoding.INT or others}
    known["binary"] = Encoding.MULTI_HOT  # before TensorFlow 2.6
    return known[config.text("output_mode", among=tuple(known), default=default)]


def _numbers(config: Config, key: str, default: object = None, *others: str) -> Array:
    """A number, a list of them, or an array that Keras 3 wrote down."""
    value = config.value(key, *others, default=default)
    if isinstance(value, dict) and value.get("class_name") == "__numpy__":
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else None
    if not _is_numbers(value, 0):
        raise config.wrong(key, value, "a number, or a list of numbers")
    try:
        return np.array(value, np.float64)
    except ValueError as error:
        raise config.wrong(key, value, "lists of one length") from error


def _is_numbers(value: object, depth: int) -> bool:
    if isinstance(value, list):
        return depth < 8 and bool(value) and all(_is_numbers(one, depth + 1) for one in value)
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and math.isfinite(value) and abs(value) < 1e38  # type: ignore[arg-type]


def _flat(numbers: Array) -> Constants:
    return tuple(float(one) for one in numbers.reshape(-1))
