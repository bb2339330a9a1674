"""Normalization over the batch, and over a layer."""

from __future__ import annotations

from converter.description import BatchNormalization, LayerNormalization, Weight
from converter.description.model import axis_of
from converter.readers.onnx.core import shortest
from converter.readers.onnx.held import Held, Known
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node

MOMENTUM = 0.9
"""Of a node that says none; the part of the old statistics that stays."""


@lifts("BatchNormalization")
def _(lift: Lift, node: Node) -> list[Held]:
    if node.attributes.get("training_mode", 0) or node.attributes.get("spatial", 1) != 1:
        raise lift.refusal(node, "statistics of the batch in hand")
    seen = lift.seen(node, 0)
    gamma, beta, mean, variance = (_weight(lift, node, k) for k in range(1, 5))
    layer = BatchNormalization(
        name=lift.name(node),
        dtype=seen.dtype,
        variable_dtype=seen.dtype,
        axes=(seen.order[1],),
        gamma=gamma,
        beta=beta,
        moving_mean=mean,
        moving_variance=variance,
        epsilon=shortest(node.attributes.get("epsilon", 1e-5)),
        momentum=shortest(node.attributes.get("momentum", MOMENTUM)),
    )
    return [lift.ordered(lift.call(layer, seen.value)[0], seen.order)]


def _weight(lift: Lift, node: Node, k: int) -> Weight:
    known = lift.known(node, k, "its weights")
    if known is None or len(known.shape) != 1:
        raise ValueError(f"input {k} is no vector")
    return Weight(known.shape, (known.stored,))


@lifts("LayerNormalization")
def _(lift: Lift, node: Node) -> list[Held]:
    seen = lift.seen(node, 0)
    rank = len(seen.order)
    axis = axis_of(node.attributes.get("axis", -1), rank)
    axes = tuple(range(axis, rank))
    if node.attributes.get("stash_type", 1) != 1 or any(node.outputs[1:]):
        raise lift.refusal(node, "its mean and deviation as outputs")
    value = seen.value
    if seen.order[axis:] != axes:
        value = lift.value(seen)
    order = seen.order if value is seen.value else tuple(range(rank))
    gamma, beta = (lift.known(node, k, "its weights") for k in (1, 2))
    layer = LayerNormalization(
        name=lift.name(node),
        dtype=seen.dtype,
        variable_dtype=seen.dtype,
        axes=axes,
        gamma=None if gamma is None else _shaped(gamma, len(axes)),
        beta=None if beta is None else _shaped(beta, len(axes)),
        epsilon=shortest(node.attributes.get("epsilon", 1e-5)),
    )
    return [lift.ordered(lift.call(layer, value)[0], order)]


def _shaped(known: Known, rank: int) -> Weight:
    if len(known.shape) != rank:
        raise ValueError(f"weights of the shape {known.shape}")
    return Weight(known.shape, (known.stored,))
