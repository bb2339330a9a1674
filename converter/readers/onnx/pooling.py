"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import GlobalPooling, Pool, Pooling
from converter.readers.onnx.convolution import padded, window_of
from converter.readers.onnx.held import Held
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node

POOLS = {"MaxPool": Pool.MAX, "AveragePool": Pool.AVERAGE}


@lifts(*POOLS)
def _(lift: Lift, node: Node) -> list[Held]:
    size = tuple(node.attributes["kernel_shape"])
    once = (1,) * len(size)
    strides = tuple(node.attributes.get("strides", once))
    for name, usual in (("dilations", once), ("ceil_mode", 0), ("storage_order", 0)):
        if node.attributes.get(name, usual) != usual:
            raise lift.refusal(node, f"{name}={node.attributes[name]}")
    if len([name for name in node.outputs if name]) > 1:
        raise lift.refusal(node, "where each largest element was")
    x, first = window_of(lift, lift.seen(node, 0))
    before = x.value
    x, padding = padded(lift, node, x, first, size, strides, once)
    counts = node.attributes.get("count_include_pad", 0)
    around = x.value != before
    if (around and not counts) or (around and node.kind == "MaxPool") or padding.value == "causal":
        raise lift.refusal(node, f"pads={node.attributes.get('pads')}, which no layer has")
    if counts and padding.value == "same":
        raise lift.refusal(node, "count_include_pad=1")
    layer = Pooling(
        name=lift.name(node),
        dtype=x.dtype,
        pool=POOLS[node.kind],
        size=size,
        strides=strides,
        padding=padding,
        channels_first=first,
    )
    return [lift.ordered(lift.call(layer, x.value)[0], x.order)]


@lifts("GlobalAveragePool", "GlobalMaxPool")
def _(lift: Lift, node: Node) -> list[Held]:
    x, first = window_of(lift, lift.seen(node, 0))
    layer = GlobalPooling(
        name=lift.name(node),
        dtype=x.dtype,
        pool=Pool.MAX if node.kind == "GlobalMaxPool" else Pool.AVERAGE,
        rank=len(x.order) - 2,
        keepdims=True,
        channels_first=first,
    )
    return [lift.ordered(lift.call(layer, x.value)[0], x.order)]
