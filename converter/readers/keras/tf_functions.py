"""TensorFlow's functions that tf.keras writes into a graph, and the operations of Keras 3 they are.

`TFOpLambda` in keras/layers/core/tf_op_layer.py (2.4 to 2.15) writes the canonical name of the
function and its arguments by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        kind: The class of Keras 3.
        operands: The names of its tensors behind the first.
        names: What its settings are called in Keras 3, where that differs.
        settings: What they are where nothing is said, and Keras 3 says otherwise.
        harmless: Arguments that change nothing.
    """

    kind: str
    operands: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    harmless: frozenset[str] = frozenset({"name"})


def _rows() -> Iterator[tuple[str, Function]]:
    for name, kind in {
        "__operators__.add": "Add",
        "compat.v1.floor_div": "FloorDivide",
        "math.add": "Add",
        "math.divide": "TrueDivide",
        "math.equal": "Equal",
        "math.floordiv": "FloorDivide",
        "math.floormod": "Mod",
        "math.greater": "Greater",
        "math.greater_equal": "GreaterEqual",
        "math.less": "Less",
        "math.less_equal": "LessEqual",
        "math.logical_and": "LogicalAnd",
        "math.logical_or": "LogicalOr",
        "math.logical_xor": "LogicalXor",
        "math.maximum": "Maximum",
        "math.minimum": "Minimum",
        "math.multiply": "Multiply",
        "math.not_equal": "NotEqual",
        "math.pow": "Power",
        "math.subtract": "Subtract",
        "math.truediv": "TrueDivide",
    }.items():
        yield name, Function(kind, ("y",))
    for name, kind in {
        "math.abs": "Absolute",
        "math.ceil": "Ceil",
        "math.cos": "Cos",
        "math.exp": "Exp",
        "math.expm1": "Expm1",
        "math.floor": "Floor",
        "math.log": "Log",
        "math.log1p": "Log1p",
        "math.logical_not": "LogicalNot",
        "math.negative": "Negative",
        "math.reciprocal": "Reciprocal",
        "math.round": "Round",
        "math.rsqrt": "Rsqrt",
        "math.sigmoid": "Sigmoid",
        "math.sign": "Sign",
        "math.sin": "Sin",
        "math.softplus": "Softplus",
        "math.sqrt": "Sqrt",
        "math.square": "Square",
        "math.tanh": "Tanh",
        "nn.elu": "Elu",
        "nn.log_softmax": "LogSoftmax",
        "nn.relu": "Relu",
        "nn.relu6": "Relu6",
        "nn.selu": "Selu",
        "nn.silu": "Silu",
        "nn.softmax": "Softmax",
        "nn.softsign": "Softsign",
        "zeros_like": "ZerosLike",
        "ones_like": "OnesLike",
    }.items():
        yield name, Function(kind)
    for name, kind in {
        "all": "All",
        "any": "Any",
        "logsumexp": "Logsumexp",
        "max": "Max",
        "mean": "Mean",
        "min": "Min",
        "prod": "Prod",
        "std": "Std",
        "sum": "Sum",
        "variance": "Var",
    }.items():
        yield f"math.reduce_{name}", Function(kind)
    for name in ("argmax", "argmin"):
        yield (
            f"math.{name}",
            Function(
                name.title(), names={"output_type": "dtype"}, settings={"axis": 0, "dtype": "int64"}
            ),
        )
    yield "nn.gelu", Function("Gelu", settings={"approximate": False})
    yield "nn.leaky_relu", Function("LeakyRelu", names={"alpha": "negative_slope"})
    yield "where", Function("Where", ("x", "y"))
    yield "linalg.matmul", Function("Matmul", ("b",))
    yield "tensordot", Function("Tensordot", ("b",))
    names = {"clip_value_min": "x_min", "clip_value_max": "x_max"}
    yield "clip_by_value", Function("Clip", names=names)
    yield "cast", Function("Cast")
    yield "one_hot", Function("OneHot", names={"depth": "num_classes"})
    yield "expand_dims", Function("ExpandDims")
    yield "compat.v1.squeeze", Function("Squeeze")
    yield "squeeze", Function("Squeeze")
    yield "reshape", Function("Reshape", names={"shape": "newshape"})
    harmless = frozenset({"name", "conjugate"})  # of complex numbers
    for name in ("transpose", "compat.v1.transpose"):
        yield name, Function("Transpose", names={"perm": "axes"}, harmless=harmless)
    yield "reverse", Function("Flip")
    yield "roll", Function("Roll")
    yield "repeat", Function("Repeat")
    yield "tile", Function("Tile", names={"multiples": "repeats"})
    yield "concat", Function("Concatenate")
    yield "stack", Function("Stack")
    yield "split", Function("Split", names={"num_or_size_splits": "sizes"})
    yield "unstack", Function("Unstack")


FUNCTIONS: Mapping[str, Function] = dict(_rows())
