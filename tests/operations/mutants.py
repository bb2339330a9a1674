"""Operations with one thing wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from converter.description import (
    Call,
    Cast,
    Concatenate,
    Constant,
    CumulativeSum,
    Einsum,
    Elementwise,
    ExpandDims,
    Flip,
    Function,
    Layer,
    Matmul,
    OneHot,
    Reduce,
    Reduction,
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

OTHER: Mapping[Function, Function] = {
    Function.ADD: Function.SUBTRACT,
    Function.SUBTRACT: Function.ADD,
    Function.MULTIPLY: Function.ADD,
    Function.DIVIDE: Function.MULTIPLY,
    Function.FLOOR_DIVIDE: Function.DIVIDE,
    Function.MOD: Function.DIVIDE,
    Function.POWER: Function.MULTIPLY,
    Function.MAXIMUM: Function.MINIMUM,
    Function.MINIMUM: Function.MAXIMUM,
    Function.GREATER: Function.LESS,
    Function.GREATER_EQUAL: Function.LESS,
    Function.LESS: Function.GREATER,
    Function.LESS_EQUAL: Function.GREATER,
    Function.LOGICAL_AND: Function.LOGICAL_OR,
    Function.LOGICAL_OR: Function.LOGICAL_AND,
    Function.LOGICAL_XOR: Function.LOGICAL_AND,
    Function.NEGATIVE: Function.ABSOLUTE,
    Function.ABSOLUTE: Function.NEGATIVE,
    Function.SIGN: Function.ABSOLUTE,
    Function.SQUARE: Function.ABSOLUTE,
    Function.SQRT: Function.SQUARE,
    Function.RSQRT: Function.RECIPROCAL,
    Function.RECIPROCAL: Function.RSQRT,
    Function.EXP: Function.EXPM1,
    Function.EXPM1: Function.EXP,
    Function.LOG: Function.LOG1P,
    Function.LOG1P: Function.LOG,
    Function.SIN: Function.COS,
    Function.COS: Function.SIN,
    Function.FLOOR: Function.ROUND,
    Function.CEIL: Function.ROUND,
    Function.ROUND: Function.FLOOR,
    Function.ZEROS_LIKE: Function.ONES_LIKE,
    Function.ONES_LIKE: Function.ZEROS_LIKE,
}

REDUCED: Mapping[Reduction, Reduction] = {
    Reduction.MEAN: Reduction.SUM,
    Reduction.SUM: Reduction.MEAN,
    Reduction.MAX: Reduction.MIN,
    Reduction.MIN: Reduction.MAX,
    Reduction.PROD: Reduction.SUM,
    Reduction.STD: Reduction.VARIANCE,
    Reduction.VARIANCE: Reduction.STD,
    Reduction.LOGSUMEXP: Reduction.MAX,
    Reduction.ANY: Reduction.ALL,
    Reduction.ALL: Reduction.ANY,
    Reduction.ARGMAX: Reduction.ARGMIN,
    Reduction.ARGMIN: Reduction.ARGMAX,
}

COMMUTE = frozenset(
    {
        Function.ADD,
        Function.MULTIPLY,
        Function.MAXIMUM,
        Function.MINIMUM,
        Function.LOGICAL_AND,
        Function.LOGICAL_OR,
        Function.LOGICAL_XOR,
    }
)


def mutants(call: Call) -> Iterator[Call]:
    """The call with one thing wrong."""
    layer = call.layer
    for wrong in _wrong(layer):
        yield replace(call, layer=wrong)
    turned = replace(call, inputs=call.inputs[::-1])
    commutes = isinstance(layer, Elementwise) and layer.function in COMMUTE
    if len(set(call.inputs)) > 1 and not commutes:
        of_two = isinstance(layer, Concatenate | Stack | Matmul | Einsum | Elementwise)
        if of_two and len(call.inputs) == 2:
            yield turned
    if isinstance(layer, Split):
        yield replace(call, outputs=call.outputs[1:] + call.outputs[:1])


def _wrong(layer: Layer) -> Iterator[Layer]:
    match layer:
        case Elementwise():
            if layer.function in OTHER:
                yield replace(layer, function=OTHER[layer.function])
            for k, one in enumerate(layer.operands):
                if one is not None:
                    number = one + (1 if isinstance(one, int) else 0.75)
                    operands = (*layer.operands[:k], number, *layer.operands[k + 1 :])
                    yield replace(layer, operands=operands)
        case Reduce():
            yield replace(layer, reduction=REDUCED[layer.reduction])
            if 0 not in layer.axes:  # an axis more in front is broadcast
                yield replace(layer, keepdims=not layer.keepdims)
        case Slice():
            for k, item in enumerate(layer.items):
                for other in _other(item):
                    yield replace(layer, items=(*layer.items[:k], other, *layer.items[k + 1 :]))
        case ExpandDims() | Squeeze():
            yield replace(layer, axes=(layer.axes[0] - 1,))
        case Flip():
            yield replace(layer, axes=(2,))
        case CumulativeSum():
            yield replace(layer, axis=2)
        case Roll():
            yield replace(layer, shift=-layer.shift)
        case Repeat():
            yield Tile(
                name=layer.name,
                times=tuple(layer.times if k == layer.axis else 1 for k in range(3)),
            )
        case Tile():
            yield Repeat(name=layer.name, times=max(layer.times), axis=1)
        case Stack():
            yield replace(layer, axis=layer.axis - 1)
        case Regroup():
            yield replace(layer, target=layer.target[::-1])
        case Matmul():
            yield replace(layer, transposed=(not layer.transposed[0], layer.transposed[1]))
        case Einsum():
            left, _, right = layer.equation.partition("->")
            if len(right) > 1:
                yield replace(layer, equation=f"{left}->{right[::-1]}")
        case Cast(dtype="int32"):
            yield replace(layer, dtype="bool")
        case OneHot():
            yield replace(layer, classes=layer.classes - 1)
        case Constant():
            yield replace(layer, elements=layer.elements[::-1])


def _other(item: int | Span | None) -> Iterator[int | Span]:
    match item:
        case None:
            yield Span()
        case Span():
            if item != Span():
                yield Span()
            if item.start is not None:
                yield item._replace(start=item.start - 1, stop=item.stop and item.stop - 1)
        case _:
            yield item + 1 if item >= 0 else item - 1
