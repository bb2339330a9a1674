"""Products with a stored matrix, and activations."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from converter.activations import LINEAR, Activation
from converter.description import Activate, Dense, PReLU, Weight
from converter.description.convolution import Windowed
from converter.description.model import axis_of
from converter.gates import AS_IS, TRANSPOSED, Form
from converter.readers.onnx.held import Held, Known, Seen
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node
from converter.readers.onnx.operations import product


@lifts("MatMul")
def _(lift: Lift, node: Node) -> list[Held]:
    x, kernel = lift.given(node, 0), lift.given(node, 1)
    if not isinstance(kernel, Known) or len(kernel.shape) != 2 or len(x.sizes) < 2:
        return [product(lift, node)]
    return [dense(lift, node, lift.as_seen(x, node), kernel, AS_IS, None)]


def dense(lift: Lift, node: Node, x: Seen, kernel: Known, form: Form, bias: Known | None) -> Seen:
    """X kernel + bias, on the last axis of the file."""
    rank = len(x.order)
    seen = x
    if x.order[-1] != rank - 1:
        seen = Seen(lift.value(x), tuple(range(rank)), x.sizes)
    shape = kernel.shape if form is AS_IS else kernel.shape[::-1]
    layer = Dense(
        name=lift.name(node),
        dtype=x.dtype,
        variable_dtype=x.dtype,
        kernel=Weight(shape, (kernel.stored,), form),
        bias=None if bias is None else Weight(bias.shape, (bias.stored,)),
    )
    return lift.ordered(lift.call(layer, seen.value)[0], seen.order)


@lifts("Gemm")
def _(lift: Lift, node: Node) -> list[Held]:
    given = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **node.attributes}
    if (given["alpha"], given["beta"]) != (1, 1):
        raise lift.refusal(node, f"alpha={given['alpha']:g}, beta={given['beta']:g}")
    x = lift.seen(node, 0)
    x = x.turned((1, 0)) if given["transA"] else x
    kernel, bias = lift.known(node, 1, "its matrix"), lift.known(node, 2, "what it adds")
    if kernel is None:
        raise ValueError("no matrix")
    units = kernel.shape[0 if given["transB"] else 1]
    form = TRANSPOSED if given["transB"] else AS_IS
    if bias is None or bias.count not in (1, units) or bias.count == 1 != units:
        y = dense(lift, node, x, kernel, form, None)
        if bias is None:
            return [y]
        raise lift.refusal(node, f"a bias of the shape {bias.shape}")
    return [dense(lift, node, x, kernel, form, flat(bias))]


def flat(bias: Known) -> Known:
    """(1, n) or (n,) as (n,)."""
    if len(bias.shape) == 1:
        return bias
    stored = bias.stored
    read = stored.read
    one = replace(stored, shape=(prod(stored.shape),), read=lambda: read().reshape(-1))
    return Known(one, bias.dtype)


def with_bias(lift: Lift, node: Node, k: int) -> Seen | None:
    """Input `k` of an Add with the other one as its bias, if it was made by a Dense without one."""
    held, other = lift.given(node, k), lift.given(node, 1 - k)
    if not (isinstance(held, Seen) and isinstance(other, Known)) or other.is_symbolic:
        return None
    call = lift.producer(held)
    if call is None or not lift.once(node.inputs[k]) or not isinstance(call.layer, Dense):
        return None
    layer, rank = call.layer, len(held.order)
    fits = other.count == layer.units == other.shape[-1] if other.shape else False
    if not fits or layer.bias is not None or layer.activation != LINEAR or len(other.shape) > rank:
        return None
    if held.order[-1] != rank - 1:
        return None
    bias = flat(other)
    return lift.amend(held, replace(layer, bias=Weight(bias.shape, (bias.stored,))))


# fmt: off
ACTIVATIONS = {
    "Celu": ("celu", {"alpha": ("alpha", 1.0)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}),
    "HardSwish": ("hard_silu", {}),
    "LeakyRelu": ("leaky_relu", {"negative_slope": ("alpha", 0.01)}),
    "Mish": ("mish", {}),
    "Relu": ("relu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "Tanh": ("tanh", {}),
    "ThresholdedRelu": ("relu", {"threshold": ("alpha", 1.0)}),
}
# fmt: on
"""Kinds of nodes, the activation of each, and its parameters by the node's attributes."""


