"""Convolutions: nn.Conv1d, nn.ConvTranspose1d and their like, with the channels in axis 1."""

from __future__ import annotations

from dataclasses import replace

from converter.activations import Activation
from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Padding,
    SeparableConvolution,
    TransposedConvolution,
    Weight,
)
from converter.description.convolution import Windowed
from converter.gates import Form, depthwise_form, permuted
from converter.targets.torch.emit import activated, emit
from converter.targets.torch.source import Held, Source

Placed = dict[str, Weight | tuple[Weight, Form]]


def sizes_text(sizes: tuple[int, ...]) -> str:
    """One number where all are the same, a tuple otherwise."""
    return str(sizes[0]) if len(set(sizes)) == 1 else str(sizes)


def _options(layer: Windowed, bias: Weight | None, groups: int = 1) -> list[str]:
    """The arguments behind the sizes that are not PyTorch's defaults."""
    given = []
    if set(layer.dilation) != {1}:
        given.append(f"dilation={sizes_text(layer.dilation)}")
    if groups != 1:
        given.append(f"groups={groups}")
    if bias is None:
        given.append("bias=False")
    return given


def _parameters(kernel: Weight, form: Form, bias: Weight | None) -> Placed:
    placed: Placed = {"weight": (kernel, form)}
    if bias is not None:
        placed["bias"] = bias
    return placed


def _convolved(
    layer: Windowed,
    source: Source,
    x: Held,
    sizes: tuple[int, int, tuple[int, ...]],
    parameters: Placed,
    groups: int = 1,
    part: str = "",
) -> str:
    """The text of a module, called with what is padded for it.

    Args:
        layer: Its strides, dilation and padding.
        source: The file.
        x: With the channels in front.
        sizes: Channels of the input and of the output, and of the window.
        parameters: Of the module.
        groups: See nn.Conv1d.
        part: Names one of several modules of the layer.
    """
    channels, filters, size = sizes
    given = [str(channels), str(filters), sizes_text(size)]
    strided = set(layer.strides) != {1}
    if strided:
        given.append(f"stride={sizes_text(layer.strides)}")
    zeros = [d * (n - 1) for d, n in zip(layer.dilation, size, strict=True)]
    even = not any(count % 2 for count in zeros)  # otherwise PyTorch copies, and warns
    if layer.padding is Padding.SAME and not strided and even:
        given.append('padding="same"')
    bias = parameters.get("bias")
    given += _options(layer, bias if isinstance(bias, Weight) else None, groups)
    module = source.module(
        layer, f"nn.Conv{layer.rank}d({', '.join(given)})", parameters, part=part
    )
    text = x.text
    if layer.padding is Padding.CAUSAL:
        text = f"F.pad({text}, ({zeros[0]}, 0))"
    elif layer.padding is Padding.SAME and not strided and not even:
        sides = [side for count in reversed(zeros) for side in (count // 2, count - count // 2)]
        text = f"F.pad({text}, {tuple(sides)})"
    elif layer.padding is Padding.SAME and strided:
        text = f"{source.copied('pad_same')}({text}, {size}, {layer.strides}"
        dilated = f", dilations={layer.dilation}" if set(layer.dilation) != {1} else ""
        text += f"{dilated})"
    return f"{module}({text})"


def _given(layer: Windowed, source: Source) -> Held:
    """The input, with the channels in front."""
    return source.take(source.inputs[0], channels_first=not layer.channels_first)


def _give(layer: Windowed, source: Source, x: Held, text: str) -> None:
    activation = layer.activation
    axis = dict(activation.parameters).get("axis")
    if x.channels_first and isinstance(axis, int):  # where the module has that axis
        axis = axis % (layer.rank + 2)
        moved = 1 if axis == layer.rank + 1 else axis + (axis > 0)
        activation = Activation.of(
            activation.kind, **{**dict(activation.parameters), "axis": moved}
        )
    text = activated(activation, replace(x, text=text), source)
    source.give(source.outputs[0], text, x)


@emit.register(Convolution)
def _(layer: Convolution, source: Source) -> None:
    """The module, what is padded before it, and the activation."""
    x = _given(layer, source)
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    parameters = _parameters(layer.kernel, form, layer.bias)
    sizes = layer.channels, layer.filters, layer.size
    _give(layer, source, x, _convolved(layer, source, x, sizes, parameters, layer.groups))


@emit.register(DepthwiseConvolution)
def _(layer: DepthwiseConvolution, source: Source) -> None:
    """A convolution in as many groups as there are channels."""
    x = _given(layer, source)
    channels, multiplier = layer.kernel.shape[-2:]
    parameters = _parameters(layer.kernel, depthwise_form(layer.kernel.shape), layer.bias)
    sizes = channels, channels * multiplier, layer.size
    _give(layer, source, x, _convolved(layer, source, x, sizes, parameters, channels))


@emit.register(SeparableConvolution)
def _(layer: SeparableConvolution, source: Source) -> None:
    """Two modules: in as many groups as there are channels, then with a window of 1."""
    x = _given(layer, source)
    channels, multiplier = layer.depthwise.shape[-2:]
    parameters = _parameters(layer.depthwise, depthwise_form(layer.depthwise.shape), None)
    sizes = channels, channels * multiplier, layer.size
    text = _convolved(layer, source, x, sizes, parameters, channels, part="depthwise")
    x = source.named(replace(x, text=text))
    given = [str(channels * multiplier), str(layer.filters), "1"]
    given += [] if layer.bias is not None else ["bias=False"]
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    pointwise = source.module(
        layer,
        f"nn.Conv{layer.rank}d({', '.join(given)})",
        _parameters(layer.pointwise, form, layer.bias),
        part="pointwise",
    )
    _give(layer, source, x, f"{pointwise}({x.text})")


@emit.register(TransposedConvolution)
def _(layer: TransposedConvolution, source: Source) -> None:
    """nn.ConvTranspose, which leaves out as much behind as in front; one more is sliced off."""
    x = _given(layer, source)
    given = [str(layer.kernel.shape[-1]), str(layer.filters), sizes_text(layer.size)]
    fronts = tuple(front for front, _ in layer.ends)
    more = tuple(max(front - behind, 0) for front, behind in layer.ends)
    for word, sizes, usual in (
        ("stride", layer.strides, 1),
        ("padding", fronts, 0),
        ("output_padding", more, 0),
    ):
        if set(sizes) != {usual}:
            given.append(f"{word}={sizes_text(sizes)}")
    given += _options(layer, layer.bias)
    form = permuted(layer.rank + 1, layer.rank, *range(layer.rank))
    module = source.module(
        layer,
        f"nn.ConvTranspose{layer.rank}d({', '.join(given)})",
        _parameters(layer.kernel, form, layer.bias),
    )
    text = f"{module}({x.text})"
    parts = [f":-{behind - front}" if behind > front else ":" for front, behind in layer.ends]
    while parts and parts[0] == ":":
        parts.pop(0)
    if parts:
        text += f"[..., {', '.join(parts)}]"
    _give(layer, source, x, text)
