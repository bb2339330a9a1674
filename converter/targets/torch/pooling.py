"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import AdaptivePooling, GlobalPooling, Padding, Pool, Pooling
from converter.targets.torch.convolution import sizes_text
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


@emit.register(Pooling)
def _(layer: Pooling, source: Source) -> None:
    """nn.MaxPool and nn.AvgPool; padding "same" as Keras means it, which is not PyTorch's."""
    x = source.take(source.inputs[0], channels_first=not layer.channels_first)
    text = x.text
    given = [sizes_text(layer.size)]
    if layer.strides != layer.size:
        given.append(f"stride={sizes_text(layer.strides)}")
    kind = "Max" if layer.pool is Pool.MAX else "Avg"
    constructor = f"nn.{kind}Pool{layer.rank}d"
    if layer.padding is Padding.SAME:
        if set(layer.size) <= {1, 2} and layer.strides == layer.size:
            given.append("ceil_mode=True")  # at most one element is missing, at the end
        elif layer.pool is Pool.MAX:
            padded = f"{source.copied('pad_same')}({text}, {layer.size}, {layer.strides}"
            text = f'{padded}, float("-inf"))'
        else:
            constructor = source.copied("SameAvgPool")
            given = [str(layer.size), str(layer.strides)]
    module = source.module(layer, f"{constructor}({', '.join(given)})")
    source.hold(source.outputs[0], f"{module}({text})", x)


@emit.register(GlobalPooling)
def _(layer: GlobalPooling, source: Source) -> None:
    """A mean or a maximum over axes."""
    x = source.take(source.inputs[0], channels_first=False if layer.channels_first else None)
    first = 2 if layer.channels_first or x.channels_first else 1
    axes = tuple(range(first, first + layer.rank))
    text = str(axes[0]) if layer.rank == 1 else str(axes)
    keep = ", keepdim=True" if layer.keepdims else ""
    mask = source.call.mask if source.call else None
    if mask is not None:
        name = source.copied("masked_mean")
        x = source.take(source.inputs[0])
        text = f"{name}({x.text}, {source.take(mask).text}, {layer.axes[0]}{keep})"
        source.hold(source.outputs[0], text)
        return
    function = "amax" if layer.pool is Pool.MAX else "mean"
    channels_first = x.channels_first and layer.keepdims
    source.hold(
        source.outputs[0], f"{x.atom}.{function}({text}{keep})", x, channels_first=channels_first
    )


@emit.register(AdaptivePooling)
def _(layer: AdaptivePooling, source: Source) -> None:
    """nn.AdaptiveMaxPool and nn.AdaptiveAvgPool."""
    kind = "Max" if layer.pool is Pool.MAX else "Avg"
    constructor = f"nn.Adaptive{kind}Pool{layer.rank}d({sizes_text(layer.size)})"
    module = source.module(layer, constructor)
    x = source.take(source.inputs[0], channels_first=not layer.channels_first)
    source.hold(source.outputs[0], f"{module}({x.text})", x)
