"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import GlobalPooling, Pool, Pooling
from converter.targets.keras.emit import Around, Part, data_format, emit

WORDS = {Pool.MAX: "Max", Pool.AVERAGE: "Average"}


@emit.register(Pooling)
def _(layer: Pooling, _around: Around) -> Part:
    return Part(
        kind=f"{WORDS[layer.pool]}Pooling{layer.rank}D",
        config={
            "pool_size": list(layer.size),
            "strides": list(layer.strides),
            "padding": layer.padding.value,
            "data_format": data_format(layer.channels_first),
        },
    )


@emit.register(GlobalPooling)
def _(layer: GlobalPooling, _around: Around) -> Part:
    return Part(
        kind=f"Global{WORDS[layer.pool]}Pooling{layer.rank}D",
        config={
            "data_format": data_format(layer.channels_first),
            "keepdims": layer.keepdims,
        },
    )
