"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

from converter.description import Cropping, Interpolation, UpSampling, ZeroPadding
from converter.targets.torch.convolution import sizes_text
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Held, Source

NEAREST_IS_EXACT = 40
"""Up to this factor; nn.Upsample multiplies by its inverse, and is off by one from 41 on."""


@emit.register(UpSampling)
def _(layer: UpSampling, source: Source) -> None:
    """nn.Upsample; steps of a sequence are repeated wherever their axis is."""
    (value,), (output,) = source.inputs, source.outputs
    if layer.rank == 1:
        x = source.take(value, channels_first=None)
        axis = 2 if x.channels_first or layer.channels_first else 1
        source.hold(output, f"{x.atom}.repeat_interleave({layer.size[0]}, {axis})", x)
        return
    given = [f"scale_factor={sizes_text(layer.size)}"]
    if layer.interpolation is Interpolation.BILINEAR:
        given.append('mode="bilinear"')
    elif max(layer.size) > NEAREST_IS_EXACT:
        given.append('mode="nearest-exact"')
    module = source.module(layer, f"nn.Upsample({', '.join(given)})")
    x = source.take(value, channels_first=not layer.channels_first)
    source.hold(output, f"{module}({x.text})", x)


@emit.register(ZeroPadding)
def _(layer: ZeroPadding, source: Source) -> None:
    """F.pad, which counts axes from the last one."""
    x = source.take(source.inputs[0], channels_first=None)
    sides = [n for ends in reversed(layer.ends) for n in ends]
    if not _channels_in_front(layer, x):
        sides = [0, 0, *sides]
    source.hold(source.outputs[0], f"F.pad({x.text}, ({', '.join(map(str, sides))}))", x)


@emit.register(Cropping)
def _(layer: Cropping, source: Source) -> None:
    """A slice of each axis."""
    x = source.take(source.inputs[0], channels_first=None)
    parts = [f"{before or ''}:{-behind or ''}" for before, behind in layer.ends]
    parts = [":", ":", *parts] if _channels_in_front(layer, x) else [":", *parts]
    while parts[-1] == ":":
        parts.pop()
        if not parts:  # nothing is left out
            source.hold(source.outputs[0], x.text, x, compound=x.compound)
            return
    source.hold(source.outputs[0], f"{x.atom}[{', '.join(parts)}]", x)


def _channels_in_front(layer: ZeroPadding | Cropping, x: Held) -> bool:
    return x.channels_first or layer.channels_first
