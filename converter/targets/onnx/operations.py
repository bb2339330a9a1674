"""Operations that compute, outside any layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from converter.description import (
    Cast,
    Constant,
    CumulativeSum,
    Einsum,
    Elementwise,
    Function,
    Matmul,
    OneHot,
    Reduce,
    Reduction,
)
from converter.targets.onnx.activation import number
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import BOOL, FLOAT, INT32, INT64, Graph, Order, as_it_is, type_of
from converter.targets.onnx.pooling import left

KINDS: Mapping[Function, str] = {
    Function.ADD: "Add",
    Function.SUBTRACT: "Sub",
    Function.MULTIPLY: "Mul",
    Function.DIVIDE: "Div",
    Function.POWER: "Pow",
    Function.MAXIMUM: "Max",
    Function.MINIMUM: "Min",
    Function.NEGATIVE: "Neg",
    Function.ABSOLUTE: "Abs",
    Function.SIGN: "Sign",
    Function.SQRT: "Sqrt",
    Function.RECIPROCAL: "Reciprocal",
    Function.EXP: "Exp",
    Function.LOG: "Log",
    Function.SIN: "Sin",
    Function.COS: "Cos",
    Function.FLOOR: "Floor",
    Function.CEIL: "Ceil",
    Function.ROUND: "Round",
}
"""Functions that are a node."""

COMPARISONS: Mapping[Function, str] = {
    Function.EQUAL: "Equal",
    Function.GREATER: "Greater",
    Function.GREATER_EQUAL: "GreaterOrEqual",
    Function.LESS: "Less",
    Function.LESS_EQUAL: "LessOrEqual",
}

LOGICAL: Mapping[Function, str] = {
    Function.LOGICAL_AND: "And",
    Function.LOGICAL_OR: "Or",
    Function.LOGICAL_XOR: "Xor",
    Function.LOGICAL_NOT: "Not",
}
"""Of bool, which other tensors are made into."""


@emit.register(Elementwise)
def _(layer: Elementwise, graph: Graph) -> None:
    """One node or a few, of operands of one dtype."""
    values = graph.inputs
    ranks = {len(value.shape) for value in values}
    order = graph.common_order(values) if len(ranks) == 1 else None
    tensors = iter([graph.take(value, order) for value in values])
    given = [next(tensors) if one is None else one for one in layer.operands]
    function = layer.function
    operands: list[ir.Value] = []
    for k, one in enumerate(given):
        wanted = _operand_dtype(layer, graph, first=k == 0)
        operands.append(
            graph.cast(one, wanted) if isinstance(one, ir.Value) else graph.constant(one, wanted)
        )
    if function in LOGICAL:
        y = graph.op(LOGICAL[function], *operands)
    elif function in COMPARISONS:
        y = graph.op(COMPARISONS[function], *operands, dtype=BOOL)
    elif function in KINDS:
        y = graph.op(KINDS[function], *operands)
    else:
        y = FORMULAS[function](graph, *operands)
    graph.give(graph.outputs[0], y, order)


def _operand_dtype(layer: Elementwise, graph: Graph, *, first: bool) -> ir.DataType:
    """In which an operand is computed with."""
    function = layer.function
    if function in LOGICAL or (function is Function.WHERE and first):
        return BOOL
    dtypes = tuple(value.dtype for value in graph.inputs)
    if function not in COMPARISONS and function is not Function.NOT_EQUAL:
        return type_of(layer.output_dtype(dtypes))
    floats = any(isinstance(one, float) for one in layer.operands)
    if floats or len(set(dtypes)) > 1 or not dtypes:
        return FLOAT
    found = type_of(dtypes[0])
    return INT32 if found == BOOL else found


def _is_float(x: ir.Value) -> bool:
    return x.dtype is not None and x.dtype.is_floating_point()


def _modulo(graph: Graph, x: ir.Value, y: ir.Value) -> ir.Value:
    """What is left, with the sign of the divisor."""
    if not _is_float(x):
        return graph.op("Mod", x, y)
    rest = graph.op("Mod", x, y, fmod=1)
    other = graph.op("Less", graph.op("Mul", rest, y), number(graph, 0), dtype=BOOL)
    return graph.op("Where", other, graph.op("Add", rest, y), rest, dtype=x.dtype)


def _floor_divide(graph: Graph, x: ir.Value, y: ir.Value) -> ir.Value:
    quotient = graph.op("Div", graph.op("Sub", x, _modulo(graph, x, y)), y)
    return graph.op("Round", quotient) if _is_float(x) else quotient


def _expm1(graph: Graph, x: ir.Value) -> ir.Value:
    """By the tanh of the half near 0, where exp(x) - 1 would be what its rounding leaves."""
    half = graph.op("Tanh", graph.op("Mul", x, number(graph, 0.5)))
    rest = graph.op("Sub", number(graph, 1), half)
    near = graph.op("Div", graph.op("Mul", half, number(graph, 2)), rest)
    far = graph.op("Sub", graph.op("Exp", x), number(graph, 1))
    small = graph.op("Less", graph.op("Abs", x), number(graph, 0.5), dtype=BOOL)
    return graph.op("Where", small, near, far, dtype=x.dtype)


def _log1p(graph: Graph, x: ir.Value) -> ir.Value:
    """Log(u) x / (u - 1) with u = 1 + x rounded, which takes the rounding out again."""
    one = number(graph, 1)
    u = graph.op("Add", x, one)
    added = graph.op("Sub", u, one)
    corrected = graph.op("Mul", graph.op("Log", u), graph.op("Div", x, added))
    nothing = graph.op("Equal", added, number(graph, 0), dtype=BOOL)
    return graph.op("Where", nothing, x, corrected, dtype=x.dtype)


def _filled(value: float) -> Callable[[Graph, ir.Value], ir.Value]:
    def filled(graph: Graph, x: ir.Value) -> ir.Value:
        dtype = x.dtype or FLOAT
        one = ir.tensor(np.array([value], dtype.numpy()))
        return graph.op(
            "ConstantOfShape", graph.op("Shape", x, dtype=INT64), dtype=dtype, value=one
        )

    return filled


FORMULAS: Mapping[Function, Callable[..., ir.Value]] = {
    Function.NOT_EQUAL: lambda graph, x, y: graph.op("Not", graph.op("Equal", x, y, dtype=BOOL)),
    Function.WHERE: lambda graph, condition, x, y: graph.op(
        "Where", condition, x, y, dtype=x.dtype
    ),
    Function.FLOOR_DIVIDE: _floor_divide,
    Function.MOD: _modulo,
    Function.SQUARE: lambda graph, x: graph.op("Mul", x, x),
    Function.RSQRT: lambda graph, x: graph.op("Reciprocal", graph.op("Sqrt", x)),
    Function.EXPM1: _expm1,
    Function.LOG1P: _log1p,
    Function.CLIP: lambda graph, x, low, high: graph.op("Min", graph.op("Max", x, low), high),
    Function.ZEROS_LIKE: _filled(0),
    Function.ONES_LIKE: _filled(1),
}

REDUCTIONS: Mapping[Reduction, str] = {
    Reduction.MEAN: "ReduceMean",
    Reduction.SUM: "ReduceSum",
    Reduction.MAX: "ReduceMax",
    Reduction.MIN: "ReduceMin",
    Reduction.PROD: "ReduceProd",
    Reduction.LOGSUMEXP: "ReduceLogSumExp",
    Reduction.ANY: "ReduceMax",
    Reduction.ALL: "ReduceMin",
}


@emit.register(Reduce)
def _(layer: Reduce, graph: Graph) -> None:
    """A node, of the axes where they are."""
    (value,), (output,) = graph.inputs, graph.outputs
    order = graph.order_of(value)
    axes = [order.index(axis) for axis in layer.axes]
    wanted = type_of(layer.output_dtype((value.dtype,)))
    x = graph.take(value, order)
    keep = layer.keepdims
    match layer.reduction:
        case Reduction.ANY | Reduction.ALL:
            x = graph.cast(graph.cast(x, BOOL), INT32)
            y = graph.reduce(REDUCTIONS[layer.reduction], x, *axes, keepdims=keep)
        case Reduction.ARGMAX | Reduction.ARGMIN:
            kind = "ArgMax" if layer.reduction is Reduction.ARGMAX else "ArgMin"
            x = graph.cast(x, INT32) if x.dtype == BOOL else x
            y = graph.op(kind, x, dtype=INT64, axis=axes[0], keepdims=int(keep))
        case Reduction.STD | Reduction.VARIANCE:
            y = _variance(graph.cast(x, graph.real), axes, keep, graph)
            y = graph.op("Sqrt", y) if layer.reduction is Reduction.STD else y
        case _:
            x = graph.cast(x, INT32 if wanted == BOOL else wanted)
            y = graph.reduce(REDUCTIONS[layer.reduction], x, *axes, keepdims=keep)
    graph.give(output, graph.cast(y, wanted), order if keep else left(order, layer.axes))


def _variance(x: ir.Value, axes: Sequence[int], keep: bool, graph: Graph) -> ir.Value:
    centred = graph.op("Sub", x, graph.reduce("ReduceMean", x, *axes, keepdims=True))
    squares = graph.op("Mul", centred, centred)
    return graph.reduce("ReduceMean", squares, *axes, keepdims=keep)


@emit.register(CumulativeSum)
def _(layer: CumulativeSum, graph: Graph) -> None:
    """A node, of the axis where it is."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    axis = graph.constant(order.index(layer.axis % len(order)))
    graph.give(graph.outputs[0], graph.op("CumSum", graph.take(value, order), axis), order)


