"""Operations that compute, outside any layer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from converter.activations import Activation
from converter.description import (
    Activate,
    Cast,
    Constant,
    CumulativeSum,
    Einsum,
    Elementwise,
    Function,
    Layer,
    Matmul,
    OneHot,
    Reduce,
    Reduction,
    Shape,
    ShapeMismatchError,
)
from converter.description.model import axis_of
from converter.dtypes import FLOATS, numpy_dtype
from converter.readers.keras.config import PREFIX, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.nodes import CONSTANT, refusal
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

FUNCTIONS: Mapping[str, Function] = {
    "Absolute": Function.ABSOLUTE,
    "Add": Function.ADD,
    "Ceil": Function.CEIL,
    "Cos": Function.COS,
    "Divide": Function.DIVIDE,
    "Equal": Function.EQUAL,
    "Exp": Function.EXP,
    "Expm1": Function.EXPM1,
    "Floor": Function.FLOOR,
    "FloorDivide": Function.FLOOR_DIVIDE,
    "Greater": Function.GREATER,
    "GreaterEqual": Function.GREATER_EQUAL,
    "Less": Function.LESS,
    "LessEqual": Function.LESS_EQUAL,
    "Log": Function.LOG,
    "Log1p": Function.LOG1P,
    "LogicalAnd": Function.LOGICAL_AND,
    "LogicalNot": Function.LOGICAL_NOT,
    "LogicalOr": Function.LOGICAL_OR,
    "LogicalXor": Function.LOGICAL_XOR,
    "Maximum": Function.MAXIMUM,
    "Minimum": Function.MINIMUM,
    "Mod": Function.MOD,
    "Multiply": Function.MULTIPLY,
    "Negative": Function.NEGATIVE,
    "NotEqual": Function.NOT_EQUAL,
    "Power": Function.POWER,
    "Reciprocal": Function.RECIPROCAL,
    "Round": Function.ROUND,
    "Rsqrt": Function.RSQRT,
    "Sign": Function.SIGN,
    "Sin": Function.SIN,
    "Sqrt": Function.SQRT,
    "Square": Function.SQUARE,
    "Subtract": Function.SUBTRACT,
    "TrueDivide": Function.DIVIDE,
    "Where": Function.WHERE,
}

LOGICAL = frozenset(
    {Function.LOGICAL_AND, Function.LOGICAL_OR, Function.LOGICAL_XOR, Function.LOGICAL_NOT}
)
"""Functions of tensors alone."""

REDUCTIONS: Mapping[str, Reduction] = {
    "All": Reduction.ALL,
    "Amax": Reduction.MAX,
    "Amin": Reduction.MIN,
    "Any": Reduction.ANY,
    "Logsumexp": Reduction.LOGSUMEXP,
    "Max": Reduction.MAX,
    "Mean": Reduction.MEAN,
    "Min": Reduction.MIN,
    "Prod": Reduction.PROD,
    "Std": Reduction.STD,
    "Sum": Reduction.SUM,
    "Var": Reduction.VARIANCE,
}

ACTIVATIONS: Mapping[str, str] = {
    "Celu": "celu",
    "Elu": "elu",
    "Gelu": "gelu",
    "HardShrink": "hard_shrink",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LeakyRelu": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "LogSoftmax": "log_softmax",
    "ReLU": "relu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softmax": "softmax",
    "SoftShrink": "soft_shrink",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "Squareplus": "squareplus",
    "Tanh": "tanh",
    "TanhShrink": "tanh_shrink",
}

DTYPES = (*FLOATS, "int32", "int64", "bool")


def ops(*kinds: str) -> tuple[str, ...]:
    """The kinds of Keras 3's operations of these names."""
    return tuple(f"{PREFIX}{kind}" for kind in kinds)


def operands(config: Config) -> tuple[float | int | bool | None, ...]:
    """The operands: numbers, and None for each tensor.

    Raises:
        UnsupportedError: One of them is neither.
    """
    values = config.value("operands")
    for value in values:
        if not isinstance(value, int | float) and not is_operand(value):
            raise refusal(config.where, f"the operand {shown(value)}")
    return tuple(None if is_operand(value) else value for value in values)


def is_operand(value: object) -> bool:
    """Whether it stands in the place of a tensor."""
    return isinstance(value, dict) and value.keys() == {"tensor"}


