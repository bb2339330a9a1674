"""The PyTorch column of the grid: `emit[layer](layer, source)` writes one layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from converter.activations import Activation
from converter.registry import Registry
from converter.targets.torch.source import Held, Source, fill

emit: Registry[Callable[[Any, Source], None]] = Registry("PyTorch module")


def activated(activation: Activation, held: Held, source: Source) -> str:
    """The text of an activation of some text."""
    template = activation.torch
    if template == "{x}":
        return held.text
    if template.count("{x}") > 1 and not held.text.isidentifier():
        held = source.named(held)
    if activation.kind == "sparsemax":
        source.copied("sparsemax")
    return fill(template, held)


def callable_text(activation: Activation, source: Source) -> str:
    """An activation as something to call: "torch.relu", or a function written into the file."""
    template = activation.torch
    name = template.removesuffix("({x})")
    if name != template and all(word.isidentifier() for word in name.split(".")):
        return name
    if activation.kind == "sparsemax":
        source.copied("sparsemax")
    return source.function(activation)