@emit.register(Matmul)
def _(layer: Matmul, graph: Graph) -> None:
    """A node, of matrices turned where they are to be."""
    wanted = type_of(layer.output_dtype(tuple(value.dtype for value in graph.inputs)))
    factors = []
    for value, turned in zip(graph.inputs, layer.transposed, strict=True):
        order: Order = as_it_is(value)
        order = (*order[:-2], order[-1], order[-2]) if turned else order
        factors.append(graph.cast(graph.take(value, order), wanted))
    graph.give(graph.outputs[0], graph.op("MatMul", *factors, name=graph.prefix))


@emit.register(Einsum)
def _(layer: Einsum, graph: Graph) -> None:
    """A node."""
    wanted = type_of(layer.output_dtype(tuple(value.dtype for value in graph.inputs)))
    factors = [graph.cast(graph.take(value), wanted) for value in graph.inputs]
    y = graph.op("Einsum", *factors, name=graph.prefix, equation=layer.equation)
    graph.give(graph.outputs[0], y)


@emit.register(Cast)
def _(layer: Cast, graph: Graph) -> None:
    """A node, if it changes anything."""
    (value,), (output,) = graph.inputs, graph.outputs
    order = graph.order_of(value)
    graph.give(output, graph.cast(graph.take(value, order), type_of(layer.dtype)), order)


@emit.register(OneHot)
def _(layer: OneHot, graph: Graph) -> None:
    """A comparison with every index: ONNX's own node counts negative ones from the end."""
    (value,), (output,) = graph.inputs, graph.outputs
    x = graph.take(value)
    index = graph.op("Unsqueeze", x, graph.axes(-1))
    every = graph.constant(list(range(layer.classes)), x.dtype or INT64)
    graph.give(output, graph.cast(graph.op("Equal", index, every, dtype=BOOL), graph.real))


@emit.register(Constant)
def _(layer: Constant, graph: Graph) -> None:
    """A stored tensor that the source has not as one."""
    array = np.array(layer.elements, type_of(layer.dtype).numpy()).reshape(layer.shape)
    graph.give(graph.outputs[0], graph.added(layer, "value", array))
