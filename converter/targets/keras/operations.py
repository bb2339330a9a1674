"""Operations that compute, outside any layer: keras.ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
)
from converter.dtypes import numpy_dtype
from converter.targets.keras.emit import Around, Part, emit, operation

CLASSES: Mapping[Function, str] = {
    Function.DIVIDE: "TrueDivide",
    Function.LOG1P: "Log1p",
    Function.ZEROS_LIKE: "ZerosLike",
    Function.ONES_LIKE: "OnesLike",
}
"""Where the class is called otherwise than "logical_and" -> "LogicalAnd"."""

SETTINGS: Mapping[Function, dict[str, Any]] = {
    Function.ROUND: {"decimals": 0},
    Function.ZEROS_LIKE: {"dtype": None},
    Function.ONES_LIKE: {"dtype": None},
}


@emit.register(Elementwise)
def _(layer: Elementwise, around: Around) -> Part:
    function = layer.function
    kind = CLASSES.get(function) or function.value.title().replace("_", "")
    module = "math" if function is Function.RSQRT else "numpy"
    if function is Function.CLIP:
        _, low, high = layer.operands
        return operation(layer, around, kind, {"x_min": low, "x_max": high})
    config = dict(SETTINGS.get(function, {}))
    return operation(layer, around, kind, config, module=module, operands=layer.operands)


@emit.register(Reduce)
def _(layer: Reduce, around: Around) -> Part:
    reduction = layer.reduction
    one = len(layer.axes) == 1
    config: dict[str, Any] = {"axis": layer.axes[0] if one else list(layer.axes)}
    config["keepdims"] = layer.keepdims
    if reduction in (Reduction.MAX, Reduction.MIN):
        config["initial"] = None
    if reduction is Reduction.PROD:
        config["dtype"] = None
    module = "math" if reduction is Reduction.LOGSUMEXP else "numpy"
    return operation(layer, around, reduction.value.title(), config, module=module)


@emit.register(CumulativeSum)
def _(layer: CumulativeSum, around: Around) -> Part:
    return operation(layer, around, "Cumsum", {"axis": layer.axis})


@emit.register(Matmul)
def _(layer: Matmul, around: Around) -> Part:
    return operation(layer, around, "Matmul")


@emit.register(Einsum)
def _(layer: Einsum, around: Around) -> Part:
    return operation(layer, around, "Einsum", {"subscripts": layer.equation})


@emit.register(Cast)
def _(layer: Cast, around: Around) -> Part:
    return operation(layer, around, "Cast", {"dtype": layer.dtype}, module="core")


@emit.register(OneHot)
def _(layer: OneHot, around: Around) -> Part:
    config = {"num_classes": layer.classes, "axis": -1, "dtype": "float32", "sparse": False}
    return operation(layer, around, "OneHot", config, module="nn")


def literal(layer: Constant) -> dict[str, Any]:
    """A constant as an operand."""
    array = np.array(layer.elements, numpy_dtype(layer.dtype)).reshape(layer.shape)
    config = {"value": array.tolist(), "dtype": layer.dtype}
    return {"class_name": "__numpy__", "config": config}
