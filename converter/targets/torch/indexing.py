"""Operations that move elements, outside any layer."""

from __future__ import annotations

from converter.description import (
    ExpandDims,
    Flip,
    Regroup,
    Repeat,
    Roll,
    Slice,
    Span,
    Split,
    Squeeze,
    Stack,
    Tile,
)
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


@emit.register(Slice)
def _(layer: Slice, source: Source) -> None:
    """Brackets."""
    x = source.take(source.inputs[0])
    if not layer.items:
        source.hold(source.outputs[0], x.text, x, compound=x.compound)
        return
    items = ", ".join(_item(one) for one in layer.items)
    source.hold(source.outputs[0], f"{x.atom}[{items}]", x)


def _item(item: int | Span | None) -> str:
    if not isinstance(item, Span):
        return str(item)
    start, stop, step = ("" if one is None else str(one) for one in item)
    return f"{start}:{stop}" + (f":{step}" if step else "")


@emit.register(ExpandDims)
def _(layer: ExpandDims, source: Source) -> None:
    """Each axis in turn."""
    x = source.take(source.inputs[0])
    last = len(source.outputs[0].shape) - 1
    axes = [-1] if layer.axes == (last,) else layer.axes
    text = "".join(f".unsqueeze({axis})" for axis in axes)
    source.hold(source.outputs[0], x.atom + text, x)


@emit.register(Squeeze)
def _(layer: Squeeze, source: Source) -> None:
    """One axis, or several."""
    (value,), (output,) = source.inputs, source.outputs
    x = source.take(value)
    if not layer.axes:
        source.hold(output, x.text, x, compound=x.compound)
        return
    axes = layer.axes[0] if len(layer.axes) == 1 else layer.axes
    axes = -1 if axes == len(value.shape) - 1 else axes
    source.hold(output, f"{x.atom}.squeeze({axes})", x)


@emit.register(Regroup)
def _(layer: Regroup, source: Source) -> None:
    """A reshape of everything."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.reshape({', '.join(map(str, layer.target))})", x)


@emit.register(Flip)
def _(layer: Flip, source: Source) -> None:
    """A method."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.flip({', '.join(map(str, layer.axes))})", x)


@emit.register(Roll)
def _(layer: Roll, source: Source) -> None:
    """A method."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.roll({layer.shift}, {layer.axis})", x)


@emit.register(Repeat)
def _(layer: Repeat, source: Source) -> None:
    """What PyTorch calls repeat is a tile."""
    x = source.take(source.inputs[0])
    text = f"{x.atom}.repeat_interleave({layer.times}, {layer.axis})"
    source.hold(source.outputs[0], text, x)


@emit.register(Tile)
def _(layer: Tile, source: Source) -> None:
    """A method."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.tile({', '.join(map(str, layer.times))})", x)


@emit.register(Stack)
def _(layer: Stack, source: Source) -> None:
    """torch.stack."""
    texts = ", ".join(source.take(value).text for value in source.inputs)
    if len(source.inputs) == 1:
        texts += ","
    axis = -1 if layer.axis == len(source.inputs[0].shape) else layer.axis
    source.give(source.outputs[0], f"torch.stack(({texts}), {axis})")


@emit.register(Split)
def _(layer: Split, source: Source) -> None:
    """Each part is a slice: a name for each that nobody reads would be a name too many."""
    (value,) = source.inputs
    read = [output for output in source.outputs if source.uses[output.name]]
    x = source.take(value)
    if len(read) > 1 and not x.text.isidentifier():
        x = source.named(x)
    front = "..., " if layer.axis == len(value.shape) - 1 else ":, " * layer.axis
    start = 0
    for output, size in zip(source.outputs, layer.sizes, strict=True):
        part = str(start) if layer.squeeze else f"{start or ''}:{start + size}"
        if output in read:
            source.hold(output, f"{x.atom}[{front}{part}]", x)
        start += size
