"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

from typing import Any

from converter.description import Cropping, Interpolation, UpSampling, ZeroPadding
from converter.targets.onnx.convolution import window_order
from converter.targets.onnx.emit import emit
from converter.targets.onnx.graph import FLOAT, Graph

LAST = 2**63 - 1
"""The end of any axis."""


@emit.register(UpSampling)
def _(layer: UpSampling, graph: Graph) -> None:
    """Resize: an element as often as said, or linear between the middles of two."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    if layer.interpolation is Interpolation.BILINEAR:
        order = window_order(value, layer.channels_first)
        settings: dict[str, Any] = {
            "mode": "linear",
            "coordinate_transformation_mode": "half_pixel",
        }
    else:
        settings = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    first = 2 if layer.channels_first else 1
    sizes = dict(enumerate(layer.size, first))
    scales = graph.constant([sizes.get(axis, 1) for axis in order], FLOAT)
    x = graph.floats(value, order)
    y = graph.op("Resize", x, None, scales, name=graph.prefix, **settings)
    graph.give(graph.outputs[0], y, order)


@emit.register(ZeroPadding)
def _(layer: ZeroPadding, graph: Graph) -> None:
    """Pad, whatever the order of the axes."""
    (value,) = graph.inputs
    order = graph.order_of(value)
    ends = dict(enumerate(layer.ends, 2 if layer.channels_first else 1))
    sides = [ends.get(axis, (0, 0)) for axis in order]
    pads = graph.constant([front for front, _ in sides] + [behind for _, behind in sides])
    y = graph.op("Pad", graph.take(value, order), pads, name=graph.prefix)
    graph.give(graph.outputs[0], y, order)


@emit.register(Cropping)
def _(layer: Cropping, graph: Graph) -> None:
    """Slice, likewise."""
    (value,), (output,) = graph.inputs, graph.outputs
    ends = {
        axis: side
        for axis, side in enumerate(layer.ends, 2 if layer.channels_first else 1)
        if any(side)
    }
    if not ends:
        graph.pass_on(value, output)
        return
    order = graph.order_of(value)
    bounds = (
        [front for front, _ in ends.values()],
        [-behind if behind else LAST for _, behind in ends.values()],
        [order.index(axis) for axis in ends],
    )
    x = graph.take(value, order)
    graph.give(output, graph.op("Slice", x, *map(graph.constant, bounds), name=graph.prefix), order)
