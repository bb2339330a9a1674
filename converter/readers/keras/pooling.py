"""Max and average pooling, over windows and over everything."""

from __future__ import annotations

from converter.description import (
    AdaptivePooling,
    GlobalPooling,
    Layer,
    Padding,
    Pool,
    Pooling,
    Shape,
)
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights

_POOLS = {"Max": Pool.MAX, "Average": Pool.AVERAGE, "Avg": Pool.AVERAGE}
_RANKS = (1, 2, 3)

WINDOWS = {
    f"{word}Pool{ending}{rank}D": (pool, rank)
    for word, pool in _POOLS.items()
    for ending in ("ing", "")
    for rank in _RANKS
}
"""MaxPooling1D, MaxPool1D, AveragePooling2D, AvgPool2D, ...: the kind and the number of axes."""


@reads(*WINDOWS)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    pool, rank = WINDOWS[config.kind]
    size = config.sizes("pool_size", "pool_length", rank=rank, default=2)
    strides = size
    if config.value("strides", "stride", default=None) is not None:
        strides = config.sizes("strides", "stride", rank=rank)
    padding = config.text("padding", "border_mode", among=["valid", "same"], default="valid")
    return Pooling(
        **config.base(),
        pool=pool,
        size=size,
        strides=strides,
        padding=Padding(padding),
        channels_first=config.channels_first(),
    )


@reads(*(f"Global{kind}" for kind in WINDOWS))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    pool, rank = WINDOWS[config.kind.removeprefix("Global")]
    return GlobalPooling(
        **config.base(),
        pool=pool,
        rank=rank,
        keepdims=config.boolean("keepdims", default=False),
        channels_first=config.channels_first(),
    )


@reads(*(f"Adaptive{kind}" for kind in WINDOWS if "Pooling" in kind))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    pool, rank = WINDOWS[config.kind.removeprefix("Adaptive")]
    return AdaptivePooling(
        **config.base(),
        pool=pool,
        size=config.sizes("output_size", rank=rank),
        channels_first=config.channels_first(),
    )
