"""Layers that make one tensor of several."""

from __future__ import annotations

from converter.description import Combine, Concatenate, Dot
from converter.targets.keras.emit import Around, Dialect, Part, emit, refusal


@emit.register(Combine)
def _(layer: Combine, _around: Around) -> Part:
    return Part(kind=layer.combination.value)


@emit.register(Concatenate)
def _(layer: Concatenate, _around: Around) -> Part:
    return Part(kind="Concatenate", config={"axis": layer.axis})


@emit.register(Dot)
def _(layer: Dot, around: Around) -> Part:
    if layer.normalize and around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            f"a norm of at least {layer.least:g}; tf_keras takes 1e-06 there, Keras 3 1e-07",
            "--to keras writes a file for Keras 3 alone",
            "legacy-norm",
        )
    return Part(kind="Dot", config={"axes": list(layer.axes), "normalize": layer.normalize})