def only_tensors(config: Config, count: int) -> None:
    """Refuse operands that are not `count` tensors."""
    if operands(config) != (None,) * count:
        raise refusal(config.where, f"the operands {shown(config.value('operands'))}")


def unset(config: Config, *keys: str) -> None:
    """Refuse settings that are said, and change what is computed."""
    for key in keys:
        value = config.value(key, default=None)
        if value is not None:
            raise refusal(config.where, f"{key}={shown(value)}")


def axes_of(config: Config, rank: int, *keys: str) -> tuple[int, ...]:
    """One axis or several, counted from the front; all of them where none is said."""
    value = config.value(*keys, default=None)
    if value is None:
        return tuple(range(rank))
    if isinstance(value, list):
        axes = [axis_of(axis, rank) for axis in config.integers(*keys, least=-32, most=32)]
    else:
        axes = [axis_of(config.integer(*keys, least=-32, most=32), rank)]
    if len(set(axes)) < len(axes):
        raise ShapeMismatchError(f"axes {value} of a tensor of rank {rank}: one twice")
    return tuple(sorted(axes))


@reads(*ops(*FUNCTIONS), several=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    function = FUNCTIONS[config.kind.removeprefix(PREFIX)]
    if function is Function.ROUND:
        config.must_be("decimals", 0, code="operation", hint="round to whole numbers")
    given = operands(config)
    if function in LOGICAL and given != (None,) * len(given):
        raise refusal(config.where, f"the operands {shown(config.value('operands'))}")
    return Elementwise(**config.base(), function=function, operands=given)


@reads(*ops("ZerosLike", "OnesLike"))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    zeros = config.kind == f"{PREFIX}ZerosLike"
    only_tensors(config, 1)
    unset(config, "dtype")
    function = Function.ZEROS_LIKE if zeros else Function.ONES_LIKE
    return Elementwise(**config.base(), function=function, operands=(None,))


@reads(*ops("Clip"))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    bounds = [config.value(key, default=None) for key in ("x_min", "x_max")]
    if not all(isinstance(one, int | float) for one in bounds):
        raise refusal(config.where, f"x_min={shown(bounds[0])}, x_max={shown(bounds[1])}")
    return Elementwise(**config.base(), function=Function.CLIP, operands=(None, *bounds))


@reads(*ops(*REDUCTIONS))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    unset(config, "initial", "dtype")
    return Reduce(
        **config.base(),
        reduction=REDUCTIONS[config.kind.removeprefix(PREFIX)],
        axes=axes_of(config, len(inputs[0]), "axis"),
        keepdims=config.boolean("keepdims", default=False),
    )


@reads(*ops("Cumsum"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    unset(config, "dtype")
    axes = axes_of(config, len(inputs[0]), "axis")
    if len(axes) > 1:
        raise refusal(config.where, "a sum along the whole tensor, axis=None")
    return CumulativeSum(**config.base(), axis=axes[0])


@reads(*ops("Argmax", "Argmin"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    if config.value("axis", default=None) is None:
        raise refusal(config.where, "an index into the whole tensor, axis=None")
    axis = config.integer("axis", least=-32, most=32)
    return Reduce(
        **config.base(),
        reduction=Reduction(config.kind.removeprefix(PREFIX).lower()),
        axes=(axis_of(axis, len(inputs[0])),),
        keepdims=config.boolean("keepdims", default=False),
        dtype=config.text("dtype", among=("int32", "int64"), default="int32"),
    )


@reads(*ops(*ACTIVATIONS))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    kind = ACTIVATIONS[config.kind.removeprefix(PREFIX)]
    parameters: dict[str, Any] = {}
    for key in dict(Activation.of(kind).parameters):
        if config.value(key, default=None) is not None:
            parameters[key] = _parameter(config, key)
    activation = Activation.of(kind, **parameters)
    axes = {axis_of(axis, len(inputs[0])) for axis in activation.axes}
    if len(axes) < len(activation.axes):
        raise ShapeMismatchError(f"axes {activation.axes}: one twice")
    return Activate(**config.base(), activation=activation)


def _parameter(config: Config, key: str) -> float | int | bool | tuple[int, ...]:
    value = config.value(key)
    if isinstance(value, bool):
        return value
    if key != "axis":
        return config.number(key)
    if isinstance(value, list):
        axes = config.integers(key, least=-32, most=32)
        return axes if len(axes) > 1 else axes[0]
    return config.integer(key, least=-32, most=32)


@reads(*ops("Matmul"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 2)
    if min(len(x) for x in inputs) < 2:
        raise refusal(config.where, f"the product of tensors of ranks {[len(x) for x in inputs]}")
    turned = [config.boolean(f"transpose_{key}", default=False) for key in "ab"]
    return Matmul(**config.base(), transposed=(turned[0], turned[1]))


@reads(*ops("Dot"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """The last axis of the first with the last but one of the second."""
    only_tensors(config, 2)
    a, b = (len(x) for x in inputs)
    if not a or not b:
        raise refusal(config.where, f"the product of tensors of ranks {a} and {b}")
    return _summed(config, inputs, (a - 1,), (max(b - 2, 0),))


@reads(*ops("Tensordot"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 2)
    a, b = (len(x) for x in inputs)
    axes = config.value("axes", default=2)
    if type(axes) is int and 0 < axes <= min(a, b):
        return _summed(config, inputs, tuple(range(a - axes, a)), tuple(range(axes)))
    pairs = [one if isinstance(one, list) else [one] for one in axes] if _is_pair(axes) else []
    if not pairs or any(type(one) is not int for one in chain(*pairs)):
        raise refusal(config.where, f"axes={shown(axes)}")
    first, second = (
        tuple(axis_of(one, rank) for one in some) for some, rank in zip(pairs, (a, b), strict=True)
    )
    return _summed(config, inputs, first, second)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def _summed(
    config: Config, inputs: tuple[Shape, ...], first: tuple[int, ...], second: tuple[int, ...]
) -> Layer:
    """The sum of products over pairs of axes; the others follow each other."""
    if len(first) != len(second) or len(set(first)) < len(first) or len(set(second)) < len(second):
        raise refusal(config.where, f"axes {first} and {second}")
    letters = iter(ascii_lowercase + ascii_uppercase)
    a = [next(letters) for _ in inputs[0]]
    pairs = dict(zip(second, first, strict=True))
    b = [a[pairs[k]] if k in pairs else next(letters) for k in range(len(inputs[1]))]
    result = [one for k, one in enumerate(a) if k not in first]
    result += [one for k, one in enumerate(b) if k not in second]
    return Einsum(**config.base(), equation=f"{''.join(a)},{''.join(b)}->{''.join(result)}")


@reads(*ops("Einsum"), several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, len(inputs))
    text = config.text("subscripts").replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    known = set(left) - {","}
    plain = all(letter.isascii() and letter.isalpha() for letter in known | set(right))
    once = all(len(set(term)) == len(term) for term in (*terms, right))
    if not (arrow and plain and once and set(right) <= known and len(terms) == len(inputs)):
        raise refusal(config.where, f"subscripts {shown(text)}")
    return Einsum(**config.base(), equation=text)


@reads(*ops("Cast"))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    dtype = config.text("dtype")
    if dtype not in DTYPES:
        raise refusal(config.where, f"a cast to {dtype}; read are {', '.join(DTYPES)}")
    return Cast(**config.base(), dtype=dtype)


@reads(*ops("OneHot"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    only_tensors(config, 1)
    axis = config.value("axis", default=-1)
    if axis not in (-1, len(inputs[0])) or isinstance(axis, bool):
        raise refusal(config.where, f"axis={shown(axis)}")
    for key, usual in {"dtype": "float32", "sparse": False}.items():
        if config.value(key, default=None) not in (None, usual):
            raise refusal(config.where, f"{key}={shown(config.value(key))}")
    return OneHot(**config.base(), classes=config.integer("num_classes", most=2**20))


@reads(CONSTANT, none=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """An array that is among the operands of another operation."""
    value, said = config.value("value"), config.text("dtype", default="")
    try:
        array = np.array(value)
    except (ValueError, OverflowError) as error:  # nested lists of different lengths
        raise refusal(config.where, f"the constant {shown(value)}") from error
    usual = {"f": "float32", "i": "int32", "b": "bool"}.get(array.dtype.kind, "")
    dtype = said or usual
    if dtype not in DTYPES or not usual or not array.size:
        raise refusal(config.where, f"a constant of {said or array.dtype}; float32 can be read")
    array = array.astype(numpy_dtype(dtype))
    return Constant(
        **config.base(), elements=tuple(array.ravel().tolist()), shape=array.shape, dtype=dtype
    )
