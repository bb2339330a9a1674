"""Layers that move elements and compute nothing."""

from __future__ import annotations

from converter.description import Flatten, Permute, RepeatVector, Reshape, Transpose
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


@emit.register(Flatten)
def _(layer: Flatten, source: Source) -> None:
    """All axes but the batch become one, in the order of the model's axes."""
    (value,) = source.inputs
    x = source.take(value)
    if len(value.shape) == 2:
        source.hold(source.outputs[0], x.text, x, compound=x.compound)
        return
    text = x.atom
    if layer.channels_first:
        text += ".movedim(1, -1)"
    source.hold(source.outputs[0], f"{text}.flatten(1)", x)


@emit.register(Reshape)
def _(layer: Reshape, source: Source) -> None:
    """The batch stays; a size of -1 is written out where it is known."""
    (value,), (output,) = source.inputs, source.outputs
    x = source.take(value)
    sizes = output.shape[1:]
    if None not in sizes:
        source.hold(output, f"{x.atom}.reshape({', '.join(map(str, (-1, *sizes)))})", x)
        return
    if not x.text.isidentifier():
        x = source.named(x)
    given = ", ".join(map(str, (f"{x.text}.shape[0]", *layer.target)))
    source.hold(output, f"{x.text}.reshape({given})", x)


@emit.register(Permute)
def _(layer: Permute, source: Source) -> None:
    """Two axes are transposed, more are permuted."""
    x = source.take(source.inputs[0])
    if layer.dims == (2, 1):
        source.hold(source.outputs[0], f"{x.atom}.transpose(1, 2)", x)
    else:
        axes = ", ".join(map(str, (0, *layer.dims)))
        source.hold(source.outputs[0], f"{x.atom}.permute({axes})", x)


@emit.register(Transpose)
def _(layer: Transpose, source: Source) -> None:
    """All axes in another order."""
    x = source.take(source.inputs[0])
    axes = ", ".join(map(str, layer.axes))
    source.hold(source.outputs[0], f"{x.atom}.permute({axes})", x)


@emit.register(RepeatVector)
def _(layer: RepeatVector, source: Source) -> None:
    """The same for every step, without a copy."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.unsqueeze(1).expand(-1, {layer.n}, -1)", x)
