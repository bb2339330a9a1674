"""Layers that move elements and compute nothing."""

from __future__ import annotations

from converter.description import Flatten, Permute, RepeatVector, Reshape, Transpose
from converter.targets.keras.emit import Around, Part, data_format, emit, operation


@emit.register(Flatten)
def _(layer: Flatten, _around: Around) -> Part:
    return Part(kind="Flatten", config={"data_format": data_format(layer.channels_first)})


@emit.register(Reshape)
def _(layer: Reshape, _around: Around) -> Part:
    return Part(kind="Reshape", config={"target_shape": list(layer.target)})


@emit.register(Permute)
def _(layer: Permute, _around: Around) -> Part:
    return Part(kind="Permute", config={"dims": list(layer.dims)})


@emit.register(Transpose)
def _(layer: Transpose, around: Around) -> Part:
    """An operation, since no layer moves the batch."""
    return operation(layer, around, "Transpose", {"axes": list(layer.axes)})


@emit.register(RepeatVector)
def _(layer: RepeatVector, _around: Around) -> Part:
    return Part(kind="RepeatVector", config={"n": layer.n})
