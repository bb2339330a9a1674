"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

from typing import Any

from converter.description import Cropping, Interpolation, UpSampling, ZeroPadding
from converter.description.resizing import Ends
from converter.dtypes import HALVES
from converter.targets.keras.emit import Around, Dialect, Part, data_format, emit, refusal


@emit.register(UpSampling)
def _(layer: UpSampling, around: Around) -> Part:
    between = layer.interpolation is not Interpolation.NEAREST
    half = layer.dtype in HALVES and around.dialect is Dialect.KERAS_3
    if between and layer.dtype != "float32" and not half:
        raise refusal(
            layer,
            f"interpolation in {layer.dtype}; TensorFlow resizes in float32",
            "--to pytorch can say it",
            "keras-dtype",
        )
    config: dict[str, Any] = {"size": list(layer.size)}
    if layer.rank == 1:
        config["size"] = layer.size[0]
    else:
        config["data_format"] = data_format(layer.channels_first)
    if layer.rank == 2:
        config["interpolation"] = layer.interpolation.value
    return Part(kind=f"UpSampling{layer.rank}D", config=config)


@emit.register(ZeroPadding)
def _(layer: ZeroPadding, around: Around) -> Part:
    config: dict[str, Any] = {"padding": _ends(layer.ends)}
    legacy = around.dialect is Dialect.LEGACY and len(layer.ends) == 1
    if legacy and layer.channels_first:
        raise refusal(
            layer,
            "ZeroPadding1D of the last axis, which tf_keras has not",
            "--to keras writes a file for Keras 3 alone",
            "legacy-layer",
        )
    if not legacy:
        config["data_format"] = data_format(layer.channels_first)
    return Part(kind=f"ZeroPadding{len(layer.ends)}D", config=config)


@emit.register(Cropping)
def _(layer: Cropping, _around: Around) -> Part:
    config: dict[str, Any] = {"cropping": _ends(layer.ends)}
    if len(layer.ends) > 1:
        config["data_format"] = data_format(layer.channels_first)
    return Part(kind=f"Cropping{len(layer.ends)}D", config=config)


def _ends(ends: Ends) -> list[Any]:
    """Two numbers, or two for each axis where there are several."""
    pairs = [list(pair) for pair in ends]
    return pairs if len(pairs) > 1 else pairs[0]
