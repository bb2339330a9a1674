"""Operations that compute, outside any layer: as one writes them, `x + y` and `x.mean(1)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

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
    Weight,
)
from converter.description.operations import FLOAT, float_of
from converter.dtypes import FLOATS, numpy_dtype
from converter.gates import AS_IS
from converter.targets.placement import Placement
from converter.targets.torch.emit import emit
from converter.targets.torch.layout import statement
from converter.targets.torch.source import TO, Held, Source

OPERATORS: Mapping[Function, str] = {
    Function.ADD: "+",
    Function.SUBTRACT: "-",
    Function.MULTIPLY: "*",
    Function.DIVIDE: "/",
    Function.FLOOR_DIVIDE: "//",
    Function.MOD: "%",
    Function.POWER: "**",
    Function.EQUAL: "==",
    Function.NOT_EQUAL: "!=",
    Function.GREATER: ">",
    Function.GREATER_EQUAL: ">=",
    Function.LESS: "<",
    Function.LESS_EQUAL: "<=",
}

LOGICAL: Mapping[Function, str] = {
    Function.LOGICAL_AND: "&",
    Function.LOGICAL_OR: "|",
    Function.LOGICAL_XOR: "^",
    Function.LOGICAL_NOT: "~",
}
"""Operators between tensors of bool; functions of other tensors have their names."""

METHODS: Mapping[Function, str] = {
    Function.ABSOLUTE: "abs",
    Function.SIGN: "sign",
    Function.SQUARE: "square",
    Function.SQRT: "sqrt",
    Function.RSQRT: "rsqrt",
    Function.RECIPROCAL: "reciprocal",
    Function.EXP: "exp",
    Function.EXPM1: "expm1",
    Function.LOG: "log",
    Function.LOG1P: "log1p",
    Function.SIN: "sin",
    Function.COS: "cos",
    Function.FLOOR: "floor",
    Function.CEIL: "ceil",
    Function.ROUND: "round",
}
"""Functions of one tensor that are methods of it."""


@emit.register(Elementwise)
def _(layer: Elementwise, source: Source) -> None:
    """An operator or a function; a number stands in the text."""
    helds, alike = _together(source)
    (output,) = source.outputs
    waiting = iter(helds)
    operands = [next(waiting) if one is None else Held(repr(one)) for one in layer.operands]
    texts = [one.text for one in operands]
    atoms = [one.atom for one in operands]
    function = layer.function
    whole = all(value.dtype == "bool" for value in source.inputs)
    compound = False
    match function:
        case _ if function in METHODS:
            text = f"{atoms[0]}.{METHODS[function]}()"
        case Function.NEGATIVE:
            text, compound = f"-{atoms[0]}", True
        case Function.LOGICAL_NOT if whole:
            text, compound = f"~{atoms[0]}", True
        case _ if function in LOGICAL and whole and len(helds) == len(operands):
            text, compound = f" {LOGICAL[function]} ".join(atoms), True
        case _ if function in LOGICAL:
            text = f"torch.{function.value}({', '.join(texts)})"
        case Function.MAXIMUM | Function.MINIMUM if len(helds) == 1:
            side = "min" if function is Function.MAXIMUM else "max"
            number = next(one for one in layer.operands if one is not None)
            text = f"{helds[0].atom}.clamp({side}={number!r})"
        case Function.CLIP:
            text = f"{atoms[0]}.clamp({', '.join(texts[1:])})"
        case Function.POWER:
            text, compound = _power(operands[0], operands[1]), True
        case _ if function in OPERATORS:
            atoms = [_beside(one, function) for one in operands]
            text, compound = f" {OPERATORS[function]} ".join(atoms), True
        case _:
            text = f"torch.{function.value}({', '.join(texts)})"
    like = Held("", channels_first=alike)
    if len(helds) > 1:
        source.give(output, text, like)
    else:
        source.hold(output, text, helds[0] if helds else like, compound=compound)


def _beside(held: Held, function: Function) -> str:
    """An operand; a product in a sum stands without brackets."""
    if function in (Function.ADD, Function.SUBTRACT) and held.compound:
        node = ast.parse(held.text, mode="eval").body
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
            return held.text
    return held.atom


def _power(base: Held, exponent: Held) -> str:
    """`x**2`, with spaces where either is more than a name or a number, as the formatter has it.

    A negative number stands in brackets: its sign binds less.
    """
    front = f"({base.text})" if base.text.startswith("-") else base.atom
    plain = all(re.fullmatch(r"-?[\w.]+", text) for text in (front, exponent.atom))
    return f"{front}**{exponent.atom}" if plain else f"{front} ** {exponent.atom}"


def _together(source: Source) -> tuple[list[Held], bool]:
    """The inputs, with the channels in front where all of them have them there."""
    values = source.inputs
    held = [source.held[value.name] for value in values]
    if len(values) == 1:
        one = source.take_folded(values[0], channels_first=None)
        return [one], one.channels_first
    ranks = {len(value.shape) for value in values}
    alike = len(ranks) == 1 and all(one.channels_first and not one.steps for one in held)
    return _alike(source, channels_first=alike), alike


def _alike(source: Source, *, channels_first: bool = False) -> list[Held]:
    """The inputs, those of a narrower float cast.

    torch.matmul wants one dtype, and a single number of a wider one does not count for PyTorch.
    """
    dtype = float_of(tuple(value.dtype for value in source.inputs))
    found = []
    for value in source.inputs:
        held = source.take(value, channels_first=channels_first)
        if value.dtype in FLOATS and value.dtype != dtype:
            held = replace(held, text=f"{held.atom}{TO[dtype]}", compound=False)
        found.append(held)
    return found


REDUCTIONS: Mapping[Reduction, str] = {
    Reduction.MEAN: "mean",
    Reduction.SUM: "sum",
    Reduction.MAX: "amax",
    Reduction.MIN: "amin",
    Reduction.LOGSUMEXP: "logsumexp",
    Reduction.ARGMAX: "argmax",
    Reduction.ARGMIN: "argmin",
    Reduction.STD: "std",
    Reduction.VARIANCE: "var",
}
ONE_AXIS: Mapping[Reduction, str] = {
    Reduction.PROD: "prod",
    Reduction.ANY: "any",
    Reduction.ALL: "all",
}
"""Reductions that PyTorch has for one axis."""


@emit.register(Reduce)
def _(layer: Reduce, source: Source) -> None:
    """A method."""
    (value,), (output,) = source.inputs, source.outputs
    x = source.take(value)
    text = x.atom
    if layer.reduction is Reduction.MEAN and value.dtype not in FLOATS:
        text += ".float()"
    keep = ", keepdim=True" if layer.keepdims else ""
    if layer.reduction in ONE_AXIS:
        for axis in layer.axes[::-1]:  # from the end, so that the numbers of the others stay
            text += f".{ONE_AXIS[layer.reduction]}({axis}{keep})"
        source.hold(output, text, x)
        return
    name = REDUCTIONS[layer.reduction]
    axes = str(layer.axes[0]) if len(layer.axes) == 1 else str(layer.axes)
    if len(layer.axes) == len(value.shape) and not keep and name in ("mean", "sum"):
        axes = ""
    if layer.reduction in (Reduction.STD, Reduction.VARIANCE):
        keep = f", correction=0{keep}"
    if name == "sum" and value.dtype == "int32":
        keep += ", dtype=torch.int32"
    given = f"{axes}{keep}".removeprefix(", ")
    source.hold(output, f"{text}.{name}({given})", x)


@emit.register(CumulativeSum)
def _(layer: CumulativeSum, source: Source) -> None:
    """A method."""
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{x.atom}.cumsum({layer.axis})", x)


@emit.register(Matmul)
def _(layer: Matmul, source: Source) -> None:
    """The operator of matrices."""
    texts = [
        f"{held.atom}.mT" if turned else held.atom
        for held, turned in zip(_alike(source), layer.transposed, strict=True)
    ]
    source.give(source.outputs[0], " @ ".join(texts))


@emit.register(Einsum)
def _(layer: Einsum, source: Source) -> None:
    """torch.einsum."""
    texts = [held.text for held in _alike(source)]
    source.give(source.outputs[0], f'torch.einsum("{layer.equation}", {", ".join(texts)})')


CASTS = {**TO, "int32": ".int()", "int64": ".long()", "bool": ".bool()"}


@emit.register(Cast)
def _(layer: Cast, source: Source) -> None:
    """A method of the dtype's name, if it changes anything."""
    (value,), (output,) = source.inputs, source.outputs
    x = source.take_folded(value, channels_first=None)
    if value.dtype == layer.dtype:
        source.hold(output, x.text, x, compound=x.compound)
        return
    source.hold(output, f"{x.atom}{CASTS[layer.dtype]}", x)


@emit.register(OneHot)
def _(layer: OneHot, source: Source) -> None:
    """A comparison with every index: an index outside gives zeros, which F.one_hot refuses."""
    (value,) = source.inputs
    x = source.take_folded(value)
    if not x.text.isidentifier():
        x = source.named(x)
    numbers = f"torch.arange({layer.classes}, device={x.text}.device)"
    source.hold(source.outputs[0], f"({x.text}.unsqueeze(-1) == {numbers}).float()", x)


@emit.register(Constant)
def _(layer: Constant, source: Source) -> None:
    """A buffer, which lies with the weights."""
    known = (layer.name, "") in source.attributes
    name = source.attribute(layer)
    if not known:
        dtype = "" if layer.dtype == FLOAT else f", dtype=torch.{layer.dtype}"
        zeros = f"torch.zeros({', '.join(map(str, layer.shape)) or '()'}{dtype})"
        source.modules.extend(statement(f'self.register_buffer("{name}", {zeros})', 8))
        array = np.array(layer.elements, numpy_dtype(layer.dtype)).reshape(layer.shape)
        source.placements.append(Placement((name,), Weight.of(array), AS_IS, added=True))
    source.held[source.outputs[0].name] = Held(f"self.{name}")
