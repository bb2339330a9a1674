"""Convolutions: nn.Conv1d, nn.Conv2d, nn.Conv3d, with the channels in axis 1."""

from __future__ import annotations

from dataclasses import replace

from converter.description import Convolution, Padding
from converter.gates import AS_IS, permuted
from converter.targets.torch.emit import activated, emit
from converter.targets.torch.source import Source


def sizes_text(sizes: tuple[int, ...]) -> str:
    """One number where all are the same, a tuple otherwise."""
    return str(sizes[0]) if len(set(sizes)) == 1 else str(sizes)


@emit.register(Convolution)
def _(layer: Convolution, source: Source) -> None:
    """The module, what is padded before it, and the activation."""
    given = [str(layer.channels), str(layer.filters), sizes_text(layer.size)]
    strided = set(layer.strides) != {1}
    if strided:
        given.append(f"stride={sizes_text(layer.strides)}")
    zeros = [d * (size - 1) for d, size in zip(layer.dilation, layer.size, strict=True)]
    even = not any(count % 2 for count in zeros)  # otherwise PyTorch copies, and warns
    if layer.padding is Padding.SAME and not strided and even:
        given.append('padding="same"')
    if set(layer.dilation) != {1}:
        given.append(f"dilation={sizes_text(layer.dilation)}")
    if layer.groups != 1:
        given.append(f"groups={layer.groups}")
    if layer.bias is None:
        given.append("bias=False")
    parameters = {
        "weight": (layer.kernel, permuted(layer.rank + 1, layer.rank, *range(layer.rank)))
    }
    if layer.bias is not None:
        parameters["bias"] = (layer.bias, AS_IS)
    module = source.module(layer, f"nn.Conv{layer.rank}d({', '.join(given)})", parameters)
    x = source.take(source.inputs[0], channels_first=not layer.channels_first)
    text = x.text
    if layer.padding is Padding.CAUSAL:
        before = layer.dilation[0] * (layer.size[0] - 1)
        text = f"F.pad({text}, ({before}, 0))"
    elif layer.padding is Padding.SAME and not strided and not even:
        sides = [side for count in reversed(zeros) for side in (count // 2, count - count // 2)]
        text = f"F.pad({text}, {tuple(sides)})"
    elif layer.padding is Padding.SAME and strided:
        text = f"{source.copied('pad_same')}({text}, {layer.size}, {layer.strides}"
        dilated = f", dilations={layer.dilation}" if set(layer.dilation) != {1} else ""
        text += f"{dilated})"
    text = activated(layer.activation, replace(x, text=f"{module}({text})"), source)
    source.give(source.outputs[0], text, x)
