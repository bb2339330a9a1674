"""Convolutions, whose channels are axis 1 of the file."""

from __future__ import annotations

from typing import Any

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Layer,
    Padding,
    Weight,
    ZeroPadding,
)
from converter.description.convolution import same_padding
from converter.gates import depthwise_form, permuted
from converter.readers.onnx.held import Held, Seen
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node
from converter.readers.onnx.sizes import Sizes


def channels_last(order: tuple[int, ...]) -> bool:
    """Whether a tensor (B, C, ...) of the file is a value (B, ..., C)."""
    last = len(order) - 1
    return order == (0, last, *range(1, last))


def window_of(lift: Lift, seen: Seen) -> tuple[Seen, bool]:
    """The input as a window takes it, and whether its channels are in front."""
    if channels_last(seen.order):
        return seen, False
    value = lift.value(seen)
    return Seen(value, tuple(range(len(seen.order))), lift.sizes[value.name]), True


@lifts("Conv")
def _(lift: Lift, node: Node) -> list[Held]:
    seen = lift.seen(node, 0)
    kernel, bias = lift.known(node, 1, "its weights"), lift.known(node, 2, "its bias")
    if kernel is None or len(kernel.shape) != len(seen.order) or len(kernel.shape) < 3:
        raise ValueError("weights of another rank than its input")
    size, groups = kernel.shape[2:], node.attributes.get("group", 1)
    strides = node.attributes.get("strides", (1,) * len(size))
    dilation = node.attributes.get("dilations", (1,) * len(size))
    if node.attributes.get("kernel_shape", size) != size:
        raise ValueError(f"kernel_shape {node.attributes['kernel_shape']}; its weights have {size}")
    x, first = window_of(lift, seen)
    x, padding = padded(lift, node, x, first, size, strides, dilation)
    filters, each = kernel.shape[:2]
    common: dict[str, Any] = {
        "name": lift.name(node),
        "dtype": seen.dtype,
        "variable_dtype": seen.dtype,
        "strides": tuple(strides),
        "dilation": tuple(dilation),
        "padding": padding,
        "channels_first": first,
        "bias": None if bias is None else Weight(bias.shape, (bias.stored,)),
    }
    layer: Layer
    if each == 1 and groups > 1 and groups == seen.sizes[1] and len(size) < 3:
        shape = (*size, groups, filters // groups)
        weight = Weight(shape, (kernel.stored,), depthwise_form(shape))
        layer = DepthwiseConvolution(kernel=weight, **common)
    else:
        shape = (*size, each, filters)
        form = permuted(len(size) + 1, len(size), *range(len(size)))
        weight = Weight(shape, (kernel.stored,), form)
        layer = Convolution(kernel=weight, groups=groups, **common)
    return [lift.ordered(lift.call(layer, x.value)[0], x.order)]


def pads_of(
    lift: Lift,
    node: Node,
    steps: Sizes,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[int, int]] | Padding:
    """Before and after each axis; SAME where a length is free."""
    count = len(size)
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return [(0, 0)] * count
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        ends = []
        for n, k, stride, d in zip(steps, size, strides, dilation, strict=True):
            if not isinstance(n, int) and stride != 1:
                if auto == "SAME_LOWER":
                    raise lift.refusal(node, "SAME_LOWER of a free length")
                return Padding.SAME
            before, after = same_padding(n if isinstance(n, int) else 1, k, stride, d)
            ends.append((before, after) if auto == "SAME_UPPER" else (after, before))
        return ends
    if auto not in ("NOTSET", ""):
        raise lift.refusal(node, f"auto_pad={auto}")
    pads = node.attributes.get("pads", (0,) * 2 * count)
    if len(pads) != 2 * count or min(pads, default=0) < 0:
        raise lift.refusal(node, f"pads={pads}")
    return list(zip(pads[:count], pads[count:], strict=True))


def padded(
    lift: Lift,
    node: Node,
    x: Seen,
    first: bool,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Seen, Padding]:
    """The input with zeros around it, where the layer does not add them by itself."""
    steps = x.sizes[2:]
    ends = pads_of(lift, node, steps, size, strides, dilation)
    if isinstance(ends, Padding):
        return x, ends
    if not any(map(any, ends)):
        return x, Padding.VALID
    windows = zip(steps, size, strides, dilation, strict=True)
    same = [
        same_padding(n if isinstance(n, int) else 1, k, stride, d)
        if isinstance(n, int) or stride == 1
        else None
        for n, k, stride, d in windows
    ]
    if same == ends:
        return x, Padding.SAME
    if len(size) == 1 and ends == [(dilation[0] * (size[0] - 1), 0)]:
        return x, Padding.CAUSAL
    name = lift.name(node, f"{node.name or 'conv'}_padding")
    layer = ZeroPadding(name=name, ends=tuple(ends), channels_first=first, dtype=x.dtype)
    return lift.ordered(lift.call(layer, x.value)[0], x.order), Padding.VALID
