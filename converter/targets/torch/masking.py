"""Where masks come from, and what is done to masks on their way."""

from __future__ import annotations

from converter.description import (
    AnyOf,
    EveryStep,
    JoinMasks,
    Masking,
    Unequal,
    Value,
    WithinLength,
)
from converter.dtypes import FLOATS
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Held, Source


@emit.register(Masking)
def _(layer: Masking, source: Source) -> None:
    """A mask, and zeros where it is False."""
    x = source.take_folded(source.inputs[0])
    if not x.text.isidentifier():
        x = source.named(x)
    given, made = source.outputs
    mask = say_mask(source, made, f"({x.text} != {layer.mask_value!r}).any(-1)", x)
    source.give(given, f"{x.text} * {mask}.unsqueeze(-1)", x)


@emit.register(Unequal)
def _(layer: Unequal, source: Source) -> None:
    """A comparison."""
    (x,) = source.inputs
    number = layer.number if x.dtype in FLOATS else int(layer.number)
    say_mask(source, source.outputs[0], f"{source.take(x).atom} != {number!r}")


@emit.register(WithinLength)
def _(layer: WithinLength, source: Source) -> None:
    """Every step's number, held against the lengths."""
    x, lengths = (source.take(value).atom for value in source.inputs)
    axis = 0 if layer.time_major else 1
    steps = f"torch.arange({x}.shape[{axis}], device={x}.device)"
    text = f"{steps} < {lengths}.unsqueeze(1)"
    if layer.time_major:
        text = f"{steps}.unsqueeze(1) < {lengths}"
    say_mask(source, source.outputs[0], text)


@emit.register(AnyOf)
def _(_layer: AnyOf, source: Source) -> None:
    """A reduction."""
    say_mask(source, source.outputs[0], f"{source.take(source.inputs[0]).atom}.any(-1)")


@emit.register(JoinMasks)
def _(layer: JoinMasks, source: Source) -> None:
    """An operator."""
    texts = [source.take(mask).atom for mask in source.inputs]
    say_mask(source, source.outputs[0], (" & " if layer.every else " | ").join(texts))


@emit.register(EveryStep)
def _(_layer: EveryStep, source: Source) -> None:
    """Ones."""
    x = source.take(source.inputs[0])
    say_mask(source, source.outputs[0], f"torch.ones_like({x.atom}[..., 0], dtype=torch.bool)")


def say_mask(source: Source, mask: Value, text: str, like: Held | None = None) -> str:
    """The variable of a mask that the call in hand makes.

    Args:
        source: The file.
        mask: An output of the call.
        text: An expression.
        like: In whose arrangement it is.
    """
    name = source.variable(mask, "mask")
    held = Held(name, steps=like.steps if like else "")
    source.say(name, text, source.comment(mask, held))
    source.held[mask.name] = held
    return name
