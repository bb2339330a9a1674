"""Operations that move elements, outside any layer: keras.ops."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

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
from converter.targets.keras.emit import Around, Part, emit, operation


@emit.register(Slice)
def _(layer: Slice, around: Around) -> Part:
    items = [_item(one) for one in layer.items] or [_item(Span())]
    return operation(layer, around, "GetItem", operands=(None, items))


def _item(item: int | Span | None) -> Any:
    if not isinstance(item, Span):
        return item
    return {"class_name": "__slice__", "config": item._asdict()}


@emit.register(ExpandDims)
def _(layer: ExpandDims, around: Around) -> Part:
    return operation(layer, around, "ExpandDims", {"axis": _one_or_more(layer.axes)})


@emit.register(Squeeze)
def _(layer: Squeeze, around: Around) -> Part:
    return operation(layer, around, "Squeeze", {"axis": _one_or_more(layer.axes)})


@emit.register(Flip)
def _(layer: Flip, around: Around) -> Part:
    return operation(layer, around, "Flip", {"axis": _one_or_more(layer.axes)})


def _one_or_more(axes: tuple[int, ...]) -> int | list[int]:
    return axes[0] if len(axes) == 1 else list(axes)


@emit.register(Regroup)
def _(layer: Regroup, around: Around) -> Part:
    return operation(layer, around, "Reshape", {"newshape": list(layer.target)})


@emit.register(Roll)
def _(layer: Roll, around: Around) -> Part:
    return operation(layer, around, "Roll", {"shift": layer.shift, "axis": layer.axis})


@emit.register(Repeat)
def _(layer: Repeat, around: Around) -> Part:
    return operation(layer, around, "Repeat", {"repeats": layer.times, "axis": layer.axis})


@emit.register(Tile)
def _(layer: Tile, around: Around) -> Part:
    return operation(layer, around, "Tile", {"repeats": list(layer.times)})


@emit.register(Stack)
def _(layer: Stack, around: Around) -> Part:
    return operation(layer, around, "Stack", {"axis": layer.axis}, listed=True)


@emit.register(Split)
def _(layer: Split, around: Around) -> Part:
    if layer.squeeze:
        config = {"num": len(layer.sizes), "axis": layer.axis}
        return operation(layer, around, "Unstack", config, module="core")
    cuts = list(accumulate(layer.sizes))[:-1]
    return operation(layer, around, "Split", {"indices_or_sections": cuts, "axis": layer.axis})
