"""Operations on each element, and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.description import (
    Cast,
    Combination,
    Combine,
    Elementwise,
    Function,
    GlobalPooling,
    Matmul,
    Pool,
    Reduce,
    Reduction,
    Value,
)
from converter.dtypes import FLOATS
from converter.readers.torch.exported.held import Filled, Held, Lifted, computing, whole, without
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Ref, Step

FUNCTIONS: dict[str, tuple[Function, tuple[str, ...]]] = {
    "aten.add": (Function.ADD, ("self", "other")),
    "aten.sub": (Function.SUBTRACT, ("self", "other")),
    "aten.rsub": (Function.SUBTRACT, ("other", "self")),
    "aten.mul": (Function.MULTIPLY, ("self", "other")),
    "aten.div": (Function.DIVIDE, ("self", "other")),
    "aten.pow": (Function.POWER, ("self", "exponent")),
    "aten.maximum": (Function.MAXIMUM, ("self", "other")),
    "aten.minimum": (Function.MINIMUM, ("self", "other")),
    "aten.eq": (Function.EQUAL, ("self", "other")),
    "aten.ne": (Function.NOT_EQUAL, ("self", "other")),
    "aten.gt": (Function.GREATER, ("self", "other")),
    "aten.ge": (Function.GREATER_EQUAL, ("self", "other")),
    "aten.lt": (Function.LESS, ("self", "other")),
    "aten.le": (Function.LESS_EQUAL, ("self", "other")),
    "aten.logical_and": (Function.LOGICAL_AND, ("self", "other")),
    "aten.logical_or": (Function.LOGICAL_OR, ("self", "other")),
    "aten.logical_xor": (Function.LOGICAL_XOR, ("self", "other")),
    "aten.logical_not": (Function.LOGICAL_NOT, ("self",)),
    "aten.where": (Function.WHERE, ("condition", "self", "other")),
    "aten.neg": (Function.NEGATIVE, ("self",)),
    "aten.abs": (Function.ABSOLUTE, ("self",)),
    "aten.sign": (Function.SIGN, ("self",)),
    "aten.square": (Function.SQUARE, ("self",)),
    "aten.sqrt": (Function.SQRT, ("self",)),
    "aten.rsqrt": (Function.RSQRT, ("self",)),
    "aten.reciprocal": (Function.RECIPROCAL, ("self",)),
    "aten.exp": (Function.EXP, ("self",)),
    "aten.expm1": (Function.EXPM1, ("self",)),
    "aten.log": (Function.LOG, ("self",)),
    "aten.log1p": (Function.LOG1P, ("self",)),
    "aten.sin": (Function.SIN, ("self",)),
    "aten.cos": (Function.COS, ("self",)),
    "aten.floor": (Function.FLOOR, ("self",)),
    "aten.ceil": (Function.CEIL, ("self",)),
    "aten.round": (Function.ROUND, ("self",)),
    "aten.zeros_like": (Function.ZEROS_LIKE, ("self",)),
    "aten.ones_like": (Function.ONES_LIKE, ("self",)),
}
"""The function of each operation, and the arguments that are its operands."""

COMBINATIONS = {
    Function.ADD: Combination.ADD,
    Function.SUBTRACT: Combination.SUBTRACT,
    Function.MULTIPLY: Combination.MULTIPLY,
    Function.MAXIMUM: Combination.MAXIMUM,
    Function.MINIMUM: Combination.MINIMUM,
}
"""Functions of tensors of one shape that Keras has as layers."""


@lifts(
    *FUNCTIONS,
    *("aten.add_", "aten.mul_", "aten.sub_", "aten.div_", "aten.__and__", "aten.__or__"),
    rowwise=True,
)
def _(lifting: Lifting, step: Step) -> Lifted:
    function, names = FUNCTIONS[ALIASES.get(step.operation, step.operation.removesuffix("_"))]
    if step.arguments.get("alpha", 1) != 1 or step.arguments.get("rounding_mode"):
        raise refusal(
            step,
            f"alpha={step.arguments.get('alpha')}, "
            f"rounding_mode={step.arguments.get('rounding_mode')}",
            "write the multiplication, or torch.floor, of its own",
        )
    return elementwise(lifting, step, function, [step[name] for name in names])


ALIASES = {"aten.__and__": "aten.logical_and", "aten.__or__": "aten.logical_or"}


@lifts("aten.masked_fill", "aten.masked_fill_", rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """A number where a mask says so."""
    operands = [step["mask"], step["value"], step["self"]]
    return elementwise(lifting, step, Function.WHERE, operands)


@lifts("aten.clamp", "aten.clip", "aten.clamp_min", "aten.clamp_max")
def _(lifting: Lifting, step: Step) -> Lifted:
    """A clip, or a maximum or minimum where one end is open."""
    low, high = step.arguments.get("min"), step.arguments.get("max")
    if low is None:
        return elementwise(lifting, step, Function.MINIMUM, [step["self"], high])
    if high is None:
        return elementwise(lifting, step, Function.MAXIMUM, [step["self"], low])
    return elementwise(lifting, step, Function.CLIP, [step["self"], low, high])


def elementwise(lifting: Lifting, step: Step, function: Function, operands: Sequence[Any]) -> Held:
    """A function of tensors and numbers; what is one number everywhere is a number."""
    given: list[Any] = []
    for one in operands:
        lifted = lifting.of(one) if isinstance(one, Ref) else one
        given.append(lifted.number if isinstance(lifted, Filled) else one)
    tensors = [lifting.tensor(one) for one in given if isinstance(one, Ref)]
    if not tensors:
        raise refusal(step, "numbers alone", "compute them before the module is made")
    values, axes = _aligned(lifting, tensors)
    dtype = step.result.dtype
    name = lifting.name(step)
    floats = all(value.dtype in FLOATS for value in values)
    alike = len({one.sizes for one in tensors}) == 1 and len(axes) > 1
    if len(values) == 2 == len(given) and floats and alike and function in COMBINATIONS:
        layer = Combine(name=name, combination=COMBINATIONS[function], **computing(dtype))
        (value,) = lifting.call(layer, values, dtype)
        return Held(value, axes, step.result.sizes)
    numbers = tuple(None if isinstance(one, Ref) else one for one in given)
    one_layer = Elementwise(name=name, function=function, operands=numbers, **computing(dtype))
    (value,) = lifting.call(one_layer, values, dtype)
    return Held(value, axes, step.result.sizes)


def _aligned(lifting: Lifting, tensors: Sequence[Held]) -> tuple[list[Value], tuple[int, ...]]:
    """Values that are broadcast as the tensors are, and how the axes of the result lie."""
    longest = max(tensors, key=lambda one: len(one.sizes))
    rank = len(longest.sizes)
    if all(len(one.sizes) == rank for one in tensors):
        order = [longest.axes.index(axis) for axis in range(rank)]
        return [lifting.arranged(one, order) for one in tensors], longest.axes
    shorter = max(len(one.sizes) for one in tensors if len(one.sizes) < rank)
    ends = longest.axes[rank - shorter :] == tuple(range(rank - shorter, rank))
    if not ends or any(len(one.sizes) == rank and one.axes != longest.axes for one in tensors):
        return [lifting.plain(one) for one in tensors], tuple(range(rank))
    return [
        one.value if len(one.sizes) == rank else lifting.plain(one) for one in tensors
    ], longest.axes


REDUCTIONS = {
    "aten.mean": Reduction.MEAN,
    "aten.sum": Reduction.SUM,
    "aten.amax": Reduction.MAX,
    "aten.amin": Reduction.MIN,
    "aten.prod": Reduction.PROD,
    "aten.logsumexp": Reduction.LOGSUMEXP,
    "aten.any": Reduction.ANY,
    "aten.all": Reduction.ALL,
    "aten.argmax": Reduction.ARGMAX,
    "aten.argmin": Reduction.ARGMIN,
}

POOLS = {Reduction.MEAN: Pool.AVERAGE, Reduction.MAX: Pool.MAX}


@lifts(*REDUCTIONS)
def _(lifting: Lifting, step: Step) -> Lifted:
    """Over some axes, or over all."""
    return reduced(lifting, step, REDUCTIONS[step.operation], step.result.dtype)


@lifts("aten.max", "aten.min")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The greatest along an axis, and where it is; or of two tensors."""
    if "other" in step.arguments:
        function = Function.MAXIMUM if step.operation == "aten.max" else Function.MINIMUM
        return elementwise(lifting, step, function, [step["self"], step["other"]])
    word = step.operation.rpartition(".")[2].upper()
    values = reduced(lifting, step, Reduction[word], step.result.dtype)
    if not step.several:
        return values
    return values, reduced(lifting, step, Reduction[f"ARG{word}"], "int64")


