"""Layers that make one tensor of several."""

from __future__ import annotations

from converter.description import Combine, Concatenate, Dot
from converter.targets.keras.emit import Around, Part, emit


@emit.register(Combine)
def _(layer: Combine, _around: Around) -> Part:
    return Part(kind=layer.combination.value)


@emit.register(Concatenate)
def _(layer: Concatenate, _around: Around) -> Part:
    return Part(kind="Concatenate", config={"axis": layer.axis})


@emit.register(Dot)
def _(layer: Dot, _around: Around) -> Part:
    return Part(kind="Dot", config={"axes": list(layer.axes), "normalize": layer.normalize})
