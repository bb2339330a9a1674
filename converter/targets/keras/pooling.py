"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import AdaptivePooling, GlobalPooling, Pool, Pooling
from converter.targets.keras.emit import Around, Dialect, Part, data_format, emit, refusal

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


@emit.register(AdaptivePooling)
def _(layer: AdaptivePooling, around: Around) -> Part:
    if around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "an adaptive pooling: tf_keras has none",
            "--to keras writes a file for Keras 3 alone",
            "legacy-layer",
        )
    return Part(
        kind=f"Adaptive{WORDS[layer.pool]}Pooling{layer.rank}D",
        config={
            "output_size": list(layer.size),
            "data_format": data_format(layer.channels_first),
        },
    )