def reduced(lifting: Lifting, step: Step, reduction: Reduction, dtype: str) -> Held:
    """A reduction; a global pooling where it is over all axes between batch and channels."""
    held = lifting.tensor(step["self"])
    rank = len(held.sizes)
    named = step.arguments.get("dim")
    if named is None or named == ():
        axes = list(range(rank))
    else:
        axes = [axis % rank for axis in (named if isinstance(named, tuple) else (named,))]
    keepdims = bool(step.arguments.get("keepdim", False))
    own = tuple(sorted(held.axes[axis] for axis in axes))
    index = reduction in (Reduction.ARGMAX, Reduction.ARGMIN)
    if index and len(axes) > 1:
        raise refusal(step, "an index along several axes", "flatten them first")
    name = lifting.name(step)
    between = own == tuple(range(1, rank - 1)) and 3 <= rank <= 5
    if between and reduction in POOLS and held.value.dtype in FLOATS:
        layer = GlobalPooling(
            name=name, pool=POOLS[reduction], rank=rank - 2, keepdims=keepdims, **computing(dtype)
        )
        (value,) = lifting.call(layer, (held.value,), dtype)
    else:
        more = {"dtype": dtype} if index else computing(dtype)
        one = Reduce(name=name, reduction=reduction, axes=own, keepdims=keepdims, **more)
        (value,) = lifting.call(one, (held.value,), dtype)
    if keepdims:
        sizes = tuple(1 if axis in axes else size for axis, size in enumerate(held.sizes))
        return Held(value, held.axes, sizes)
    return without(held, axes, value)


