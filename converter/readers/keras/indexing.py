"""Operations that move elements, outside any layer."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

from converter.description import (
    Concatenate,
    ExpandDims,
    Flip,
    Layer,
    Permute,
    Regroup,
    Repeat,
    Reshape,
    Roll,
    Shape,
    ShapeMismatchError,
    Slice,
    Span,
    Split,
    Squeeze,
    Stack,
    Tile,
    Transpose,
)
from converter.description.indexing import WHOLE
from converter.description.model import axis_of
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.nodes import refusal
from converter.readers.keras.operations import axes_of, is_operand, only_tensors, ops
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

ITSELF = Span(None, None, -1)


@reads(*ops("GetItem"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    values = config.value("operands")
    if len(values) != 2 or not is_operand(values[0]):
        raise refusal(config.where, f"the operands {shown(values)}")
    given = values[1] if isinstance(values[1], list) else [values[1]]
    items = [_item(config, one) for one in given]
    rank = len(inputs[0])
    count = sum(one is not None and one != "..." for one in items)
    if items.count("...") > 1 or count > rank:
        raise refusal(config.where, f"x[{shown(values[1])}] of a tensor of rank {rank}")
    if "..." in items:
        place = items.index("...")
        items[place : place + 1] = [WHOLE] * (rank - count)
    while items and items[-1] == WHOLE:
        items.pop()
    turned = tuple(k for k, one in enumerate(items) if one == ITSELF)
    if turned and any(one not in (WHOLE, ITSELF) for one in items):
        raise refusal(config.where, f"x[{shown(values[1])}]: a step of -1 beside others")
    if turned:
        return Flip(**config.base(), axes=turned)
    return Slice(**config.base(), items=tuple(items))


def _item(config: Config, value: object) -> Any:
    """An index, a span, None for a new axis, or "..."."""
    if value is None or value == "..." or type(value) is int:
        return value
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        bounds = [value[key] for key in ("start", "stop", "step")]
        if all(one is None or type(one) is int for one in bounds):
            start, stop, step = bounds
            span = Span(start, stop, None if step == 1 else step)
            if step is None or step > 0 or span == ITSELF:
                return Span(None if span.start == 0 and step != -1 else start, stop, span.step)
    raise refusal(config.where, f"{shown(value)} in the brackets of x[...]")


@reads(*ops("ExpandDims"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    value = config.value("axis")
    rank = len(inputs[0]) + (len(value) if isinstance(value, list) else 1)
    return ExpandDims(**config.base(), axes=axes_of(config, rank, "axis"))


@reads(*ops("Squeeze"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    (x,) = inputs
    if config.value("axis", default=None) in (None, []):
        if None in x[1:]:
            raise refusal(config.where, f"axis=None, of a tensor of shape {x}: say the axis")
        axes = tuple(k for k, size in enumerate(x) if size == 1)
    else:
        axes = axes_of(config, len(x), "axis")
    return Squeeze(**config.base(), axes=axes)


@reads(*ops("Reshape"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """A Reshape where the batch stays the batch."""
    only_tensors(config, 1)
    given = config.value("newshape", "shape")
    if not isinstance(given, list):
        raise config.wrong("newshape", given, "a list of sizes")
    target = tuple(-1 if size is None else size for size in given)
    if any(type(size) is not int or size < -1 or not size for size in target):
        raise refusal(config.where, f"the shape {shown(given)}")
    if target.count(-1) > 1:
        raise refusal(config.where, f"the shape {shown(given)}: two sizes that nothing says")
    (x,) = inputs
    rest = prod(target[1:])
    if x and target and target[0] == -1 and None not in x[1:] and prod(x[1:]) == rest:  # type: ignore[arg-type]
        return Reshape(**config.base(), target=target[1:])
    return Regroup(**config.base(), target=target)


@reads(*ops("Transpose"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    rank = len(inputs[0])
    axes = tuple(reversed(range(rank)))
    if config.value("axes", default=None) is not None:
        given = config.integers("axes", least=-32, most=32)
        axes = tuple(axis_of(axis, rank) for axis in given)
    return _permuted(config, axes)


@reads(*ops("Swapaxes"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    rank = len(inputs[0])
    axes = list(range(rank))
    a, b = (axis_of(config.integer(f"axis{k}", least=-32, most=32), rank) for k in (1, 2))
    axes[a], axes[b] = b, a
    return _permuted(config, tuple(axes))


@reads(*ops("Moveaxis"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    rank = len(inputs[0])
    pairs = []
    for key in ("source", "destination"):
        several = isinstance(config.value(key), list)
        given = config.integers(key, least=-32, most=32) if several else ()
        given = given or (config.integer(key, least=-32, most=32),)
        pairs.append([axis_of(axis, rank) for axis in given])
    if len(pairs[0]) != len(pairs[1]) or any(len(set(one)) < len(one) for one in pairs):
        raise ShapeMismatchError(f"axes {pairs[0]} to {pairs[1]}")
    axes = [k for k in range(rank) if k not in pairs[0]]
    for place, axis in sorted(zip(pairs[1], pairs[0], strict=True)):
        axes.insert(place, axis)
    return _permuted(config, tuple(axes))


def _permuted(config: Config, axes: tuple[int, ...]) -> Layer:
    if len(axes) > 1 and axes[0] == 0:
        return Permute(**config.base(), dims=axes[1:])
    return Transpose(**config.base(), axes=axes)


@reads(*ops("Flip"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    return Flip(**config.base(), axes=axes_of(config, len(inputs[0]), "axis"))


@reads(*ops("Roll"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    return Roll(
        **config.base(),
        shift=config.integer("shift", least=-(2**31)),
        axis=_axis(config, len(inputs[0])),
    )


@reads(*ops("Repeat"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    if isinstance(config.value("repeats"), list):
        raise refusal(config.where, f"repeats={shown(config.value('repeats'))}: one number is read")
    return Repeat(
        **config.base(),
        times=config.integer("repeats", most=2**20),
        axis=_axis(config, len(inputs[0])),
    )


def _axis(config: Config, rank: int) -> int:
    if type(config.value("axis", default=None)) is not int:
        raise refusal(config.where, f"axis={shown(config.value('axis', default=None))}")
    return axis_of(config.integer("axis", least=-32, most=32), rank)


@reads(*ops("Tile"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    given = config.value("repeats")
    if not isinstance(given, list):
        raise refusal(config.where, f"repeats={shown(given)}: say it of each axis")
    times = config.integers("repeats", least=1, most=2**20)
    if len(times) != len(inputs[0]):
        raise refusal(config.where, f"repeats={shown(times)} of a tensor of rank {len(inputs[0])}")
    return Tile(**config.base(), times=times)


def _several(config: Config) -> None:
    """Refuse an operand that is not one list of tensors."""
    values = config.value("operands")
    if len(values) != 1 or not isinstance(values[0], list) or not all(map(is_operand, values[0])):
        raise refusal(config.where, f"the operands {shown(values)}")


@reads(*ops("Concatenate"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    _several(config)
    axis = axis_of(config.integer("axis", least=-32, most=32), len(inputs[0]))
    # From the end, as one says it of the features.
    return Concatenate(**config.base(), axis=-1 if axis == len(inputs[0]) - 1 else axis)


@reads(*ops("Stack"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    _several(config)
    axis = config.integer("axis", least=-32, most=32, default=0)
    return Stack(**config.base(), axis=axis_of(axis, len(inputs[0]) + 1))


@reads(*ops("Split"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """Keras 3 says where it cuts, TensorFlow how long the parts are; both may say how many."""
    only_tensors(config, 1)
    (x,) = inputs
    axis = axis_of(config.integer("axis", least=-32, most=32, default=0), len(x))
    size = known_size(config, x, axis)
    cuts = config.value("indices_or_sections", default=None)
    parts = config.value("sizes", default=None)
    count = parts if cuts is None else cuts
    if isinstance(cuts, list):
        places = config.integers("indices_or_sections", least=0)
        sizes = tuple(b - a for a, b in pairwise((0, *places, size)))
    elif isinstance(parts, list):
        sizes = config.integers("sizes", least=-1)
        left = size - sum(one for one in sizes if one != -1)
        sizes = tuple(left if one == -1 else one for one in sizes)
    elif type(count) is int and count > 0 and not size % count:
        sizes = (size // count,) * count
    else:
        raise refusal(config.where, f"{shown(count)} parts of an axis of {size}")
    if min(sizes, default=0) < 1 or sum(sizes) != size:
        raise refusal(config.where, f"parts of {list(sizes)} of an axis of {size}")
    return Split(**config.base(), axis=axis, sizes=sizes)


@reads(*ops("Unstack"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    (x,) = inputs
    axis = axis_of(config.integer("axis", least=-32, most=32, default=0), len(x))
    size = known_size(config, x, axis)
    config.must_be("num", None, size, code="operation", hint="leave num out")
    return Split(**config.base(), axis=axis, sizes=(1,) * size, squeeze=True)
