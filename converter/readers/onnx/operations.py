"""Operations that compute, outside any layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from converter.activations import Activation
from converter.description import (
    Cast,
    Combination,
    Combine,
    Einsum,
    Elementwise,
    Function,
    GlobalPooling,
    Layer,
    Matmul,
    Pool,
    Reduce,
    Reduction,
    Rescaling,
    Unequal,
    Value,
)
from converter.description.model import axis_of
from converter.description.operations import Number
from converter.dtypes import FLOATS
from converter.readers.onnx.held import SMALL, Filled, Held, Known, Seen
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import DTYPES, Node
from converter.readers.onnx.packing import chosen
from converter.readers.onnx.sizes import Size

# fmt: off
FUNCTIONS: Mapping[str, Function] = {
    "Abs": Function.ABSOLUTE,
    "Add": Function.ADD,
    "And": Function.LOGICAL_AND,
    "Ceil": Function.CEIL,
    "Cos": Function.COS,
    "Div": Function.DIVIDE,
    "Equal": Function.EQUAL,
    "Exp": Function.EXP,
    "Floor": Function.FLOOR,
    "Greater": Function.GREATER,
    "GreaterOrEqual": Function.GREATER_EQUAL,
    "Less": Function.LESS,
    "LessOrEqual": Function.LESS_EQUAL,
    "Log": Function.LOG,
    "Max": Function.MAXIMUM,
    "Min": Function.MINIMUM,
    "Mul": Function.MULTIPLY,
    "Neg": Function.NEGATIVE,
    "Not": Function.LOGICAL_NOT,
    "Or": Function.LOGICAL_OR,
    "Pow": Function.POWER,
    "Reciprocal": Function.RECIPROCAL,
    "Round": Function.ROUND,
    "Sign": Function.SIGN,
    "Sin": Function.SIN,
    "Sqrt": Function.SQRT,
    "Sub": Function.SUBTRACT,
    "Where": Function.WHERE,
    "Xor": Function.LOGICAL_XOR,
}
# fmt: on

COMBINATIONS = {
    "Add": Combination.ADD,
    "Max": Combination.MAXIMUM,
    "Mean": Combination.AVERAGE,
    "Min": Combination.MINIMUM,
    "Mul": Combination.MULTIPLY,
    "Sub": Combination.SUBTRACT,
    "Sum": Combination.ADD,
}
"""Of tensors of one shape."""


@lifts(*FUNCTIONS, "Sum", "Mean")
def _(lift: Lift, node: Node) -> list[Held]:
    if node.kind == "Where" and (ends := chosen(lift, node)) is not None:
        return ends
    if node.kind == "Add":
        from converter.readers.onnx.core import with_bias

        for k in (0, 1):
            if (biased := with_bias(lift, node, k)) is not None:
                return [biased]
    if (rescaled := _rescaled(lift, node)) is not None:
        return [rescaled]
    every = [_operand(lift, node, k) for k in range(len(node.inputs))]
    seen = [one for one in every if isinstance(one, Seen)]
    if node.kind == "Div" and not all(one.dtype.startswith("float") for one in seen):
        raise lift.refusal(node, "a division of whole numbers, which is cut to whole numbers")
    alike = len({one.sizes for one in seen}) == 1
    order = seen[0].order
    if alike and len({one.order for one in seen}) == 1:
        values = [one.value for one in seen]
    else:
        order = tuple(range(max(len(one.order) for one in seen)))
        values = [lift.value(one) for one in seen]
    layer = _elementwise(lift, node, every, seen, alike)
    if isinstance(layer, Elementwise) and len(every) > 2 and layer.function is not Function.WHERE:
        raise lift.refusal(node, f"{len(every)} tensors of different shapes")
    return [lift.ordered(lift.call(layer, *values)[0], order)]


def _rescaled(lift: Lift, node: Node) -> Seen | None:
    """A product or a sum with one number for each element of the last axis."""
    for k in (0, 1) if node.kind in ("Mul", "Add") else ():
        held, other = lift.given(node, k), lift.given(node, 1 - k)
        if not isinstance(held, Seen) or not isinstance(other, Known) or other.is_symbolic:
            continue
        rank, size = len(held.order), other.shape[-1] if other.shape else 0
        fits = 1 < size == other.count <= SMALL and held.sizes[-1] == size
        if not fits or len(other.shape) > rank or held.order[-1] != rank - 1:
            continue
        numbers = tuple(float(one) for one in other.read().reshape(-1))
        before = lift.producer(held)
        layer = before.layer if before is not None and lift.once(node.inputs[k]) else None
        if node.kind == "Add" and isinstance(layer, Rescaling) and layer.offset == (0.0,):
            return lift.amend(held, replace(layer, offset=numbers))
        name = lift.name(node)
        scale, offset = (numbers, (0.0,)) if node.kind == "Mul" else ((1.0,), numbers)
        made = Rescaling(name=name, dtype=held.dtype, scale=scale, offset=offset)
        return lift.ordered(lift.call(made, held.value)[0], held.order)
    return None


def _operand(lift: Lift, node: Node, k: int) -> Seen | Number:
    """A tensor, or a number where it is one for all."""
    held = lift.given(node, k)
    others = [lift.given(node, j) for j in range(len(node.inputs)) if j != k]
    rank = max((len(one.sizes) for one in others if not isinstance(one, Known)), default=0)
    if isinstance(held, Filled) and len(held.sizes) <= rank:
        wide = zip(reversed(held.sizes), reversed(_widest(others)), strict=False)
        alike = all(size in (1, other) for size, other in wide)
        if alike and not isinstance(held.number, Size):
            return held.number
    if isinstance(held, Known) and held.count == 1 and len(held.shape) <= rank:
        number = held.items()[0]
        if isinstance(number, int | float):
            return number
    return lift.as_seen(held, node)


def _widest(held: list[Held]) -> tuple[object, ...]:
    return max((one.sizes for one in held), key=len)


def _elementwise(
    lift: Lift, node: Node, every: list[Seen | Number], seen: list[Seen], alike: bool
) -> Layer:
    name = lift.name(node)
    floats = all(one.dtype.startswith("float") for one in seen)
    if node.kind in COMBINATIONS and len(seen) == len(every) > 1 and alike and floats:
        return Combine(name=name, combination=COMBINATIONS[node.kind], dtype=seen[0].dtype)
    if node.kind in ("Sum", "Mean"):
        raise lift.refusal(node, "tensors of different shapes")
    function = FUNCTIONS[node.kind]
    operands = tuple(None if isinstance(one, Seen) else one for one in every)
    if function is Function.POWER and operands[1] == 2:
        return Elementwise(name=name, function=Function.SQUARE, operands=(None,))
    return Elementwise(name=name, function=function, operands=operands)


@lifts("Clip")
def _(lift: Lift, node: Node) -> list[Held]:
    bounds: list[float | None] = []
    for k, attribute in ((1, "min"), (2, "max")):
        held = lift.known(node, k, "its bounds")
        number = node.attributes.get(attribute) if held is None else held.items()[0]
        bounds.append(None if number is None else float(number))  # type: ignore[arg-type]
    seen = lift.seen(node, 0)
    low, high = bounds
    usual = {(0.0, 6.0): "relu6", (-1.0, 1.0): "hard_tanh", (0.0, None): "relu"}
    if (low, high) in usual:
        from converter.readers.onnx.core import activated

        return [activated(lift, node, Activation.of(usual[low, high]))]  # type: ignore[index]
    if low is None and high is None:
        return [seen]
    function, operands = Function.CLIP, (None, low, high)
    if high is None:
        function, operands = Function.MAXIMUM, (None, low)  # type: ignore[assignment]
    elif low is None:
        function, operands = Function.MINIMUM, (None, high)  # type: ignore[assignment]
    layer = Elementwise(name=lift.name(node), function=function, operands=operands)
    return [lift.ordered(lift.call(layer, seen.value)[0], seen.order)]


@lifts("Cast")
def _(lift: Lift, node: Node) -> list[Held]:
    held = lift.given(node, 0)
    dtype = DTYPES.get(node.attributes["to"], "")
    if isinstance(held, Filled) and dtype:
        return [Filled(held.number, dtype, held.sizes)]
    seen = lift.as_seen(held, node)
    if dtype == seen.dtype:
        return [seen]
    if not dtype or (dtype in FLOATS and dtype != "float32"):
        raise lift.refusal(node, f"a cast to {dtype or 'another type'}; what is read is in float32")
    if dtype == "bool" and seen.dtype != "bool":
        unequal = Unequal(name=lift.name(node), number=0.0)
        return [lift.ordered(lift.call(unequal, seen.value)[0], seen.order)]
    layer = Cast(name=lift.name(node), dtype=dtype)
    result = lift.ordered(lift.call(layer, seen.value)[0], seen.order)
    if seen.dtype == "bool" and dtype == "int32":
        lift.ones[result.value.name] = seen
    return [result]


REDUCTIONS: Mapping[str, Reduction] = {
    "ReduceLogSumExp": Reduction.LOGSUMEXP,
    "ReduceMax": Reduction.MAX,
    "ReduceMean": Reduction.MEAN,
    "ReduceMin": Reduction.MIN,
    "ReduceProd": Reduction.PROD,
    "ReduceSum": Reduction.SUM,
}

POOLS = {Reduction.MAX: Pool.MAX, Reduction.MEAN: Pool.AVERAGE}

MERGES = {Reduction.SUM: Combination.ADD, Reduction.MEAN: Combination.AVERAGE,
          Reduction.PROD: Combination.MULTIPLY, Reduction.MAX: Combination.MAXIMUM,
          Reduction.MIN: Combination.MINIMUM}  # fmt: skip
"""What becomes of tensors beside each other."""


@lifts(*REDUCTIONS)
def _(lift: Lift, node: Node) -> list[Held]:
    from converter.readers.onnx.held import Pieces

    held = lift.given(node, 0)
    rank = len(held.sizes)
    axes = lift.integers(node, 1, "axes")
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return [held]
    axes = sorted(axis_of(axis, rank) for axis in axes or range(rank))
    keep = bool(node.attributes.get("keepdims", 1))
    kind = REDUCTIONS[node.kind]
    if isinstance(held, Pieces) and axes == [held.axis] and not keep and kind in MERGES:
        return [_merged(lift, node, held, MERGES[kind])]
    return [reduced(lift, node, lift.as_seen(held, node), kind, tuple(axes), keep)]


def _merged(lift: Lift, node: Node, held: object, combination: Combination) -> Held:
    parts: tuple[Seen, ...] = getattr(held, "parts")  # noqa: B009
    if len(parts) == 1:
        return parts[0]
    layer = Combine(name=lift.name(node), combination=combination, dtype=parts[0].dtype)
    if len({part.order for part in parts}) == 1:
        values = [part.value for part in parts]
        return lift.ordered(lift.call(layer, *values)[0], parts[0].order)
    return lift.call(layer, *(lift.value(part) for part in parts))[0]


def reduced(
    lift: Lift, node: Node, seen: Seen, kind: Reduction, axes: tuple[int, ...], keep: bool
) -> Seen:
    """A Reduce, or the global pooling that it is."""
    own = tuple(sorted(seen.order[axis] for axis in axes))
    rank = len(seen.order)
    every, channels = tuple(range(1, rank - 1)), tuple(range(2, rank))
    pools = kind in POOLS and seen.dtype.startswith("float") and rank > 2
    layer: Layer
    if pools and own in (every, channels):
        layer = GlobalPooling(
            name=lift.name(node),
            dtype=seen.dtype,
            pool=POOLS[kind],
            rank=rank - 2,
            keepdims=keep,
            channels_first=own == channels,
        )
    else:
        layer = Reduce(name=lift.name(node), reduction=kind, axes=own, keepdims=keep)
    (result,) = lift.call(layer, seen.value)
    return lift.ordered(result, seen.order) if keep else lift.left(seen, result, own)


@lifts("ArgMax", "ArgMin")
def _(lift: Lift, node: Node) -> list[Held]:
    if node.attributes.get("select_last_index", 0):
        raise lift.refusal(node, "select_last_index=1")
    seen = lift.seen(node, 0)
    axis = seen.order[axis_of(node.attributes.get("axis", 0), len(seen.order))]
    keep = bool(node.attributes.get("keepdims", 1))
    layer = Reduce(
        name=lift.name(node),
        reduction=Reduction.ARGMAX if node.kind == "ArgMax" else Reduction.ARGMIN,
        axes=(axis,),
        keepdims=keep,
        dtype="int64",
    )
    (result,) = lift.call(layer, seen.value)
    return [lift.ordered(result, seen.order) if keep else lift.left(seen, result, (axis,))]


def product(lift: Lift, node: Node) -> Seen:
    """MatMul of two tensors: one whose last axes alone are exchanged is so taken."""
    values: list[Value] = []
    turned = []
    for k in (0, 1):
        seen = lift.seen(node, k)
        rank = len(seen.order)
        if rank < 2:
            raise lift.refusal(node, "a product with a vector")
        exchanged = (*range(rank - 2), rank - 1, rank - 2)
        turned.append(seen.order == exchanged)
        values.append(seen.value if turned[-1] else lift.value(seen))
    layer = Matmul(name=lift.name(node), transposed=(turned[0], turned[1]))
    return lift.call(layer, *values)[0]


@lifts("Einsum")
def _(lift: Lift, node: Node) -> list[Held]:
    equation = node.attributes["equation"].replace(" ", "")
    if "." in equation or "->" not in equation:
        raise lift.refusal(node, f"the equation {equation}")
    values = [lift.value(lift.seen(node, k)) for k in range(len(node.inputs))]
    return [lift.call(Einsum(name=lift.name(node), equation=equation), *values)[0]]