@lifts("aten.matmul", "aten.bmm", "aten.mm")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The product of matrices in the last two axes."""
    first, second = (lifting.tensor(ref) for ref in list(step.arguments.values())[:2])
    if min(len(first.sizes), len(second.sizes)) < 2:
        raise refusal(step, "a product with a vector", "give it an axis: (x * v).sum(-1)")
    values = [lifting.plain(one) for one in (first, second)]
    dtype = step.result.dtype
    layer = Matmul(name=lifting.name(step), **computing(dtype))
    (value,) = lifting.call(layer, values, dtype)
    return whole(value, step.result.sizes)


@lifts("aten.zeros", "aten.full", "aten.ones", "aten.new_zeros", "aten.new_ones", "aten.new_full")
def _(lifting: Lifting, step: Step) -> Lifted:
    """One number everywhere."""
    number = step.arguments.get("fill_value", 1 if "ones" in step.operation else 0)
    return Filled(number, step.result.sizes, step.result.dtype)


@lifts("aten.to", "aten._to_copy", "aten.type_as")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Another dtype, or nothing."""
    lifted = lifting.of(step["self"])
    dtype = step.result.dtype
    if isinstance(lifted, Filled):
        return Filled(lifted.number, lifted.sizes, dtype)
    if not isinstance(lifted, Held) or lifted.value.dtype == dtype:
        return lifted
    layer = Cast(name=lifting.name(step), dtype=dtype)
    (value,) = lifting.call(layer, (lifted.value,), dtype)
    return Held(value, lifted.axes, lifted.sizes)
