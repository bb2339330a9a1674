"""What a file computes of constants alone: weights that are put in another order, shapes, sizes.

The results are constants, too; a large one is computed again whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from converter.description import Stored
from converter.dtypes import numpy_dtype
from converter.gates import Array
from converter.readers.onnx.held import SMALL, Held, Known
from converter.readers.onnx.messages import DTYPES, Node
from converter.readers.onnx.sizes import Size

if TYPE_CHECKING:
    from converter.readers.onnx.lifting import Lift

Fold = Callable[..., Any]

FOLDS: dict[str, Fold] = {}
"""From the node, its opset and its arrays (None for one that is left out) to the result."""


def _fold(*kinds: str) -> Callable[[Fold], Fold]:
    def add(fold: Fold) -> Fold:
        FOLDS.update(dict.fromkeys(kinds, fold))
        return fold

    return add


def folded(lift: Lift, node: Node) -> list[Held] | None:
    """The results of a node of constants; None where it is another's to read."""
    fold = FOLDS.get(node.kind)
    given = lift.all_given(node) if fold else []
    some = [one for one in given if one is not None]
    if fold is None or not some or not all(isinstance(one, Known) for one in some):
        return None

    def compute() -> list[Array]:
        arrays = [None if one is None else one.read() for one in given]
        with np.errstate(all="ignore"):
            result = fold(node, lift.opset, *arrays)
        return list(result) if isinstance(result, list | tuple) else [result]

    _check_growth(lift, node, some)
    results = [np.asarray(one) for one in compute()]
    # What is computed of results that are computed again would be so without end.
    again = not any(one.again for one in some)
    lift.folded += sum(one.size for one in results if not again)
    if lift.folded > lift.most:
        raise lift.refusal(node, f"constants of over {lift.most} elements, computed of each other")
    return [
        kept(name, result, (lambda k=k: compute()[k]) if again else None)  # type: ignore[misc]
        for k, (name, result) in enumerate(zip(node.outputs, results, strict=False))
    ]


def kept(name: str, result: Array, again: Callable[[], Array] | None) -> Known:
    """A result in memory if it is small or nothing gives it again; otherwise the way to it."""
    if result.dtype == object:
        flat = result.reshape(-1).tolist()
        if not any(isinstance(one, Size) for one in flat):
            return Known.of(result.astype(np.int64), name)
        return Known.of(result, name)
    if result.size <= SMALL or again is None:
        return Known.of(result.copy(), name)
    stored = Stored(name, result.shape, result.dtype, lambda: np.asarray(again()))
    return Known(stored, result.dtype.name, again=True)


