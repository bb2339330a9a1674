"""Layers that make one tensor of several."""

from __future__ import annotations

from converter.description import Combination, Combine, Concatenate, Dot, Layer, Shape
from converter.description.model import ShapeMismatchError, axis_of
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights


@reads(*(combination.value for combination in Combination), several=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32()
    return Combine(**config.base(), combination=Combination(config.kind))


@reads("Concatenate", several=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32("int32", "int64")
    axis = config.integer("axis", least=-32, most=32, default=-1)
    return Concatenate(**config.base(), axis=axis)


@reads("Dot", several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32()
    if len(inputs) != 2:
        raise ShapeMismatchError(f"{len(inputs)} inputs; expected 2")
    value = config.value("axes")
    if isinstance(value, list):
        axes = config.integers("axes", least=-32, most=32)
    else:
        axes = (config.integer("axes", least=-32, most=32),) * 2
    if len(axes) != 2:
        raise config.wrong("axes", value, "a whole number, or one for each input")
    first, second = (axis_of(axis, len(x)) for axis, x in zip(axes, inputs, strict=True))
    return Dot(
        **config.base(),
        axes=(first, second),
        normalize=config.boolean("normalize", default=False),
    )
