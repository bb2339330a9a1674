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
from converter.readers.keras.config import WHOLE, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights


@reads("Flatten")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return Flatten(**config.base(*WHOLE), channels_first=config.channels_first())


@reads("Reshape")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    target = config.integers("target_shape", least=-1)
    if target.count(-1) > 1 or 0 in target:
        raise config.wrong("target_shape", list(target), "positive sizes and at most one -1")
    return Reshape(**config.base(*WHOLE), target=target)


@reads("Permute")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return Permute(**config.base(*WHOLE), dims=config.integers("dims", least=1, most=32))


@reads("RepeatVector")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return RepeatVector(**config.base(*WHOLE), n=config.integer("n"))