def _check_growth(lift: Lift, node: Node, given: Sequence[Known]) -> None:
    """Refuse what would be far larger than the constants it is made of."""
    counts = [max(one.count, 1) for one in given]
    most = sum(counts)
    if node.kind == "Tile":
        most = counts[0] * prod(int(one) for one in given[1].read() if one > 0)
    elif node.kind == "Range":
        most = abs(int(given[1].items()[0]) - int(given[0].items()[0]))  # type: ignore[arg-type]
    elif node.kind in ("MatMul", "Gather", "Add", "Sub", "Mul", "Div", "Where"):
        most = prod(counts) if len({one.shape for one in given}) > 1 else counts[0]
        if node.kind == "MatMul":
            most = max(prod(one.shape[:-1]) for one in given) * given[1].shape[-1]
        elif node.kind == "Gather":
            most = counts[1] * (counts[0] // max(given[0].shape[0], 1) if given[0].shape else 1)
        else:
            most = prod(np.broadcast_shapes(*(one.shape for one in given)))
    if most > lift.most and most > 2 * sum(counts):
        raise lift.refusal(node, f"a constant of {most} elements, made of {sum(counts)}")


def _axes(node: Node, axes: Array | None) -> tuple[int, ...] | None:
    """Axes from the attribute of older opsets, or the input."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"])
    return None if axes is None else tuple(int(one) for one in axes.reshape(-1))


_fold("Identity")(lambda node, opset, x: x)
_fold("Dropout")(lambda node, opset, x, *rest: [x])


@_fold("Cast")
def _(node: Node, _opset: int, x: Array) -> Array:
    kind = DTYPES.get(node.attributes["to"], "")
    if x.dtype == object:
        if kind not in ("int64", "int32"):
            raise ValueError(f"sizes as {kind or 'an unknown type'}")
        return x
    return x.astype(numpy_dtype(kind))


@_fold("Transpose")
def _(node: Node, _opset: int, x: Array) -> Array:
    return x.transpose(node.attributes.get("perm", tuple(range(x.ndim))[::-1]))


@_fold("Reshape")
def _(node: Node, _opset: int, x: Array, shape: Array) -> Array:
    target = [int(one) for one in shape]
    if not node.attributes.get("allowzero", 0):
        target = [x.shape[k] if one == 0 else one for k, one in enumerate(target)]
    return x.reshape(target)


@_fold("Flatten")
def _(node: Node, _opset: int, x: Array) -> Array:
    axis = node.attributes.get("axis", 1)
    return x.reshape(prod(x.shape[:axis]), -1)


@_fold("Squeeze")
def _(node: Node, _opset: int, x: Array, axes: Array | None = None) -> Array:
    return x.squeeze(_axes(node, axes))


@_fold("Unsqueeze")
def _(node: Node, _opset: int, x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, _axes(node, axes) or ())


@_fold("Concat")
def _(node: Node, _opset: int, *arrays: Array) -> Array:
    if any(array.dtype == object for array in arrays):
        arrays = tuple(array.astype(object) for array in arrays)
    return np.concatenate(arrays, node.attributes["axis"])


@_fold("Slice")
def _(node: Node, opset: int, x: Array, *bounds: Array) -> Array:
    if opset < 10 or "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes = node.attributes.get("axes", range(len(starts)))
        steps: Any = [1] * len(starts)
    else:
        starts, ends = (one.tolist() for one in bounds[:2])
        axes = (
            bounds[2].tolist() if len(bounds) > 2 and bounds[2] is not None else range(len(starts))
        )
        steps = bounds[3].tolist() if len(bounds) > 3 else [1] * len(starts)
    items = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        stop = None if step < 0 and end < -size else end
        items[axis] = slice(start, stop, step)
    return x[tuple(items)]


@_fold("Gather")
def _(node: Node, _opset: int, x: Array, index: Array) -> Array:
    return np.take(x, index.astype(np.int64), node.attributes.get("axis", 0))


@_fold("Split")
def _(node: Node, _opset: int, x: Array, sizes: Array | None = None) -> list[Array]:
    axis, count = node.attributes.get("axis", 0), len(node.outputs)
    parts = node.attributes.get("split", None if sizes is None else sizes.tolist())
    if parts is None:
        each = -(-x.shape[axis] // count)
        parts = [min(each, x.shape[axis] - k * each) for k in range(count)]
    if sum(parts) != x.shape[axis]:
        raise ValueError(f"{x.shape[axis]} in parts of {parts}")
    return np.split(x, np.cumsum(parts)[:-1], axis)


@_fold("Tile")
def _(_node: Node, _opset: int, x: Array, times: Array) -> Array:
    return np.tile(x, times)


@_fold("Range")
def _(_node: Node, _opset: int, start: Array, stop: Array, step: Array) -> Array:
    if any(one.dtype == object for one in (start, stop, step)):
        raise ValueError("a range up to a size that is not known")
    return np.arange(start.item(), stop.item(), step.item(), dtype=start.dtype)


def _divided(node: Node, opset: int, x: Array, y: Array) -> Array:
    whole = x.dtype == object or x.dtype.kind in "iu"
    return x // y if whole else x / y  # sizes are not negative


def _plain(function: Callable[..., Any]) -> Fold:
    return lambda node, opset, *arrays: function(*arrays)


# fmt: off
PLAIN: Mapping[str, Callable[..., Any]] = {
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Neg": lambda x: -x,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Reciprocal": np.reciprocal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "MatMul": np.matmul,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Greater": lambda x, y: x > y,
    "Less": lambda x, y: x < y,
}
# fmt: on
_fold("Div")(_divided)
for _kind, _function in PLAIN.items():
    _fold(_kind)(_plain(_function))


@_fold("Equal")
def _(_node: Node, _opset: int, x: Array, y: Array) -> Array:
    if x.dtype == object or y.dtype == object:
        pairs = np.broadcast(x, y)
        return np.array([_same(a, b) for a, b in pairs], np.bool_).reshape(pairs.shape)
    return np.equal(x, y)


def _same(one: object, other: object) -> bool:
    """Whether two sizes are the same; never said where they may be by chance."""
    if isinstance(one, Size) != isinstance(other, Size):
        number = other if isinstance(one, Size) else one
        if isinstance(number, int) and number > 0:
            raise ValueError(f"whether {one} is {other} is not known")
        return False
    if isinstance(one, Size) and one != other:
        raise ValueError(f"whether {one} is {other} is not known")
    return one == other


@_fold("Where")
def _(_node: Node, _opset: int, condition: Array, x: Array, y: Array) -> Array:
    return np.where(condition, x, y)


def _reduce(function: Callable[..., Any]) -> Fold:
    def fold(node: Node, _opset: int, x: Array, axes: Array | None = None) -> Array:
        keep = bool(node.attributes.get("keepdims", 1))
        return np.asarray(function(x, axis=_axes(node, axes), keepdims=keep))

    return fold


_fold("ReduceProd")(_reduce(np.prod))
_fold("ReduceSum")(_reduce(np.sum))
_fold("ReduceMax")(_reduce(np.max))
_fold("ReduceMin")(_reduce(np.min))


@_fold("DequantizeLinear")
def _(node: Node, _opset: int, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """(x - zero) scale, along an axis where the scale is one a row."""
    if node.attributes.get("block_size", 0):
        raise ValueError("scales of blocks")
    if scale.ndim:
        shape = [1] * x.ndim
        shape[node.attributes.get("axis", 1)] = -1
        scale = scale.reshape(shape)
        zero = None if zero is None else zero.reshape(shape)
    whole = x.astype(np.int32) - (0 if zero is None else zero.astype(np.int32))
    return whole.astype(scale.dtype) * scale
