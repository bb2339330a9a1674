"""Layers that move elements and compute nothing."""

from __future__ import annotations

from converter.description import (
    Flatten,
    Layer,
    Permute,
    RepeatVector,
    Reshape,
    Shape,
)
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights

_WHOLE = ("int32", "int64")


@reads("Flatten")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32(*_WHOLE)
    return Flatten(**config.base(), channels_first=config.channels_first())


@reads("Reshape")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32(*_WHOLE)
    target = config.integers("target_shape", least=-1)
    if target.count(-1) > 1 or 0 in target:
        raise config.wrong("target_shape", list(target), "positive sizes and at most one -1")
    return Reshape(**config.base(), target=target)


@reads("Permute")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32(*_WHOLE)
    return Permute(**config.base(), dims=config.integers("dims", least=1, most=32))


@reads("RepeatVector")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.float32(*_WHOLE)
    return RepeatVector(**config.base(), n=config.integer("n"))