@lifts(*ACTIVATIONS)
def _(lift: Lift, node: Node) -> list[Held]:
    kind, parameters = ACTIVATIONS[node.kind]
    numbers = {
        name: shortest(node.attributes.get(attribute, default))
        for name, (attribute, default) in parameters.items()
    }
    return [activated(lift, node, Activation.of(kind, **numbers))]


def activated(lift: Lift, node: Node, activation: Activation) -> Seen:
    """The activation of the first input: in the layer before it, if nothing else reads that."""
    seen = lift.seen(node, 0)
    call = lift.producer(seen)
    if call is not None and lift.once(node.inputs[0]) and isinstance(call.layer, Dense | Windowed):
        plain = call.layer.activation == LINEAR
        if plain and (not activation.axes or activation.axes == (-1,)):
            last = seen.order[-1] == len(seen.order) - 1
            if last or not activation.axes:
                return lift.amend(seen, replace(call.layer, activation=activation))
    layer = Activate(name=lift.name(node), dtype=seen.dtype, activation=activation)
    (result,) = lift.call(layer, seen.value)
    return lift.ordered(result, seen.order)


@lifts("Selu")
def _(lift: Lift, node: Node) -> list[Held]:
    usual = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
    for name, number in usual.items():
        if np.float32(node.attributes.get(name, number)) != np.float32(number):
            raise lift.refusal(node, f"{name}={node.attributes[name]:g}")
    return [activated(lift, node, Activation.of("selu"))]


@lifts("Gelu")
def _(lift: Lift, node: Node) -> list[Held]:
    approximate = node.attributes.get("approximate", "none") == "tanh"
    return [activated(lift, node, Activation.of("gelu", approximate=approximate))]


@lifts("Softmax", "LogSoftmax")
def _(lift: Lift, node: Node) -> list[Held]:
    seen = lift.seen(node, 0)
    rank = len(seen.order)
    axis = axis_of(node.attributes.get("axis", -1 if lift.opset >= 13 else 1), rank)
    kind = "softmax" if node.kind == "Softmax" else "log_softmax"
    axes = (axis,) if lift.opset >= 13 else tuple(range(axis, rank))
    own = sorted(seen.order[one] for one in axes)
    if len(own) > 1:
        return [activated(lift, node, Activation.of(kind, axis=tuple(own)))]
    last = own[0] == rank - 1
    return [activated(lift, node, Activation.of(kind, axis=-1 if last else own[0]))]


@lifts("PRelu")
def _(lift: Lift, node: Node) -> list[Held]:
    seen = lift.seen(node, 0)
    slope = lift.known(node, 1, "its slopes")
    if slope is None:
        raise ValueError("no slopes")
    value = lift.value(seen)
    rank, stored = len(seen.order), slope.stored
    missing = rank - 1 - len(slope.shape)
    shape = (*(1,) * missing, *slope.shape) if missing >= 0 else slope.shape[1:]
    if missing < -1 or (missing == -1 and slope.shape[0] != 1):
        raise lift.refusal(node, f"slopes of the shape {slope.shape} for {seen.sizes}")
    read = stored.read
    alpha = replace(stored, shape=shape, read=lambda: read().reshape(shape))
    layer = PReLU(name=lift.name(node), alpha=Weight(shape, (alpha,)))
    return [lift.call(layer, value)[0]]


def shortest(number: float) -> float:
    """A float32 as the shortest decimal that means it; a sixth as it is meant."""
    sixth = float(np.float32(1 / 6))
    return 1 / 6 if number == sixth else float(str(np.float32(number)))
