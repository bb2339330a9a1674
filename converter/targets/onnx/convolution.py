"""Convolutions: Conv and ConvTranspose, with the channels in axis 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Padding,
    SeparableConvolution,
    TransposedConvolution,
    Value,
    Weight,
)
from converter.description.convolution import Windowed, same_padding
from converter.gates import depthwise_form, permuted
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


def steps_of(value: Value, first: bool) -> tuple[int | None, ...]:
    """The sizes of the axes that a window moves along."""
    return value.shape[2:] if first else value.shape[1:-1]


def _given(layer: Windowed, graph: Graph) -> ir.Value:
    (value,) = graph.inputs
    return graph.floats(value, window_order(value, layer.channels_first))


def _give(layer: Windowed, graph: Graph, y: ir.Value) -> None:
    (output,) = graph.outputs
    order = window_order(output, layer.channels_first)
    graph.give(output, activated(layer.activation, y, graph, order), order)


def _bias(layer: Windowed, graph: Graph, bias: Weight | None) -> ir.Value | None:
    return None if bias is None else graph.weight(layer, "bias", bias)


def _moved(
    layer: Windowed,
    graph: Graph,
    kernel: ir.Value,
    bias: ir.Value | None,
    size: tuple[int, ...],
    groups: int = 1,
) -> ir.Value:
    """Conv of the layer's input, with its strides, dilation and padding."""
    steps = steps_of(graph.inputs[0], layer.channels_first)
    return graph.op(
        "Conv",
        _given(layer, graph),
        kernel,
        bias,
        name=graph.prefix,
        kernel_shape=list(size),
        strides=list(layer.strides),
        dilations=list(layer.dilation),
        group=groups,
        **padding_attributes(steps, size, layer.strides, layer.dilation, layer.padding),
    )


@emit.register(Convolution)
def _(layer: Convolution, graph: Graph) -> None:
    """The node, and its activation."""
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    kernel = graph.weight(layer, "kernel", layer.kernel, form)
    bias = _bias(layer, graph, layer.bias)
    _give(layer, graph, _moved(layer, graph, kernel, bias, layer.size, layer.groups))


@emit.register(DepthwiseConvolution)
def _(layer: DepthwiseConvolution, graph: Graph) -> None:
    """A convolution in as many groups as there are channels."""
    kernel = graph.weight(layer, "kernel", layer.kernel, depthwise_form(layer.kernel.shape))
    bias, channels = _bias(layer, graph, layer.bias), layer.kernel.shape[-2]
    _give(layer, graph, _moved(layer, graph, kernel, bias, layer.size, channels))


@emit.register(SeparableConvolution)
def _(layer: SeparableConvolution, graph: Graph) -> None:
    """Two: in as many groups as there are channels, then with a window of 1."""
    form = depthwise_form(layer.depthwise.shape)
    kernel = graph.weight(layer, "depthwise", layer.depthwise, form)
    by_channel = _moved(layer, graph, kernel, None, layer.size, layer.depthwise.shape[-2])
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    pointwise = graph.weight(layer, "pointwise", layer.pointwise, form)
    _give(layer, graph, graph.op("Conv", by_channel, pointwise, _bias(layer, graph, layer.bias)))


@emit.register(TransposedConvolution)
def _(layer: TransposedConvolution, graph: Graph) -> None:
    """ConvTranspose, which leaves out sums in front and behind, or goes on with zeros."""
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    y = graph.op(
        "ConvTranspose",
        _given(layer, graph),
        graph.weight(layer, "kernel", layer.kernel, form),
        _bias(layer, graph, layer.bias),
        name=graph.prefix,
        kernel_shape=list(layer.size),
        strides=list(layer.strides),
        dilations=list(layer.dilation),
        pads=[front for front, _ in layer.ends] + [max(behind, 0) for _, behind in layer.ends],
        output_padding=[max(-behind, 0) for _, behind in layer.ends],
    )
    _give(layer, graph, y)
