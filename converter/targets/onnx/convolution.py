"""Convolutions: Conv, with the channels in axis 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.description import Convolution, Padding, Value
from converter.description.convolution import same_padding
from converter.gates import permuted
from converter.targets.onnx.activation import activated
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import Graph, Order, as_it_is, channels_first


def window_order(value: Value, first: bool) -> Order:
    """The order in which a window takes a value: (batch, channels, ...)."""
    return as_it_is(value) if first else channels_first(value)


def padding_attributes(
    steps: Sequence[int | None],
    size: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: Padding,
) -> dict[str, Any]:
    """`pads`, or `auto_pad` where they depend on a length that is free."""
    match padding:
        case Padding.VALID:
            return {}
        case Padding.CAUSAL:
            before = [d * (n - 1) for d, n in zip(dilation, size, strict=True)]
            return {"pads": [*before, *[0] * len(before)]}
    windows = list(zip(steps, size, strides, dilation, strict=True))
    if any(n is None and stride != 1 for n, _, stride, _ in windows):
        return {"auto_pad": "SAME_UPPER"}
    sides = [same_padding(n or 1, k, stride, d) for n, k, stride, d in windows]
    return {"pads": [before for before, _ in sides] + [after for _, after in sides]}


@emit.register(Convolution)
def _(layer: Convolution, graph: Graph) -> None:
    """The node, and its activation."""
    (value,), (output,) = graph.inputs, graph.outputs
    order = window_order(value, layer.channels_first)
    steps = value.shape[2:] if layer.channels_first else value.shape[1:-1]
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    y = graph.op(
        "Conv",
        graph.floats(value, order),
        graph.weight(layer, "kernel", layer.kernel, form),
        None if layer.bias is None else graph.weight(layer, "bias", layer.bias),
        name=graph.prefix,
        kernel_shape=list(layer.size),
        strides=list(layer.strides),
        dilations=list(layer.dilation),
        group=layer.groups,
        **padding_attributes(steps, layer.size, layer.strides, layer.dilation, layer.padding),
    )
    graph.give(output, activated(layer.activation, y, graph, order), order)
