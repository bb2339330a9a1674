"""Activations: as nodes, and as attributes of a recurrent node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any

import numpy as np
import onnx_ir as ir

from converter.activations import Activation
from converter.description.model import axis_of
from converter.errors import UnsupportedError
from converter.targets.onnx.graph import BOOL, FLOAT, INT64, Graph, Order

Nodes = Callable[..., ir.Value]
"""From the graph, what holds x, and the parameters, to what holds the activation of it."""

NODES: dict[str, Nodes] = {}


def activated(
    activation: Activation, x: ir.Value, graph: Graph, order: Order | None = None
) -> ir.Value:
    """The activation of `x`, as nodes.

    Args:
        activation: Which.
        x: Of floats.
        graph: Written into.
        order: Of the axes of `x`; needed by one that has an axis.

    Raises:
        UnsupportedError: It has no nodes.
    """
    parameters: dict[str, Any] = dict(activation.parameters)
    if "axis" in parameters and order is not None:
        axes = parameters["axis"]
        several = isinstance(axes, tuple)
        found = [order.index(axis_of(axis, len(order))) for axis in (axes if several else (axes,))]
        parameters["axis"] = tuple(found) if several else found[0]
    if activation.kind not in NODES:
        layer = graph.call.layer.name if graph.call else ""
        raise UnsupportedError(
            f"layer '{layer}' has an activation without ONNX nodes",
            context=f"{activation}; known: {', '.join(sorted(NODES))}",
            hint="--to pytorch knows it",
            code="unsupported-activation",
        )
    return NODES[activation.kind](graph, x, **parameters)


def _nodes(kind: str) -> Callable[[Nodes], Nodes]:
    def add(nodes: Nodes) -> Nodes:
        NODES[kind] = nodes
        return nodes

    return add


def _one(kind: str, **attributes: Any) -> Nodes:
    """A node of a kind, with the parameters as its attributes."""
    return lambda graph, x, **parameters: graph.op(kind, x, **attributes, **parameters)


def number(graph: Graph, value: float) -> ir.Value:
    """A constant of floats."""
    return graph.constant(value, graph.real)


def clip(graph: Graph, x: ir.Value, low: float | None, high: float | None) -> ir.Value:
    """`x` within bounds; None for none."""
    bounds = [None if bound is None else number(graph, bound) for bound in (low, high)]
    return graph.op("Clip", x, *bounds)


NODES |= {
    "linear": lambda _graph, x: x,
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
    "relu6": lambda graph, x: clip(graph, x, 0, 6),
    "leaky_relu": lambda graph, x, negative_slope: graph.op("LeakyRelu", x, alpha=negative_slope),
    "elu": _one("Elu"),
    "celu": lambda graph, x, alpha: graph.cast(  # which ONNX has in float32 alone
        graph.op("Celu", graph.cast(x, FLOAT), alpha=alpha), graph.real
    ),
    "selu": _one("Selu"),
    "softplus": _one("Softplus"),
    "softsign": _one("Softsign"),
    "exponential": _one("Exp"),
    "hard_sigmoid": _one("HardSigmoid"),
    "sparse_sigmoid": _one("HardSigmoid", alpha=0.5, beta=0.5),
    "hard_silu": _one("HardSwish"),
    "hard_tanh": lambda graph, x: clip(graph, x, -1, 1),
    "hard_shrink": lambda graph, x, threshold: graph.op("Shrink", x, lambd=threshold, bias=0.0),
    "soft_shrink": lambda graph, x, threshold: graph.op(
        "Shrink", x, lambd=threshold, bias=threshold
    ),
    "tanh_shrink": lambda graph, x: graph.op("Sub", x, graph.op("Tanh", x)),
    "silu": lambda graph, x: graph.op("Mul", x, graph.op("Sigmoid", x)),
    "mish": lambda graph, x: graph.op("Mul", x, graph.op("Tanh", graph.op("Softplus", x))),
    "log_sigmoid": lambda graph, x: graph.op("Neg", graph.op("Softplus", graph.op("Neg", x))),
}


@_nodes("softmax")
def _(graph: Graph, x: ir.Value, axis: int | tuple[int, ...]) -> ir.Value:
    """A node along one axis, the formula along several."""
    if isinstance(axis, int):
        return graph.op("Softmax", x, axis=axis)
    largest = graph.reduce("ReduceMax", x, *axis, keepdims=True)
    powers = graph.op("Exp", graph.op("Sub", x, largest))
    return graph.op("Div", powers, graph.reduce("ReduceSum", powers, *axis, keepdims=True))


@_nodes("log_softmax")
def _(graph: Graph, x: ir.Value, axis: int | tuple[int, ...]) -> ir.Value:
    """A node along one axis, the formula along several."""
    if isinstance(axis, int):
        return graph.op("LogSoftmax", x, axis=axis)
    shifted = graph.op("Sub", x, graph.reduce("ReduceMax", x, *axis, keepdims=True))
    total = graph.reduce("ReduceSum", graph.op("Exp", shifted), *axis, keepdims=True)
    return graph.op("Sub", shifted, graph.op("Log", total))


@_nodes("relu")
def _(
    graph: Graph, x: ir.Value, negative_slope: float, max_value: float | None, threshold: float
) -> ir.Value:
    """As `converter.activations` has it: the threshold is exclusive, the clip comes last."""
    if threshold:
        above = (
            graph.op("ThresholdedRelu", x, alpha=threshold)
            if threshold > 0
            else graph.op(
                "Where",
                graph.op("Greater", x, number(graph, threshold), dtype=BOOL),
                x,
                number(graph, 0),
                dtype=graph.real,
            )
        )
        above = above if max_value is None else clip(graph, above, 0, max_value)
    elif max_value is None:
        if negative_slope:
            return graph.op("LeakyRelu", x, alpha=negative_slope)
        return graph.op("Relu", x)
    else:
        above = clip(graph, x, 0, max_value)
    if not negative_slope:
        return above
    below = graph.op("Relu", graph.op("Sub", number(graph, threshold), x))
    return graph.op("Sub", above, graph.op("Mul", below, number(graph, negative_slope)))


@_nodes("gelu")
def _(graph: Graph, x: ir.Value, approximate: bool) -> ir.Value:
    """A node since opset 20, the formula before."""
    if graph.opset >= 20:
        return graph.op("Gelu", x, approximate="tanh" if approximate else "none")
    half = graph.op("Mul", x, number(graph, 0.5))
    if approximate:
        cube = graph.op("Pow", x, number(graph, 3))
        inner = graph.op("Add", x, graph.op("Mul", cube, number(graph, 0.044715)))
        shape = graph.op("Tanh", graph.op("Mul", inner, number(graph, sqrt(2 / pi))))
    else:
        shape = graph.op("Erf", graph.op("Mul", x, number(graph, sqrt(0.5))))
    return graph.op("Mul", half, graph.op("Add", shape, number(graph, 1)))


@_nodes("squareplus")
def _(graph: Graph, x: ir.Value, b: float) -> ir.Value:
    """(x + sqrt(x^2 + b)) / 2."""
    square = graph.op("Add", graph.op("Mul", x, x), number(graph, b))
    return graph.op("Mul", graph.op("Add", x, graph.op("Sqrt", square)), number(graph, 0.5))


@_nodes("sparse_plus")
def _(graph: Graph, x: ir.Value) -> ir.Value:
    """1 and more as it is, ((x + 1) / 2)^2 between, -1 and less as 0."""
    half = graph.op("HardSigmoid", x, alpha=0.5, beta=0.5)
    above = graph.op("Relu", graph.op("Sub", x, number(graph, 1)))
    return graph.op("Add", graph.op("Mul", half, half), above)


@_nodes("glu")
def _(graph: Graph, x: ir.Value, axis: int) -> ir.Value:
    """The first half times the sigmoid of the second."""
    value, gate = graph.split(x, 2, axis)
    return graph.op("Mul", value, graph.op("Sigmoid", gate))


@_nodes("sparsemax")
def _(graph: Graph, x: ir.Value, axis: int) -> ir.Value:
    """As Keras computes it: see `converter.activations`."""
    size = graph.op("Shape", x, dtype=INT64)
    count = graph.op("Gather", size, graph.constant([axis]), axis=0)
    ordered, _ = graph.ops("TopK", 2, x, count, axis=axis, dtypes=(graph.real, INT64))
    one = ir.tensor(np.ones(1, graph.real.numpy()))
    ones = graph.op("ConstantOfShape", size, dtype=graph.real, value=one)
    where = graph.constant(axis)
    k = graph.op("CumSum", ones, where)
    sums = graph.op("CumSum", ordered, where)
    least = graph.op("Div", graph.op("Sub", sums, number(graph, 1)), k)
    support = graph.cast(graph.op("Greater", ordered, least, dtype=BOOL), graph.real)
    total = graph.reduce("ReduceSum", graph.op("Mul", support, sums), axis, keepdims=True)
    found = graph.reduce("ReduceSum", support, axis, keepdims=True)
    tau = graph.op("Div", graph.op("Sub", total, number(graph, 1)), found)
    return graph.op("Relu", graph.op("Sub", x, tau))


Attribute = tuple[str, float | None, float | None]
"""A function of a recurrent node, its alpha and its beta; None where it has none."""

FUNCTIONS: Mapping[str, Callable[..., Attribute | None]] = {
    "linear": lambda: ("Affine", 1.0, 0.0),
    "sigmoid": lambda: ("Sigmoid", None, None),
    "tanh": lambda: ("Tanh", None, None),
    "softsign": lambda: ("Softsign", None, None),
    "leaky_relu": lambda negative_slope: ("LeakyRelu", negative_slope, None),
    "elu": lambda alpha: ("Elu", alpha, None),
    "hard_sigmoid": lambda alpha, beta: ("HardSigmoid", alpha, beta),
    "sparse_sigmoid": lambda: ("HardSigmoid", 0.5, 0.5),
    "relu": lambda negative_slope, max_value, threshold: _relu_function(
        negative_slope, max_value, threshold
    ),
}
"""What the recurrent nodes of onnxruntime know, beside what no layer of ours says.

They know Softplus too, as log(1 + exp(x)), which is infinite from 89 on."""


def _relu_function(
    negative_slope: float, max_value: float | None, threshold: float
) -> Attribute | None:
    if max_value is not None or (threshold and (negative_slope or threshold < 0)):
        return None
    if threshold:
        return "ThresholdedRelu", threshold, None
    return ("LeakyRelu", negative_slope, None) if negative_slope else ("Relu", None, None)


def function_of(activation: Activation) -> Attribute | None:
    """The activation as a function of a recurrent node; None where no node has it."""
    make = FUNCTIONS.get(activation.kind)
    return make(**dict(activation.parameters)) if make else None


def function_attributes(activations: tuple[Activation, ...]) -> dict[str, Any]:
    """`activations`, `activation_alpha` and `activation_beta` of a recurrent node.

    The numbers are taken in order by those functions alone that have any.
    """
    functions = [function for one in activations if (function := function_of(one))]
    return {
        "activations": [name for name, _, _ in functions],
        "activation_alpha": [alpha for _, alpha, _ in functions if alpha is not None] or None,
        "activation_beta": [beta for _, _, beta in functions if beta is not None] or None,
    }
